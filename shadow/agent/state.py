"""The state of a pair as gauges: a handful of indexed queries on each side, each side on its own.

A side that cannot be reached costs nothing else: the other side's gauges are still read, and the lag is still right
while PostgreSQL is down, because the last applied position is remembered.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import cursor as PgCursor

from .. import journal
from ..errors import ShadowError
from ..flag import proof
from ..flag.control import read_origin
from ..postgres.connect import connect
from ..types import Side

_SQLITE_BUSY_SECONDS = 1.0
_STATEMENT_TIMEOUT_MS = 2_000
#: Counting the bytes of a long backlog reads all of it; not at every scrape.
_BACKLOG_SECONDS_MIN = 5.0

_TARGET = """
SELECT
    (SELECT position FROM shadow.applied WHERE pair = %(pair)s),
    (SELECT proof_epoch FROM shadow.proof WHERE pair = %(pair)s),
    (SELECT count(*) FROM shadow.divergence WHERE pair = %(pair)s AND resolved_at IS NULL),
    (SELECT count(*) FROM shadow.dirty WHERE pair = %(pair)s),
    (SELECT count(DISTINCT fingerprint) FROM shadow.mismatch WHERE pair = %(pair)s AND resolved_at IS NULL)
"""
_SHAPES = """
SELECT count(*) FILTER (WHERE unsupported IS NOT NULL),
       count(*) FILTER (WHERE unsupported IS NULL AND compared > 0 AND proof_epoch >= %(proof)s),
       count(*) FILTER (WHERE unsupported IS NULL AND NOT (compared > 0 AND proof_epoch >= %(proof)s))
FROM shadow.shape WHERE pair = %(pair)s
"""
_VERIFIED = """
SELECT table_name, rows_different + rows_missing + rows_extra,
       CASE WHEN complete THEN extract(epoch FROM now() - at)::float8 ELSE -1 END
FROM shadow.verified WHERE pair = %(pair)s
"""
_SWITCHES = """
SELECT action, coalesce(detail->>'result', ''), count(*),
       (array_agg(detail->>'fence_seconds' ORDER BY id DESC))[1]
