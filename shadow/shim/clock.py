"""One "now" per write statement, chosen in SQLite's process and carried in the record.

`CURRENT_TIMESTAMP` and its kin, and the date functions when they are asked for 'now', are overridden on a connection
when the first write that needs them is seen on it; other connections keep SQLite's own speed. An override cannot be
undone, and while a statement of the connection is running SQLite refuses one: then the rows written are captured
instead.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any

from .plain import PlainConnection, PlainCursor

_SUBSECOND = ("subsec", "subsecond")
_local = threading.local()  # a private connection per thread that runs SQLite's own date functions


_MILLISECONDS = tuple([f".{n:03d}" for n in range(1000)])
_second = (-1, "")  # the last second that was formatted, and its text: replaced as a whole, so threads may share it


def _format(seconds: float) -> str:
    global _second
    whole = int(seconds)
    at, text = _second
    if at != whole:
        text = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(whole))
        _second = (whole, text)
    return text + _MILLISECONDS[int((seconds - whole) * 1000)]


class Clock:
    """The frozen time of one connection. Refers to nothing of it, so that dropping a connection closes it at once."""

    __slots__ = ("installed", "now")

    def __init__(self) -> None:
        #: 'YYYY-MM-DD HH:MM:SS.SSS', UTC, once the running statement has asked; None before.
        self.now: str | None = None
        self.installed = False

    def install(self, conn: sqlite3.Connection) -> bool:
        """Override what asks for the time; False: not possible on this connection now."""
        if self.installed:
            return True
        try:
            (trusted,) = PlainCursor(conn).execute("PRAGMA trusted_schema").fetchone() or (1,)
            if not int(trusted):
                return False
            create = PlainConnection.create_function
            create(conn, "current_timestamp", 0, self._timestamp)
            create(conn, "current_date", 0, lambda: self.freeze()[:10])
            create(conn, "current_time", 0, lambda: self.freeze()[11:19])
            for name in ("date", "time", "datetime", "julianday", "unixepoch"):
                create(conn, name, -1, self._date_function(name, 0), deterministic=True)
            create(conn, "strftime", -1, self._date_function("strftime", 1), deterministic=True)
        except sqlite3.Error:
            return False
        self.installed = True
        return True

    def freeze(self) -> str:
        """The statement's time; chosen at the first question."""
        if self.now is None:
            self.now = _format(time.time())
        return self.now

    def _timestamp(self) -> str:
        now = self.now
        if now is None:
            now = self.now = _format(time.time())
        return now[:19]

    def _date_function(self, name: str, at: int) -> Callable[..., Any]:
        """`name` with the frozen time in place of 'now'; `at` is the place of the time among the arguments."""

        def call(*args: Any) -> Any:
            if len(args) == at:
                if at == 0 or args:
                    args = (*args, self.freeze())
            elif len(args) > at:
                given = args[at]
                if isinstance(given, str):
                    folded = given.lower()
                    if folded == "now":
                        args = (*args[:at], self.freeze(), *args[at + 1 :])
                    elif folded in _SUBSECOND and len(args) == at + 1 and sqlite3.sqlite_version_info >= (3, 42):
                        args = (*args[:at], self.freeze(), given)
            return _native(name, args)

        return call


def _native(name: str, args: tuple[Any, ...]) -> Any:
    """SQLite's own function, on a private connection of this thread."""
    plain = getattr(_local, "connection", None)
    if plain is None:
        plain = _local.connection = PlainConnection(":memory:")
    try:
        row = PlainCursor(plain).execute(f"SELECT {name}({','.join('?' * len(args))})", args).fetchone()
    except sqlite3.Error:
        return None
    return row[0]
