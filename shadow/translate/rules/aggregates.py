"""Aggregates with SQLite's result types: SUM of integers is an integer, AVG a real, TOTAL never NULL."""

from __future__ import annotations

from ..compiler import Compiler, Refusal, Rule
from ..scope import Scope
from ..syntax import Call, OrderTerm
from ..typed import Cls, E, as_cls, call, condition, text_literal, to_int, to_text
from . import json, scalar
from .comparison import collate


def aggregate(rule: Rule) -> Rule:
    """Wrap a rule: the arguments are those of each row; FILTER; refuse nesting."""

    def wrapped(c: Compiler, node: Call, scope: Scope) -> E:
        if node.over is not None:
            from . import windows

            return windows.over(c, node, scope)
        if not scope.aggregated or scope.in_aggregate:
            raise Refusal(f"misuse of aggregate: {node.name}()", node)
        scope.in_aggregate = True
        try:
            return rule(c, node, scope)
        finally:
            scope.in_aggregate = False

    return wrapped


def filtered(c: Compiler, node: Call, scope: Scope) -> str:
    if node.where is None:
        return ""
    return f" FILTER (WHERE {condition(c.expr(node.where, scope))})"


def one(c: Compiler, node: Call, scope: Scope) -> E:
    if len(node.args) != 1 or node.star:
        raise Refusal(f"wrong number of arguments to function {node.name}()", node)
    return c.expr(node.args[0], scope)


def _distinct(node: Call) -> str:
    return "DISTINCT " if node.distinct else ""


def _key(e: E) -> str:
    """What DISTINCT tells values apart by."""
    if e.cls in (Cls.TEXT, Cls.VALUE) and e.collation not in (None, "BINARY"):
        return collate(e, e.collation or "BINARY")
    return e.sql


def count(c: Compiler, node: Call, scope: Scope) -> E:
    where = filtered(c, node, scope)
    if node.star or not node.args:
        return E(f"count(*){where}", Cls.INT, nullable=False)
    e = one(c, node, scope)
    if e.cls is Cls.NULL:
        return E(f"count(NULL){where}", Cls.INT, nullable=False)
    text = _key(e) if node.distinct else e.sql
    return E(f"count({_distinct(node)}{text}){where}", Cls.INT, nullable=False)


def sum_(c: Compiler, node: Call, scope: Scope) -> E:
    e, where = one(c, node, scope), filtered(c, node, scope)
    e = to_int(e)
    if e.cls is Cls.INT:
        return E(f"sum({_distinct(node)}{e.sql}){where}::bigint", Cls.INT)
    if e.cls is Cls.REAL:
        c.sums_reals = True
        c.warn("a sum of reals may differ in its last digits: the order of adding is not fixed")
        return E(f"sum({_distinct(node)}{e.sql}){where}", Cls.REAL)
    c.sums_reals = True
    return E(f"shadow.sum({_distinct(node)}{as_cls(e, Cls.VALUE).sql}){where}", Cls.VALUE)


def _real(e: E) -> str:
    e = to_int(e)
    if e.cls is Cls.REAL:
        return e.sql
    if e.cls is Cls.INT:
        return f"{e.wrapped}::double precision"
    return call("shadow.real", as_cls(e, Cls.VALUE).sql)


def avg(c: Compiler, node: Call, scope: Scope) -> E:
    e, where = one(c, node, scope), filtered(c, node, scope)
    c.sums_reals |= to_int(e).cls is not Cls.INT
    return E(f"avg({_distinct(node)}{_real(e)}){where}", Cls.REAL)


def total(c: Compiler, node: Call, scope: Scope) -> E:
    e, where = one(c, node, scope), filtered(c, node, scope)
    c.sums_reals |= to_int(e).cls is not Cls.INT
    return E(f"COALESCE(sum({_distinct(node)}{_real(e)}){where}, 0)", Cls.REAL, nullable=False)


def _extreme(which: str) -> Rule:
    several = scalar.FUNCTIONS[which]

    def rule(c: Compiler, node: Call, scope: Scope) -> E:
        e, where = one(c, node, scope), filtered(c, node, scope)
        return extreme(which, e, where, node, scope)

    single = aggregate(rule)

    def either(c: Compiler, node: Call, scope: Scope) -> E:
        return (single if len(node.args) == 1 else several)(c, node, scope)

    return either


