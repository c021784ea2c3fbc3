"""AND, OR, NOT, CASE and its functions, subqueries as values."""

from __future__ import annotations

from dataclasses import replace

from ..compiler import Compiler, Refusal
from ..scope import Scope
from ..syntax import Binary, Call, Case, Exists, Expr, In, Like, Scalar, Unary
from ..typed import FALSE, TRUE, Cls, E, common, condition, condition_wrapped, unify
from . import arithmetic, comparison

_WORDS = {"AND": "AND", "OR": "OR"}


def binary(c: Compiler, node: Binary, scope: Scope) -> E:
    op = node.op
    if op in _WORDS:
        # A chain in one loop: generated conditions have hundreds of parts.
        parts: list[Expr] = []
        at: Expr = node
        while isinstance(at, Binary) and at.op == op:
            parts.append(at.right)
            at = at.left
        parts.append(at)
        parts.reverse()
        compiled = [c.expr(part, scope) for part in parts]
        text = f" {op} ".join(_operand(part, op, e) for part, e in zip(parts, compiled, strict=True))
        return E(text, Cls.BOOL, atom=False, nullable=any(e.nullable for e in compiled))
    if op in comparison.OPERATORS:
        return comparison.binary(c, node, scope)
    return arithmetic.binary(c, node, scope)


def _operand(node: Expr, op: str, e: E) -> str:
    """No brackets around the parts of a chain of one operator, nor around comparisons."""
    if e.cls is Cls.BOOL and _is_predicate(node) and _plain_comparison(e):
        return e.sql
    return condition_wrapped(e)


def _is_predicate(node: Expr) -> bool:
    """Does it bind tighter than AND and OR in PostgreSQL as well?"""
    if isinstance(node, Binary):
        return node.op in comparison.OPERATORS
    return isinstance(node, (In, Like)) or (isinstance(node, Unary) and node.op in ("ISNULL", "NOTNULL"))


def _plain_comparison(e: E) -> bool:
    return " AND " not in e.sql and " OR " not in e.sql and not e.sql.startswith(("NOT ", "CASE "))


def unary(c: Compiler, node: Unary, scope: Scope) -> E:
    if node.op == "NOT":
        e = c.expr(node.operand, scope)
        if e.cls is Cls.BOOL and e.is_const:
            return FALSE if e.const else TRUE
        return E(f"NOT {condition_wrapped(e)}", Cls.BOOL, atom=False, nullable=e.nullable)
    if node.op in ("ISNULL", "NOTNULL"):
        return comparison.null_test(c.expr(node.operand, scope), node.op == "NOTNULL")
    return arithmetic.unary(c, node, scope)


def case(c: Compiler, node: Case, scope: Scope) -> E:
    base = None if node.base is None else c.expr(node.base, scope)
    conditions = []
    for when, _ in node.whens:
        e = c.expr(when, scope)
        conditions.append(condition(e if base is None else comparison.compare(c, "=", base, e, node)))
    values = [c.expr(then, scope) for _, then in node.whens]
    if node.otherwise is not None:
        values.append(c.expr(node.otherwise, scope))
    return choose(conditions, values)


def choose(conditions: list[str], values: list[E]) -> E:
    """CASE WHEN ... with branches of one type."""
    nullable = len(values) == len(conditions) or any(v.nullable for v in values)
    cls, branches = unify(values)
    parts = [f"WHEN {when} THEN {then.sql}" for when, then in zip(conditions, branches, strict=False)]
    if len(branches) > len(conditions):
        parts.append(f"ELSE {branches[-1].sql}")
    return E(f"CASE {' '.join(parts)} END", cls, nullable=nullable)


def iif(c: Compiler, node: Call, scope: Scope) -> E:
    if len(node.args) < 2:
        raise Refusal("wrong number of arguments to function iif()", node)
    args = node.args
    conditions = [condition(c.expr(args[i], scope)) for i in range(0, len(args) - 1, 2)]
    values = [c.expr(args[i + 1], scope) for i in range(0, len(args) - 1, 2)]
    if len(args) % 2:
        values.append(c.expr(args[-1], scope))
    return choose(conditions, values)


def coalesce(c: Compiler, node: Call, scope: Scope) -> E:
    if len(node.args) < 2:
        raise Refusal(f"wrong number of arguments to function {node.name}()", node)
    first = c.expr(node.args[0], scope)
    values = [first] + [c.expr(a, scope) for a in node.args[1:]]
    values = [v for v in values if v.cls is not Cls.NULL] or [first]
    if len(values) == 1:
        return values[0].expression()
    cls, args = unify(values)
    collation = first.collation if first.cls is Cls.TEXT else None
    return E(
        f"COALESCE({', '.join(a.loose if a.is_const or a.param else a.sql for a in args)})"
        if cls is not Cls.VALUE and any(not (a.is_const or a.param) for a in args)
        else f"COALESCE({', '.join(a.sql for a in args)})",
        cls,
        nullable=all(v.nullable for v in values),
        collation=collation if first.explicit else None,
        explicit=first.explicit,
    )


def nullif(c: Compiler, node: Call, scope: Scope) -> E:
    if len(node.args) != 2:
        raise Refusal("wrong number of arguments to function nullif()", node)
    left, right = (c.expr(a, scope) for a in node.args)
    equal = comparison.compare(c, "=", replace(left, affinity=None), replace(right, affinity=None), node)
    if left.cls is right.cls and left.cls in (Cls.INT, Cls.REAL, Cls.TEXT) and not _collated(left, right):
        return E(f"NULLIF({left.sql}, {right.sql})", left.cls)
    return E(f"CASE WHEN {condition(equal)} THEN NULL ELSE {left.sql} END", left.cls)


def _collated(*items: E) -> bool:
    return any((e.collation or "BINARY") != "BINARY" for e in items)


def exists(c: Compiler, node: Exists, scope: Scope) -> E:
    from ..select import query

    found = query(c, node.query, scope)
    return E(f"EXISTS ({found.sql})", Cls.BOOL, nullable=False)


def scalar(c: Compiler, node: Scalar, scope: Scope) -> E:
    """The first row of the query: PostgreSQL refuses more than one, so LIMIT 1 unless there can be only one."""
    from ..select import query

    found = query(c, node.query, scope, first_row_only=True)
    if len(found.columns) != 1:
        raise Refusal(f"sub-select returns {len(found.columns)} columns - expected 1", node)
    e = found.columns[0].e
    return E(f"({found.sql})", e.cls, affinity=e.affinity, collation=e.collation, nullable=True)


EXPRESSIONS = {Binary: binary, Unary: unary, Case: case, Exists: exists, Scalar: scalar}
FUNCTIONS = {"iif": iif, "if": iif, "coalesce": coalesce, "ifnull": coalesce, "nullif": nullif}

__all__ = ["EXPRESSIONS", "FUNCTIONS", "choose", "common"]
