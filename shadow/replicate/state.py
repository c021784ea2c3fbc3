"""How far PostgreSQL has the journal, as PostgreSQL itself says, and the only way to move it.

The row of `shadow.applied` changes in the transaction of the applied statements, by compare-and-set on (position,
nonce, epoch): whoever read an older state changes nothing. `check` holds the row against the journal: power loss, a
restored backup or a copied file leave a position with another nonce, or none.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from psycopg2.extensions import cursor as PgCursor

from .. import journal
from ..errors import JournalBroken, NotPrimary, TargetError
from ..flag.control import ControlRecord, State
from ..types import Side


@dataclass(frozen=True, slots=True)
class Applied:
    """The row of `shadow.applied`."""

    position: int
    nonce: bytes
    epoch: int


_SELECT = (
    "SELECT a.position, a.nonce, a.epoch, c.epoch, c.attempt, c.primary_side, c.state"
    " FROM shadow.applied a JOIN shadow.control c USING (pair) WHERE a.pair = %s"
)
# Where no row fits it divides by zero: this travels in one string with the group's statements, which gives no counts.
_ADVANCE = (
    "WITH moved AS (UPDATE shadow.applied SET position = %s, nonce = %s, epoch = %s, applied_at = now()"
    " WHERE pair = %s AND position = %s AND nonce = %s AND epoch = %s RETURNING 1)"
    " SELECT 1 / count(*)::int FROM moved"
)


def read_applied(cursor: PgCursor, pair: str, *, begin: bool = False) -> Applied:
    """The applied state; `begin` opens a transaction in the same round trip and keeps the row until its end.

    Raises `NotPrimary` when PostgreSQL accepts the app's writes: then the journal has nothing for it.
    """
    prefix, suffix = ("BEGIN; ", " FOR UPDATE OF a") if begin else ("", "")
    cursor.execute(prefix + _SELECT + suffix, (pair,))
    row = cursor.fetchone()
    if row is None:
        raise TargetError(f"pair {pair} has no applied position in PostgreSQL; run `shadow backfill`")
    position, nonce, epoch, *control = row
    record = ControlRecord(control[0], control[1], Side(control[2]), State(control[3]))
    if record.accepts_writes(Side.POSTGRES):
        raise NotPrimary(
            f"PostgreSQL is primary for pair {pair} (epoch {record.epoch}); nothing is applied from SQLite"
        )
    return Applied(position, bytes(nonce), epoch)


def advance_sql(cursor: PgCursor, pair: str, old: Applied, new: Applied) -> bytes:
    """Compare-and-set from `old` to `new`, as text; fails with a division by zero where `old` no longer holds."""
    return cursor.mogrify(_ADVANCE, (new.position, new.nonce, new.epoch, pair, old.position, old.nonce, old.epoch))


def check(origin: sqlite3.Connection, applied: Applied, origin_epoch: int) -> None:
    """Raise `JournalBroken` unless this journal is the one that `applied` was taken from."""
    nonce = journal.nonce_at(origin, applied.position)
    if nonce is None:
        position, _ = journal.head(origin)
        if position < applied.position:
            raise JournalBroken(
                f"PostgreSQL has the journal up to position {applied.position}, but it ends at {position}:"
                " the SQLite file was restored or lost its last commits; run `shadow verify --repair`"
            )
        raise JournalBroken(
            f"the journal no longer has position {applied.position}, the last one PostgreSQL has;"
            " run `shadow verify --repair`"
        )
    if nonce != applied.nonce:
        raise JournalBroken(
            f"position {applied.position} of the journal is not the one PostgreSQL applied (other nonce):"
            " power loss, a restored backup or a copied file; run `shadow verify --repair`"
        )
    if origin_epoch < applied.epoch:
        raise JournalBroken(
            f"the SQLite file is of epoch {origin_epoch}, PostgreSQL has applied epoch {applied.epoch}:"
            " an older copy of the file is in place; run `shadow verify --repair`"
        )
