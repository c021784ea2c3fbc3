"""Forget journal records that PostgreSQL has durably.

The last applied record stays, and a margin before it: its nonce is what the applied position is held against, and a
PostgreSQL that comes back a little older (a failover to an asynchronous standby) finds its place again.
Deleting takes the app's write lock, so it happens in small rounds, only when it is worth it, and never waits for it.
"""

from __future__ import annotations

import sqlite3

from .. import journal

#: Records before the applied one that stay.
KEEP_ROWS = 2_000
#: Fewer than this are not worth a write transaction in the app's file.
_WORTH_ROWS = 1_000
#: A read may meet the recovery of a WAL that somebody left behind.
_READ_WAIT_SECONDS = 5.0
_ROUND_ROWS = 200
_ROUNDS_MAX = 50


def trim_journal(sqlite_path: str, applied_position: int, *, keep_rows: int = KEEP_ROWS) -> int:
    """Delete what lies more than `keep_rows` before `applied_position`; gives the number of rows deleted."""
    upto = applied_position - keep_rows
    conn = sqlite3.connect(sqlite_path, isolation_level=None, timeout=_READ_WAIT_SECONDS)
    try:
        (oldest,) = conn.execute("SELECT min(position) FROM main._shadow_journal").fetchone()
        if oldest is None or upto - oldest < min(_WORTH_ROWS, keep_rows):
            return 0
        conn.execute("PRAGMA busy_timeout = 0")
        deleted = 0
        for _ in range(_ROUNDS_MAX):
            rows = _round(conn, upto)
            deleted += rows
            if rows < _ROUND_ROWS:
                break
        return deleted
    finally:
        conn.close()


def _round(conn: sqlite3.Connection, upto: int) -> int:
    try:
        conn.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return 0  # somebody is writing: next time
    try:
        rows = journal.trim(conn, upto, rows_max=_ROUND_ROWS)
        conn.execute("COMMIT")
    except BaseException:
        conn.execute("ROLLBACK")
        raise
    return rows
