"""Two ways to run a change on PostgreSQL: many in one string, or one by one to see which of them fails.

`Batch` joins prepared statements into one string, so that a group of a thousand costs a few round trips. When anything
in it fails the whole group is rolled back, and `Careful` runs it again with a savepoint around each statement.
"""

from __future__ import annotations

from typing import Protocol

import psycopg2
from psycopg2.extensions import cursor as PgCursor

from .change import Change
from .command import Command
from .dirt import DivergenceKind
from .faults import is_of_the_world
from .statements import Count, Statements

_BATCH_STATEMENTS_MAX = 500
_BATCH_BYTES_MAX = 512 * 1024


class GroupFailed(Exception):
    """Something in a batch failed; the group is to be run again, carefully."""


class Diverged(Exception):
    """One statement had another effect than on SQLite; its effect is undone."""

    def __init__(self, kind: DivergenceKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


class Sender(Protocol):
    """How a group sends what it does."""

    def change(self, change: Change) -> None:
        """Run a statement of the app. Raises `Diverged` when it, and nothing else, failed."""

    def direct(self, commands: list[tuple[str, tuple[object, ...]]]) -> None:
        """Run commands whose row counts nobody knows (row images, DDL). Raises `Diverged`."""

    def flush(self) -> None:
        """Have everything run before the caller sends something itself."""


class Batch:
    """Joins statements; any failure is a `GroupFailed`."""

    __slots__ = ("_bytes", "_cursor", "_now", "_parts", "_statements")

    def __init__(self, cursor: PgCursor, statements: Statements) -> None:
        self._cursor = cursor
        self._statements = statements
        self._parts: list[bytes] = []
        self._bytes = 0
        self._now: str | None = None

    def change(self, change: Change) -> None:
        if change.now is not None and change.now != self._now:
            self._add(self._cursor.mogrify("SET LOCAL shadow.now TO %s", (change.now,)))
            self._now = change.now
        if change.rows is None:
            count = Count.UNCHECKED
        elif change.rows_each is not None:
            count = Count.EXACT
        else:
            count = Count.SUMMED
            self._add(b"SET LOCAL shadow.rows TO 0")
        for commands in change.sets:
            for command in commands:
                self._step(command, count if command.counted else Count.UNCHECKED, change.rows_each)
        if count is Count.SUMMED:
            self._add(b"SELECT 1 / (current_setting('shadow.rows')::bigint = %d)::int" % (change.rows or 0))
        self._flush_when_full()

    def direct(self, commands: list[tuple[str, tuple[object, ...]]]) -> None:
        for sql, params in commands:
            self._step(Command(sql, params, counted=False), Count.UNCHECKED, None)
        self._flush_when_full()

    def flush(self) -> None:
        self.finish(b"")

    def finish(self, tail: bytes) -> None:
        """Send what waits, with `tail` at the end of the same string."""
        parts, self._parts, self._bytes = self._parts, [], 0
        if tail:
            parts.append(tail)
        if parts:
            try:
                self._cursor.execute(b";".join(parts))
            except psycopg2.Error as error:
                raise GroupFailed from error

    def _flush_when_full(self) -> None:
        if len(self._parts) >= _BATCH_STATEMENTS_MAX or self._bytes >= _BATCH_BYTES_MAX:
            self.flush()

    def _step(self, command: Command, count: Count, expected: int | None) -> None:
        try:
            prepared = self._statements.prepared(self._cursor, command, count)
            if prepared.name is not None:
                arguments = (*command.params, expected) if count is Count.EXACT else command.params
                self._add(self._cursor.mogrify(prepared.execute, arguments))
                return
            self.flush()
            self._cursor.execute(command.sql, command.params)
        except (psycopg2.Error, ValueError) as error:  # ValueError: psycopg2 cannot write the value down (NUL in text)
            raise GroupFailed from error
        rows = max(self._cursor.rowcount, 0)
        if count is Count.EXACT and rows != expected:
            raise GroupFailed
        if count is Count.SUMMED:
            self._add(
                b"SELECT set_config('shadow.rows', (current_setting('shadow.rows')::bigint + %d)::text, true)" % rows
            )

    def _add(self, part: bytes) -> None:
        self._parts.append(part)
        self._bytes += len(part)


class Careful:
    """Runs statement by statement, each in a savepoint of its own, and says which of them diverges."""

    __slots__ = ("_cursor",)

    def __init__(self, cursor: PgCursor) -> None:
        self._cursor = cursor

    def change(self, change: Change) -> None:
        cursor = self._cursor
        cursor.execute("SAVEPOINT shadow_s")
        try:
            if change.now is not None:
                cursor.execute("SET LOCAL shadow.now TO %s", (change.now,))
            rows = 0
            for commands in change.sets:
                for command in commands:
                    cursor.execute(command.sql, command.params)
                    rows += max(cursor.rowcount, 0) if command.counted else 0
        except (psycopg2.Error, ValueError) as error:
            raise self._undone(error) from error
        if change.rows is not None and rows != change.rows:
            cursor.execute("ROLLBACK TO shadow_s; RELEASE shadow_s")
            raise Diverged(DivergenceKind.ROWCOUNT, f"{change.rows} rows on SQLite, {rows} on PostgreSQL")
        cursor.execute("RELEASE shadow_s")

    def direct(self, commands: list[tuple[str, tuple[object, ...]]]) -> None:
        self._cursor.execute("SAVEPOINT shadow_s")
        try:
            for sql, params in commands:
                self._cursor.execute(sql, params)
        except (psycopg2.Error, ValueError) as error:
            raise self._undone(error) from error
        self._cursor.execute("RELEASE shadow_s")

    def flush(self) -> None:
        """Nothing waits here."""

    def _undone(self, error: Exception) -> Diverged:
        if not isinstance(error, psycopg2.Error):
            self._cursor.execute("ROLLBACK TO shadow_s; RELEASE shadow_s")
            return Diverged(DivergenceKind.VALUE, f"psycopg2 cannot send a value: {error}")
        if is_of_the_world(error):
            raise error
        self._cursor.execute("ROLLBACK TO shadow_s; RELEASE shadow_s")
        text = " ".join((error.diag.message_primary or str(error)).split())
        return Diverged(DivergenceKind.ERROR, f"{error.pgcode}: {text}")
