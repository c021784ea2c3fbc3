"""Captured changes as PostgreSQL has them: which belong to a batch, and what their images say.

A batch is what is visible in a new snapshot and not in the previous one. Neither ids nor transaction numbers in any
order tell that: a transaction that began early may commit late (docs/decisions/0002-reverse-capture.md).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import cursor as PgCursor

from ..errors import TargetError
from ..types import SqliteValue

#: Up to this many changes are kept in memory; a bigger batch is read twice through a server-side cursor.
CHANGES_IN_MEMORY_MAX = 5_000

#: {table: {column: type}}, names as PostgreSQL has them.
Types = Mapping[str, Mapping[str, str]]
#: One row by PostgreSQL's column names.
Image = Mapping[str, SqliteValue]


class Op(StrEnum):
    INSERT = "I"
    UPDATE = "U"
    DELETE = "D"
    TRUNCATE = "T"
    SCHEMA = "S"


@dataclass(frozen=True, slots=True)
class Change:
    """One row of shadow.change. The images are JSON text; `image` reads them."""

    id: int
    table: str
    op: Op
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Batch:
    """The changes between two snapshots, in the order of their ids; `read` may be called more than once."""

    snapshot: str
    read: Callable[[], Iterator[Change]]
    #: For every DDL in it: its id and the types that held before it.
    ddl: tuple[tuple[int, Types], ...]
    #: The types that hold at the new snapshot.
    types: Types

    def types_at(self, change_id: int) -> Types:
        return next((types for ddl_id, types in self.ddl if ddl_id > change_id), self.types)


_BATCH = (
    "SELECT id, table_name, op, old_row::text, new_row::text FROM shadow.change WHERE pair = %s"
    " AND NOT pg_visible_in_snapshot(xid, %s::pg_snapshot) AND pg_visible_in_snapshot(xid, %s::pg_snapshot) ORDER BY id"
)
_PENDING = "SELECT count(*) FROM shadow.change WHERE pair = %s AND NOT pg_visible_in_snapshot(xid, %s::pg_snapshot)"
_PRUNE = (
    "DELETE FROM shadow.change WHERE id IN (SELECT id FROM shadow.change WHERE pair = %s"
    " AND pg_visible_in_snapshot(xid, %s::pg_snapshot) ORDER BY id LIMIT %s)"
)


def current_snapshot(cursor: PgCursor) -> str:
    """The snapshot of the statement, or of the transaction in REPEATABLE READ."""
    cursor.execute("SELECT pg_current_snapshot()::text")
    row = cursor.fetchone()
    assert row is not None
    return str(row[0])


def pending(cursor: PgCursor, pair: str, snapshot: str) -> int:
    """How many committed changes SQLite, which has those of `snapshot`, does not have."""
    cursor.execute(_PENDING, (pair, snapshot))
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])


def load(conn: PgConnection, pair: str, previous: str) -> Batch:
    """What has been committed since `previous`. `conn` is in a REPEATABLE READ transaction, which stays open."""
    with conn.cursor() as cursor:
        snapshot = current_snapshot(cursor)
        params = (pair, previous, snapshot)
        cursor.execute(f"{_BATCH} LIMIT {CHANGES_IN_MEMORY_MAX + 1}", params)
        rows = cursor.fetchall()
        if not rows:
            return Batch(snapshot, lambda: iter(()), (), {})
        ddl = _ddl(cursor, params) if len(rows) > CHANGES_IN_MEMORY_MAX else _ddl_of(rows)
        cursor.execute("SELECT table_name, types::text FROM shadow.captured WHERE pair = %s", (pair,))
        types = {table: json.loads(text) for table, text in cursor.fetchall()}
    if len(rows) > CHANGES_IN_MEMORY_MAX:
        return Batch(snapshot, lambda: _stream(conn, params), ddl, types)
    changes = [_change(row) for row in rows]
    return Batch(snapshot, lambda: iter(changes), ddl, types)


def prune(cursor: PgCursor, pair: str, snapshot: str, *, rows_max: int = 10_000) -> int:
    """Forget changes that SQLite has durably: those visible in the snapshot that it has committed and synced."""
    cursor.execute(_PRUNE, (pair, snapshot, rows_max))
    return cursor.rowcount


def image(text: str, types: Mapping[str, str]) -> Image:
    """Read a row image: values as SQLite would have them. `types` names the type of every column of the image."""
    raw = json.loads(text, parse_int=_integer, parse_float=_real)
    return {column: _value(value, types.get(column)) for column, value in raw.items()}


def _stream(conn: PgConnection, params: tuple[str, str, str]) -> Iterator[Change]:
    with conn.cursor(name="shadow_changes") as cursor:
        cursor.itersize = CHANGES_IN_MEMORY_MAX
        cursor.execute(_BATCH, params)
        for row in cursor:
            yield _change(row)


def _change(row: tuple[object, ...]) -> Change:
    change_id, table, op, old, new = row
    return Change(
        int(str(change_id)),
        str(table),
        Op(str(op)),
        None if old is None else str(old),
        None if new is None else str(new),
    )


def _ddl(cursor: PgCursor, params: tuple[str, str, str]) -> tuple[tuple[int, Types], ...]:
    cursor.execute(_BATCH.replace(" ORDER BY id", " AND op = 'S' ORDER BY id"), params)
    return _ddl_of(cursor.fetchall())


def _ddl_of(rows: list[tuple[object, ...]]) -> tuple[tuple[int, Types], ...]:
    # Without types (written by hand) a DDL row tells nothing: the next one's, or today's, are taken.
    return tuple((int(str(row[0])), json.loads(str(row[3]))) for row in rows if row[2] == "S" and row[3] is not None)


def _integer(digits: str) -> int | float:
    return -0.0 if digits == "-0" else int(digits)  # float8's negative zero; a bigint is never written so


def _real(digits: str) -> float:
    return -0.0 if digits == "0.00" else float(digits)  # numeric has no negative zero: see values/codec.py


def _value(value: object, pg_type: str | None) -> SqliteValue:
    if value is None or pg_type in ("bigint", "text"):
        return value  # type: ignore[return-value]
    match pg_type:
        case "double precision":
            return _not_nan(float(str(value)))
        case "bytea":
            return bytes.fromhex(str(value)[2:])
        case "boolean":
            return int(bool(value))
        case "shadow.value":
            return _mixed(value)
    raise TargetError(
        f"a captured column has the type {pg_type}, which shadow never chose; undo that ALTER TABLE, then go on"
    )


def _mixed(value: object) -> SqliteValue:
    assert isinstance(value, dict)
    match value["cls"]:
        case 1:
            number = value["num"]
            return _not_nan(float(number)) if isinstance(number, str) else number
        case 2:
            return str(value["txt"])
        case _:
            return bytes.fromhex(str(value["blob"])[2:])


def _not_nan(value: float) -> float | None:
    return None if value != value else value  # SQLite has no NaN: binding one stores NULL