def extreme(which: str, e: E, where: str, node: Call, scope: Scope, over: str = "") -> E:
    e = to_int(e)
    if e.collation not in (None, "BINARY") and e.cls in (Cls.TEXT, Cls.VALUE):
        if over:
            raise Refusal(f"{which}() OVER under collation {e.collation}", node)
        order = f"{collate(e, e.collation or 'BINARY')} {'ASC' if which == 'min' else 'DESC'} NULLS LAST"
        first = f", {scope.first_row}" if scope.first_row and " NULLS LAST" not in scope.first_row else ""
        return E(f"(array_agg({e.sql} ORDER BY {order}{first}){where})[1]", e.cls)
    if e.cls in (Cls.INT, Cls.REAL):
        return E(f"{which}({e.sql}){where}{over}", e.cls)
    if e.cls is Cls.TEXT:
        text = e.sql if e.plain else f'{e.wrapped} COLLATE "C"'
        return E(f"{which}({text}){where}{over}", e.cls)
    if e.cls is Cls.BLOB:
        return E(f"shadow.{which}({e.sql}){where}{over}", e.cls)
    return E(f"shadow.{which}({as_cls(e, Cls.VALUE).sql}){where}{over}", Cls.VALUE)


def group_concat(c: Compiler, node: Call, scope: Scope) -> E:
    if not 1 <= len(node.args) <= 2 or node.star:
        raise Refusal(f"wrong number of arguments to function {node.name}()", node)
    e = c.expr(node.args[0], scope)
    separator = to_text(c.expr(node.args[1], scope)).sql if len(node.args) == 2 else text_literal(",")
    where = filtered(c, node, scope)
    text = to_text(e).sql
    if node.distinct:
        # The order SQLite gives is that of first appearance.
        return E(f"shadow.join_distinct({text}, {separator}{_order(c, node, scope)}){where}", Cls.TEXT)
    return E(f"string_agg({text}, {separator}{_order(c, node, scope)}){where}", Cls.TEXT)


def _order(c: Compiler, node: Call, scope: Scope) -> str:
    """In the order written, else in the order in which SQLite meets the rows, where that is known."""
    from ..ordering import order_text

    if node.order:
        return " ORDER BY " + ", ".join(order_text(c, term, c.expr(term.expr, scope)) for term in node.order)
    return f" ORDER BY {scope.first_row}" if scope.first_row else ""


def json_group_array(c: Compiler, node: Call, scope: Scope) -> E:
    if len(node.args) != 1:
        raise Refusal("wrong number of arguments to function json_group_array()", node)
    part = json.as_json(c, node.args[0], scope)
    order, where = _order(c, node, scope), filtered(c, node, scope)
    name = "shadow.join_distinct" if node.distinct else "string_agg"
    return E(f"'[' || COALESCE({name}({part}, ','{order}){where}, '') || ']'", Cls.TEXT, atom=False)


def json_group_object(c: Compiler, node: Call, scope: Scope) -> E:
    if len(node.args) != 2 or node.distinct:
        raise Refusal("wrong number of arguments to function json_group_object()", node)
    key = call("shadow.json_quote", as_cls(to_text(c.expr(node.args[0], scope)), Cls.VALUE).sql)
    part = f"{key} || ':' || {json.as_json(c, node.args[1], scope)}"
    order, where = _order(c, node, scope), filtered(c, node, scope)
    return E(f"'{{' || COALESCE(string_agg({part}, ','{order}){where}, '') || '}}'", Cls.TEXT, atom=False)


FUNCTIONS = {
    "count": aggregate(count),
    "sum": aggregate(sum_),
    "total": aggregate(total),
    "avg": aggregate(avg),
    "min": _extreme("min"),
    "max": _extreme("max"),
    "group_concat": aggregate(group_concat),
    "string_agg": aggregate(group_concat),
    "json_group_array": aggregate(json_group_array),
    "json_group_object": aggregate(json_group_object),
}

__all__ = ["FUNCTIONS", "OrderTerm", "extreme", "filtered", "one"]
