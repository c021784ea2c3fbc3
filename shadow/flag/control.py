"""The control records: which database accepts the app's writes.

Both databases hold (epoch, attempt, primary, state). A database accepts the app's writes if and only if its own
record is *active* and names it as primary. Cutover's commit point is SQLite's commit of the active record of epoch
e+1 (PostgreSQL's was prepared before and is turned active afterwards, by whoever sees it first: helping). Rollback's
commit point is PostgreSQL's commit of its record, in the transaction that holds the fence; SQLite's was prepared
before. So at any instant at most one side accepts writes, whatever crashes when; see docs/decisions/.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from ..types import Side


class State(StrEnum):
    PREPARED = "prepared"
    ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class ControlRecord:
    """One side's half of the flag."""

    epoch: int
    #: Names the cutover or rollback that wrote the record; both halves of one switch carry the same.
    attempt: str
    primary: Side
    state: State

    def accepts_writes(self, side: Side) -> bool:
        """Whether the database that holds this record may take the app's writes."""
        return self.state is State.ACTIVE and self.primary is side


@dataclass(frozen=True, slots=True)
class OriginControl:
    """SQLite's control row: the flag's half and what else a write transaction must know."""

    record: ControlRecord
    format: int
    pair_id: str
    journaling: bool
    guard: bool
    catalog_version: int
    proof_epoch: int


class TargetCursor(Protocol):
    """The part of a psycopg2 cursor used here; keeps psycopg2 out of the app's process until it is needed."""

    def execute(self, query: str, vars: tuple[object, ...] = ..., /) -> object: ...
    def fetchone(self) -> tuple[object, ...] | None: ...
    @property
    def rowcount(self) -> int: ...


#: One row; run it inside the write transaction, after the write lock is held.
ORIGIN_SELECT = (
    "SELECT epoch, attempt, primary_side, state, format, pair_id, journaling, guard, catalog_version, proof_epoch"
    " FROM main._shadow_control"
)


def read_origin(conn: sqlite3.Connection) -> OriginControl | None:
    """SQLite's control row, or None when the file is not initialised. `conn` must return plain tuples."""
    try:
        row = sqlite3.Connection.execute(conn, ORIGIN_SELECT).fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return None
        raise
    return None if row is None else origin_from_row(tuple(row))


def origin_from_row(row: tuple[object, ...]) -> OriginControl:
    epoch, attempt, primary, state, form, pair_id, journaling, guard, catalog_version, proof_epoch = row
    return OriginControl(
        ControlRecord(int(str(epoch)), str(attempt), Side(str(primary)), State(str(state))),
        int(str(form)),
        str(pair_id),
        bool(journaling),
        bool(guard),
        int(str(catalog_version)),
        int(str(proof_epoch)),
    )


def write_origin(conn: sqlite3.Connection, record: ControlRecord, *, guard: bool) -> None:
    """Replace the flag's half in SQLite, inside the caller's transaction (which holds the write lock)."""
    conn.execute(
        "UPDATE main._shadow_control SET epoch = ?, attempt = ?, primary_side = ?, state = ?, guard = ? WHERE id = 1",
        (record.epoch, record.attempt, record.primary.value, record.state.value, int(guard)),
    )


def activate_origin(conn: sqlite3.Connection, attempt: str) -> None:
    """Help: turn a prepared record of `attempt` active, once PostgreSQL is known to have committed that attempt.

    From then on, and not before, the guards let writes through: the transaction needs synchronous=FULL.
    """
    conn.execute(
        "UPDATE main._shadow_control SET state = 'active', guard = (primary_side = 'postgres')"
        " WHERE id = 1 AND attempt = ? AND state = 'prepared'",
        (attempt,),
    )


TARGET_SELECT = "SELECT epoch, attempt, primary_side, state FROM shadow.control WHERE pair = %s"


def read_target(cursor: TargetCursor, pair: str) -> ControlRecord | None:
    """PostgreSQL's control record of the pair, or None."""
    cursor.execute(TARGET_SELECT, (pair,))
    row = cursor.fetchone()
    if row is None:
        return None
    epoch, attempt, primary, state = row
    return ControlRecord(int(str(epoch)), str(attempt), Side(str(primary)), State(str(state)))


def write_target(cursor: TargetCursor, pair: str, record: ControlRecord) -> None:
    """Replace the flag's half in PostgreSQL, inside the caller's transaction."""
    cursor.execute(
        "UPDATE shadow.control SET epoch = %s, attempt = %s, primary_side = %s, state = %s, changed_at = now()"
        " WHERE pair = %s",
        (record.epoch, record.attempt, record.primary.value, record.state.value, pair),
    )
    if cursor.rowcount != 1:
        raise AssertionError(f"shadow.control has no row for pair {pair!r}")


def activate_target(cursor: TargetCursor, pair: str, attempt: str) -> None:
    """Help: turn a prepared record of `attempt` active, once SQLite is known to have committed that attempt."""
    cursor.execute(
        "UPDATE shadow.control SET state = 'active', changed_at = now()"
        " WHERE pair = %s AND attempt = %s AND state = 'prepared'",
        (pair, attempt),
    )


def fence_table(pair: str) -> str:
    """The quoted name of the pair's fence: write transactions hold it ROW SHARE, rollback takes it EXCLUSIVE."""
    return 'shadow."fence_' + pair.replace('"', '""') + '"'
