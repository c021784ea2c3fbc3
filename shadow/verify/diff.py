"""Which rows of one table differ: both sides read in the order of the key, and merged.

The order of keys is the same on both sides: rowids are integers; keys of WITHOUT ROWID tables are ordered by bytes.
Stretches that are equal are compared as packed bytes (type and value, floats bit for bit), so a row is looked at by
itself only where something is wrong. Memory is bounded by the length of a chunk, not by the table.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

import msgpack

from ..schema.copy import rowid_term
from ..schema.names import carried_columns, pg_quote, pg_table, quote
from ..translate.catalog import Catalog, Table
from ..types import SqliteValue

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection

Row: TypeAlias = "tuple[SqliteValue, ...]"

_CHUNK_ROWS = (64, 4_096)
_CHUNK_BYTES_MAX = 2 * 1024 * 1024


class Kind(StrEnum):
    DIFFERENT = "different"
    MISSING = "missing"  # SQLite has the row, PostgreSQL does not
    EXTRA = "extra"


@dataclass(frozen=True, slots=True)
class RowDiff:
    """One row that is not the same on both sides."""

    kind: Kind
    key: Row
    origin: Row | None
    target: Row | None


@dataclass(slots=True)
class TableDiff:
    """What comparing one table gave. `complete` is False when any part was not compared: then nothing is proven."""

    table: str
    columns: tuple[str, ...] = ()
    rows_compared: int = 0
    different: int = 0
    missing: int = 0
    extra: int = 0
    complete: bool = False
    detail: str = ""
    #: The first rows found, bounded.
    examples: list[RowDiff] = field(default_factory=list)

    @property
    def rows_wrong(self) -> int:
        return self.different + self.missing + self.extra

    @property
    def equal(self) -> bool:
        return self.complete and not self.rows_wrong


def walk(
    origin: sqlite3.Connection,
    target: PgConnection,
    catalog: Catalog,
    table: Table,
    compared: Callable[[int], None] = lambda _: None,
) -> Iterator[RowDiff]:
    """Every row that differs, in the order of the key; `compared` is told how many rows were looked at."""
    _register_key(origin)
    key = _key_places(table)
    left = _Side(iter(_origin_chunks(origin, table)))
    cursor = target.cursor(name=f"shadow_{uuid.uuid4().hex[:12]}")
    try:
        cursor.execute(_target_sql(catalog, table))
        right = _Side(_chunked(cursor.fetchmany))
        while True:
            mine, theirs = left.rows(), right.rows()
            count = min(len(mine), len(theirs))
            if count and _packed(mine[:count]) == _packed(theirs[:count]):
                left.take(count)
                right.take(count)
                compared(count)
            elif mine and theirs:
                yield from _merge(left, right, key, compared)
            elif mine:
                left.take(len(mine))
                compared(len(mine))
                yield from (RowDiff(Kind.MISSING, _key(row, key), row, None) for row in mine)
            elif theirs:
                right.take(len(theirs))
                compared(len(theirs))
                yield from (RowDiff(Kind.EXTRA, _key(row, key), None, row) for row in theirs)
            else:
                return
    finally:
        cursor.close()


def diff_table(
    origin: sqlite3.Connection,
    target: PgConnection,
    catalog: Catalog,
    table: Table,
    *,
    examples_max: int = 20,
    progress: Callable[[int], None] = lambda _: None,
) -> TableDiff:
    """Compare all rows of a table in the snapshots given; raises what the databases raise."""
    found = TableDiff(table.name, tuple(name for name, _ in carried_columns(table)))

    def compared(rows: int) -> None:
        found.rows_compared += rows
        progress(found.rows_compared)

    for row in walk(origin, target, catalog, table, compared):
        match row.kind:
            case Kind.DIFFERENT:
                found.different += 1
            case Kind.MISSING:
                found.missing += 1
            case Kind.EXTRA:
                found.extra += 1
        if len(found.examples) < examples_max:
            found.examples.append(row)
    found.complete = True
    return found


class _Side:
    """Rows of one side, read in chunks and taken from the front."""

    __slots__ = ("_chunks", "_rows")

    def __init__(self, chunks: Iterator[list[Row]]) -> None:
        self._chunks = chunks
        self._rows: list[Row] = []

    def rows(self) -> list[Row]:
        """What has been read and not been taken; empty only at the end."""
        if not self._rows:
            self._rows = next(self._chunks, [])
        return self._rows

    def take(self, count: int) -> None:
        self._rows = self._rows[count:]


def _merge(left: _Side, right: _Side, key: Sequence[int], compared: Callable[[int], None]) -> Iterator[RowDiff]:
    """Row by row until one side's chunk is used up."""
    mine, theirs = left.rows(), right.rows()
    i = j = both = 0
    while i < len(mine) and j < len(theirs):
        a, b = mine[i], theirs[j]
        order_a, order_b = _order(a, key), _order(b, key)
        if order_a == order_b:
            if _packed(a) != _packed(b):
                yield RowDiff(Kind.DIFFERENT, _key(a, key), a, b)
            i, j, both = i + 1, j + 1, both + 1
        elif order_a < order_b:
            yield RowDiff(Kind.MISSING, _key(a, key), a, None)
            i += 1
        else:
            yield RowDiff(Kind.EXTRA, _key(b, key), None, b)
            j += 1
    left.take(i)
    right.take(j)
    compared(i + j - both)


