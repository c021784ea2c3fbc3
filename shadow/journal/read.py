"""Read the journal in order: whole records only, and never past a gap.

Any connection will do; rows are read through plain cursors, so a row or text factory on it does not matter.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import JournalBroken, OriginError
from .record import Item, decode


@dataclass(frozen=True, slots=True)
class Record:
    """One committed write transaction of the app."""

    #: The key of its last row.
    position: int
    nonce: bytes
    items: tuple[Item, ...]
    #: Encoded size of all its parts.
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Backlog:
    """What lies in the journal behind a position."""

    records: int
    size_bytes: int
    #: Nonce of the oldest record, for its age; None when there is none.
    oldest_nonce: bytes | None


_READ = "SELECT position, last, nonce, record FROM main._shadow_journal WHERE position > ? ORDER BY position"
_BACKLOG = (
    "SELECT coalesce(sum(last), 0), coalesce(sum(length(record)), 0),"
    " (SELECT nonce FROM main._shadow_journal WHERE position > ?1 ORDER BY position LIMIT 1)"
    " FROM main._shadow_journal WHERE position > ?1"
)


def read(conn: sqlite3.Connection, after: int, limit_bytes: int) -> Iterator[Record]:
    """Records behind position `after`, in order, at least one if there is one, until `limit_bytes` are passed.

    Raises `JournalBroken` when positions are missing: the journal was cut, or the file is another one.
    """
    read_bytes = 0
    expected = after + 1
    items: list[Item] = []
    size_bytes = 0
    for position, last, nonce, record in sqlite3.Cursor(conn).execute(_READ, (after,)):
        if position != expected:
            raise JournalBroken(
                f"the journal continues at position {position} where {expected} was due; run `shadow verify --repair`"
            )
        expected += 1
        items += decode(record)
        size_bytes += len(record)
        if last:
            yield Record(position, nonce, tuple(items), size_bytes)
            read_bytes += size_bytes
            items, size_bytes = [], 0
            if read_bytes >= limit_bytes:
                return


def head(conn: sqlite3.Connection) -> tuple[int, bytes]:
    """Newest position and its nonce."""
    row = (
        sqlite3.Cursor(conn)
        .execute("SELECT position, nonce FROM main._shadow_journal ORDER BY position DESC LIMIT 1")
        .fetchone()
    )
    if row is None:
        raise OriginError("the journal is empty; run `shadow init`")
    return row[0], row[1]


def nonce_at(conn: sqlite3.Connection, position: int) -> bytes | None:
    """The nonce of the record at `position`, or None: trimmed, or never there."""
    row = (
        sqlite3.Cursor(conn)
        .execute("SELECT nonce FROM main._shadow_journal WHERE position = ?", (position,))
        .fetchone()
    )
    return None if row is None else row[0]


def backlog(conn: sqlite3.Connection, after: int) -> Backlog:
    """How much has not been applied yet."""
    return Backlog(*sqlite3.Cursor(conn).execute(_BACKLOG, (after,)).fetchone())
