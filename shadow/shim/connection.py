"""The connection that apps get for a shadowed file: a real subclass of sqlite3's.

Python's sqlite3 commits in more places than `commit()`: `with conn:`, the isolation_level setter, the autocommit
attribute, executescript, a blob written. Each is overridden here so that the journal record is in the transaction
before SQLite commits it.
"""

from __future__ import annotations

import os
import sqlite3
from typing import Any
from urllib.parse import unquote

from .. import config
from ..config import Settings
from . import start, warm
from .classify import fold
from .counters import conn_total
from .cursor import Cursor, InstanceOfEither, combined
from .plain import (
    PlainConnection,
    PlainCursor,
    always_begun,
    autocommit,
    bypassed,
    in_transaction,
    isolation_level,
    ours,
    set_isolation_level,
)
from .routing import router_for
from .session import Session

_Base = PlainConnection
_URI_PARAMETER = 7
_cursor = PlainConnection.cursor
_commit = PlainConnection.commit
_HAS_AUTOCOMMIT = autocommit is not None


class Connection(_Base, metaclass=InstanceOfEither):
    """A connection to SQLite, or, while PostgreSQL is primary, to what takes its place."""

    _stands_for = _Base
    _shadow: Session | None = None
    _shadow_detect_types: int = 0

    def __init__(self, database: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(database, *args, **kwargs)
        self._shadow_detect_types = args[1] if len(args) > 1 else kwargs.get("detect_types", 0)
        uri = bool(args[_URI_PARAMETER - 1] if len(args) >= _URI_PARAMETER else kwargs.get("uri", False))
        path = file_path(database, uri=uri)
        settings = None if path is None or bypassed() else config.settings_for(path)
        if settings is not None:
            start.check(self, settings)
            self._shadow = Session(settings, router_for(settings))
            warm.connected(settings)

    # -- statements -----------------------------------------------------------------------------------------------

    def cursor(self, factory: Any = None) -> Any:
        if factory is None:
            return _Base.cursor(self, Cursor)
        if isinstance(factory, type) and type.__subclasscheck__(PlainCursor, factory):
            factory = combined(factory)
        return _Base.cursor(self, factory)

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        return _cursor(self, Cursor).execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        return _Base.cursor(self, Cursor).executemany(sql, parameters)

    def executescript(self, sql_script: str, /) -> Any:
        return _Base.cursor(self, Cursor).executescript(sql_script)

    # -- transactions ---------------------------------------------------------------------------------------------

    def commit(self) -> None:
        session = self._shadow
        if session is None or (_HAS_AUTOCOMMIT and autocommit.__get__(self) is True):
            _commit(self)  # with autocommit=True it does nothing, whatever text has begun
            return
        if session.remote is not None and session.finish_remote(commit=True):
            _stand_ready(self)
            return
        buffer = session.buffer
        if buffer.items or buffer.nonce is not None:
            session.before_commit(self)
        try:
            _commit(self)
        except BaseException:
            session.commit_failed(self)
            raise
        session.reset()

    def rollback(self) -> None:
        session = self._shadow
        if session is None or (_HAS_AUTOCOMMIT and autocommit.__get__(self) is True):
            super().rollback()
            return
        if session.remote is not None and session.finish_remote(commit=False):
            _stand_ready(self)
            return
        super().rollback()
        session.rolled_back()

    def __exit__(self, kind: Any, value: Any, traceback: Any, /) -> Any:
        session = self._shadow
        if session is None:
            return super().__exit__(kind, value, traceback)
        if _HAS_AUTOCOMMIT and self.autocommit is True:
            return False
        if kind is not None:
            self.rollback()
            return False
        try:
            self.commit()
        except BaseException:
            self.rollback()
            raise
        return False

    def close(self) -> None:
        session = self._shadow
        if session is not None:
            if session.remote is not None:
                session.remote.close()
                session.remote = None
            session.buffer.clear()
        super().close()

    @property
    def in_transaction(self) -> bool:
        session = self._shadow
        return bool(in_transaction(self)) or (session is not None and session.remote_open)

    @property
    def isolation_level(self) -> Any:
        return isolation_level(self)

    @isolation_level.setter
    def isolation_level(self, level: Any) -> None:
        session = self._shadow
        if session is not None and level is None:  # sqlite3 commits here
            self.commit() if self.in_transaction else None
        set_isolation_level(self, level)

    if _HAS_AUTOCOMMIT:

        @property
        def autocommit(self) -> Any:
            return autocommit.__get__(self)

        @autocommit.setter
        def autocommit(self, value: Any) -> None:
            if self._shadow is not None and value is True and self.in_transaction:
                self.commit()
            autocommit.__set__(self, value)

    @property
    def total_changes(self) -> int:
        session = self._shadow
        if session is None:
            return conn_total(self)
        there = 0 if session.remote is None else session.remote.total_changes
        return conn_total(self) - session.counters.ours + there

    # -- what the app adds to its connection ----------------------------------------------------------------------

    def create_function(self, name: str, *args: Any, **kwargs: Any) -> None:
        super().create_function(name, *args, **kwargs)
        self._shadow_defined(name)

    def create_aggregate(self, name: str, *args: Any, **kwargs: Any) -> None:
        super().create_aggregate(name, *args, **kwargs)
        self._shadow_defined(name)

    def create_window_function(self, name: str, *args: Any, **kwargs: Any) -> None:
        super().create_window_function(name, *args, **kwargs)
        self._shadow_defined(name)

    def _shadow_defined(self, name: str) -> None:
        if self._shadow is not None:
            self._shadow.functions.add(fold(name))
            self._shadow.forget_plans()

    def set_trace_callback(self, callback: Any, /) -> None:
        """Statements of ours are not traced."""
        if self._shadow is None or callback is None:
            super().set_trace_callback(callback)
        else:
            super().set_trace_callback(lambda text: None if "_shadow_" in text else callback(text))

    def blobopen(self, table: str, column: str, row: int, /, *, readonly: bool = False, name: str = "main") -> Any:
        def opener() -> Any:
            return _Base.blobopen(self, table, column, row, readonly=readonly, name=name)

        if self._shadow is None or readonly or name != "main":
            return opener()
        from .blob import Blob

        return Blob(self, self._shadow, table, opener)


def _stand_ready(conn: sqlite3.Connection) -> None:
    """With autocommit=False the next transaction is open at once; where it goes is asked when something runs in it."""
    if always_begun(conn) and not in_transaction(conn):
        ours(conn, "BEGIN")


def file_path(database: Any, *, uri: bool) -> str | None:
    """The file that a connect string names, or None: memory, or a temporary one."""
    text = os.fsdecode(database)
    if uri and text.startswith("file:"):
        path, _, query = text[5:].partition("#")[0].partition("?")
        if path.startswith("//"):
            path = "/" + path[2:].partition("/")[2]
        text = unquote(path)
        options = dict(pair.partition("=")[::2] for pair in query.split("&"))
        if options.get("mode") == "memory" or "vfs" in options:
            return None
    return None if text in ("", ":memory:") else text


_factories: dict[type, type] = {}


def factory_for(given: Any) -> Any:
    """The class for a shadowed file: ours, or the app's with ours between it and sqlite3's."""
    if given is None or given is _Base or given is Connection:
        return Connection
    if not isinstance(given, type) or not type.__subclasscheck__(_Base, given):
        return _checked(given)
    if type.__subclasscheck__(Connection, given):
        return given
    known = _factories.get(given)
    if known is None:
        known = _factories[given] = InstanceOfEither(
            given.__name__, (given, Connection), {"__module__": given.__module__, "__doc__": given.__doc__}
        )
    return known


def _checked(given: Any) -> Any:
    """A factory that is no class may return what it likes, but not a connection that writes past the journal."""

    def make(*args: Any, **kwargs: Any) -> Any:
        made = given(*args, **kwargs)
        if isinstance(made, _Base) and getattr(made, "_shadow", None) is None:
            _Base.close(made)
            raise sqlite3.NotSupportedError(
                f"connect(factory={given!r}) gives a connection that shadow does not see; give a class derived from"
                " sqlite3.Connection, or let the factory make a shadow.sqlite3.Connection"
            )
        return made

    return make if callable(given) else given


def shadowed(database: Any, *, uri: bool) -> Settings | None:
    """The settings of the pair that a connect string names, if it is one."""
    try:
        path = file_path(database, uri=uri)
    except TypeError:
        return None  # sqlite3 says what is wrong with it
    return None if path is None or bypassed() else config.settings_for(path)
