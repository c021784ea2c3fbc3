"""Two ways to run a change on PostgreSQL: many in one string, or one by one to see which of them fails.

`Batch` joins prepared statements into one string, so that a group of a thousand costs a few round trips. When anything
in it fails the whole group is rolled back, and `Careful` runs it again with a savepoint around each statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import psycopg2
from psycopg2.extensions import cursor as PgCursor

from .change import Change
from .dirt import DivergenceKind
from .faults import is_of_the_world
from .literals import literal, sendable
from .statements import Count, PlanStep, Statements

_BATCH_STATEMENTS_MAX = 500
_BATCH_CHARS_MAX = 512 * 1024


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

    __slots__ = ("_chars", "_cursor", "_now", "_parts", "_statements")

    def __init__(self, cursor: PgCursor, statements: Statements) -> None:
        self._cursor = cursor
        self._statements = statements
        self._parts: list[str] = []
        self._chars = 0
        self._now: str | None = None

    def change(self, change: Change) -> None:
        if change.now is not None and change.now != self._now:
            self._add(f"SET LOCAL shadow.now TO {literal(change.now)}")
            self._now = change.now
        if change.rows is None:
            count = Count.UNCHECKED
        elif change.rows_each is not None:
            count = Count.EXACT
        else:
            count = Count.SUMMED
            self._add("SET LOCAL shadow.rows TO 0")
        try:
            for commands in change.sets:
                for step, params in commands:
                    self._step(step, params, count if step.counted else Count.UNCHECKED, change.rows_each)
        except (psycopg2.Error, ValueError) as error:  # ValueError: a value cannot be written down (NUL in text)
            raise GroupFailed from error
        if count is Count.SUMMED:
            self._add(f"SELECT 1 / (current_setting('shadow.rows')::bigint = {change.rows})::int")
        self._flush_when_full()

    def direct(self, commands: list[tuple[str, tuple[object, ...]]]) -> None:
        try:
            for sql, params in commands:
                self._add(self._cursor.mogrify(sql, params).decode())
        except (psycopg2.Error, ValueError) as error:
            raise GroupFailed from error
        self._flush_when_full()

    def flush(self) -> None:
        self.finish("")

    def finish(self, tail: str) -> None:
        """Send what waits, with `tail` at the end of the same string."""
        parts, self._parts, self._chars = self._parts, [], 0
        if tail:
            parts.append(tail)
        if parts:
            try:
                self._cursor.execute(";".join(parts))
            except psycopg2.Error as error:
                raise GroupFailed from error

    def _flush_when_full(self) -> None:
        if len(self._parts) >= _BATCH_STATEMENTS_MAX or self._chars >= _BATCH_CHARS_MAX:
            self.flush()

    def _step(self, step: PlanStep, params: Sequence[object], count: Count, expected: int | None) -> None:
        if count is Count.EXACT and expected == 1 and step.one_row:
            count = Count.UNCHECKED
        name = step.names.get(count)
        if name is None:
            self.flush()  # a table made by DDL of this group is there now
            name = self._statements.prepare(self._cursor, step, params, count)
        if not name:
            self._alone(step, params, count, expected)
            return
        arguments = [literal(value) for value in params]
        if count is Count.EXACT:
            arguments.append(str(expected))
        self._add(f"EXECUTE {name}({','.join(arguments)})" if arguments else f"EXECUTE {name}")

    def _alone(self, step: PlanStep, params: Sequence[object], count: Count, expected: int | None) -> None:
        """A statement that PostgreSQL would not prepare."""
        self.flush()
        self._cursor.execute(step.sql, sendable(params))
        rows = max(self._cursor.rowcount, 0)
        if count is Count.EXACT and rows != expected:
            raise GroupFailed
        if count is Count.SUMMED:
            self._add(
                f"SELECT set_config('shadow.rows', (current_setting('shadow.rows')::bigint + {rows})::text, true)"
            )

    def _add(self, part: str) -> None:
        self._parts.append(part)
        self._chars += len(part)


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
                for step, params in commands:
                    cursor.execute(step.sql, sendable(params))
                    rows += max(cursor.rowcount, 0) if step.counted else 0
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
