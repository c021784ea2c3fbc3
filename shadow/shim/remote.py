"""One app connection's PostgreSQL side: statements, transactions and counters as sqlite3 has them.

A connection is leased from the process's pool for a transaction (or one autocommit statement) and given back after it.
Every write goes in under the fence, with the flag read behind the lock (`remote_transaction`); what SQLite would say
about the text itself is asked of the replica (`remote_plan`). Only sqlite3's exceptions leave this module, and
`NotPrimary` while nothing of the transaction has been seen by the app.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..config import Settings
from ..errors import NotPrimary, TargetError
from ..types import PgMode, SqliteRow
from .adapt import Params
from .classify import Kind, classify
from .remote_flag import help_switch
from .remote_params import Shape, adapt
from .remote_plan import Plan, Way, make_plan, not_supported
from .remote_result import RemoteResult
from .remote_rows import CHUNK_ROWS, HeldRows, declare, held_name, rows_of
from .remote_schema import CHECK_SECONDS, SchemaState, store_for
from .remote_transaction import GUARD, Phase, Savepoint, Transaction, literal, savepoint_name

if TYPE_CHECKING:
    from psycopg2 import Error as PgError
    from psycopg2.extensions import cursor as PgCursor

    from ..postgres.pool import Lease, Pool
    from ..translate.translation import Special

#: Runs of the first statement of a transaction that met a conflict, at most.
CONFLICT_RETRIES_MAX = 50
#: Fresh catalogs taken for one statement, at most.
_REPLANS_MAX = 5
_CONFLICTS = frozenset(("40001", "40P01"))
_NOT_PRIMARY, _SCHEMA_MOVED, _LOCK_TIMEOUT = "SH001", "SH002", "55P03"
#: What a stale catalog looks like to PostgreSQL: a table, column or function that is not there.
_UNKNOWN_NAMES = frozenset(("42P01", "42703", "42883"))


class _SchemaMoved(Exception):
    """The statement was planned with another catalog than the one that stands; nothing was done."""


class _Misfit(sqlite3.IntegrityError):
    """A value does not fit its column's PostgreSQL type; nothing was done. Never leaves the session."""

    def __init__(self, detail: str) -> None:
        super().__init__("datatype mismatch")
        self.detail = detail


