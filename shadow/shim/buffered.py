"""Rows of `INSERT ... RETURNING` outside a transaction, kept for the app.

SQLite would commit such a statement when its last row was fetched; ours must stand in one transaction with its
journal record, so the rows are taken at once and the cursor serves them from memory.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from . import twin
from .cursor import Cursor


class BufferedCursor(Cursor):
    """A cursor that serves rows already fetched; see `shim.twin`."""

    _shadow_rows: deque[Any]
    _shadow_count: int

    @property
    def rowcount(self) -> int:
        """As sqlite3: the count is known when the last row has been fetched."""
        return 0 if self._shadow_rows else self._shadow_count

    def fetchone(self) -> Any:
        return self._shadow_rows.popleft() if self._shadow_rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        wanted = self.arraysize if size is None else size
        rows = self._shadow_rows
        return [rows.popleft() for _ in range(len(rows) if wanted < 0 else min(wanted, len(rows)))]

    def fetchall(self) -> list[Any]:
        rows = list(self._shadow_rows)
        self._shadow_rows.clear()
        return rows

    def __next__(self) -> Any:
        if not self._shadow_rows:
            raise StopIteration
        return self._shadow_rows.popleft()

    def execute(self, *args: Any) -> Any:
        twin.restore(self)
        return self.execute(*args)

    def executemany(self, *args: Any) -> Any:
        twin.restore(self)
        return self.executemany(*args)

    def executescript(self, *args: Any) -> Any:
        twin.restore(self)
        return self.executescript(*args)

    def close(self) -> None:
        twin.restore(self)
        self.close()


def keep(cursor: Cursor, rows: list[Any], count: int) -> None:
    """Serve `rows` from `cursor`."""
    twin.become(cursor, BufferedCursor)
    cursor._shadow_rows = deque(rows)  # type: ignore[attr-defined]
    cursor._shadow_count = count  # type: ignore[attr-defined]
