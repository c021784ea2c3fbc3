"""Names, literals, parameters, brackets: the leaves."""

from __future__ import annotations

from dataclasses import replace

from ..catalog import fold
from ..compiler import Compiler, Refusal
from ..scope import Ambiguous, Ready, Scope, find
from ..syntax import Call, Collate, Column, Keyword, Literal, Param, Row, Star
from ..translation import Special
from ..typed import FALSE, TRUE, Cls, E, const, mark
from . import datetime

_PARAM_CLS = {int: Cls.INT, float: Cls.REAL, str: Cls.TEXT, bytes: Cls.BLOB, bool: Cls.INT}
COLLATIONS = frozenset({"BINARY", "NOCASE", "RTRIM"})


def literal(c: Compiler, node: Literal, scope: Scope) -> E:
    if node.boolean:
        return TRUE if node.value else FALSE
    return const(node.value)


def param(c: Compiler, node: Param, scope: Scope) -> E:
    return parameter(c, node.number)


def parameter(c: Compiler, number: int) -> E:
    """A bound value; its class is that of the Python value."""
    kind = c.param_type(number)
    place = mark(number)
    if kind is type(None):
        return E(f"({place})::text", Cls.NULL, bare=place, param=number)
    cls = _PARAM_CLS.get(kind, Cls.TEXT) if kind is not None else Cls.TEXT
    if kind is not None and kind not in _PARAM_CLS:
        if issubclass(kind, (bytearray, memoryview)):
            cls = Cls.BLOB
        else:
            cls = next((v for k, v in _PARAM_CLS.items() if issubclass(kind, k)), Cls.TEXT)
    nullable = kind is None
    if cls is Cls.TEXT:
        return E(f"{place}::text", cls, bare=place, nullable=nullable, param=number, untold=kind is None)
    if cls is Cls.BLOB:
        return E(f"{place}::bytea", cls, bare=place, nullable=nullable, param=number)
    if cls is Cls.REAL:
        return E(f"({place})::double precision", cls, bare=place, nullable=nullable, param=number)
    return E(f"({place})::bigint", cls, bare=place, nullable=nullable, param=number)


def rowid_parameter() -> E:
    place = mark(Special.ROWID.name)
    return E(f"({place})::bigint", Cls.INT, bare=place, nullable=False)


def column(c: Compiler, node: Column, scope: Scope) -> E:
    at: Scope | None = scope
    while at is not None:
        try:
            found = find(at, node.table, node.name)
        except Ambiguous:
            raise Refusal(f"ambiguous column name: {node.name}", node) from None
        if found is not None:
            return _bare(at, found)
        alias = fold(node.name)
        if node.table is None and alias in at.aliases and alias not in at.busy:
            at.busy.add(alias)
            try:
                return c.expr(at.aliases[alias], at)
            finally:
                at.busy.discard(alias)
        at = at.parent
    if node.maybe_string:
        c.used("double-quoted-string")
        return const(node.name)
    written = node.name if node.table is None else f"{node.table}.{node.name}"
    raise Refusal(f"no such column: {written}", node)


def _bare(scope: Scope, e: E) -> E:
    """A column beside GROUP BY has the value of the group's first row."""
    if not scope.aggregated or scope.in_aggregate or e.sql in scope.groups:
        return e
    order = f" ORDER BY {scope.first_row}" if scope.first_row else ""
    return replace(e, sql=f"(array_agg({e.sql}{order}))[1]", plain=False, nullable=True)


def ready(c: Compiler, node: Ready, scope: Scope) -> E:
    return _bare(scope, node.e)


def collate(c: Compiler, node: Collate, scope: Scope) -> E:
    if node.collation not in COLLATIONS:
        raise Refusal(f"no translation of collation {node.collation}", node)
    return replace(c.expr(node.operand, scope), collation=node.collation, explicit=True)


def keyword(c: Compiler, node: Keyword, scope: Scope) -> E:
    return datetime.current(c, node.name)


def function(c: Compiler, node: Call, scope: Scope) -> E:
    return c.call(node, scope)


def star(c: Compiler, node: Star, scope: Scope) -> E:
    raise Refusal("* is not a value here", node)


def row(c: Compiler, node: Row, scope: Scope) -> E:
    raise Refusal("a row value is not translated here", node)


EXPRESSIONS = {
    Call: function,
    Literal: literal,
    Param: param,
    Column: column,
    Ready: ready,
    Collate: collate,
    Keyword: keyword,
    Star: star,
    Row: row,
}
