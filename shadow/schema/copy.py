"""Rows from an SQLite snapshot into PostgreSQL by COPY, with bounded memory; for backfill and repair."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg2

from ..errors import OriginError, TargetError
from ..translate.catalog import Catalog, PgType, Table
from .encode import encode, encoder
from .names import carried_columns, origin_rowid, pg_table, quote
from .profile import key_terms

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as PgCursor

#: Few enough that a run of rows with big blobs stays bounded, enough that a chunk costs little.
_CHUNK_ROWS = 200
_CHUNK_ROWS_BIG = 4
_CHUNK_BYTES_BIG = 1024 * 1024

Row: TypeAlias = "tuple[Any, ...]"
#: At most so many rows more; none at the end.
Fetch = Callable[[int], list[Row]]
#: Rows of the table sent so far.
Sent = Callable[[int], None]


def copy_table(origin: sqlite3.Connection, cursor: PgCursor, catalog: Catalog, table: Table, sent: Sent) -> int:
    """Put the snapshot's rows in place of PostgreSQL's, inside the caller's transaction; gives how many.

    Raises `DoesNotFit` when a value asks for another type of column.
    """
    target = pg_table(catalog, table)
    rows = sqlite3.Cursor(origin).execute(select_sql(table))
    cursor.execute(f"TRUNCATE {target}")
    try:
        # The table was truncated in this transaction: FREEZE saves a later rewrite.
        return copy_rows(cursor, target, table, rows.fetchmany, sent, "FREEZE")
    except (psycopg2.DataError, psycopg2.IntegrityError) as error:
        raise _refused(origin, table, error) from error


def copy_rows(
    cursor: PgCursor, relation: str, table: Table, fetch: Fetch, sent: Sent, option: str = "FORMAT text"
) -> int:
    """COPY rows of `carried_columns(table)` into `relation`; gives how many. Raises `DoesNotFit`."""
    stream = _Stream(_encoded(fetch, table, sent))
    names = ", ".join(quote(name) for name, _ in carried_columns(table))
    try:
        cursor.copy_expert(f"COPY {relation} ({names}) FROM STDIN WITH ({option})", stream)
    except psycopg2.Error:
        if stream.error is not None:  # psycopg2 makes its own error of what went wrong while reading
            raise stream.error from None
        raise
    if cursor.rowcount != stream.rows:
        raise TargetError(f"COPY of {table.name} stored {cursor.rowcount} of {stream.rows} rows; run it again")
    return stream.rows


def select_sql(table: Table) -> str:
    """Everything that is carried, in the order of `carried_columns` and of the table's key."""
    terms = [quote(c.name) if c is not None else rowid_term(table) for _, c in carried_columns(table)]
    key = [quote(k) for k in table.key] if table.without_rowid else [rowid_term(table)]
    return f"SELECT {', '.join(terms)} FROM main.{quote(table.name)} ORDER BY {', '.join(key)}"


def rowid_term(table: Table) -> str:
    term = origin_rowid(table)
    if term is None:
        raise OriginError(
            f"table {table.name} has columns named rowid, _rowid_ and oid, so its rows cannot be told apart;"
            " rename one of them"
        )
    return term


def columns_types(table: Table) -> list[PgType]:
    return [PgType.BIGINT if c is None else c.pg_type for _, c in carried_columns(table)]


def _encoded(fetch: Fetch, table: Table, sent: Sent) -> Iterator[tuple[int, bytes]]:
    encoders = [encoder(kind) for kind in columns_types(table)]
    done, count = 0, _CHUNK_ROWS_BIG
    while chunk := fetch(count):
        data = encode(chunk, encoders)
        done += len(chunk)
        yield len(chunk), data
        sent(done)
        count = _CHUNK_ROWS if len(data) // len(chunk) * _CHUNK_ROWS < _CHUNK_BYTES_BIG else _CHUNK_ROWS_BIG


class _Stream:
    """What psycopg2 reads from; a chunk at a time, whatever size it asks for."""

    def __init__(self, chunks: Iterator[tuple[int, bytes]]) -> None:
        self._chunks = chunks
        self.rows = 0
        self.error: BaseException | None = None

    def read(self, _size: int = -1) -> bytes:
        try:
            for count, data in self._chunks:
                self.rows += count
                return data
        except BaseException as error:
            self.error = error
            raise
        return b""

    def readline(self, _size: int = -1) -> bytes:  # psycopg2's protocol asks for it to be there
        return self.read()


def _refused(origin: sqlite3.Connection, table: Table, error: psycopg2.Error) -> OriginError:
    """Which row PostgreSQL did not take; its message may carry values, so only the column and the key are told."""
    context = error.diag.context or ""
    line = context.partition(", line ")[2].partition(",")[0].partition(":")[0].strip()
    column = error.diag.column_name or context.partition("column ")[2].partition(":")[0].strip()
    where = f"{table.name}.{column}" if column else table.name
    row = "unknown"
    if line.isdigit():
        order = ", ".join(quote(k) for k in table.key) if table.without_rowid else rowid_term(table)
        found = (
            sqlite3.Cursor(origin)
            .execute(
                f"SELECT {', '.join(key_terms(table))} FROM main.{quote(table.name)}"
                f" ORDER BY {order} LIMIT 1 OFFSET {int(line) - 1}"
            )
            .fetchone()
        )
        row = "/".join(str(part) for part in found or ("unknown",))
    kind = type(error).__name__
    return OriginError(
        f"PostgreSQL does not take a value of {where} in the row with key {row} ({kind}); correct the row"
    )
