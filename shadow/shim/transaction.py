"""What a write transaction has done so far, as encoded journal items, with marks for its savepoints.

The buffer follows SQLite: ROLLBACK TO cuts it back to its mark, RELEASE forgets marks, a lost transaction drops it.
A big transaction spills parts into the journal within the transaction. What was buffered before a mark is kept until
the mark goes, because a rollback to the mark takes the spilled rows back and with them items from before it.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from ..journal.append import append_encoded, new_nonce, withdraw
from ..journal.record import Undetermined, encode_item, join

#: More than this is spilled as a part of the record.
SPILL_BYTES = 1 << 20


@dataclass(slots=True)
class _Mark:
    name: str
    #: Items that stood in the buffer when the savepoint was set.
    items: int
    size_bytes: int
    #: Nonce of the parts spilled before it; None: none were.
    nonce: bytes | None
    #: Those items themselves, once they have been spilled.
    spilled: list[bytes] | None = None


class Buffer:
    """The items of one transaction on one connection. Holds no reference to the connection."""

    __slots__ = ("_marks", "items", "nonce", "rows_written", "size_bytes")

    def __init__(self) -> None:
        self.items: list[bytes] = []
        self.nonce: bytes | None = None
        self.size_bytes = 0
        self._marks: list[_Mark] = []
        #: Journal rows ever written through this buffer: each counts in the connection's total_changes.
        self.rows_written = 0

    @property
    def pending(self) -> bool:
        """Whether the transaction must leave a record."""
        return bool(self.items) or self.nonce is not None

    @property
    def full(self) -> bool:
        return self.size_bytes > SPILL_BYTES

    @property
    def savepoints(self) -> tuple[str, ...]:
        """Names of those that are open, outermost first."""
        return tuple(mark.name for mark in self._marks)

    def add(self, item: bytes) -> None:
        self.items.append(item)
        self.size_bytes += len(item)

    def clear(self) -> None:
        """The transaction is over."""
        if self.items or self.nonce is not None or self._marks:
            self.items = []
            self.nonce = None
            self.size_bytes = 0
            self._marks = []

    def savepoint(self, name: str) -> None:
        self._marks.append(_Mark(name, len(self.items), self.size_bytes, self.nonce))

    def outermost(self, name: str) -> bool:
        """Whether RELEASE of `name` releases the first savepoint of all."""
        return self._find(name) == 0

    def release(self, name: str) -> None:
        found = self._find(name)
        if found is not None:
            del self._marks[found:]

    def rollback_to(self, name: str) -> None:
        found = self._find(name)
        if found is None:
            return
        mark = self._marks[found]
        del self._marks[found + 1 :]
        if mark.spilled is not None:
            self.items = list(mark.spilled)
            mark.spilled = None
        else:
            del self.items[mark.items :]
        self.nonce = mark.nonce
        self.size_bytes = mark.size_bytes

    def _find(self, name: str) -> int | None:
        return next((i for i in range(len(self._marks) - 1, -1, -1) if self._marks[i].name == name), None)

    def spill(self, conn: sqlite3.Connection) -> None:
        """Write what is buffered as a part of the record; memory stays bounded."""
        nonce = self.nonce or new_nonce()
        append_encoded(conn, join(self.items), nonce, last=False)
        self.rows_written += 1
        for mark in self._marks:
            if mark.nonce == self.nonce and mark.spilled is None:
                mark.spilled = self.items[: mark.items]
            # A mark set after the previous spill counts from the buffer's new beginning.
        self.nonce = nonce
        self.items = []
        self.size_bytes = 0

    def close(self, conn: sqlite3.Connection) -> None:
        """Write the record's last row; COMMIT follows. What cannot be encoded or stored is carried as not known."""
        nonce = self.nonce or new_nonce()
        try:
            append_encoded(conn, join(self.items), nonce, last=True)
        except (sqlite3.DataError, OverflowError, MemoryError):
            unknown = encode_item(Undetermined("", (), "record too big"))
            append_encoded(conn, join([unknown]), nonce, last=True)
        self.rows_written += 1

    def reopen(self, conn: sqlite3.Connection) -> None:
        """COMMIT was refused and the transaction goes on: the record is not closed yet."""
        withdraw(conn)
        self.rows_written += 1
