"""Rows of a result: small ones at once, big ones a chunk at a time.

A plain result lies in libpq's memory as a whole. For a query that gives many rows (the planner says so, or it did so
before) the server keeps them instead: `DECLARE ... WITH HOLD` and the first FETCH share one string, so that a result
which turns out small is still one round trip. A held cursor outlives the statement, and transactions that begin and
end while the app reads on; its connection stays with the session until the last row is out.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...types import SqliteRow

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as PgCursor

    from ...postgres.pool import Lease

#: Rows that are fetched in one go; a plan that gave more is served by a held cursor from then on.
CHUNK_ROWS = 2_000

_numbers = itertools.count(1)


def held_name() -> str:
    """A name for a held cursor; unique in the process, so in each of its connections."""
    return f"shadow_rows_{next(_numbers)}"


def declare(name: str, text: str) -> str:
    """The string that opens a held cursor and gives its first rows. `text` is a psycopg2 format."""
    return f"DECLARE {name} NO SCROLL CURSOR WITH HOLD FOR {text}; FETCH {CHUNK_ROWS} FROM {name}"


def rows_of(cursor: PgCursor) -> Iterator[SqliteRow]:
    """The rows of a psycopg2 cursor."""
    if cursor.rowcount <= CHUNK_ROWS:
        return iter(cursor.fetchall())
    return _chunks(cursor)


def _chunks(cursor: PgCursor) -> Iterator[SqliteRow]:
    import psycopg2

    while True:
        try:
            rows = cursor.fetchmany(CHUNK_ROWS)
        except psycopg2.InterfaceError as error:
            raise _gone() from error
        if not rows:
            return
        yield from rows


class HeldRows:
    """The rows of a held cursor; the first chunk has come with the statement."""

    __slots__ = ("_lease", "_name", "_rows")

    def __init__(self, lease: Lease, name: str, first: list[SqliteRow]) -> None:
        self._lease: Lease | None = lease
        self._name = name
        self._rows: Iterator[SqliteRow] = iter(first)
        lease.held += 1
        if len(first) < CHUNK_ROWS:
            self._finish()  # all in one round trip; the next read over this connection closes the cursor on its way

    def __iter__(self) -> Iterator[SqliteRow]:
        return self

    def __next__(self) -> SqliteRow:
        for row in self._rows:
            return row
        if self._lease is None:
            raise StopIteration
        rows = self._fetch(self._lease)
        self._rows = iter(rows)
        if len(rows) < CHUNK_ROWS:
            self._close(self._lease)
        return next(self._rows)

    def _fetch(self, lease: Lease) -> list[SqliteRow]:
        import psycopg2

        if lease.returned:
            self._lease = None
            raise sqlite3.ProgrammingError("Cannot operate on a closed database.")
        try:
            with lease.conn.cursor() as cursor:
                cursor.execute(f"FETCH {CHUNK_ROWS} FROM {self._name}")
                return cursor.fetchall()
        except psycopg2.Error as error:
            self._lease = None
            raise _gone() from error

    def _close(self, lease: Lease) -> None:
        """A big result keeps a file on the server: close it now."""
        import psycopg2

        self._lease = None
        lease.held -= 1
        try:
            with lease.conn.cursor() as cursor:
                cursor.execute(f"CLOSE {self._name}")
        except psycopg2.Error:
            pass  # the connection is gone, and the cursor with it

    def _finish(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None and not lease.returned:
            lease.held -= 1
            lease.finished += 1

    def __del__(self) -> None:
        self._finish()


def _gone() -> sqlite3.Error:
    from ...postgres.errors import lost

    return lost("while rows were read")
