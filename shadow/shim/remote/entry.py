"""A session's transactions: how one begins under the fence, what an error undoes, when it is run again.

`transaction` has the strings; here they are sent. See docs/decisions/0009.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ...errors import NotPrimary
from ...types import PgMode
from ..classify import Kind
from .flag import help_switch
from .link import Link, SchemaMoved, failure, locked, lost, pg_error, table_args
from .plan import Plan
from .result import RemoteResult
from .transaction import GUARD, Phase, Savepoint, literal, savepoint_name

if TYPE_CHECKING:
    from psycopg2 import Error as PgError
    from psycopg2.extensions import cursor as PgCursor

#: Runs of the first statement of a transaction that met a conflict, at most.
CONFLICT_RETRIES_MAX = 50
#: Fresh catalogs taken for one statement, at most.
REPLANS_MAX = 5
_CONFLICTS = frozenset(("40001", "40P01"))
_NOT_PRIMARY, _SCHEMA_MOVED, _LOCK_TIMEOUT = "SH001", "SH002", "55P03"
#: What a stale catalog looks like to PostgreSQL: a table, column or function that is not there.
_UNKNOWN_NAMES = frozenset(("42P01", "42703", "42883"))


class Entry(Link):
    """Transactions, as SQLite has them."""

    def commit(self) -> None:
        """End the transaction, if there is one."""
        self._check_fork()
        tx = self._tx
        if tx.phase is Phase.FAILED and tx.written:
            tx.reset()
            raise lost("its changes are rolled back")
        if tx.phase not in (Phase.READ, Phase.WRITE):
            tx.reset()
            return
        local = tx.local
        try:
            self._run("COMMIT")
        except pg_error() as error:
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
        except pg_error() as error:
            self._undo_statement(error)
            raise self._translate(error) from error
        if not tx.guarded or text.startswith("RELEASE "):
            tx.written = False
        tx.guarded = True
        return cursor

    def _undo_statement(self, error: PgError) -> None:
        """Back to the savepoint before the statement; if that cannot be, the transaction is lost."""
        from ...postgres.errors import is_lost

        tx = self._tx
        if not is_lost(error):
            try:
                self._run(f"ROLLBACK TO {GUARD}")
            except pg_error():
                pass
            else:
                tx.guarded, tx.written = True, False
                return
        self._fail()

    def _plain(self, text: str, args: tuple[object, ...]) -> PgCursor:
        """A question of ours, in or outside the app's transaction."""
        try:
            return self._run(text, args)
        except pg_error() as error:
            if self._tx.phase in (Phase.READ, Phase.WRITE):
                self._undo_statement(error)
            raise self._translate(error) from error

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
        except pg_error() as error:
            self._fail()
            if error.pgcode in (_NOT_PRIMARY, _SCHEMA_MOVED):
                raise locked() from error
            raise self._translate(error) from error
        tx.phase = Phase.WRITE
        tx.guarded, tx.written = True, False

    def _retrying(self, send: Callable[[], PgCursor], plan: Plan | None, *, read_only: bool = False) -> PgCursor:
        """Send a string that begins a transaction or is one; again on a conflict, since the app has seen nothing."""
        from ...postgres.errors import is_lost

        started = time.monotonic()
        conflicts, fresh, raised, switching = 0, False, False, False
        while True:
            try:
                return send()
            except pg_error() as error:
                state = error.pgcode
                lost = is_lost(error)
                explicit = self._tx.phase is not Phase.NONE
                self._give_back()
                if lost:
                    # Not committed for sure: only read, sent in a transaction, or refused in the server's own words.
                    if (read_only or explicit or state is not None) and not fresh:
                        fresh = True
                        continue
                    raise self._translate(error) from error
                waited_ms = (time.monotonic() - started) * 1000
                if state == _NOT_PRIMARY:
                    self._not_primary(error)
                elif state == _SCHEMA_MOVED or (state in _UNKNOWN_NAMES and self._recheck()):
                    self._recheck()
                    raise SchemaMoved from error
                elif state in _CONFLICTS and conflicts < CONFLICT_RETRIES_MAX and waited_ms < self.busy_timeout_ms:
                    conflicts += 1
                    if conflicts > 2:
                        time.sleep(random.uniform(0, 0.001 * min(conflicts, 10)))
                elif state == "23505" and not raised and self._raise_ids(plan, error):
                    raised = True
                elif state == _LOCK_TIMEOUT and waited_ms < self._switch_wait_ms() and self._switching():
                    switching = True
                elif state == _LOCK_TIMEOUT and switching:
                    switching = False  # it ended between the timeout and the question: once more
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
            raise locked() from error
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
            cursor = self._run(f"SELECT shadow.raise_ids({literal(self.settings.pg_schema)}, {table_args(table)})")
            raised = bool((cursor.fetchone() or (0,))[0]) or raised
        self._give_back_unless_in_transaction()
        return raised

    # -- BEGIN, COMMIT, savepoints -----------------------------------------------------------------------------------

    def _control(self, plan: Plan) -> RemoteResult:
        statement = plan.statement
        kind, tx = statement.kind, self._tx
        if kind is Kind.BEGIN:
            if self.in_transaction:
                raise failure("cannot start a transaction within a transaction")
            self._begin(statement.what)
        elif kind is Kind.COMMIT:
            if not self.in_transaction:
                raise failure("cannot commit - no transaction is active")
            self.commit()
        elif kind is Kind.ROLLBACK:
            if not self.in_transaction:
                raise failure("cannot rollback - no transaction is active")
            self.rollback()
        elif kind is Kind.SAVEPOINT:
            self._savepoint(statement.name)
        else:
            index = tx.find(statement.name)
            if index is None:
                raise failure(f"no such savepoint: {statement.name}")
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
        for _ in range(REPLANS_MAX):
            version = self._state().version
            try:
                self._first(None, lambda version=version: tx.open_write(version, ddl=ddl) + "SELECT 1", (), Phase.WRITE)  # type: ignore[misc]
            except SchemaMoved:
                continue
            return
        raise locked()

    def _savepoint(self, name: str) -> None:
        tx = self._tx
        if tx.phase is Phase.FAILED:
            raise locked()
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
            raise locked()
        if tx.phase is not Phase.PENDING:
            self._later(None, f"RELEASE {savepoint_name(tx.savepoints[index].name)}")
            tx.guarded, tx.written = False, True
        del tx.savepoints[index:]

    def _rollback_to(self, index: int) -> None:
        tx = self._tx
        savepoint = tx.savepoints[index]
        if tx.phase is Phase.FAILED:
            raise locked()
        if tx.phase is not Phase.PENDING:
            try:
                self._run(f"ROLLBACK TO {savepoint_name(savepoint.name)}")
            except pg_error() as error:
                self._fail()
                raise self._translate(error) from error
            tx.guarded, tx.written = False, True
            if tx.phase is Phase.WRITE and savepoint.phase is not Phase.WRITE:
                tx.phase = Phase.READ  # the fence's lock went with it; the next write enters again
        tx.local = savepoint.local
        del tx.savepoints[index + 1 :]
