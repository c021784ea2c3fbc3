"""The way back: bring PostgreSQL's changes into SQLite, batch by batch, while PostgreSQL is primary.

`run_once` is the agent's; `drain` is rollback's, inside the fence and inside rollback's own SQLite transaction. Both
store the batch's snapshot in `_shadow_reverse` in the transaction that applies it, so anyone may apply and any number
of times: SQLite's write lock and the epoch are the compare-and-set. SQLite is synced before PostgreSQL forgets.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass

from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from psycopg2.extensions import connection as PgConnection

from ..errors import NotPrimary, OriginError
from ..flag import control
from ..postgres.connect import connect
from ..types import Side
from . import apply, changes
from .tables import origin_tables

_BUSY_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Drained:
    """What a drain brought in, and up to which snapshot."""

    changes: int
    snapshot: str


class ReverseApplier:
    """One pair's way back. Used by one thread at a time."""

    def __init__(self, sqlite_path: str, dsn: str, pair: str) -> None:
        self._sqlite_path = sqlite_path
        self._dsn = dsn
        self._pair = pair
        self._target: PgConnection | None = None
        self._origin: sqlite3.Connection | None = None

    def __enter__(self) -> ReverseApplier:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        if self._target is not None:
            self._target.close()
        if self._origin is not None:
            self._origin.close()
        self._target = self._origin = None

    def run_once(self) -> int:
        """Bring in what is committed; gives the number of changes. 0 also while PostgreSQL is not primary."""
        target, origin = self._connections()
        record = control.read_origin(origin)
        if record is None or not record.record.accepts_writes(Side.POSTGRES):
            return 0
        try:
            with target.cursor() as cursor:
                if not changes.pending(cursor, self._pair, read_start(origin)[0]):
                    return 0
            target.rollback()
            drained = self._batch(target, origin)
            target.commit()
        except BaseException:
            self.close()
            raise
        finally:
            if self._target is not None:
                self._target.rollback()
        self._prune(target, drained.snapshot)
        return drained.changes

    def pending(self) -> int:
        """How many committed changes SQLite does not have yet."""
        target, origin = self._connections()
        with target.cursor() as cursor:
            count = changes.pending(cursor, self._pair, read_start(origin)[0])
        target.rollback()
        return count

    def _batch(self, target: PgConnection, origin: sqlite3.Connection) -> Drained:
        origin_tables(origin)  # kept for the transaction
        origin.execute("BEGIN IMMEDIATE")
        try:
            drained = drain(origin, target, self._pair)
            origin.execute("UPDATE main._shadow_control SET guard = 1")
            origin.execute("COMMIT")
        finally:
            if origin.in_transaction:
                origin.execute("ROLLBACK")
        return drained

    def _prune(self, target: PgConnection, snapshot: str) -> None:
        with target.cursor() as cursor:
            # The agent and a rollback may prune at the same time: what the other has deleted is passed over.
            cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            changes.prune(cursor, self._pair, snapshot)
        target.commit()

    def _connections(self) -> tuple[PgConnection, sqlite3.Connection]:
        if self._target is None or self._target.closed:
            self._target = connect(self._dsn, purpose="reverse")
            self._target.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ)
        if self._origin is None:
            self._origin = open_origin(self._sqlite_path)
        return self._target, self._origin


def open_origin(path: str) -> sqlite3.Connection:
    """A plain connection to write what comes back: synced at each commit, no foreign key actions."""
    with closing(sqlite3.connect(path)) as probe:  # a path that is no SQLite file fails here, in one place
        if control.read_origin(probe) is None:
            raise OriginError(f"{path} is not initialised; run `shadow init`")
    conn = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_TIMEOUT_SECONDS, check_same_thread=False)
    conn.execute("PRAGMA synchronous=FULL")
    conn.execute("PRAGMA foreign_keys=OFF")
    return conn


def read_start(origin: sqlite3.Connection) -> tuple[str, int]:
    """What of PostgreSQL this file has: snapshot text and epoch."""
    row = origin.execute("SELECT snapshot, epoch FROM main._shadow_reverse").fetchone()
    if row is None:
        raise OriginError("no cutover has recorded where the way back starts; run `shadow status`")
    return str(row[0]), int(row[1])


def drain(origin: sqlite3.Connection, target: PgConnection, pair: str) -> Drained:
    """Bring everything committed into SQLite, inside the caller's open write transaction, and note the snapshot.

    `target` is in REPEATABLE READ. The guard is left off: the caller sets it before it commits.
    Raises `NotPrimary` when the file's epoch is not the one whose changes come back.
    """
    current = control.read_origin(origin)
    snapshot, epoch = read_start(origin)
    if current is None or not current.record.accepts_writes(Side.POSTGRES) or current.record.epoch != epoch:
        raise NotPrimary("the SQLite file is not at an epoch in which changes come back; run `shadow status`")
    batch = changes.load(target, pair, snapshot)
    origin.execute("UPDATE main._shadow_control SET guard = 0")
    count = apply.apply(origin, batch)
    origin.execute("UPDATE main._shadow_reverse SET snapshot = ?", (batch.snapshot,))
    return Drained(count, batch.snapshot)