class RemoteSession:
    """Not thread-safe, as a sqlite3 connection is not."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._tx = Transaction(settings)
        self._store = store_for(settings)
        self._pool_found: Pool | None = None
        self._lease: Lease | None = None
        #: How long a statement waits for a lock before `database is locked`; connect(timeout=), PRAGMA busy_timeout.
        self.busy_timeout_ms = 5_000
        #: The hint says `ask`: reads outside a transaction look at the control record too.
        self.ask = False
        self.last_insert_rowid = 0
        self.changes = 0
        self.total_changes = 0
        #: PRAGMA foreign_keys of this connection.
        self.foreign_keys = False
        #: PRAGMA settings of this connection; made by `remote_pragma` when first asked for.
        self.pragmas: sqlite3.Connection | None = None
        #: Set when `NotPrimary` is raised: how the app had begun its transaction (None: it had not).
        self.begun: str | None = None

    @property
    def in_transaction(self) -> bool:
        return self._tx.phase is not Phase.NONE

    # -- what the connection calls ---------------------------------------------------------------------------------

    def execute(self, sql: str, params: object, *, implicit_begin: str | None = None) -> RemoteResult:
        """Run one statement. `implicit_begin`: how Python's legacy mode would begin before DML; None: it would not."""
        self._check_fork()
        values, shape = adapt(params, classify(sql))
        for _ in range(_REPLANS_MAX):
            plan = self._state().plans.get((sql, shape)) if shape is not None else None
            if plan is None:
                plan = self._new_plan(sql, values, shape)
            try:
                result = self._dispatch(plan, values, implicit_begin)
            except _SchemaMoved:
                continue
            except _Misfit as misfit:
                self._widen(plan, values, misfit)
                continue
            if result.lastrowid is None:
                result.lastrowid = self.last_insert_rowid
            return result
        raise _locked()

    def executemany(self, sql: str, param_sets: Iterable[object], *, implicit_begin: str | None = None) -> RemoteResult:
        """Run one DML statement per parameter set; rows done before an error stay, as SQLite has it."""
        from .remote_many import run_many

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
        except (_SchemaMoved, sqlite3.Error):
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

    def commit(self) -> None:
        """End the transaction, if there is one."""
        self._check_fork()
        tx = self._tx
        if tx.phase is Phase.FAILED and tx.written:
            tx.reset()
            raise _lost("its changes are rolled back")
        if tx.phase not in (Phase.READ, Phase.WRITE):
            tx.reset()
            return
        local = tx.local
        try:
            self._run("COMMIT")
        except _pg_error() as error:
            raise self._translate(error) from error
        finally:
            tx.reset()
            self._give_back()
        if local is not None:
            self._store.publish(local)

    def rollback(self) -> None:
        self._check_fork()
        open_there = self._tx.phase in (Phase.READ, Phase.WRITE)
        self._tx.reset()
        if open_there:
            self._give_back()  # the pool ends the transaction

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

    # -- for remote_pragma and remote_ddl --------------------------------------------------------------------------

    @property
    def state(self) -> SchemaState:
        """The schema this transaction sees."""
        return self._state()

    def ask_replica(self, sql: str, values: Params = ()) -> RemoteResult:
        """What SQLite says, on the app's schema without rows."""
        cursor = self._state().replica.execute(sql, values)
        columns = None if cursor.description is None else tuple(str(c[0]) for c in cursor.description)
        return RemoteResult(columns, iter(cursor.fetchall()))

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
            except _pg_error() as error:
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

    # -- which way ---------------------------------------------------------------------------------------------------

    def _dispatch(self, plan: Plan, values: Params, implicit_begin: str | None) -> RemoteResult:
        way = plan.way
        if self._tx.phase is Phase.FAILED and way is not Way.CONTROL:
            raise _lost("roll back first") if self._tx.written else _locked()
        if way is Way.READ:
            return self._read(plan, values)
        if way is Way.WRITE:
            return self._write(plan, values, implicit_begin)
        if way is Way.CONTROL:
            return self._control(plan)
        if way is Way.REPLICA:
            return self.ask_replica(plan.sql, values)
        if way is Way.PRAGMA:
            from .remote_pragma import run_pragma

            return run_pragma(self, plan.sql, plan.statement)
        if way is Way.DDL:
            from .remote_ddl import run_ddl

            return run_ddl(self, plan.sql, plan.statement)
        if plan.statement.kind is Kind.VACUUM and self.in_transaction:
            raise sqlite3.OperationalError("cannot VACUUM from within a transaction")
        return RemoteResult()

    # -- reads and writes --------------------------------------------------------------------------------------------

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
        if plan.burns and self.settings.pg_mode is PgMode.SERIAL:
            pair = literal(self.settings.pg_schema)
            strings += [(f"SELECT shadow.keep_ids({pair}, {_table_args(table)})", ()) for table in plan.burns]
        implied = tx.phase is Phase.NONE and implicit_begin is not None
        # Several strings need a transaction even when the app has none.
        own = tx.phase is Phase.NONE and not implied and len(strings) > 1
        if implied or own:
            tx.begin(implicit_begin or "DEFERRED")
        try:
            cursors = [self._write_string(plan, text, args) for text, args in strings]
        except _SchemaMoved:
            if implied or own:
                tx.reset()
            raise
        except (sqlite3.Error, NotPrimary):
            if own:
                self.rollback()
            raise
        result = self._written(plan, cursors[: len(plan.groups)])
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
        from .remote_keys import has_keys, install_keys

        if has_keys(state.catalog):
            inside = self._tx.phase in (Phase.READ, Phase.WRITE)
            try:
                if inside:
                    self._run_guarded(self._tx.guard() + "SELECT 1")
                install_keys(self._cursor(), state.catalog)
            except _pg_error() as error:
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
            if not isinstance(cause, _pg_error()) or cause.pgcode != "23505" or not self._raise_ids(plan, cause):
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
        from ..translate.translation import Special

        return {
            Special.LAST_INSERT_ROWID: self.last_insert_rowid,
            Special.CHANGES: self.changes,
            Special.TOTAL_CHANGES: self.total_changes,
        }

    def _id_rules(self, plan: Plan) -> str:
        """Serial mode: what makes the next row id the one SQLite would choose."""
        if self.settings.pg_mode is not PgMode.SERIAL:
            return ""
        pair = literal(self.settings.pg_schema)
        parts = []
        for table in plan.shrinks:
            parts.append(f"SELECT shadow.keep_high_water({pair}, {_table_args(table)}); ")
        for table in plan.inserts_into:
            parts.append(f"SELECT shadow.align_ids({pair}, {_table_args(table)}, {table.autoincrement}); ")
        return "".join(parts)

    # -- places in a transaction -------------------------------------------------------------------------------------

    def _first(self, plan: Plan | None, text: Callable[[], str], args: tuple[object, ...], becomes: Phase) -> PgCursor:
        """The first statement of a transaction: everything in one string; after an error nothing has begun."""
        tx = self._tx
        cursor = self._retrying(lambda: self._run(text(), args), plan, read_only=becomes is Phase.READ)
        tx.phase = becomes
        for savepoint in tx.savepoints:
            savepoint.phase = becomes
        tx.guarded, tx.written = True, False
        if plan is not None:
            plan.parsed = True
        return cursor

    def _later(self, plan: Plan | None, text: str, args: tuple[object, ...] = ()) -> PgCursor:
        """A statement inside an open transaction; after an error what stood before it stands."""
        tx = self._tx
        prefix = tx.guard()
        if prefix and plan is not None and not plan.parsed:
            # A text that does not parse would reject the whole string, the new savepoint with it.
            self._run_guarded(prefix)
            prefix = ""
        cursor = self._run_guarded(prefix + text, args, plan)
        if plan is not None:
            plan.parsed = True
        return cursor

    def _run_guarded(self, text: str, args: tuple[object, ...] = (), plan: Plan | None = None) -> PgCursor:
        tx = self._tx
        try:
            cursor = self._run(text, args)
        except _pg_error() as error:
            self._undo_statement(error)
            raise self._translate(error) from error
        if not tx.guarded or text.startswith("RELEASE "):
            tx.written = False
        tx.guarded = True
        return cursor

    def _undo_statement(self, error: PgError) -> None:
        """Back to the savepoint before the statement; if that cannot be, the transaction is lost."""
        from ..postgres.errors import is_lost

        tx = self._tx
        if not is_lost(error):
            try:
                self._run(f"ROLLBACK TO {GUARD}")
            except _pg_error():
                pass
            else:
                tx.guarded, tx.written = True, False
                return
        self._fail()

    def _fail(self) -> None:
        """The server's transaction is gone. The app learns it from every statement until it ends the transaction."""
        tx = self._tx
        wrote = tx.phase is Phase.WRITE
        tx.phase = Phase.FAILED
        tx.written = wrote
        tx.local = None
        self._give_back()

    def _enter_late(self, version: int, *, ddl: bool = False) -> None:
        """From reading to writing: the snapshot is older than the lock, so the flag's row must not have changed."""
        tx = self._tx
        try:
            self._run(tx.entry_late(version, ddl=ddl))
        except _pg_error() as error:
            self._fail()
            if error.pgcode in (_NOT_PRIMARY, _SCHEMA_MOVED):
                raise _locked() from error
            raise self._translate(error) from error
        tx.phase = Phase.WRITE
        tx.guarded, tx.written = True, False

    def _retrying(self, send: Callable[[], PgCursor], plan: Plan | None, *, read_only: bool = False) -> PgCursor:
        """Send a string that begins a transaction or is one; again on a conflict, since the app has seen nothing."""
        from ..postgres.errors import is_lost

        started = time.monotonic()
        conflicts, fresh, raised = 0, False, False
        while True:
            try:
                return send()
            except _pg_error() as error:
                state = error.pgcode
                lost = is_lost(error)
                explicit = self._tx.phase is not Phase.NONE
                self._give_back()
                if lost:
                    # What was sent in a transaction, or only reads, cannot have been committed: once more is safe.
                    if (read_only or explicit) and not fresh:
                        fresh = True
                        continue
                    raise self._translate(error) from error
                waited_ms = (time.monotonic() - started) * 1000
                if state == _NOT_PRIMARY:
                    self._not_primary(error)
                elif state == _SCHEMA_MOVED or (state in _UNKNOWN_NAMES and self._recheck()):
                    self._recheck()
                    raise _SchemaMoved from error
                elif state in _CONFLICTS and conflicts < CONFLICT_RETRIES_MAX and waited_ms < self.busy_timeout_ms:
                    conflicts += 1
                    if conflicts > 2:
                        time.sleep(random.uniform(0, 0.001 * min(conflicts, 10)))
                elif state == "23505" and not raised and self._raise_ids(plan, error):
                    raised = True
                elif state == _LOCK_TIMEOUT and self._switching() and waited_ms < self._switch_wait_ms():
                    pass
                else:
                    raise self._translate(error) from error

    # -- the flag ----------------------------------------------------------------------------------------------------

    def _not_primary(self, error: PgError) -> None:
        """Help a half switch to its end and return to try again, or raise `NotPrimary`."""
        detail = (error.diag.message_detail or "").split()
        if not detail:
            self._tx.reset()
            raise sqlite3.OperationalError(
                f"PostgreSQL schema {self.settings.pg_schema} is not set up for shadow; run `shadow init`"
            ) from error
        epoch, attempt, primary, state = detail
        if primary == "postgres" and state == "prepared" and help_switch(self.settings, self._cursor(), attempt):
            return
        self._give_back()
        tx = self._tx
        if tx.savepoints or tx.seen:
            raise _locked() from error
        self.begun = (tx.mode or "DEFERRED") if tx.phase is Phase.PENDING else None
        tx.reset()
        raise NotPrimary(f"PostgreSQL is not primary (epoch {epoch}, {primary} {state})") from error

    def _switching(self) -> bool:
        """Whether somebody holds the fence against ordinary writers, or waits to."""
        cursor = self._run(
            "SELECT 1 FROM pg_locks WHERE relation = %s::regclass AND mode = 'ExclusiveLock' LIMIT 1",
            (f'shadow."fence_{self.settings.pg_schema.replace(chr(34), chr(34) * 2)}"',),
        )
        found = cursor.fetchone() is not None
        self._give_back()
        return found

    def _switch_wait_ms(self) -> float:
        return max(self.busy_timeout_ms, self.settings.switch_wait_seconds * 1000)

    def _raise_ids(self, plan: Plan | None, error: PgError) -> bool:
        """Whether the key that clashed was chosen by a sequence that lags behind explicit ids; then it does no more."""
        constraint = error.diag.constraint_name or ""
        tables = plan.inserts_into if plan is not None else ()
        if self.settings.pg_mode is PgMode.SERIAL or not constraint.endswith(("_pk", "_rowid")):
            return False
        raised = False
        for table in tables:
            cursor = self._run(f"SELECT shadow.raise_ids({literal(self.settings.pg_schema)}, {_table_args(table)})")
            raised = bool((cursor.fetchone() or (0,))[0]) or raised
        self._give_back_unless_in_transaction()
        return raised

    # -- BEGIN, COMMIT, savepoints -----------------------------------------------------------------------------------

    def _control(self, plan: Plan) -> RemoteResult:
        statement = plan.statement
        kind, tx = statement.kind, self._tx
        if kind is Kind.BEGIN:
            if self.in_transaction:
                raise _error("cannot start a transaction within a transaction")
            self._begin(statement.what)
        elif kind is Kind.COMMIT:
            if not self.in_transaction:
                raise _error("cannot commit - no transaction is active")
            self.commit()
        elif kind is Kind.ROLLBACK:
            if not self.in_transaction:
                raise _error("cannot rollback - no transaction is active")
            self.rollback()
        elif kind is Kind.SAVEPOINT:
            self._savepoint(statement.name)
        else:
            index = tx.find(statement.name)
            if index is None:
                raise _error(f"no such savepoint: {statement.name}")
            if kind is Kind.RELEASE:
                self._release(index)
            else:
                self._rollback_to(index)
        return RemoteResult()

    def _begin(self, mode: str) -> None:
        tx = self._tx
        tx.begin(mode)
        if not tx.mode:
            return
        try:
            self._enter()
        except (sqlite3.Error, NotPrimary):
            tx.reset()
            raise

    def _enter(self, *, ddl: bool = False) -> None:
        """Take the write entry of a pending transaction by itself; the catalog is fresh afterwards."""
        tx = self._tx
        for _ in range(_REPLANS_MAX):
            version = self._state().version
            try:
                self._first(None, lambda version=version: tx.open_write(version, ddl=ddl) + "SELECT 1", (), Phase.WRITE)  # type: ignore[misc]
            except _SchemaMoved:
                continue
            return
        raise _locked()

    def _savepoint(self, name: str) -> None:
        tx = self._tx
        if tx.phase is Phase.FAILED:
            raise _locked()
        if tx.phase is Phase.NONE:
            tx.begin("DEFERRED")
            tx.savepoints.append(Savepoint("", "", Phase.NONE, None))  # RELEASE of what follows ends the transaction
        sql = f"SAVEPOINT {savepoint_name(name)}"
        if tx.phase is not Phase.PENDING:
            self._later(None, sql)
            tx.guarded = False
        tx.savepoints.append(Savepoint(name, sql, tx.phase, tx.local))

    def _release(self, index: int) -> None:
        tx = self._tx
        outermost = index == 1 and not tx.savepoints[0].name
        if outermost:
            self.commit()
            return
        if tx.phase is Phase.FAILED:
            raise _locked()
        if tx.phase is not Phase.PENDING:
            self._later(None, f"RELEASE {savepoint_name(tx.savepoints[index].name)}")
            tx.guarded, tx.written = False, True
        del tx.savepoints[index:]

    def _rollback_to(self, index: int) -> None:
        tx = self._tx
        savepoint = tx.savepoints[index]
        if tx.phase is Phase.FAILED:
            raise _locked()
        if tx.phase is not Phase.PENDING:
            try:
                self._run(f"ROLLBACK TO {savepoint_name(savepoint.name)}")
            except _pg_error() as error:
                self._fail()
                raise self._translate(error) from error
            tx.guarded, tx.written = False, True
            if tx.phase is Phase.WRITE and savepoint.phase is not Phase.WRITE:
                tx.phase = Phase.READ  # the fence's lock went with it; the next write enters again
        tx.local = savepoint.local
        del tx.savepoints[index + 1 :]

    # -- connection, schema, errors ----------------------------------------------------------------------------------

    @property
    def _pool(self) -> Pool:
        if self._pool_found is None:
            from ..postgres.pool import pool_for

            self._pool_found = pool_for(self.settings)
        return self._pool_found

    def _leased(self) -> Lease:
        if self._lease is None:
            try:
                self._lease = self._pool.lease(max(self.busy_timeout_ms / 1000, 1.0))
            except TargetError as error:
                raise _error(str(error)) from error
        return self._lease

    def _give_back(self) -> None:
        """The connection goes back to the pool, unless the app still reads rows that are held on it."""
        lease = self._lease
        if lease is None or (lease.held and self._keep(lease)):
            return
        self._lease = None
        self._pool.release(lease)

    def _keep(self, lease: Lease) -> bool:
        """Stay with a connection on which rows are held; an open transaction is ended here instead of in the pool."""
        import psycopg2

        status = lease.conn.get_transaction_status()
        if lease.conn.closed or status == psycopg2.extensions.TRANSACTION_STATUS_UNKNOWN:
            return False
        if status != psycopg2.extensions.TRANSACTION_STATUS_IDLE:
            try:
                self._run("ROLLBACK")
            except psycopg2.Error:
                return False
        return True

    def _cursor(self) -> PgCursor:
        return self._leased().conn.cursor()

    @property
    def _pair(self) -> str:
        return self.settings.pg_schema

    def _plain(self, text: str, args: tuple[object, ...]) -> PgCursor:
        """A question of ours, in or outside the app's transaction."""
        try:
            return self._run(text, args)
        except _pg_error() as error:
            if self._tx.phase in (Phase.READ, Phase.WRITE):
                self._undo_statement(error)
            raise self._translate(error) from error

    def _give_back_unless_in_transaction(self) -> None:
        if self._tx.phase not in (Phase.READ, Phase.WRITE):
            self._give_back()

    def _run(self, text: str, args: tuple[object, ...] = ()) -> PgCursor:
        """One round trip. `text` is a psycopg2 format."""
        lease = self._leased()
        cursor = lease.conn.cursor()
        if lease.lock_timeout_ms != self.busy_timeout_ms:
            # 0 would mean to wait for ever; SQLite's 0 means not at all.
            cursor.execute(f"SET lock_timeout = {max(self.busy_timeout_ms, 1)}")
            lease.lock_timeout_ms = self.busy_timeout_ms
        if lease.foreign_keys is not self.foreign_keys:
            cursor.execute(f"SET shadow.foreign_keys = {'on' if self.foreign_keys else 'off'}")
            lease.foreign_keys = self.foreign_keys
        try:
            cursor.execute(text, args)
        except ValueError as error:
            raise not_supported(f"PostgreSQL cannot hold the value ({error})") from error
        return cursor

    def _check_fork(self) -> None:
        """A transaction does not survive a fork; the child must not touch the parent's connection."""
        lease = self._lease
        if lease is not None and lease.pid != os.getpid():
            self._lease = None
            open_here = self._tx.phase in (Phase.READ, Phase.WRITE)
            self._tx.reset()
            if open_here:
                raise _error("this process was forked inside a transaction; begin again")

    def _state(self) -> SchemaState:
        """The schema this transaction sees."""
        if self._tx.local is not None:
            return self._tx.local
        state = self._store.current
        if state is None:
            return self._load()
        if self._tx.phase in (Phase.NONE, Phase.PENDING) and time.monotonic() - state.checked_at > CHECK_SECONDS:
            state.checked_at = time.monotonic()  # the other threads need not ask too
            return self._load()
        return state

    def _recheck(self) -> bool:
        """Look whether the schema has moved; only outside a transaction of PostgreSQL's."""
        if self._tx.phase not in (Phase.NONE, Phase.PENDING):
            return False
        before = self._store.current
        return self._load() is not before

    def _load(self) -> SchemaState:
        held = self._lease is not None
        try:
            return self._store.load(self._cursor())
        except _pg_error() as error:
            raise self._translate(error) from error
        finally:
            if not held and self._tx.phase in (Phase.NONE, Phase.PENDING):
                self._give_back()

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

    def _widen(self, plan: Plan, values: Params, misfit: _Misfit) -> None:
        """Make room for a value that SQLite would store, or raise what SQLite says of it."""
        from .remote_widen import misfit_columns, widen

        columns = misfit_columns(self._state(), plan.statement, values, misfit.detail)
        if not columns:
            raise _plain_mismatch() from misfit
        with self.schema_change():
            widen(self, plan.statement.name, columns)

    def _translate(self, error: PgError) -> sqlite3.Error:
        from ..postgres.errors import to_sqlite_error
        from .remote_widen import is_misfit

        message = error.diag.message_primary or ""
        if is_misfit(error.pgcode, message):
            return _Misfit(message)

        state = self._tx.local or self._store.current
        return to_sqlite_error(error, None if state is None else state.catalog)


def _table_args(table: object) -> str:
    from ..translate.catalog import Table, pg_name

    assert isinstance(table, Table)
    return f"{literal(pg_name(table.name))}, {literal(pg_name(table.rowid_column or ''))}"


def _pg_error() -> type[PgError]:
    import psycopg2

    return psycopg2.Error


def _error(message: str) -> sqlite3.Error:
    from ..postgres.errors import sqlite_error

    return sqlite_error(sqlite3.OperationalError, message, 1, "SQLITE_ERROR")


def _locked() -> sqlite3.Error:
    from ..postgres.errors import locked

    return locked()


def _plain_mismatch() -> sqlite3.Error:
    from ..postgres.errors import sqlite_error

    return sqlite_error(sqlite3.IntegrityError, "datatype mismatch", 20, "SQLITE_MISMATCH")


def _lost(detail: str) -> sqlite3.Error:
    from ..postgres.errors import lost

    return lost(detail)
