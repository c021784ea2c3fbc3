"""sqlite3's own classes and attributes, past the shim's overrides and past what `install()` has put in their place.

Bound when this module is loaded, which is before anything can be installed.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PlainConnection = sqlite3.Connection
PlainCursor = sqlite3.Cursor
plain_connect = sqlite3.connect

#: sqlite3's own methods; each takes a cursor.
run = PlainCursor.execute
run_many = PlainCursor.executemany

_attributes: dict[str, Any] = PlainConnection.__dict__  # type: ignore[assignment]

#: Each takes a connection.
in_transaction = _attributes["in_transaction"].__get__
isolation_level = _attributes["isolation_level"].__get__
set_isolation_level = _attributes["isolation_level"].__set__
total_changes = _attributes["total_changes"].__get__
#: From Python 3.12 on.
autocommit: Any = _attributes.get("autocommit")

#: Python's name for "as before 3.12".
LEGACY = -1


_bypass = threading.local()  # `active`: this thread connects past the shim


@contextmanager
def bypass() -> Iterator[None]:
    """Connections made inside are plain ones, also after `install()`: set-up code of ours runs in the app's process."""
    before = bypassed()
    _bypass.active = True
    try:
        yield
    finally:
        _bypass.active = before


def bypassed() -> bool:
    return getattr(_bypass, "active", False)


def ours(conn: sqlite3.Connection, sql: str, params: tuple[Any, ...] = ()) -> sqlite3.Cursor:
    """A statement of ours on the app's connection, on a cursor of its own."""
    return PlainCursor(conn).execute(sql, params)


def ask(conn: sqlite3.Connection, sql: str, params: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Rows of a question of ours: plain tuples, whatever the connection's factories."""
    return PlainCursor(conn).execute(sql, params).fetchall()


def always_begun(conn: sqlite3.Connection) -> bool:
    """Whether Python keeps a transaction open at all times (autocommit=False)."""
    return autocommit is not None and autocommit.__get__(conn) is False


def has_legacy_transactions(conn: sqlite3.Connection) -> bool:
    """Whether Python begins transactions before DML, by isolation_level."""
    return autocommit is None or autocommit.__get__(conn) == LEGACY
