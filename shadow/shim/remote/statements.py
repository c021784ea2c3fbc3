"""A session's reads and writes: binding, the strings to send, rows, counts and row ids."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...errors import NotPrimary
from ...types import PgMode, SqliteRow
from ..adapt import Params
from .entry import Entry
from .link import SchemaMoved, pg_error, table_args
from .plan import Plan, not_supported
from .result import RemoteResult
from .rows import CHUNK_ROWS, HeldRows, declare, held_name, rows_of
from .transaction import Phase, literal

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as PgCursor

    from ...translate.translation import Special


class Statements(Entry):
    """Statements that PostgreSQL answers."""

    def _read(self, plan: Plan, values: Params) -> RemoteResult:
        ((text, args),) = self._bind(plan, values)
        tx = self._tx
        if tx.phase is Phase.NONE:
            return self._read_autocommit(plan, text, args)
        if tx.phase is Phase.PENDING:
            cursor = self._first(plan, lambda: tx.open_read() + text, args, Phase.READ)
            tx.seen = True
        else:
            cursor = self._later(plan, text, args)
        if cursor.rowcount > CHUNK_ROWS:
            plan.big = True
        return RemoteResult(plan.columns, rows_of(cursor), plan=plan)

    def _read_autocommit(self, plan: Plan, text: str, args: tuple[object, ...]) -> RemoteResult:
        prefix = ""
        if self.ask:
            prefix = f"SELECT shadow.enter({literal(self.settings.pg_schema)}, {self._state().version}); "
        if plan.big is None:
            plan.big = self._many_rows(plan, text, args)
        name = held_name() if plan.big else ""
        full = prefix + (declare(name, text) if plan.big else text)

        def send() -> PgCursor:
            lease = self._leased()
            if not lease.finished or lease.held:
                return self._run(full, args)
            cursor = self._run(f"CLOSE ALL; {full}", args)
            lease.finished = 0
            return cursor

        cursor = self._retrying(send, plan, read_only=True)
        plan.parsed = True
        rows: Iterator[SqliteRow]
        if plan.big:
            rows = HeldRows(self._leased(), name, cursor.fetchall())
        else:
            rows = rows_of(cursor)
            if cursor.rowcount > CHUNK_ROWS:
                plan.big = True
        self._give_back()
        return RemoteResult(plan.columns, rows, plan=plan)

    def _many_rows(self, plan: Plan, text: str, args: tuple[object, ...]) -> bool:
        """What the planner thinks of a query's first run; a wrong guess costs memory or a little time, nothing else."""
        cursor = self._retrying(lambda: self._run(f"EXPLAIN (FORMAT JSON) {text}", args), plan, read_only=True)
        (answer,) = cursor.fetchone() or ("[]",)
        return bool(json.loads(answer)[0]["Plan"]["Plan Rows"] > CHUNK_ROWS)

    def _write(self, plan: Plan, values: Params, implicit_begin: str | None) -> RemoteResult:
        tx = self._tx
        if self.foreign_keys:
            self._need_keys()
        strings = self._bind(plan, values)
        strings[0] = (self._id_rules(plan) + strings[0][0], strings[0][1])
        if len(strings) > 1:
            # A row that was skipped has taken an id from the sequence; without AUTOINCREMENT SQLite uses it again.
            again = self._id_rules(plan, again=True)
            strings[1:] = [(again + text, args) for text, args in strings[1:]]
        if plan.burns and self.settings.pg_mode is PgMode.SERIAL:
            pair = literal(self.settings.pg_schema)
            strings += [(f"SELECT shadow.keep_ids({pair}, {table_args(table)})", ()) for table in plan.burns]
        gaps = plan.gaps if self.settings.pg_mode is PgMode.SERIAL else ()
        for table in gaps:
            strings.append((f"SELECT shadow.close_gaps({literal(self._pair)}, {table_args(table)})", ()))
        implied = tx.phase is Phase.NONE and implicit_begin is not None
        # Several strings need a transaction even when the app has none.
        own = tx.phase is Phase.NONE and not implied and len(strings) > 1
        if implied or own:
            tx.begin(implicit_begin or "DEFERRED")
        try:
            cursors = [self._write_string(plan, text, args) for text, args in strings]
        except SchemaMoved:
            if implied or own:
                tx.reset()
            raise
        except (sqlite3.Error, NotPrimary):
            if own:
                self.rollback()
            raise
        result = self._written(plan, cursors[: len(plan.groups)])
        if gaps:
            (last,) = cursors[-1].fetchone() or (None,)
            self.last_insert_rowid = self.last_insert_rowid if last is None else last
        if own:
            self.commit()
        elif tx.phase is Phase.NONE:
            self._give_back()
        else:
            tx.written = tx.seen = True
        return result

    def _need_keys(self) -> None:
        """The first write with foreign keys on: their triggers must be there."""
        state = self._state()
        if state.keys_ready:
            return
        from .keys import has_keys, install_keys

        if has_keys(state.catalog):
            inside = self._tx.phase in (Phase.READ, Phase.WRITE)
            try:
                if inside:
                    self._run_guarded(self._tx.guard() + "SELECT 1")
                install_keys(self._cursor(), state.catalog)
            except pg_error() as error:
                if inside:
                    self._undo_statement(error)
                raise self._translate(error) from error
            finally:
                self._give_back_unless_in_transaction()
            if inside and state is not self._tx.local:
                return  # a rollback takes them away again
        state.keys_ready = True

    def _write_string(self, plan: Plan, text: str, args: tuple[object, ...]) -> PgCursor:
        tx = self._tx
        version = self._state().version
        if tx.phase is Phase.NONE:
            cursor = self._retrying(lambda: self._run(tx.entry(version) + text, args), plan)
            plan.parsed = True
            return cursor
        if tx.phase is Phase.PENDING:
            return self._first(plan, lambda: tx.open_write(version) + text, args, Phase.WRITE)
        if tx.phase is Phase.READ:
            self._enter_late(version)
        try:
            return self._later(plan, text, args)
        except sqlite3.IntegrityError as error:
            cause: BaseException | None = error.__cause__
            if not isinstance(cause, pg_error()) or cause.pgcode != "23505" or not self._raise_ids(plan, cause):
                raise
        return self._later(plan, text, args)

    def _written(self, plan: Plan, cursors: list[PgCursor]) -> RemoteResult:
        """Counts of all strings, rows of all: each has done a part of the statement."""
        translation = plan.translation
        assert translation is not None
        count = sum(max(cursor.rowcount, 0) for cursor in cursors)
        rows = [row for cursor in cursors if cursor.description is not None for row in cursor.fetchall()]
        if translation.rowid_appended:
            if rows and rows[-1][-1] is not None:
                self.last_insert_rowid = rows[-1][-1]
            rows = [row[:-1] for row in rows]
        self.changes = count
        self.total_changes += count
        if plan.columns is None:
            return RemoteResult(rowcount=count, is_dml=True)
        return RemoteResult(plan.columns, iter(rows), count, is_dml=True, plan=plan)

    def _bind(self, plan: Plan, values: Params) -> list[tuple[str, tuple[object, ...]]]:
        """The strings to send, each with its arguments; steps whose count does not matter are joined to the next."""
        translation = plan.translation
        assert translation is not None
        specials = self._specials() if plan.statement.mentions_counters else None
        try:
            steps = translation.bind(values, specials=specials)
        except ValueError as error:  # values.codec.DoesNotFit
            raise not_supported(str(error)) from error
        if len(steps) == 1:
            return steps
        return [
            ("; ".join(steps[i][0] for i in group), tuple(a for i in group for a in steps[i][1]))
            for group in plan.groups
        ]

    def _specials(self) -> dict[Special, object]:
        from ...translate.translation import Special

        return {
            Special.LAST_INSERT_ROWID: self.last_insert_rowid,
            Special.CHANGES: self.changes,
            Special.TOTAL_CHANGES: self.total_changes,
        }

    def _id_rules(self, plan: Plan, *, again: bool = False) -> str:
        """Serial mode: what makes the next row id the one SQLite would choose. `again`: before a later string of it."""
        if self.settings.pg_mode is not PgMode.SERIAL:
            return ""
        pair = literal(self.settings.pg_schema)
        parts = []
        for table in plan.shrinks if not again else ():
            parts.append(f"SELECT shadow.keep_high_water({pair}, {table_args(table)}); ")
        for table in plan.inserts_into:
            if again and table.autoincrement:
                continue
            parts.append(f"SELECT shadow.align_ids({pair}, {table_args(table)}, {table.autoincrement}); ")
        return "".join(parts)
