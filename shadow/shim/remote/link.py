"""One session's connection and what it knows of the schema: leased from the pool, asked, given back.

The lowest part of `remote.RemoteSession`; above it `entry` (transactions under the fence) and
`statements` (reads and writes).
"""

from __future__ import annotations

import os
import sqlite3
import time
from typing import TYPE_CHECKING

from ...config import Settings
from ...errors import TargetError
from .. import warm
from .plan import not_supported
from .schema import CHECK_SECONDS, SchemaState, store_for
from .transaction import Phase, Transaction, literal

if TYPE_CHECKING:
    from psycopg2 import Error as PgError
    from psycopg2.extensions import cursor as PgCursor

    from ...postgres.pool import Lease, Pool


class SchemaMoved(Exception):
    """The statement was planned with another catalog than the one that stands; nothing was done."""


class Misfit(sqlite3.IntegrityError):
    """A value does not fit its column's PostgreSQL type; nothing was done. Never leaves the session."""

    def __init__(self, detail: str) -> None:
        super().__init__("datatype mismatch")
        self.detail = detail


class Link:
    """The connection, the schema, and errors as sqlite3 raises them."""

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
        #: PRAGMA settings of this connection; made by `pragma` when first asked for.
        self.pragmas: sqlite3.Connection | None = None
        #: Set when `NotPrimary` is raised: how the app had begun its transaction (None: it had not).
        self.begun: str | None = None

    @property
    def in_transaction(self) -> bool:
        return self._tx.phase is not Phase.NONE

    @property
    def _pool(self) -> Pool:
        if self._pool_found is None:
            from ...postgres.pool import pool_for

            self._pool_found = pool_for(self.settings)
        return self._pool_found

    def _leased(self) -> Lease:
        if self._lease is None:
            try:
                self._lease = self._pool.lease(max(self.busy_timeout_ms / 1000, 1.0))
            except TargetError as error:
                raise failure(str(error)) from error
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
                raise failure("this process was forked inside a transaction; begin again")

    def _state(self) -> SchemaState:
        """The schema this transaction sees."""
        if self._tx.local is not None:
            return self._tx.local
        state = self._store.current
        if state is None:
            warm.wait(self.settings)
            return self._store.current or self._load()
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
        except pg_error() as error:
            raise self._translate(error) from error
        finally:
            if not held and self._tx.phase in (Phase.NONE, Phase.PENDING):
                self._give_back()

    def _translate(self, error: PgError) -> sqlite3.Error:
        from ...postgres.errors import to_sqlite_error
        from .widen import is_misfit

        message = error.diag.message_primary or ""
        if is_misfit(error.pgcode, message):
            return Misfit(message)

        state = self._tx.local or self._store.current
        return to_sqlite_error(error, None if state is None else state.catalog)


def table_args(table: object) -> str:
    from ...translate.catalog import Table, pg_name

    assert isinstance(table, Table)
    return f"{literal(pg_name(table.name))}, {literal(pg_name(table.rowid_column or ''))}"


def pg_error() -> type[PgError]:
    import psycopg2

    return psycopg2.Error


def failure(message: str) -> sqlite3.Error:
    from ...postgres.errors import sqlite_error

    return sqlite_error(sqlite3.OperationalError, message, 1, "SQLITE_ERROR")


def locked() -> sqlite3.Error:
    from ...postgres.errors import locked

    return locked()


def mismatch() -> sqlite3.Error:
    from ...postgres.errors import sqlite_error

    return sqlite_error(sqlite3.IntegrityError, "datatype mismatch", 20, "SQLITE_MISMATCH")


def lost(detail: str) -> sqlite3.Error:
    from ...postgres.errors import lost

    return lost(detail)
