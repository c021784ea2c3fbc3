"""Values as PostgreSQL literals, for text that carries hundreds of statements.

psycopg2's `mogrify` asks an adapter for each value, which costs more than the rest of the applier; the five kinds of
values that SQLite has are written here. Everything else (`values.codec.Mixed`) still goes to its adapter.
`postgres.connect` sets `standard_conforming_strings`, so a backslash means itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from psycopg2.extensions import AsIs, adapt


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("text with a NUL character does not fit a column of type text")
    return "'" + value.replace("'", "''") + "'"


def _integer(value: int) -> str:
    return str(value) if value >= 0 else f"({value})"


def _real(value: float) -> str:
    # As text: PostgreSQL would take bare digits for numeric; the shortest form that Python writes is read back exactly.
    if math.isfinite(value):
        return f"'{value!r}'::float8"
    return "'Infinity'::float8" if value > 0 else "'-Infinity'::float8"


_WRITERS: dict[type, Callable[..., str]] = {
    str: _text,
    int: _integer,
    float: _real,
    bool: lambda value: "true" if value else "false",
    bytes: lambda value: f"'\\x{value.hex()}'::bytea",
    type(None): lambda value: "NULL",
}


def literal(value: object) -> str:
    """Raises `ValueError` for what PostgreSQL cannot hold."""
    writer = _WRITERS.get(type(value))
    if writer is not None:
        return writer(value)
    quoted: bytes = adapt(value).getquoted()
    return quoted.decode()


def sendable(params: Iterable[object]) -> tuple[object, ...]:
    """For psycopg2's own placeholders: it would write -0.0 as a numeric, which has no negative zero."""
    return tuple(AsIs(_real(value)) if type(value) is float else value for value in params)
