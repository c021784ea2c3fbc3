"""One app connection as the shim sees it: which side it is on, its transaction, and the order of steps.

A session holds no reference to its connection, which is passed in: an app may leave a connection with an open
transaction to the garbage collector, and it must close at once, as without us.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from ..config import Settings
from ..errors import NotPrimary
from ..journal.record import Undetermined, encode_item
from ..types import DatabaseType, Side
from . import adapt, define, hide, many, write
from .classify import Kind, Statement, classify
from .clock import Clock
from .counters import Counters
from .facts import FileFacts, facts_for, forget, load
from .images import Images
from .plain import PlainCursor, always_begun, ask, has_legacy_transactions, in_transaction, isolation_level, ours, run
from .routing import ALWAYS_ASK, AS_BEFORE, GO_POSTGRES, GO_SQLITE, STATE, Control, Router, Verdict, busy
from .transaction import Buffer

if TYPE_CHECKING:
    from .cursor import Cursor
    from .plan import Plan
    from .remote.session import RemoteSession

_WRITE = Kind.WRITE
#: Texts whose plan a connection remembers.
_REPLAYS_MAX = 500
#: Sets of executemany kept in case PostgreSQL says that it is not primary.
_PULLED_MAX = 1_000
#: Settings of a connection that hold on whichever side is primary; the last text of each is repeated on the other.
_SETTINGS = frozenset(
    ("foreign_keys", "busy_timeout", "recursive_triggers", "case_sensitive_like", "defer_foreign_keys")
)


def _sets(statement: Statement) -> bool:
    """Whether a PRAGMA sets something that the other side must know."""
    return statement.name in _SETTINGS and ("=" in statement.sql or "(" in statement.sql)


class Session:
    """The shim's state of one connection."""

    __slots__ = (
        "_facts",
        "_foreign_keys",
        "buffer",
        "by_savepoint",
        "catalog_version",
        "clock",
        "counters",
        "ddl",
        "foreign",
        "functions",
        "images",
        "in_script",
        "initialised",
        "journaling",
        "pragmas",
        "remote",
        "replays",
        "router",
        "settings",
        "touched",
        "trusted",
        "view",
        "writable",
    )

    def __init__(self, settings: Settings, router: Router) -> None:
        self.settings = settings
        self.router = router
        #: What the hot path looks at; `ALWAYS_ASK` while a transaction is open in PostgreSQL.
        self.view = router.view
        self.buffer = Buffer()
        self.clock = Clock()
        self.counters = Counters()
        self.images = Images()
        self.remote: RemoteSession | None = None
        #: The open transaction holds SQLite's write lock and has read the control row.
        self.writable = False
        #: Its writes leave a record.
        self.journaling = False
        #: A statement of the app has run in it.
        self.touched = False
        #: It changed the schema: facts are not shared before it commits.
        self.ddl = False
        #: A SAVEPOINT opened it: RELEASE of that savepoint commits.
        self.by_savepoint = False
        self.initialised = False
        self.catalog_version = -1
        #: Functions the app has defined on this connection, folded.
        self.functions: set[str] = set()
        #: TEMP objects and ATTACHed schemas of this connection that its own statements have named.
        self.foreign: set[str] = set()
        #: A script runs: Python begins no transactions in it.
        self.in_script = False
        #: Settings made on this connection: the text of each.
        self.pragmas: dict[str, str] = {}
        #: Plans of texts that are replayed, as they hold for this connection and `catalog_version`: the hot path asks
        #: nothing else. Whatever could change one of them calls `forget_plans`.
        self.replays: dict[Statement, Plan] = {}
        #: The control row was read on this connection and let it write and journal: `AS_BEFORE` may ask for the same.
        self.trusted = False
        self._facts: FileFacts | None = None
        self._foreign_keys: bool | None = None

    # -- dispatch -------------------------------------------------------------------------------------------------

    def execute(self, cursor: Cursor, statement: Statement, sql: str, params: Any) -> Cursor:
        """Any statement that did not go the short way."""
        conn = cursor.connection
        if (self.remote is not None or self.view[STATE] != GO_SQLITE) and self._goes_remote(conn, statement):
            return self.run_remote(cursor, conn, statement, params)
        if statement.kind is _WRITE:
            return write.execute(self, cursor, conn, statement, sql, params)
        return self.execute_here(cursor, conn, statement, sql, params)

    def execute_many(self, cursor: Cursor, statement: Statement, sql: str, sets: Any) -> Cursor:
        """executemany of a write."""
        conn = cursor.connection
        if self._goes_remote(conn, statement):
            return self.run_remote_many(cursor, conn, statement, sets)
        return many.execute_many(self, cursor, conn, statement, sql, sets)

    def execute_here(
        self, cursor: Cursor, conn: sqlite3.Connection, statement: Statement, sql: str, params: Any
    ) -> Cursor:
        """The statement runs on SQLite."""
        kind = statement.kind
        if kind is Kind.READ:
            return self._read(cursor, conn, statement, sql, params)
        if kind is Kind.WRITE:
            return write.execute(self, cursor, conn, statement, sql, params)
        if kind is Kind.DDL:
            return define.define(self, cursor, conn, statement, sql, params)
        if kind in (Kind.BEGIN, Kind.SAVEPOINT):
            return self._open(cursor, conn, statement, sql, params)
        if kind in (Kind.COMMIT, Kind.RELEASE):
            return self._close(cursor, conn, statement, sql, params)
        if kind in (Kind.ROLLBACK, Kind.ROLLBACK_TO):
            return self._take_back(cursor, conn, statement, sql, params)
        if kind is Kind.VACUUM:
            return define.vacuum(self, cursor, conn, statement, sql, params)
        if kind is Kind.PRAGMA:
            return self._pragma(cursor, conn, statement, sql, params)
        if kind is Kind.ATTACH:
            self.sees_foreign("")
        run(cursor, sql, params)
        return cursor

    def _read(self, cursor: Cursor, conn: sqlite3.Connection, statement: Statement, sql: str, params: Any) -> Cursor:
        self.touched = True
        self.clock.now = None
        if statement.mentions_counters:
            self.counters.restore(conn)
        text = hide.rewrite(conn, statement) if statement.catalog and self.initialised_file(conn) else sql
        run(cursor, text, params)
        if statement.plain_read and self.initialised and self.router.sampler is not None:
            self.offer(statement, params)
        return cursor

    def offer(self, statement: Statement, params: Any) -> None:
        """A read that SQLite has answered, for comparison; not one of TEMP or ATTACHed tables."""
        sampler = self.router.sampler
        if sampler is None:
            return
        if self.foreign and ("" in self.foreign or not self.foreign.isdisjoint(statement.identifiers)):
            sampler.drop("temporary or attached table")
        else:
            sampler.offer(statement, params)

    def _pragma(self, cursor: Cursor, conn: sqlite3.Connection, statement: Statement, sql: str, params: Any) -> Cursor:
        self._foreign_keys = None
        self.forget_plans()
        if _sets(statement):
            self.pragmas[statement.name] = sql
            if self.remote is not None:
                self.remote.execute(sql, ())
        text = hide.rewrite(conn, statement) if hide.concerns(statement) and self.initialised_file(conn) else sql
        run(cursor, text, params)
        return cursor

    def initialised_file(self, conn: sqlite3.Connection) -> bool:
        """Whether there is anything of ours in the file to hide."""
        if not self.initialised:
            rows = ask(conn, "SELECT count(*) FROM main.sqlite_master WHERE name = '_shadow_control'")
            self.initialised = bool(rows[0][0])
        return self.initialised

    # -- transactions ---------------------------------------------------------------------------------------------

    def _open(self, cursor: Cursor, conn: sqlite3.Connection, statement: Statement, sql: str, params: Any) -> Cursor:
        """BEGIN and SAVEPOINT."""
        fresh = not in_transaction(conn)
        if fresh:
            self.router.wait_for_switch()
        run(cursor, sql, params)
        if fresh:
            self.reset()
            if statement.what in ("IMMEDIATE", "EXCLUSIVE") and not self.authorise(conn):
                ours(conn, "ROLLBACK")
                return self.run_remote(cursor, conn, statement, params)
        if statement.kind is Kind.SAVEPOINT:
            self.by_savepoint = self.by_savepoint or fresh
            self.buffer.savepoint(statement.name)
        return cursor

    def _close(self, cursor: Cursor, conn: sqlite3.Connection, statement: Statement, sql: str, params: Any) -> Cursor:
        """COMMIT, and RELEASE, which commits when it releases the savepoint that opened the transaction."""
        ends = statement.kind is Kind.COMMIT or (self.by_savepoint and self.buffer.outermost(statement.name))
        if ends:
            self.before_commit(conn)
        try:
            run(cursor, sql, params)
        except BaseException:
            if ends:
                self.commit_failed(conn)
            raise
        if not in_transaction(conn):
            self.committed()
        elif statement.kind is Kind.RELEASE:
            self.buffer.release(statement.name)
        return cursor

    def _take_back(
        self, cursor: Cursor, conn: sqlite3.Connection, statement: Statement, sql: str, params: Any
    ) -> Cursor:
        """ROLLBACK and ROLLBACK TO."""
        run(cursor, sql, params)
        self.images.rolled_back()
        if not in_transaction(conn):
            self.reset()
        elif statement.kind is Kind.ROLLBACK_TO:
            self.buffer.rollback_to(statement.name)
            self._facts = None if not self.ddl else load(conn)
        return cursor

    def reset(self) -> None:
        """No transaction is open, or a new one begins: nothing has happened in it."""
        self.buffer.clear()
        self.writable = False
        self.journaling = False
        self.touched = False
        self.by_savepoint = False
        if self.ddl:
            self.ddl = False
            self._facts = None

    def before_commit(self, conn: sqlite3.Connection) -> None:
        """COMMIT comes next: the record must be in the transaction."""
        buffer = self.buffer
        if (buffer.items or buffer.nonce is not None) and in_transaction(conn):
            counters = self.counters
            if not counters.disturbed:
                counters.before_ours(conn)
            buffer.close(conn)
            counters.ours += 1

    def commit_failed(self, conn: sqlite3.Connection) -> None:
        """After `before_commit`, the transaction is still open (busy, a deferred key), or it is gone."""
        if not in_transaction(conn):
            self.reset()
            self.images.rolled_back()
        elif self.buffer.pending:
            self.counters.before_ours(conn)
            self.buffer.reopen(conn)
            self.counters.ours += 1

    def committed(self) -> None:
        self.reset()

    def rolled_back(self) -> None:
        """`rollback()` of the connection, or an error that ended the transaction."""
        self.reset()
        self.images.rolled_back()

    def begin(self, conn: sqlite3.Connection, text: str, *, deferred_on_error: bool) -> bool:
        """Open a write transaction on SQLite; False: PostgreSQL is primary and no transaction is open."""
        deadline = 0.0
        while True:
            if self.view[STATE] != GO_SQLITE:
                self.router.wait_for_switch()
            try:
                own = PlainCursor(conn)
                own.execute(text)
            except sqlite3.OperationalError:
                if deferred_on_error and not in_transaction(conn):
                    ours(conn, "BEGIN")  # as Python leaves it when the statement itself met the lock
                    self.reset()
                raise
            self.reset()
            if self.trusted and own.execute(AS_BEFORE, (self.catalog_version,)).fetchone():
                self.writable = self.journaling = True
                return True
            try:
                control = self._control(conn)
            except sqlite3.Error:
                ours(conn, "ROLLBACK")  # refused (a record format we do not know): nothing of ours stays open
                self.reset()
                raise
            if control is None or control.verdict is Verdict.HERE:
                return True
            ours(conn, "ROLLBACK")
            self._refuse_if_sqlite_only()
            if control.verdict is Verdict.POSTGRES or not self.router.settle(conn):
                return False
            now = time.monotonic()
            deadline = deadline or now + self.settings.switch_wait_seconds
            if now > deadline:
                raise busy("the switch did not settle")

    def authorise(self, conn: sqlite3.Connection) -> bool:
        """The open transaction holds the write lock: may it write here? Remembers what the control row says."""
        control = self._control(conn)
        if control is None or control.verdict is Verdict.HERE:
            return True
        self._refuse_if_sqlite_only()
        return False

    def take_lock(self, conn: sqlite3.Connection) -> bool:
        """The app's own deferred transaction writes for the first time; False: it may move to PostgreSQL."""
        self.counters.before_ours(conn)
        try:
            ours(conn, "WITH k AS (SELECT 1) DELETE FROM main._shadow_app_trigger WHERE 0")
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            # Not initialised, and asking further would leave a read snapshot, which the app's own write could not
            # always turn into a write lock. Should init come now, backfill takes its copy after this transaction.
            self.router.uninitialised()
            self.writable = True
            self.journaling = False
            return True
        if self.authorise(conn):
            return True
        if self.touched:
            raise busy("PostgreSQL became primary while this transaction was reading from SQLite")
        return False

    def move(self, conn: sqlite3.Connection) -> None:
        """The app's own transaction, in which nothing has been seen yet, is opened again on PostgreSQL."""
        savepoints, begun = self.buffer.savepoints, not self.by_savepoint
        ours(conn, "ROLLBACK")
        self.reset()
        remote = self.open_remote(conn)
        if begun:
            remote.execute("BEGIN", (), implicit_begin=None)
        for name in savepoints:
            quoted = name.replace('"', '""')
            remote.execute(f'SAVEPOINT "{quoted}"', (), implicit_begin=None)

    def _control(self, conn: sqlite3.Connection) -> Control | None:
        control = self.router.control(conn)
        if control is None:
            self.router.uninitialised()
            self.writable = True
            return None
        self.initialised = True
        if not control.format_known:
            raise sqlite3.OperationalError(
                "the journal has a format this version of shadow does not know; upgrade shadow in this process"
            )
        if control.catalog_version != self.catalog_version:
            self._facts = None
            self.forget_plans()
            self.catalog_version = control.catalog_version
        if control.verdict is Verdict.HERE:
            self.writable = True
            only_sqlite = self.settings.database_type is DatabaseType.SQLITE
            self.journaling = self.trusted = bool(control.journaling) and not only_sqlite
            if only_sqlite and control.journaling:
                self._raise_proof(conn)
        return control

    def _raise_proof(self, conn: sqlite3.Connection) -> None:
        """This process writes past the journal: what was proven before no longer counts. In the app's transaction.

        In each one: somebody may have verified since the last.
        """
        self.counters.before_ours(conn)
        ours(conn, "WITH k AS (SELECT 1) UPDATE main._shadow_control SET proof_epoch = proof_epoch + 1")
        self.counters.ours += 1
        self.router.past_the_journal()

    def _refuse_if_sqlite_only(self) -> None:
        if self.settings.database_type is DatabaseType.SQLITE:
            raise sqlite3.OperationalError(
                f"PostgreSQL is primary for {self.settings.sqlite_path};"
                " set DATABASE_TYPE=shadow, or run `shadow rollback`"
            )

    # -- what is known of the file and the connection -------------------------------------------------------------

    def facts(self, conn: sqlite3.Connection) -> FileFacts:
        """Facts of the app's tables, in the open transaction."""
        if self._facts is None:
            if self.ddl:
                self._facts = load(conn)
            else:
                self._facts = facts_for(conn, self.settings.sqlite_path, self.catalog_version)
        return self._facts

    def schema_changed(self, conn: sqlite3.Connection) -> None:
        self.ddl = True
        self._facts = None
        self.forget_plans()

    def keep_plan(self, statement: Statement, plan: Plan) -> None:
        """A replay that the next run of the text may follow without asking."""
        if len(self.replays) >= _REPLAYS_MAX:
            self.replays = {}
        self.replays[statement] = plan

    def forget_schema(self) -> None:
        """What is known of the tables under this catalog version is not what they are."""
        self._facts = None
        self.forget_plans()
        forget(self.settings.sqlite_path, self.catalog_version)

    def forget_plans(self) -> None:
        """Something that plans rest on may have changed."""
        if self.replays:
            self.replays = {}

    def sees_foreign(self, name: str) -> None:
        """The connection has a TEMP object of this name; '' stands for any, "triggers" for a trigger on any table."""
        self.foreign.add(name)
        self.forget_plans()

    def foreign_keys(self, conn: sqlite3.Connection) -> bool:
        """PRAGMA foreign_keys of this connection."""
        if self._foreign_keys is None:
            self._foreign_keys = bool(ask(conn, "PRAGMA foreign_keys")[0][0])
        return self._foreign_keys

    def legacy_level(self, conn: sqlite3.Connection, statement: Statement) -> str | None:
        """The isolation level with which Python would begin a transaction before this statement; None: it would not."""
        if self.in_script or not statement.python_dml or not has_legacy_transactions(conn):
            return None
        level: str | None = isolation_level(conn)
        return level

    def failed(self, what: str, error: BaseException, sql: str = "") -> None:
        """A step of ours failed: the app goes on, its record says that the effect is not known."""
        self.router.failures += 1
        self.buffer.add(encode_item(Undetermined(sql, (), f"shim: {what}: {type(error).__name__}")))
        self.router.log.error("shim.failed", what=what, error=type(error).__name__, detail=str(error))

    # -- PostgreSQL ------------------------------------------------------------------------------------------------

    def _goes_remote(self, conn: sqlite3.Connection, statement: Statement) -> bool:
        if self.settings.database_type is DatabaseType.SQLITE:
            return False
        if self.remote_open:
            return True
        if in_transaction(conn):
            return self._untouched(conn) and self._moves(conn)
        remote = self.router.side(conn) is Side.POSTGRES
        self.view = self.router.view
        return remote

    def _untouched(self, conn: sqlite3.Connection) -> bool:
        """With autocommit=False Python has begun the transaction, and nothing has run in it yet."""
        return not self.touched and not self.writable and not self.buffer.savepoints and always_begun(conn)

    def _moves(self, conn: sqlite3.Connection) -> bool:
        """Such a transaction goes to the side that is primary now."""
        ours(conn, "ROLLBACK")  # also: asking must leave no snapshot in it
        remote = self.router.side(conn) is Side.POSTGRES
        self.view = self.router.view
        if remote:
            self.open_remote(conn).execute("BEGIN", (), implicit_begin=None)
        else:
            ours(conn, "BEGIN")
        return remote

    def run_remote(self, cursor: Cursor, conn: sqlite3.Connection, statement: Statement, params: Any) -> Cursor:
        """The statement runs on PostgreSQL; if that is no longer primary, wherever it is primary then."""
        from .remote.cursor import show

        remote = self.open_remote(conn)
        begin = None if remote.in_transaction else self.legacy_level(conn, statement)
        try:
            bound = adapt.params(params, statement)
        except adapt.CannotAdapt:
            bound = params
        if statement.kind is Kind.PRAGMA and _sets(statement):
            self._remember_setting(conn, statement)
        try:
            result = remote.execute(statement.sql, bound, implicit_begin=begin)
        except NotPrimary:
            self._come_back(conn, statement)
            return self.execute_here(cursor, conn, statement, statement.sql, params)
        finally:
            self._after_remote()
        show(cursor, result)
        return cursor

    def run_remote_many(self, cursor: Cursor, conn: sqlite3.Connection, statement: Statement, sets: Any) -> Cursor:
        """executemany on PostgreSQL. A session that is not primary says so before it has done the first set."""
        from .remote.cursor import show

        remote = self.open_remote(conn)
        begin = None if remote.in_transaction else self.legacy_level(conn, statement)
        sets = iter(sets)  # a list would begin anew behind what was pulled: every row twice
        pulled: list[Any] = []

        def adapted() -> Iterator[Any]:
            for one in sets:
                if len(pulled) < _PULLED_MAX:
                    pulled.append(one)
                try:
                    yield adapt.params(one, statement)
                except adapt.CannotAdapt:
                    yield one

        try:
            result = remote.executemany(statement.sql, adapted(), implicit_begin=begin)
        except NotPrimary:
            if len(pulled) == _PULLED_MAX:
                raise busy("PostgreSQL is no longer primary") from None
            self._come_back(conn, statement)
            return many.execute_many(self, cursor, conn, statement, statement.sql, chain(pulled, sets))
        finally:
            self._after_remote()
        show(cursor, result)
        return cursor

    def _come_back(self, conn: sqlite3.Connection, statement: Statement) -> None:
        """PostgreSQL said that it is not primary: wait for the flag to say that SQLite is, and stand there as here."""
        begun = self.remote.begun if self.remote is not None else None
        deadline = time.monotonic() + self.settings.switch_wait_seconds
        while self.router.authority(conn) is Side.POSTGRES:
            if time.monotonic() > deadline:
                raise busy("no side is primary")
            time.sleep(0.002)
            self.router.refresh()
        self.view = self.router.view
        if begun is not None and statement.kind is not Kind.BEGIN and self.legacy_level(conn, statement) is None:
            self.execute_here(PlainCursor(conn), conn, classify(f"BEGIN {begun}"), f"BEGIN {begun}", ())  # type: ignore[arg-type]

    def _remember_setting(self, conn: sqlite3.Connection, statement: Statement) -> None:
        """A setting made here or there holds on both sides."""
        self.pragmas[statement.name] = statement.sql
        self._foreign_keys = None
        if self.remote_open or not in_transaction(conn):
            ours(conn, statement.sql).fetchall()

    @property
    def remote_open(self) -> bool:
        """Whether the app's transaction is open in PostgreSQL."""
        return self.remote is not None and self.remote.in_transaction

    def open_remote(self, conn: sqlite3.Connection) -> RemoteSession:
        """The connection's PostgreSQL side, with the connection's settings."""
        remote = self.remote
        if remote is None:
            from .remote.session import RemoteSession

            remote = self.remote = RemoteSession(self.settings)
            remote.busy_timeout_ms = int(ask(conn, "PRAGMA busy_timeout")[0][0])
            for sql in self.pragmas.values():
                remote.execute(sql, ())
        remote.ask = self.router.view[STATE] != GO_POSTGRES
        return remote

    def _after_remote(self) -> None:
        self.view = ALWAYS_ASK if self.remote_open else self.router.view

    def finish_remote(self, *, commit: bool) -> bool:
        """End the transaction that is open in PostgreSQL; False: there is none."""
        if self.remote is None or not self.remote.in_transaction:
            return False
        try:
            if commit:
                self.remote.commit()
            else:
                self.remote.rollback()
        finally:
            self._after_remote()
        return True
