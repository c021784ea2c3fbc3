"""`changes()` and `total_changes` as the app would see them without us.

A journal row counts in both. `total_changes` is corrected by subtraction. `changes()` cannot be set, so it is
restored only when a text that asks for it comes: a TEMP table is updated so that exactly as many rows change as the
app's last write changed. `last_insert_rowid()` needs nothing: what we insert goes through INSTEAD OF triggers.
"""

from __future__ import annotations

import sqlite3
import weakref

from .plain import PlainConnection, PlainCursor, ask, total_changes

_TABLE_TEXTS = (
    "CREATE TEMP TABLE IF NOT EXISTS _shadow_counted (n INTEGER PRIMARY KEY)",
    "CREATE TEMP VIEW IF NOT EXISTS _shadow_count AS SELECT n FROM _shadow_counted",
    "CREATE TEMP TRIGGER IF NOT EXISTS _shadow_count_rows INSTEAD OF INSERT ON _shadow_count BEGIN"
    " INSERT OR IGNORE INTO _shadow_counted VALUES (new.n); END",
)
# WITH in front: Python then begins no transaction of its own.
_GROW = (
    "WITH RECURSIVE k(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM k WHERE n < ?)"
    " INSERT INTO temp._shadow_count SELECT n FROM k"
)
_COUNT = "WITH k AS (SELECT 1) UPDATE temp._shadow_counted SET n = n WHERE n <= ?"


class Counters:
    """What of ours is in a connection's counters. Refers to nothing of the connection."""

    __slots__ = ("_defined", "app_changes", "disturbed", "ours")

    def __init__(self) -> None:
        #: Rows we changed, ever: they stand in total_changes.
        self.ours = 0
        #: `changes()` no longer tells of the app's last write.
        self.disturbed = False
        #: What `changes()` should say; None: not known without asking.
        self.app_changes: int | None = None
        self._defined = False

    def before_ours(self, conn: sqlite3.Connection) -> None:
        """A write of ours comes next: keep what `changes()` says now."""
        if not self.disturbed:
            if self.app_changes is None:
                self.app_changes = int(ask(conn, "SELECT changes()")[0][0])
            self.disturbed = True

    def app_wrote(self, changes: int | None) -> None:
        """A write of the app was the last one again."""
        self.app_changes = changes
        self.disturbed = False

    def restore(self, conn: sqlite3.Connection) -> None:
        """Make the SQL functions answer as without us; before a text that calls them."""
        if self.ours and not self._defined:
            self._define_total(conn)
        if not self.disturbed:
            return
        wanted = self.app_changes or 0
        for text in _TABLE_TEXTS:
            PlainCursor(conn).execute(text)
        before = conn_total(conn)
        if wanted:
            PlainCursor(conn).execute(_GROW, (wanted,))
        PlainCursor(conn).execute(_COUNT, (wanted,))
        self.ours += conn_total(conn) - before
        self.disturbed = False

    def _define_total(self, conn: sqlite3.Connection) -> None:
        weak = weakref.ref(conn)

        def total() -> int:
            live = weak()
            return 0 if live is None else conn_total(live) - self.ours

        try:
            PlainConnection.create_function(conn, "total_changes", 0, total)
            self._defined = True
        except sqlite3.Error:
            pass  # a statement of the connection is running: the next question tries again


def conn_total(conn: sqlite3.Connection) -> int:
    """SQLite's own total_changes, past the shim's property."""
    return int(total_changes(conn))
