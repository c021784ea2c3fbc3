"""A frozen "now" for one SQLite connection.

SQLite's functions that ask the clock are overridden (`create_function`): what asks for now gets the frozen time, all
else is passed to SQLite's own functions on a private connection. The shim freezes what a write takes as now, the
comparer runs a read at the moment at which the app ran it. Cannot be undone on a connection.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeAlias

from ..types import SqliteValue

#: Gives the frozen time: 'YYYY-MM-DD HH:MM:SS.SSS', UTC.
Now: TypeAlias = "Callable[[], str]"

#: Function -> the place of its first time value; without any it means now.
_SUBSECOND = ("subsec", "subsecond")  # a modifier that may stand alone, for now
_DATE_FUNCTIONS = {"date": 0, "time": 0, "datetime": 0, "julianday": 0, "unixepoch": 0, "strftime": 1}


def freeze_keywords(conn: sqlite3.Connection, now: Now) -> None:
    """CURRENT_TIMESTAMP, CURRENT_DATE and CURRENT_TIME, also in column defaults."""
    conn.create_function("current_timestamp", 0, lambda: now()[:19])
    conn.create_function("current_date", 0, lambda: now()[:10])
    conn.create_function("current_time", 0, lambda: now()[11:19])


def freeze_functions(conn: sqlite3.Connection, now: Now) -> None:
    """`datetime('now')` and its kin. They cost a Python call for every row that uses them, asked for now or not."""
    private = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    for name, first in _DATE_FUNCTIONS.items():
        # deterministic: a generated column or an index that uses the function would else be an error
        conn.create_function(name, -1, _frozen(private, name, first, now), deterministic=True)


def _frozen(private: sqlite3.Connection, name: str, first: int, now: Now) -> Callable[..., SqliteValue]:
    def call(*args: SqliteValue) -> SqliteValue:
        if len(args) == first:
            args = (*args, now())
        elif len(args) > first:
            value = args[first]
            if isinstance(value, str):
                word = value.lower()
                if word == "now":
                    args = (*args[:first], now(), *args[first + 1 :])
                elif word in _SUBSECOND and len(args) == first + 1 and sqlite3.sqlite_version_info >= (3, 42):
                    args = (*args[:first], now(), value)
        found: SqliteValue = private.execute(f"SELECT {name}({', '.join('?' * len(args))})", args).fetchone()[0]
        return found

    return call
