"""What a journal record holds, and its bytes.

A record is everything one committed SQLite transaction did, in order, with what SQLite chose: row ids, the time it
took as "now", random values. msgpack arrays; the first element is the format, so that shims of different versions
in a rolling deploy understand each other or refuse clearly. Text with lone surrogates survives (surrogatepass).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgpack

from ..errors import JournalBroken
from ..types import SqliteRow, SqliteValue

#: Raised when the meaning of a record changes. `_shadow_control.format` holds the format in use.
FORMAT = 1

Params: TypeAlias = "tuple[SqliteValue, ...] | Mapping[str, SqliteValue]"


@dataclass(frozen=True, slots=True)
class Executed:
    """One statement, run once (`many` False) or once per element of `param_sets`."""

    sql: str
    param_sets: Sequence[Params]
    many: bool
    #: `changes()` of the statement; the sum over all sets. -1: SQLite gave none.
    rowcount: int
    #: For INSERT/REPLACE: the row id SQLite chose, one per parameter set; None where the set inserted no row.
    #: None: not an insert, or ids do not apply (WITHOUT ROWID, several rows in one set: see `RowImages`).
    rowids: Sequence[int | None] | None = None
    #: 'YYYY-MM-DD HH:MM:SS.SSS', UTC: what SQLite took as now, if the statement asked (in defaults and triggers too).
    now: str | None = None


@dataclass(frozen=True, slots=True)
class RowImage:
    """What became of one row. `op`: I, U or D. `key`: the rowid before; WITHOUT ROWID: the primary key values."""

    table: str
    op: str
    key: tuple[SqliteValue, ...]
    #: The whole row afterwards; None for D. First the rowid, where no column shows it (no INTEGER PRIMARY KEY, not
    #: WITHOUT ROWID); then every stored column in order: what `translate.rowimage.upsert` takes.
    row: SqliteRow | None


@dataclass(frozen=True, slots=True)
class RowImages:
    """A statement whose effect replay cannot determine, carried as what it did. Conflicting rows were replaced."""

    sql: str
    rows: Sequence[RowImage]
    reason: str


@dataclass(frozen=True, slots=True)
class Undetermined:
    """A write whose effect is not known: its tables become dirty. Empty `tables`: any table may be affected."""

    sql: str
    tables: Sequence[str]
    reason: str


@dataclass(frozen=True, slots=True)
class SchemaChanged:
    """DDL. `objects` is sqlite_master afterwards, without ours and without sqlite_*: (type, name, tbl_name, sql)."""

    sql: str
    objects: Sequence[tuple[str, str, str, str | None]]


@dataclass(frozen=True, slots=True)
class EpochChanged:
    """A switch of the flag; written by cutover and rollback, applied as nothing."""

    epoch: int
    attempt: str


Item: TypeAlias = "Executed | RowImages | Undetermined | SchemaChanged | EpochChanged"

_EXECUTED, _ROWS, _UNDETERMINED, _SCHEMA, _EPOCH = range(1, 6)


def encode(items: Iterable[Item]) -> bytes:
    """The bytes of one record or part. Raises `OverflowError` for integers beyond 64 bit (SQLite has none)."""
    return bytes(_pack([FORMAT, [_item_out(item) for item in items]]))


def encode_item(item: Item) -> bytes:
    """One item on its own: the shim packs each as it happens, so a buffer knows its size; see `join`."""
    return _pack(_item_out(item))


def encode_executed(
    sql: str, param_sets: object, many: bool, rowcount: int, rowids: object = None, now: str | None = None
) -> bytes:
    """`encode_item` of an `Executed`, without making one: the hot path."""
    return _pack([_EXECUTED, sql, param_sets, many, rowcount, rowids, now])


def join(items: Sequence[bytes]) -> bytes:
    """The record (or part) of items that were encoded one by one."""
    count = len(items)
    if count == 1:
        return _JOIN_ONE + items[0]
    if count < 16:
        header = bytes((0x90 | count,))
    elif count < 1 << 16:
        header = b"\xdc" + count.to_bytes(2, "big")
    else:
        header = b"\xdd" + count.to_bytes(4, "big")
    return b"".join((_JOIN_HEAD, header, *items))


def decode(record: bytes) -> list[Item]:
    """The items of one record or part. Raises `JournalBroken` for a format or shape this version does not know."""
    try:
        form, items = msgpack.unpackb(
            record, raw=False, unicode_errors="surrogatepass", strict_map_key=False, use_list=False
        )
    except (ValueError, TypeError, msgpack.exceptions.UnpackException) as error:
        raise JournalBroken(f"a journal record cannot be read ({error}); run `shadow verify --repair`") from error
    if form != FORMAT:
        raise JournalBroken(f"the journal has records of format {form}, this version reads {FORMAT}; upgrade the agent")
    return [_item_in(item) for item in items]


_local = threading.local()  # one packer a thread: making one costs more than packing a small item
_PACKER_BYTES_MAX = 1 << 20


def _pack(value: object) -> bytes:
    packer = getattr(_local, "packer", None)
    if packer is None:
        packer = _local.packer = msgpack.Packer(use_bin_type=True, unicode_errors="surrogatepass")
    packed: bytes = packer.pack(value)
    if len(packed) > _PACKER_BYTES_MAX:
        _local.packer = None  # a packer keeps its buffer at the size it once needed
    return packed


#: An array of two whose first element is the format.
_JOIN_HEAD = b"\x92" + _pack(FORMAT)
_JOIN_ONE = _JOIN_HEAD + b"\x91"


def _item_out(item: Item) -> list[object]:
    match item:
        case Executed():
            return [
                _EXECUTED,
                item.sql,
                list(item.param_sets),
                item.many,
                item.rowcount,
                item.rowids,
                item.now,
            ]
        case RowImages():
            return [_ROWS, item.sql, [[r.table, r.op, r.key, r.row] for r in item.rows], item.reason]
        case Undetermined():
            return [_UNDETERMINED, item.sql, list(item.tables), item.reason]
        case SchemaChanged():
            return [_SCHEMA, item.sql, [list(o) for o in item.objects]]
        case EpochChanged():
            return [_EPOCH, item.epoch, item.attempt]


def _item_in(item: tuple[object, ...]) -> Item:
    tag, *rest = item
    try:
        match tag:
            case 1:
                return Executed(*rest)  # type: ignore[arg-type]
            case 2:
                sql, rows, reason = rest
                return RowImages(sql, tuple(RowImage(*r) for r in rows), reason)  # type: ignore[attr-defined, arg-type]
            case 3:
                return Undetermined(*rest)  # type: ignore[arg-type]
            case 4:
                return SchemaChanged(*rest)  # type: ignore[arg-type]
            case 5:
                return EpochChanged(*rest)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise JournalBroken(f"a journal record has an item of an unknown shape ({error}); upgrade the agent") from error
    raise JournalBroken(f"a journal record has an item of unknown kind {tag!r}; upgrade the agent")
