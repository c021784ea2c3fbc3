"""The state of one translation, and the dispatch from syntax to rules.

The compiler walks the tree once and asks the rule of each node (`rules`) for PostgreSQL text with its static class.
A node without a rule, or a rule that knows no faithful form, raises `Refusal`: the translation is `Unsupported`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .catalog import Catalog, Table
from .scope import Out, Scope
from .syntax import (
    Between,
    Binary,
    Call,
    Case,
    Cast,
    Collate,
    Exists,
    Expr,
    In,
    Like,
    Literal,
    Node,
    OrderTerm,
    Param,
    Query,
    Row,
    Scalar,
    Unary,
    Window,
)
from .translation import Order, Purpose
from .typed import Cls, E

Rule = Callable[["Compiler", Any, Scope], E]

#: Calls that are aggregates when they have no OVER clause; min and max only with one argument.
AGGREGATES = frozenset(
    {"count", "sum", "total", "avg", "group_concat", "string_agg", "json_group_array", "json_group_object"}
)
CATALOG_TABLES = frozenset({"sqlite_master", "sqlite_schema", "sqlite_temp_master", "sqlite_temp_schema"})


class Refusal(Exception):
    """There is no faithful form."""

    def __init__(self, reason: str, node: Node | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.node = node


class CatalogQuestion(Exception):
    """The statement reads only SQLite's own catalog; schema.Replica answers it."""


class Compiler:
    """One statement's translation."""

    def __init__(
        self,
        catalog: Catalog,
        *,
        param_types: Sequence[type] | Mapping[str, type] | None = None,
        parameters: tuple[str | None, ...] = (),
        purpose: Purpose = Purpose.APP,
        rowid_order: bool = True,
    ) -> None:
        from .rules import EXPRESSIONS, FUNCTIONS

        self.catalog = catalog
        self.param_types = param_types
        self.parameters = parameters
        self.purpose = purpose
        self.rowid_order = rowid_order
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self.rules: dict[str, None] = {}
        self.warnings: dict[str, None] = {}
        self.nondeterministic: set[str] = set()
        self.uses_now = False
        self.sums_reals = False
        #: Whether a value that is the same for all rows may become a subquery, which PostgreSQL computes once.
        self.hoists = True
        self.catalog_sources = 0
        self.order = Order.NONE
        #: CTEs in sight, innermost last: folded name to PostgreSQL name and columns.
        self.ctes: list[dict[str, tuple[str, list[Out]]]] = []
        #: Views being expanded, so that none contains itself.
        self.views: list[str] = []
        self.serial = 0
        self._expressions: Mapping[type, Rule] = EXPRESSIONS
        self._functions: Mapping[str, Rule] = FUNCTIONS

    def used(self, rule: str) -> None:
        self.rules.setdefault(rule)

    def warn(self, text: str) -> None:
        self.warnings.setdefault(text)

    def fresh(self, stem: str) -> str:
        """A name of ours that no name of the app is equal to."""
        self.serial += 1
        return f"_shadow_{stem}{self.serial}"

    def table(self, name: str, node: Node) -> Table:
        table = self.catalog.table(name)
        if table is None:
            raise Refusal(f"no such table: {name}", node)
        if table.virtual:
            raise Refusal(f"{table.name} is a virtual table; it has no rows in PostgreSQL", node)
        return table

    def expr(self, node: Expr, scope: Scope) -> E:
        """The PostgreSQL form of an expression."""
        if scope.aggregated and not scope.in_aggregate and scope.groups and not isinstance(node, (Literal, Param)):
            grouped = self._grouped(node, scope)
            if grouped is not None:
                return grouped
        rule = self._expressions.get(type(node))
        if rule is None:
            raise Refusal(f"no translation of {type(node).__name__}", node)
        return rule(self, node, scope)

    def call(self, node: Call, scope: Scope) -> E:
        rule = self._functions.get(node.name)
        if rule is None:
            raise Refusal(f"no translation of function {node.name}()", node)
        return rule(self, node, scope)

    def raw(self, node: Expr, scope: Scope) -> E:
        """An expression inside an aggregate or in GROUP BY: columns are those of each row."""
        before = scope.in_aggregate
        scope.in_aggregate = True
        try:
            return self.expr(node, scope)
        finally:
            scope.in_aggregate = before

    def _grouped(self, node: Expr, scope: Scope) -> E | None:
        if has_aggregate(node):
            return None
        try:
            found = self.raw(node, scope)
        except Refusal:  # an alias of an aggregate; its own rule will tell
            return None
        return found if found.sql in scope.groups else None

    def param_type(self, number: int) -> type | None:
        """The Python class of a bound value; None when it was not told."""
        types = self.param_types
        if types is None:
            return None
        if isinstance(types, Mapping):
            name = self.parameters[number - 1] if number <= len(self.parameters) else None
            return None if name is None else types.get(name)
        return types[number - 1] if number <= len(types) else None


def is_aggregate(node: Expr) -> bool:
    if not isinstance(node, Call) or node.over is not None:
        return False
    return node.name in AGGREGATES or (node.name in ("min", "max") and len(node.args) == 1 and not node.star)


def has_aggregate(node: Node | None) -> bool:
    """Is there an aggregate in it, nested queries not counted?"""
    return any(is_aggregate(n) for n in walk(node))


def has_window(node: Node | None) -> bool:
    return any(isinstance(n, Call) and n.over is not None for n in walk(node))


def walk(node: Node | None) -> list[Any]:
    """The expressions in `node`, itself included, without those of nested queries."""
    found: list[Any] = []
    todo: list[Any] = [node]
    while todo:
        at = todo.pop()
        if at is None:
            continue
        found.append(at)
        todo.extend(_children(at))
    return found


def _children(node: Any) -> Sequence[Any]:
    match node:
        case Unary() | Cast() | Collate():
            return (node.operand,)
        case Binary():
            return (node.left, node.right)
        case Like():
            return (node.operand, node.pattern, node.escape)
        case Between():
            return (node.operand, node.low, node.high)
        case In():
            return (node.operand,) if isinstance(node.items, Query) else (node.operand, *node.items)
        case Case():
            parts = [p for when in node.whens for p in when]
            return (node.base, *parts, node.otherwise)
        case Call():
            over = (node.over,) if isinstance(node.over, Window) else ()
            return (*node.args, *(t.expr for t in node.order), node.where, *over)
        case Window():
            return (*node.partition, *(t.expr for t in node.order))
        case Row():
            return node.items
        case OrderTerm():
            return (node.expr,)
        case Exists() | Scalar():
            return ()
    return ()


def is_single_class(e: E) -> bool:
    return e.cls not in (Cls.VALUE, Cls.NULL)
