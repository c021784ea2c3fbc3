"""Window functions: PostgreSQL's own, with SQLite's result types and order of NULLs."""

from __future__ import annotations

from ..compiler import Compiler, Refusal, Rule
from ..scope import Scope
from ..syntax import Call, Window
from ..typed import Cls, E, as_cls, common, to_int
from . import aggregates, arithmetic
from .comparison import collate

_RANKS = {
    "row_number": Cls.INT,
    "rank": Cls.INT,
    "dense_rank": Cls.INT,
    "percent_rank": Cls.REAL,
    "cume_dist": Cls.REAL,
}


def window_text(c: Compiler, window: Window | str, scope: Scope, node: Call) -> str:
    """`OVER (...)`; a named window is written out, its frame and order with it."""
    from ..ordering import order_text

    if isinstance(window, str):
        named = scope.windows.get(window)
        if not isinstance(named, Window):
            raise Refusal(f"no such window: {window}", node)
        return window_text(c, named, scope, node)
    parts = []
    base = window
    partition, order = window.partition, window.order
    while base.base is not None:
        named = scope.windows.get(base.base)
        if not isinstance(named, Window):
            raise Refusal(f"no such window: {base.base}", node)
        partition, order = partition or named.partition, order or named.order
        base = named
    if partition:
        keys = []
        for expr in partition:
            e = c.expr(expr, scope)
            keys.append(collate(e, e.collation or "BINARY"))
        parts.append("PARTITION BY " + ", ".join(keys))
    if order:
        terms = [order_text(c, term, c.expr(term.expr, scope)) for term in order]
        parts.append("ORDER BY " + ", ".join(terms))
        if node.name in ("row_number", "lag", "lead", "first_value", "last_value", "nth_value", "ntile") and (
            scope.first_row and not scope.aggregated
        ):
            # Peers come in the order of the rows, where SQLite's sorter leaves them.
            parts[-1] += f", {scope.first_row}"
    elif scope.first_row and not scope.aggregated and node.name not in ("count", "sum", "avg", "min", "max", "total"):
        parts.append(f"ORDER BY {scope.first_row}")
    if window.frame:
        parts.append(window.frame)
    return f"OVER ({' '.join(parts)})"


def over(c: Compiler, node: Call, scope: Scope) -> E:
    """An aggregate with OVER."""
    assert node.over is not None
    if node.distinct:
        raise Refusal("DISTINCT is not supported for window functions", node)
    where = aggregates.filtered(c, node, scope)
    text = " " + window_text(c, node.over, scope, node)
    name = node.name
    if name == "count" and (node.star or not node.args):
        return E(f"count(*){where}{text}", Cls.INT, nullable=False)
    if name == "group_concat":
        return _group_concat(c, node, scope, where + text)
    e = to_int(aggregates.one(c, node, scope))
    if name == "count":
        return E(f"count({e.sql}){where}{text}", Cls.INT, nullable=False)
    if name in ("min", "max"):
        return aggregates.extreme(name, e, where, node, scope, text)
    if name == "sum" and e.cls is Cls.INT:
        return E(f"(sum({e.sql}){where}{text})::bigint", Cls.INT)
    c.sums_reals |= e.cls is not Cls.INT
    if name == "sum" and e.cls is not Cls.REAL:
        return E(f"shadow.sum({as_cls(e, Cls.VALUE).sql}){where}{text}", Cls.VALUE)
    real = arithmetic.cast_to(e, "real").sql
    if name == "sum":
        return E(f"sum({real}){where}{text}", Cls.REAL)
    if name == "avg":
        return E(f"avg({real}){where}{text}", Cls.REAL)
    if name == "total":
        return E(f"COALESCE(sum({real}){where}{text}, 0)", Cls.REAL, nullable=False)
    raise Refusal(f"no translation of {name}() as a window function here", node)


def _group_concat(c: Compiler, node: Call, scope: Scope, tail: str) -> E:
    from ..typed import text_literal, to_text

    texts = [to_text(c.expr(a, scope)).sql for a in node.args]
    if len(texts) == 1:
        texts.append(text_literal(","))
    return E(f"string_agg({', '.join(texts)}){tail}", Cls.TEXT)


def _rank(name: str) -> Rule:
    def rule(c: Compiler, node: Call, scope: Scope) -> E:
        if node.over is None or node.args:
            raise Refusal(f"misuse of window function {name}()", node)
        return E(f"{name}() {window_text(c, node.over, scope, node)}", _RANKS[name], nullable=False)

    return rule


def ntile(c: Compiler, node: Call, scope: Scope) -> E:
    if node.over is None or len(node.args) != 1:
        raise Refusal("misuse of window function ntile()", node)
    count = arithmetic.integer(c.expr(node.args[0], scope))
    return E(f"ntile(({count.sql})::int)::int {window_text(c, node.over, scope, node)}".replace(
        ")::int OVER", ") OVER"), Cls.INT, nullable=False)  # fmt: skip


def _shift(name: str) -> Rule:
    """lag and lead"""

    def rule(c: Compiler, node: Call, scope: Scope) -> E:
        if node.over is None or not 1 <= len(node.args) <= 3:
            raise Refusal(f"misuse of window function {name}()", node)
        e = to_int(c.expr(node.args[0], scope))
        args = []
        default = to_int(c.expr(node.args[2], scope)) if len(node.args) == 3 else None
        cls = e.cls if default is None else common([e.cls, default.cls])
        args.append(as_cls(e, cls).sql)
        if len(node.args) > 1:
            args.append(f"({arithmetic.integer(c.expr(node.args[1], scope)).sql})::int")
        if default is not None:
            args.append(as_cls(default, cls).sql)
        return E(f"{name}({', '.join(args)}) {window_text(c, node.over, scope, node)}", cls)

    return rule


def _value(name: str) -> Rule:
    """first_value, last_value, nth_value"""

    def rule(c: Compiler, node: Call, scope: Scope) -> E:
        if node.over is None or len(node.args) != (2 if name == "nth_value" else 1):
            raise Refusal(f"misuse of window function {name}()", node)
        e = to_int(c.expr(node.args[0], scope))
        args = [e.sql]
        if len(node.args) == 2:
            args.append(f"({arithmetic.integer(c.expr(node.args[1], scope)).sql})::int")
        return E(f"{name}({', '.join(args)}) {window_text(c, node.over, scope, node)}", e.cls)

    return rule


FUNCTIONS: dict[str, Rule] = {
    **{name: _rank(name) for name in _RANKS},
    "ntile": ntile,
    "lag": _shift("lag"),
    "lead": _shift("lead"),
    "first_value": _value("first_value"),
    "last_value": _value("last_value"),
    "nth_value": _value("nth_value"),
}
