"""Values from PostgreSQL as Python's sqlite3 would give them: int, float, str, bytes, None and nothing else.

psycopg2's own C casters already give int, float and str; only what differs is replaced. Registered per connection:
the host application may use psycopg2 for itself.
"""

from __future__ import annotations

from typing import TypeAlias

from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import cursor as PgCursor
from psycopg2.extensions import new_type, register_type

#: What psycopg2 hands a caster: text in the client encoding; bytes only for casters of raw bytes, which ours are not.
Raw: TypeAlias = "str | bytes | None"

_BOOL, _BYTEA, _NUMERIC = 16, 17, 1700
# json, jsonb, date, time, timestamp, timestamptz, interval, timetz, uuid, xid8: the text that PostgreSQL gives.
_AS_TEXT = (114, 3802, 1082, 1083, 1114, 1184, 1186, 1266, 2950, 5069)


def _boolean(value: Raw, cursor: PgCursor) -> int | None:
    return None if value is None else int(value == "t")


def _bytes(value: Raw, cursor: PgCursor) -> bytes | None:
    # bytea_output is hex: '\x0102'
    return None if value is None else bytes.fromhex(str(value)[2:])


def _number(value: Raw, cursor: PgCursor) -> int | float | None:
    """NUMERIC comes only out of expressions (sum, round ...): integral without a scale is int, anything else float."""
    if value is None:
        return None
    text = str(value)
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _text(value: Raw, cursor: PgCursor) -> Raw:
    return value


_CASTERS = (
    new_type((_BOOL,), "SHADOW_BOOL", _boolean),
    new_type((_BYTEA,), "SHADOW_BYTES", _bytes),
    new_type((_NUMERIC,), "SHADOW_NUMBER", _number),
    new_type(_AS_TEXT, "SHADOW_TEXT", _text),
)


def register_casters(conn: PgConnection) -> None:
    """Make `conn` give SQLite's kinds of values."""
    for caster in _CASTERS:
        register_type(caster, conn)


def register_value_type(conn: PgConnection) -> bool:
    """Decode `shadow.value` columns on `conn`; False while the type is not there (`init` has not run).

    Call it again after `translate.compat_sql()` has run on the connection. One round trip.
    """
    with conn.cursor() as cursor:
        cursor.execute("SELECT to_regtype('shadow.value')::oid")
        row = cursor.fetchone()
    oid = row[0] if row else None
    if oid is None:
        return False
    from ..values.codec import parse_value

    register_type(new_type((int(oid),), "SHADOW_VALUE", lambda value, _cursor: parse_value(_str_or_none(value))), conn)
    return True


def _str_or_none(value: Raw) -> str | None:
    return None if value is None else str(value)
