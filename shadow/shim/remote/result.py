"""What a statement gave in PostgreSQL mode, before a cursor shapes it for the app."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from ...types import SqliteRow
from .plan import Plan, primed_cursor

Description = tuple[tuple[str, None, None, None, None, None, None], ...]


class RemoteResult:
    """Columns, rows and counts of one statement."""

    __slots__ = ("_primed", "columns", "is_dml", "lastrowid", "plan", "rowcount", "rows")

    def __init__(
        self,
        columns: tuple[str, ...] | None = None,
        rows: Iterable[SqliteRow] = (),
        rowcount: int = -1,
        lastrowid: int | None = None,
        *,
        is_dml: bool = False,
        plan: Plan | None = None,
    ) -> None:
        self.columns = columns
        self.rows: Iterator[SqliteRow] = iter(rows)
        self.rowcount = rowcount
        #: What `cursor.lastrowid` becomes; None: it stays as it is.
        self.lastrowid = lastrowid
        #: RETURNING: sqlite3 knows the count when the last row has been fetched.
        self.is_dml = is_dml
        self.plan = plan
        self._primed: sqlite3.Cursor | None = None

    @property
    def description(self) -> Description | None:
        if self.columns is None:
            return None
        return tuple((name, None, None, None, None, None, None) for name in self.columns)

    @property
    def primed(self) -> sqlite3.Cursor:
        """The cursor to hand to sqlite3.Row with these rows."""
        if self.plan is not None and self.plan.columns == self.columns:
            return self.plan.primed_cursor()
        if self._primed is None:
            self._primed = primed_cursor(self.columns or ())
        return self._primed