def _packed(rows: object) -> bytes:
    """Equal exactly when types and values are: 1 is not 1.0, 0.0 is not -0.0, text is not a blob."""
    return bytes(msgpack.packb(rows, use_bin_type=True, unicode_errors="surrogatepass"))


def _key_places(table: Table) -> list[int]:
    if not table.without_rowid:
        name = table.rowid_alias
        return [0] if name is None else [[c.name for c in table.stored_columns].index(name)]
    names = [c.name for c in table.stored_columns]
    return [names.index(name) for name in table.key]


def _key(row: Row, places: Sequence[int]) -> Row:
    return tuple(row[i] for i in places)


def _order(row: Row, places: Sequence[int]) -> tuple[tuple[int, Any], ...]:
    """The key as something that orders as both engines do: numbers, then text by bytes, then blobs."""
    return tuple(_class(row[i]) for i in places)


def _class(value: SqliteValue) -> tuple[int, Any]:
    match value:
        case None:
            return (0, 0)
        case str():
            return (2, value.encode("utf-8", "surrogatepass"))
        case bytes():
            return (3, value)
        case _:
            return (1, value)


def _origin_chunks(origin: sqlite3.Connection, table: Table) -> Iterator[list[Row]]:
    columns = carried_columns(table)
    terms = [quote(c.name) if c is not None else rowid_term(table) for _, c in columns]
    # _shadow_key: text as UTF-8 bytes, whatever encoding the file has; its collation does not matter here.
    order = [f"_shadow_key({quote(k)})" for k in table.key] if _own_order(origin, table) else _natural(table)
    sql = f"SELECT {', '.join(terms)} FROM main.{quote(table.name)} ORDER BY {', '.join(order)}"
    return _chunked(sqlite3.Cursor(origin).execute(sql).fetchmany)


def _natural(table: Table) -> list[str]:
    return [f"{quote(k)} COLLATE BINARY" for k in table.key] if table.without_rowid else [rowid_term(table)]


def _own_order(origin: sqlite3.Connection, table: Table) -> bool:
    """Whether SQLite's BINARY order is not that of UTF-8 bytes."""
    if not table.without_rowid:
        return False
    row: tuple[str] = sqlite3.Cursor(origin).execute("PRAGMA encoding").fetchone()
    return row != ("UTF-8",)


def _register_key(origin: sqlite3.Connection) -> None:
    def key(value: SqliteValue) -> SqliteValue:
        if isinstance(value, str):
            return b"\x02" + value.encode()
        return b"\x03" + value if isinstance(value, bytes) else value

    sqlite3.Connection.create_function(origin, "_shadow_key", 1, key, deterministic=True)


def _target_sql(catalog: Catalog, table: Table) -> str:
    names = ", ".join(quote(name) for name, _ in carried_columns(table))
    keys = ", ".join(pg_quote(k) for k in table.key)
    return f"SELECT {names} FROM {pg_table(catalog, table)} ORDER BY {keys}"


def _chunked(fetch: Callable[[int], list[Any]]) -> Iterator[list[Row]]:
    """Chunks that grow while rows are short."""
    rows = _CHUNK_ROWS[0]
    while chunk := fetch(rows):
        yield chunk
        if rows < _CHUNK_ROWS[1] and sum(map(_length, chunk)) * 2 < _CHUNK_BYTES_MAX:
            rows *= 2


def _length(row: Row) -> int:
    return sum(len(v) for v in row if isinstance(v, (str, bytes)))
