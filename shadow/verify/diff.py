"""Which rows of one table differ: both sides read in the order of the key, and merged.

The order of keys is the same on both sides: rowids are integers; keys of WITHOUT ROWID tables are ordered by bytes.
Stretches that are equal are compared as packed bytes (type and value, floats bit for bit), so a row is looked at by
itself only where something is wrong. What a Python function would have to decode row by row (blobs, `shadow.value`) is
asked of both engines in forms that both write alike. Memory is bounded by the length of a chunk, not by the table.
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
from ..translate.catalog import Catalog, Column, PgType, Table
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
    forms = [_Form.of(name, column, table) for name, column in carried_columns(table)]
    key = _key_parts(table, forms)
    left = _Side(_origin_chunks(origin, table, forms))
    cursor = target.cursor(name=f"shadow_{uuid.uuid4().hex[:12]}")
    try:
        cursor.execute(_target_sql(catalog, table, forms))
        right = _Side(_chunked(cursor.fetchmany))
        while True:
            mine, theirs = left.rows(), right.rows()
            count = min(len(mine), len(theirs))
            if count and _packed(mine[:count]) == _packed(theirs[:count]):
                left.take(count)
                right.take(count)
                compared(count)
            elif mine and theirs:
                yield from (_plain(found, forms) for found in _merge(left, right, key, compared))
            elif mine:
                left.take(len(mine))
                compared(len(mine))
                yield from (_plain(RowDiff(Kind.MISSING, _key(row, key), row, None), forms) for row in mine)
            elif theirs:
                right.take(len(theirs))
                compared(len(theirs))
                yield from (_plain(RowDiff(Kind.EXTRA, _key(row, key), None, row), forms) for row in theirs)
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


def _merge(left: _Side, right: _Side, key: Sequence[_KeyPart], compared: Callable[[int], None]) -> Iterator[RowDiff]:
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


@dataclass(frozen=True, slots=True)
class _Form:
    """How a column is asked for on each side, in one or more terms, and read back."""

    origin: tuple[str, ...]
    target: tuple[str, ...]
    read: Callable[[tuple[Any, ...]], SqliteValue]
    #: Of the column, as in `Table.key`.
    name: str

    @staticmethod
    def of(name: str, column: Column | None, table: Table) -> _Form:
        pg = quote(name)
        if column is None:
            return _Form((rowid_term(table),), (pg,), _first, name)
        lite = quote(column.name)
        match column.pg_type:
            case PgType.BOOLEAN:
                return _Form((lite,), (f"{pg}::int",), _first, column.name)
            case PgType.BYTEA:
                # 't' is no hexadecimal digit: what is not a blob cannot look like one.
                other = f"CASE typeof({lite}) WHEN 'blob' THEN hex({lite}) WHEN 'null' THEN NULL ELSE 't' || {lite} END"
                return _Form((other,), (f"upper(encode({pg}, 'hex'))",), _hex, column.name)
            case PgType.VALUE:
                kinds = [f"CASE typeof({lite}) WHEN '{kind}' THEN {lite} END" for kind in ("integer", "real", "text")]
                num = f"({pg}).num"
                return _Form(
                    (*kinds, f"CASE typeof({lite}) WHEN 'blob' THEN hex({lite}) END"),
                    (
                        f"CASE WHEN scale({num}) = 0 THEN {num}::bigint END",
                        # numeric knows no negative zero: 0.00 stands for it (values.codec); infinities have no scale.
                        f"CASE WHEN {num} = 0 AND scale({num}) = 2 THEN '-0'::double precision"
                        f" WHEN scale({num}) IS DISTINCT FROM 0 THEN {num}::double precision END",
                        f"({pg}).txt",
                        f"upper(encode(({pg}).blob, 'hex'))",
                    ),
                    _mixed,
                    column.name,
                )
            case _:
                return _Form((lite,), (pg,), _first, column.name)


def _first(values: tuple[Any, ...]) -> SqliteValue:
    value: SqliteValue = values[0]
    return value


def _hex(values: tuple[Any, ...]) -> SqliteValue:
    text = values[0]
    return None if text is None else str(text)[1:] if text.startswith("t") else bytes.fromhex(text)


def _mixed(values: tuple[Any, ...]) -> SqliteValue:
    integer, real, text, blob = values
    if blob is not None:
        return bytes.fromhex(blob)
    value: SqliteValue = next((v for v in (integer, real, text) if v is not None), None)
    return value


def _plain(found: RowDiff, forms: Sequence[_Form]) -> RowDiff:
    """With the values as they are stored."""

    def row(asked: Row | None) -> Row | None:
        if asked is None:
            return None
        values, at = [], 0
        for form in forms:
            values.append(form.read(asked[at : at + len(form.origin)]))
            at += len(form.origin)
        return tuple(values)

    return RowDiff(found.kind, found.key, row(found.origin), row(found.target))


@dataclass(frozen=True, slots=True)
class _KeyPart:
    """One column of the key: where it stands in a row as it is asked for, and how it is read."""

    start: int
    stop: int
    read: Callable[[tuple[Any, ...]], SqliteValue]


def _key_parts(table: Table, forms: Sequence[_Form]) -> list[_KeyPart]:
    parts, at = {}, 0
    for form in forms:
        parts[form.name] = _KeyPart(at, at + len(form.origin), form.read)
        at += len(form.origin)
    return [parts[name] for name in table.key]


def _key(row: Row, parts: Sequence[_KeyPart]) -> Row:
    return tuple(part.read(row[part.start : part.stop]) for part in parts)


def _order(row: Row, parts: Sequence[_KeyPart]) -> tuple[tuple[int, Any], ...]:
    """The key as something that orders as both engines do: numbers, then text by bytes, then blobs."""
    return tuple(_class(value) for value in _key(row, parts))


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


def _origin_chunks(origin: sqlite3.Connection, table: Table, forms: Sequence[_Form]) -> Iterator[list[Row]]:
    terms = ", ".join(term for form in forms for term in form.origin)
    # _shadow_key: text as UTF-8 bytes, whatever encoding the file has; its collation does not matter here.
    order = [f"_shadow_key({quote(k)})" for k in table.key] if _own_order(origin, table) else _natural(table)
    sql = f"SELECT {terms} FROM main.{quote(table.name)} ORDER BY {', '.join(order)}"
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


def _target_sql(catalog: Catalog, table: Table, forms: Sequence[_Form]) -> str:
    terms = ", ".join(term for form in forms for term in form.target)
    keys = ", ".join(pg_quote(k) for k in table.key)
    return f"SELECT {terms} FROM {pg_table(catalog, table)} ORDER BY {keys}"


def _chunked(fetch: Callable[[int], list[Any]]) -> Iterator[list[Row]]:
    """Chunks that grow while rows are short."""
    rows = _CHUNK_ROWS[0]
    while chunk := fetch(rows):
        yield chunk
        if rows < _CHUNK_ROWS[1] and sum(map(_length, chunk)) * 2 < _CHUNK_BYTES_MAX:
            rows *= 2


def _length(row: Row) -> int:
    return sum(len(v) for v in row if isinstance(v, (str, bytes)))
