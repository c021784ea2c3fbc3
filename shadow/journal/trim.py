"""Forget what PostgreSQL has durably. Never the newest two rows: positions must not be used twice, and an anchor
(`ORDER BY position DESC LIMIT 2`) must stay open after its first step."""

from __future__ import annotations

import sqlite3

#: The write lock is held for one round only; the app must not wait for housekeeping.
ROWS_PER_ROUND_MAX = 5_000

_TRIM = (
    "DELETE FROM main._shadow_journal WHERE position IN (SELECT position FROM main._shadow_journal"
    " WHERE position <= min(?, (SELECT max(position) FROM main._shadow_journal) - 2) ORDER BY position LIMIT ?)"
)


def trim(conn: sqlite3.Connection, upto: int, *, rows_max: int = ROWS_PER_ROUND_MAX) -> int:
    """Delete rows up to position `upto`, the oldest first and at most `rows_max`; gives how many it deleted.

    Runs in the caller's transaction, or begins one as Python's sqlite3 does; the caller commits.
    """
    return sqlite3.Cursor(conn).execute(_TRIM, (upto, rows_max)).rowcount
