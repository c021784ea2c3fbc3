"""A cursor while it serves rows from PostgreSQL: everything about results is answered from a `RemoteResult`.

`show` puts `RemoteCursor` before a cursor's own class (`shim.twin`); the next statement turns it back, so the path on
which SQLite answers overrides no fetch method. Rows pass the connection's `text_factory` and the cursor's
`row_factory` as they would in sqlite3; sqlite3.Row takes its names from a cursor of SQLite's own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from .. import twin
from ..cursor import Cursor
from .result import Description, RemoteResult


class _Shown:
    """What a cursor serves at the moment."""

    __slots__ = ("closed", "description", "lastrowid", "result", "rowcount", "rows")

    def __init__(self, result: RemoteResult, lastrowid: int | None, convert: Any) -> None:
        self.result = result
        self.rows: Iterator[Any] = result.rows if convert is None else map(convert, result.rows)
        self.description: Description | None = result.description
        # sqlite3 knows the count of a statement with RETURNING when its last row has been fetched.
        self.rowcount = 0 if result.is_dml and result.columns is not None else result.rowcount
        self.lastrowid = lastrowid
        self.closed = False


def show(cursor: sqlite3.Cursor, result: RemoteResult) -> None:
    """Make `cursor` serve `result`."""
    lastrowid = cursor.lastrowid if result.lastrowid is None else result.lastrowid
    connection: Any = cursor.connection
    detect = getattr(connection, "_shadow_detect_types", 0)
    convert = _detecting(connection, result, detect) if detect and result.columns is not None else None
    convert = convert or _text_converter(connection.text_factory)
    twin.become(cursor, RemoteCursor)
    remote: Any = cursor
    remote._shadow_shown = _Shown(result, lastrowid, convert)


class RemoteCursor(Cursor):
    """Put before a cursor's own class by `show`; never made directly."""

    _shadow_shown: _Shown

    # -- statements go back to the cursor's own class, which routes anew -----------------------------------------

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        return _own(self).execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Any:
        return _own(self).executemany(sql, parameters)

    def executescript(self, sql_script: str, /) -> Any:
        return _own(self).executescript(sql_script)

    # -- results -------------------------------------------------------------------------------------------------

    @property
    def description(self) -> Any:
        return self._shadow_shown.description

    @property
    def rowcount(self) -> int:
        return self._shadow_shown.rowcount

    @property
    def lastrowid(self) -> int | None:
        return self._shadow_shown.lastrowid

    def __iter__(self) -> Any:
        _check(self)
        return self

    def __next__(self) -> Any:
        shown = _check(self)
        for row in shown.rows:
            return _shape(self, shown, row)
        _exhausted(shown)
        raise StopIteration

    def fetchone(self) -> Any:
        shown = _check(self)
        for row in shown.rows:
            return _shape(self, shown, row)
        _exhausted(shown)
        return None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        count = self.arraysize if size is None else size
        out: list[Any] = []
        while len(out) < count or count < 0:
            row = self.fetchone()
            if row is None:
                break
            out.append(row)
        return out

    def fetchall(self) -> list[Any]:
        shown = _check(self)
        rows = list(shown.rows)
        _exhausted(shown)
        factory = self.row_factory
        if factory is None:
            return rows
        if _makes_rows(factory):
            primed = shown.result.primed
            return [factory(primed, row) for row in rows]
        return [factory(self, row) for row in rows]

    def close(self) -> None:
        self._shadow_shown.closed = True
        self._shadow_shown.rows = iter(())
        lastrowid, rowcount = self.lastrowid, self.rowcount
        super().close()
        self._shadow_shown.lastrowid, self._shadow_shown.rowcount = lastrowid, rowcount


def _own(cursor: Any) -> Any:
    """The cursor as itself again; what it was serving is dropped."""
    shown = cursor._shadow_shown
    twin.restore(cursor)
    if shown.closed:
        raise sqlite3.ProgrammingError("Cannot operate on a closed cursor.")
    return cursor


def _check(cursor: RemoteCursor) -> _Shown:
    shown = cursor._shadow_shown
    if shown.closed:
        raise sqlite3.ProgrammingError("Cannot operate on a closed cursor.")
    return shown


def _exhausted(shown: _Shown) -> None:
    shown.rowcount = shown.result.rowcount


def _shape(cursor: RemoteCursor, shown: _Shown, row: Any) -> Any:
    factory = cursor.row_factory
    if factory is None:
        return row
    if _makes_rows(factory):
        return factory(shown.result.primed, row)
    return factory(cursor, row)


def _makes_rows(factory: Any) -> bool:
    """sqlite3.Row takes its names from the C side of its cursor: it needs a primed one."""
    return factory is sqlite3.Row or (isinstance(factory, type) and issubclass(factory, sqlite3.Row))


def _detecting(connection: Any, result: RemoteResult, detect: int) -> Any:
    """`detect_types` of the connection: names in the result's columns are cut, and rows go through converters."""
    from .types import converted, converters, shown_name

    found = converters(result, detect)
    result.columns = tuple(shown_name(column, detect) for column in result.columns or ())
    if found is None:
        return None
    factory = connection.text_factory
    text = None if factory is str else factory
    return lambda row: converted(row, found, text)


def _text_converter(factory: Any) -> Any:
    """What `connection.text_factory` asks for; None: str, as the rows have it."""
    if factory is str:
        return None
    if factory is bytes:
        return lambda row: tuple([v.encode() if type(v) is str else v for v in row])
    return lambda row: tuple([factory(v.encode()) if type(v) is str else v for v in row])
