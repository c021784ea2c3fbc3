"""A blob opened for writing: no statement tells what is written, so its table is marked, at open and at close."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from . import write
from .session import Session


class Blob:
    """Delegates to sqlite3's blob; `close` marks the table in the transaction in which the blob is written."""

    def __init__(self, conn: sqlite3.Connection, session: Session, table: str, opener: Callable[[], Any]) -> None:
        self._conn, self._session, self._table = conn, session, table
        self._blob: Any = None
        # Outside a transaction the mark at open is a record of its own: a process that dies before close has
        # written nothing, since SQLite commits the blob when it is closed.
        write.mark(session, conn, table, "blob opened for writing", lambda: None)
        self._blob = opener()

    def close(self) -> None:
        blob, self._blob = self._blob, None
        if blob is None:
            return
        write.mark(self._session, self._conn, self._table, "blob written", blob.close)

    def __del__(self) -> None:
        try:
            self.close()
        except (sqlite3.Error, AttributeError):
            pass  # the connection is gone, and what was written with it

    def __enter__(self) -> Blob:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._blob)

    def __getitem__(self, key: Any) -> Any:
        return self._blob[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._blob[key] = value

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blob, name)
