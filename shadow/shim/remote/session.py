"""One app connection's PostgreSQL side: statements, transactions and counters as sqlite3 has them.

A connection is leased from the process's pool for a transaction (or one autocommit statement) and given back after it.
Every write goes in under the fence, with the flag read behind the lock (`transaction`); what SQLite would say
about the text itself is asked of the replica (`plan`). Only sqlite3's exceptions leave this module, and
`NotPrimary` while nothing of the transaction has been seen by the app.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...errors import NotPrimary
from ..adapt import Params
from ..classify import Kind, classify
from .entry import REPLANS_MAX
from .link import Misfit, SchemaMoved, locked, lost, mismatch, pg_error
from .params import Shape, adapt
from .plan import Plan, Way, make_plan
from .result import RemoteResult
from .schema import SchemaState
from .statements import Statements
from .transaction import GUARD, Phase

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as PgCursor


class RemoteSession(Statements):
    """Not thread-safe, as a sqlite3 connection is not."""

    def execute(self, sql: str, params: object, *, implicit_begin: str | None = None) -> RemoteResult:
        """Run one statement. `implicit_begin`: how Python's legacy mode would begin before DML; None: it would not."""
        self._check_fork()
        values, shape = adapt(params, classify(sql))
        for _ in range(REPLANS_MAX):
            plan = self._state().plans.get((sql, shape)) if shape is not None else None
            if plan is None:
                plan = self._new_plan(sql, values, shape)
            try:
                result = self._dispatch(plan, values, implicit_begin)
            except SchemaMoved:
                continue
            except Misfit as misfit:
                self._widen(plan, values, misfit)
                continue
            if result.lastrowid is None:
                result.lastrowid = self.last_insert_rowid
            return result
        raise locked()

    def executemany(self, sql: str, param_sets: Iterable[object], *, implicit_begin: str | None = None) -> RemoteResult:
        """Run one DML statement per parameter set; rows done before an error stay, as SQLite has it."""
        from .many import run_many

        self._check_fork()
        return run_many(self, sql, param_sets, implicit_begin)

    def execute_batch(self, sql: str, batch: list[object], *, implicit_begin: str | None) -> int | None:
        """Run an INSERT once per parameter set in one string; None: not possible or failed, and nothing is done.

        Only for statements of which every run that succeeds makes exactly one row.
        """
        plans = [self._plan_for(sql, params) for params in batch]
        if not all(plan.one_row for plan, _ in plans):
            return None
        tx = self._tx
        if tx.phase is Phase.FAILED:
            return None
        if self.foreign_keys:
            self._need_keys()
        implied = tx.phase is Phase.NONE and implicit_begin is not None
        if implied:
            tx.begin(implicit_begin or "DEFERRED")
        strings = [self._bind(plan, values)[0] for plan, values in plans]
        text = self._id_rules(plans[0][0]) + "; ".join(text for text, _ in strings)
        try:
            cursor = self._write_string(plans[0][0], text, tuple(a for _, args in strings for a in args))
        except (SchemaMoved, sqlite3.Error):
            if implied and tx.phase is Phase.PENDING:
                tx.reset()
            return None
        self.last_insert_rowid = cursor.fetchall()[-1][-1]
        self.changes = 1
        self.total_changes += len(batch)
        if tx.phase is Phase.NONE:
            self._give_back()
        else:
            tx.written = tx.seen = True
        return len(batch)

    def _plan_for(self, sql: str, params: object) -> tuple[Plan, Params]:
        values, shape = adapt(params, classify(sql))
        plan = self._state().plans.get((sql, shape)) if shape is not None else None
        return plan or self._new_plan(sql, values, shape), values

    def close(self) -> None:
        """Roll back and give the connection back; the session can be used again."""
        self._tx.reset()
        lease, self._lease = self._lease, None
        if lease is not None:
            self._pool.release(lease)
        if self.pragmas is not None:
            self.pragmas.close()
            self.pragmas = None

    def __del__(self) -> None:
        lease = getattr(self, "_lease", None)
        if lease is not None and not sys.is_finalizing():
            self._lease = None
            self._pool.release(lease)

    # -- which way ---------------------------------------------------------------------------------------------------

    def _dispatch(self, plan: Plan, values: Params, implicit_begin: str | None) -> RemoteResult:
        way = plan.way
        if self._tx.phase is Phase.FAILED and way is not Way.CONTROL:
            raise lost("roll back first") if self._tx.written else locked()
        if way is Way.READ:
            return self._read(plan, values)
        if way is Way.WRITE:
            return self._write(plan, values, implicit_begin)
        if way is Way.CONTROL:
            return self._control(plan)
        if way is Way.REPLICA:
            return self.ask_replica(plan.sql, values)
        if way is Way.PRAGMA:
            from .pragma import run_pragma

            return run_pragma(self, plan.sql, plan.statement)
        if way is Way.DDL:
            from .ddl import run_ddl

            return run_ddl(self, plan.sql, plan.statement)
        if plan.statement.kind is Kind.VACUUM and self.in_transaction:
            raise sqlite3.OperationalError("cannot VACUUM from within a transaction")
        return RemoteResult()

    def _new_plan(self, sql: str, values: Params, shape: Shape | None) -> Plan:
        state = self._state()
        try:
            plan = make_plan(state, sql, values, shape)
        except sqlite3.OperationalError:
            # "no such table" may be news from another process that we have not heard.
            if not self._recheck():
                raise
            state = self._state()
            plan = make_plan(state, sql, values, shape)
        if shape is not None:
            state.remember((sql, shape), plan)
        return plan

    def _widen(self, plan: Plan, values: Params, misfit: Misfit) -> None:
        """Make room for a value that SQLite would store, or raise what SQLite says of it."""
        from .widen import misfit_columns, widen

        columns = misfit_columns(self._state(), plan.statement, values, misfit.detail)
        if not columns:
            raise mismatch() from misfit
        with self.schema_change():
            widen(self, plan.statement.name, columns)

    # -- for pragma, ddl and widen -----------------------------------------------------------------------------------

    @property
    def state(self) -> SchemaState:
        """The schema this transaction sees."""
        return self._state()

    def ask_replica(self, sql: str, values: Params = ()) -> RemoteResult:
        """What SQLite says, on the app's schema without rows."""
        answer = self._state().replica.execute(sql, values)
        return RemoteResult(answer.columns, iter(answer.rows))

    def refresh(self) -> None:
        """Hear of other processes' DDL now, not within a second."""
        self._recheck()

    def cursor(self) -> PgCursor:
        """A plain cursor inside the open transaction."""
        return self._cursor()

    def adopt(self, state: SchemaState) -> None:
        """What this transaction's DDL has made; everybody's when it commits."""
        self._tx.local = state

    @contextmanager
    def schema_change(self) -> Iterator[None]:
        """A write entry that excludes other DDL, in a transaction of its own if the app has none."""
        tx = self._tx
        own = tx.phase is Phase.NONE
        if own:
            tx.begin("DEFERRED")
        try:
            if tx.phase is Phase.PENDING:
                self._enter(ddl=True)
            else:
                # The guard is set behind the lock: what follows is undone to it, the lock stays.
                self._enter_late(self._state().version, ddl=True)
            tx.seen = tx.seen or not own
            try:
                yield
            except pg_error() as error:
                self._undo_statement(error)
                raise self._translate(error) from error
            except sqlite3.Error:
                self._run(f"ROLLBACK TO {GUARD}")
                raise
        except (sqlite3.Error, NotPrimary):
            if own:
                self.rollback()
            raise
        tx.written = True
        if own:
            self.commit()

    def note_change(self, sql: str, new_tables: Sequence[str] = ()) -> None:
        """Tell the way back to SQLite, where it is prepared, of a change that is no row; capture new tables."""
        cursor = self.cursor()
        cursor.execute("SELECT to_regproc('shadow.capture_ddl') IS NOT NULL")
        if (cursor.fetchone() or (0,))[0]:
            for table in new_tables:
                cursor.execute("SELECT shadow.capture(%s, %s)", (self._pair, table))
            cursor.execute("SELECT shadow.capture_ddl(%s, %s)", (self._pair, sql))

    def shared_pragma(self, name: str) -> int:
        """A number that SQLite keeps in the file's header."""
        cursor = self._plain("SELECT value FROM shadow.pragma WHERE pair = %s AND name = %s", (self._pair, name))
        row = cursor.fetchone()
        self._give_back_unless_in_transaction()
        return 0 if row is None else int(row[0])

    def set_shared_pragma(self, name: str, value: int) -> None:
        with self.schema_change():
            cursor = self.cursor()
            cursor.execute(
                "INSERT INTO shadow.pragma AS p (pair, name, value) VALUES (%s, %s, %s)"
                " ON CONFLICT (pair, name) DO UPDATE SET value = excluded.value",
                (self._pair, name, value),
            )
            self.note_change(f"PRAGMA {name} = {value}")

    def size_bytes(self) -> int:
        """How much the app's tables take in PostgreSQL."""
        cursor = self._plain(
            "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c"
            " WHERE c.relnamespace = to_regnamespace(quote_ident(%s)) AND c.relkind = 'r'",
            (self._pair,),
        )
        row = cursor.fetchone()
        self._give_back_unless_in_transaction()
        return int(row[0]) if row else 0