FROM shadow.audit WHERE pair = %(pair)s AND action IN ('cutover', 'rollback') GROUP BY 1, 2
"""


@dataclass(slots=True)
class State:
    """What one look at both sides gave."""

    sqlite_up: bool = False
    postgres_up: bool = False
    gauges: dict[str, float] = field(default_factory=dict)
    #: Gauge -> its label and the value for each of its label values.
    labelled: dict[str, tuple[str, dict[str, float]]] = field(default_factory=dict)
    #: (direction, outcome) -> how many switches.
    switches: dict[tuple[str, str], int] = field(default_factory=dict)


class StateReader:
    """Keeps one connection to PostgreSQL. Safe between threads: one look at a time."""

    def __init__(self, sqlite_path: str, dsn: str, pair: str) -> None:
        self._sqlite_path = sqlite_path
        self._dsn = dsn
        self._pair = pair
        self._lock = threading.Lock()  # guards all below
        self._target: PgConnection | None = None
        self._applied: int | None = None
        #: SQLite's count of what voids proof, as it was last read.
        self._origin_proof = 0
        self._backlog_at = -_BACKLOG_SECONDS_MIN
        self._journal_bytes = 0.0

    def close(self) -> None:
        with self._lock:
            if self._target is not None:
                self._target.close()
                self._target = None

    def read(self) -> State:
        """Never raises for a database that is away."""
        with self._lock:
            state = State()
            conn = self._open(state)
            try:
                self._read_target(state)
                state.postgres_up = True
            except (psycopg2.Error, ShadowError):
                if self._target is not None:
                    self._target.close()
                    self._target = None
            if conn is not None:
                try:
                    self._read_journal(conn, state)
                except (sqlite3.Error, ShadowError):
                    state.sqlite_up = False
                finally:
                    conn.close()
            return state

    def reachable(self) -> tuple[bool, bool]:
        """(SQLite, PostgreSQL), for readiness."""
        state = self.read()
        return state.sqlite_up, state.postgres_up

    def _open(self, state: State) -> sqlite3.Connection | None:
        """SQLite's control row first: how proof counts depends on it. None when the file cannot be read."""
        uri = f"{Path(self._sqlite_path).as_uri()}?mode=rw"
        try:
            conn = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_SQLITE_BUSY_SECONDS)
        except sqlite3.Error:
            return None
        try:
            control = read_origin(conn)
        except sqlite3.Error:
            conn.close()
            return None
        if control is None:
            conn.close()
            return None
        state.sqlite_up = True
        self._origin_proof = control.proof_epoch
        state.gauges["shadow_epoch"] = control.record.epoch
        state.labelled["shadow_primary"] = (
            "side",
            {side.value: float(control.record.primary is side) for side in Side},
        )
        return conn

    def _read_journal(self, conn: sqlite3.Connection, state: State) -> None:
        head, _ = journal.head(conn)
        state.gauges["shadow_journal_position"] = head
        if time.monotonic() - self._backlog_at >= _BACKLOG_SECONDS_MIN:
            (kept,) = conn.execute("SELECT coalesce(sum(length(record)), 0) FROM main._shadow_journal").fetchone()
            self._journal_bytes = float(kept)
            self._backlog_at = time.monotonic()
        state.gauges["shadow_journal_bytes"] = self._journal_bytes
        if self._applied is not None:
            state.gauges["shadow_lag_records"] = max(0, head - self._applied)
            state.gauges["shadow_lag_seconds"] = _age(conn, self._applied)

    def _read_target(self, state: State) -> None:
        if self._target is None or self._target.closed:
            self._target = connect(
                self._dsn,
                purpose="metrics",
                autocommit=True,
                session={"statement_timeout": str(_STATEMENT_TIMEOUT_MS)},
            )
        with self._target.cursor() as cursor:
            self._read_series(cursor, state, self._read_counts(cursor, state))

    def _read_counts(self, cursor: PgCursor, state: State) -> int:
        cursor.execute(_TARGET, {"pair": self._pair})
        row = cursor.fetchone()
        assert row is not None
        applied, voided, divergences, dirty, mismatches = row
        if applied is not None:
            self._applied = int(applied)
            state.gauges["shadow_applied_position"] = applied
        epoch = proof.combined(self._origin_proof, int(voided or 0))
        state.gauges["shadow_proof_epoch"] = epoch
        state.gauges["shadow_divergences_unresolved"] = divergences
        state.gauges["shadow_dirty_tables"] = dirty
        state.gauges["shadow_mismatches_unresolved"] = mismatches
        return epoch

    def _read_series(self, cursor: PgCursor, state: State, proof_epoch: int) -> None:
        cursor.execute(_SHAPES, {"pair": self._pair, "proof": proof_epoch})
        row = cursor.fetchone()
        assert row is not None
        state.labelled["shadow_shapes"] = (
            "state",
            dict(zip(("unsupported", "compared", "waiting"), map(float, row), strict=True)),
        )
        cursor.execute(_VERIFIED, {"pair": self._pair})
        verified = cursor.fetchall()
        state.labelled["shadow_verify_rows_different"] = ("table", {name: float(rows) for name, rows, _ in verified})
        state.labelled["shadow_verify_age_seconds"] = ("table", {name: float(age) for name, _, age in verified})
        cursor.execute(_SWITCHES, {"pair": self._pair})
        held: dict[str, float] = {}
        for direction, outcome, count, seconds in cursor.fetchall():
            state.switches[(direction, outcome)] = int(count)
            if outcome == "done" and seconds is not None:
                held[direction] = float(seconds)
        if held:
            state.labelled["shadow_switch_wait_seconds"] = ("direction", held)


def _age(conn: sqlite3.Connection, applied: int) -> float:
    """How long the oldest record behind `applied` has been waiting."""
    row = conn.execute(
        "SELECT nonce FROM main._shadow_journal WHERE position > ? ORDER BY position LIMIT 1", (applied,)
    ).fetchone()
    return 0.0 if row is None else max(0.0, time.time() - journal.nonce_time(row[0]))
