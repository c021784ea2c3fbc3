"""Storing a value in a column: SQLite's affinity, then the column's PostgreSQL type, unchanged or an error.

What is known when translating is decided here (`5` into a REAL column is `5.0`); what is not goes through functions
that raise when the value would not come back as SQLite has it.
"""

from __future__ import annotations

from ..values import affinity as storage
from ..values import codec
from .catalog import Affinity, Column, PgType
from .compiler import Compiler
from .syntax import Node
from .typed import NUMERIC_AFFINITIES, Cls, E, as_cls, call, const, to_int, to_text

#: What raises for a value that does not fit.
_RAISING = {
    PgType.BIGINT: "shadow.to_bigint",
    PgType.DOUBLE: "shadow.to_double",
    PgType.TEXT: "shadow.to_text",
    PgType.BYTEA: "shadow.to_bytea",
    PgType.BOOLEAN: "shadow.to_boolean",
}
_NUMERIC = (Affinity.INTEGER, Affinity.NUMERIC)


def stored(c: Compiler, e: E, column: Column, node: Node | None) -> str:
    """The text that stores `e` in `column`."""
    if e.untold:
        return e.loose
    if e.cls is Cls.NULL:
        return e.loose if e.param else "NULL"
    if e.is_const and isinstance(e.const, (int, float, str, bytes)):
        return _literal(e.const, column, node)
    match column.pg_type:
        case PgType.BIGINT:
            return _bigint(e)
        case PgType.DOUBLE:
            return _double(e, column)
        case PgType.TEXT:
            return _text(e, column)
        case PgType.BYTEA:
            return e.loose if e.cls is Cls.BLOB else call("shadow.to_bytea", as_cls(to_int(e), Cls.VALUE).sql)
        case PgType.BOOLEAN:
            return _boolean(e)
        case PgType.VALUE:
            return _value(e, column)


def _literal(value: int | float | str | bytes, column: Column, node: Node | None) -> str:
    kept = storage.apply(value, column.affinity)
    assert kept is not None
    if isinstance(kept, float) and kept == 0.0 and column.affinity is Affinity.REAL:
        kept = 0.0
    try:
        codec.check(kept, column.pg_type)
    except codec.DoesNotFit:
        # An error when it is run, as for a parameter: SQLite may refuse the value too (CHECK, STRICT, the row id).
        return call(_RAISING[column.pg_type], as_cls(const(kept), Cls.VALUE).sql)
    if column.pg_type is PgType.BOOLEAN:
        return "TRUE" if kept else "FALSE"
    if column.pg_type is PgType.VALUE:
        return as_cls(const(kept), Cls.VALUE).sql
    found = const(kept)
    return found.loose


def _bigint(e: E) -> str:
    if e.cls is Cls.INT:
        return e.loose
    if e.cls is Cls.BOOL:
        return to_int(e).loose
    return call("shadow.to_bigint", as_cls(e, Cls.VALUE).sql)


def _double(e: E, column: Column) -> str:
    if column.affinity is Affinity.REAL:
        e = to_int(e)
        if e.cls is Cls.REAL:
            return e.loose
        if e.cls is Cls.INT:
            return f"{e.wrapped}::double precision"
    elif column.affinity not in NUMERIC_AFFINITIES and e.cls is Cls.REAL:
        return e.loose
    return call("shadow.to_double", _value(e, column))


def _text(e: E, column: Column) -> str:
    if column.affinity not in NUMERIC_AFFINITIES:
        if e.cls is Cls.TEXT:
            return e.loose
        if column.affinity is Affinity.TEXT and e.cls in (Cls.INT, Cls.REAL, Cls.BOOL):
            return to_text(e).sql
    elif e.cls is Cls.TEXT:
        if e.sql.startswith("to_char(shadow.now()") or e.affinity in NUMERIC_AFFINITIES:
            return e.loose
        return call("shadow.keep_text", e.sql)
    return call("shadow.to_text", _value(e, column))


def _boolean(e: E) -> str:
    if e.cls is Cls.BOOL:
        return e.sql
    if e.cls is Cls.INT:
        return call("shadow.to_boolean", e.sql)
    return call("shadow.to_boolean", call("shadow.to_bigint", as_cls(e, Cls.VALUE).sql))


def _value(e: E, column: Column) -> str:
    e = to_int(e)
    if column.affinity is Affinity.TEXT:
        if e.cls in (Cls.INT, Cls.REAL):
            e = to_text(e)
        if e.cls is Cls.VALUE:
            return call("shadow.textual", e.sql)
    mixed = as_cls(e, Cls.VALUE).sql
    if column.affinity in _NUMERIC and e.cls in (Cls.REAL, Cls.TEXT, Cls.VALUE):
        return call("shadow.store_numeric", mixed)
    if column.affinity is Affinity.REAL and e.cls in (Cls.INT, Cls.REAL, Cls.TEXT, Cls.VALUE):
        return call("shadow.store_real", mixed)
    return mixed
