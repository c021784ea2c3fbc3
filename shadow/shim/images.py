"""Row images by TEMP triggers, created on a connection when a statement first needs them.

An AFTER trigger calls a Python function with the row; neither `changes()` nor `last_insert_rowid()` shows it. REPLACE
fires no delete trigger for the rows it removes, and need not: whoever applies an image replaces what conflicts. TEMP
triggers fire before the app's own, so that nested effects come in order. They belong to the transaction that made
them: after any rollback they are made again.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from ..journal.record import RowImage, RowImages, encode_item
from .facts import FileFacts, TableFacts, quote
from .plain import PlainConnection, PlainCursor, ask

#: SQLite's default limit for arguments is 127; table, operation, key and rowid need some.
_COLUMNS_MAX = 110
_TRIGGERS = (
    "SELECT CAST(name AS TEXT) FROM temp.sqlite_master"
    " WHERE type = 'trigger' AND name LIKE '\\_shadow\\_capture\\_%' ESCAPE '\\'"
)
#: Rows that go into one item.
_CHUNK_ROWS = 500
#: One statement's images in memory; a statement that changes more has its tables marked instead.
IMAGES_BYTES_MAX = 64 << 20


class Images:
    """The images of the running statement, on one connection. Refers to nothing of the connection."""

    __slots__ = (
        "_created",
        "_function",
        "_keys",
        "_mark",
        "_version",
        "capturing",
        "items",
        "overflow",
        "reason",
        "rows",
        "size_bytes",
        "sql",
    )

    def __init__(self) -> None:
        self.capturing = False
        self.rows: list[RowImage] = []
        self.items: list[bytes] = []
        self.size_bytes = 0
        self.overflow = False
        self.sql = ""
        self.reason = ""
        self._created: set[str] = set()
        self._keys: dict[str, int] = {}
        #: Items and rows at the last mark.
        self._mark = (0, 0)
        self._version = -1
        self._function = False

    def prepare(self, conn: sqlite3.Connection, facts: FileFacts, tables: tuple[str, ...], version: int) -> bool:
        """See to it that writes to `tables` are captured; False: at least one cannot be."""
        if version != self._version:
            self.drop(conn, facts)
            self._version = version
        if not self._function:
            PlainConnection.create_function(conn, "_shadow_capture", -1, self._capture)
            self._function = True
        for name in tables:
            if name not in self._created:
                table = facts.tables[name]
                if len(table.stored) > _COLUMNS_MAX or not self._create(conn, name, table):
                    return False
                self._created.add(name)
        return True

    def begin(self, sql: str, reason: str) -> None:
        """The statement runs now."""
        self.sql, self.reason = sql, reason
        self._mark = (0, 0)
        self.rows, self.items = [], []
        self.size_bytes = 0
        self.overflow = False
        self.capturing = True

    def mark(self) -> None:
        """One set of executemany is done: what it did stays, whatever becomes of the next."""
        self._mark = (len(self.items), len(self.rows))

    def end(self, *, to_mark: bool = False) -> list[bytes]:
        """The statement's items; with `to_mark`, only what was captured before the last mark."""
        self.capturing = False
        if to_mark:
            items, rows = self._mark
            self.rows = self.rows[:rows] if len(self.items) == items else []
            del self.items[items:]
        self._flush()
        out, self.items = self.items, []
        return out

    def rolled_back(self) -> None:
        """TEMP triggers made in the transaction went with it."""
        self._created.clear()

    def drop(self, conn: sqlite3.Connection, facts: FileFacts | None = None) -> None:
        """Remove the triggers: DDL must not meet them, nor may they outlive a column they name."""
        for (name,) in ask(conn, _TRIGGERS):
            text = name.decode() if isinstance(name, bytes) else str(name)
            PlainCursor(conn).execute(f"DROP TRIGGER IF EXISTS temp.{quote(text)}")
        self._created.clear()

    @property
    def present(self) -> bool:
        return self._version != -1

    def _create(self, conn: sqlite3.Connection, name: str, table: TableFacts) -> bool:
        if table.kind != "table":
            return False
        rowid = table.rowid_name
        if rowid is None and table.alias is None and not table.without_rowid:
            return False  # every name of the rowid is taken by a column
        if table.alias is not None:
            key: tuple[str, ...] = (table.alias,)
        elif rowid is not None:
            key = (rowid,)
        else:
            key = table.primary_key
        shown = (*((rowid,) if rowid else ()), *table.stored)
        self._keys[table.name] = len(key)

        def columns(row: str, names: tuple[str, ...]) -> str:
            # A bare rowid must not be quoted: "rowid" may fall back to a string.
            return ", ".join(f"{row}.{n if n == rowid else quote(n)}" for n in names)

        literal = "'" + table.name.replace("'", "''") + "'"
        for op, event, before, after in (
            ("I", "INSERT", "new", True),
            ("U", "UPDATE", "old", True),
            ("D", "DELETE", "old", False),
        ):
            values = [literal, f"'{op}'", columns(before, key)] + ([columns("new", shown)] if after else [])
            PlainCursor(conn).execute(
                f"CREATE TEMP TRIGGER IF NOT EXISTS {quote('_shadow_capture_' + op + '_' + name)}"
                f" AFTER {event} ON main.{quote(table.name)} BEGIN SELECT _shadow_capture({', '.join(values)}); END"
            )
        return True

    def _capture(self, table: str, op: str, *values: Any) -> None:
        if not self.capturing or self.overflow:
            return
        keys = self._keys[table]
        self.rows.append(RowImage(table, op, values[:keys], None if op == "D" else values[keys:]))
        if len(self.rows) >= _CHUNK_ROWS:
            marked = self._mark[1]
            if marked and self._mark[0] == len(self.items):
                # What stands before the mark becomes an item of its own, so that the mark can be gone back to.
                self.rows, behind = self.rows[:marked], self.rows[marked:]
                self._flush()
                self.rows = behind
                self._mark = (len(self.items), 0)
            self._flush()

    def _flush(self) -> None:
        if self.rows:
            item = encode_item(RowImages(self.sql, self.rows, self.reason))
            self.rows = []
            self.size_bytes += len(item)
            if self.size_bytes > IMAGES_BYTES_MAX:
                self.overflow = True
                self.items = []
            else:
                self.items.append(item)
