"""One write on SQLite and what it leaves in the record.

The order of steps is PROTOCOL: the write lock, the control row, the statement, at commit the record. What Python or
SQLite would have committed by itself (a statement outside a transaction) is one transaction of ours.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any

from ..journal.record import SchemaChanged, Undetermined, encode_executed, encode_item
from . import adapt
from .classify import Statement, fold
from .facts import plain_text
from .plain import PlainConnection, PlainCursor, ask, in_transaction, isolation_level, ours
from .plan import How, Plan, as_images, plan_for
from .session import Session, run

if TYPE_CHECKING:
    from .cursor import Cursor

#: executemany: so many sets go into one item.
_SETS_PER_ITEM = 500
#: Errors after which OR FAIL has kept the rows before the one that failed.
_KEEPS_ROWS = frozenset(
    (
        sqlite3.SQLITE_CONSTRAINT_UNIQUE,
        sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
        sqlite3.SQLITE_CONSTRAINT_NOTNULL,
        sqlite3.SQLITE_CONSTRAINT_CHECK,
        sqlite3.SQLITE_CONSTRAINT_ROWID,
    )
)
_OBJECTS = (
    "SELECT type, name, tbl_name, sql FROM main.sqlite_master WHERE name NOT LIKE '\\_shadow\\_%' ESCAPE '\\'"
    " AND tbl_name NOT LIKE '\\_shadow\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid"
)


class Entry(Enum):
    """How a write came into its transaction."""

    #: The app's transaction was open.
    JOINED = "joined"
    #: Python's legacy mode would have begun one; it stays open.
    IMPLICIT = "implicit"
    #: SQLite would have committed by itself; we do.
    OWN = "own"
    #: PostgreSQL is primary; nothing is open here.
    REMOTE = "remote"


def execute(
    session: Session, cursor: Cursor, conn: sqlite3.Connection, statement: Statement, sql: str, params: Any
) -> Cursor:
    """INSERT, UPDATE, DELETE, REPLACE of the app."""
    if _not_ours(session, conn, statement):
        _run_elsewhere(session, cursor, conn, sql, params)
        return cursor
    entry = enter(session, conn, statement)
    if entry is Entry.REMOTE:
        return session.run_remote(cursor, conn, statement, params)
    session.touched = True
    if statement.mentions_counters:
        session.counters.restore(conn)
    try:
        if session.journaling:
            _run_and_record(session, cursor, conn, statement, sql, params)
        else:
            run(cursor, sql, params)
            session.counters.app_wrote(_count(cursor, statement))
    except BaseException as error:
        _after_error(session, conn, sql, entry, error)
        raise
    if entry is Entry.OWN:
        rows = cursor.fetchall() if statement.returning else None
        count = cursor.rowcount
        _commit_own(session, conn)
        if rows is not None:
            from .buffered import keep

            keep(cursor, rows, count)
    elif session.buffer.full:
        spill(session, conn)
    return cursor


def enter(session: Session, conn: sqlite3.Connection, statement: Statement) -> Entry:
    """Hold the write lock with the control row read, or say that PostgreSQL is primary."""
    if not in_transaction(conn):
        implicit = session.legacy_begins(conn, statement)
        kind = "EXCLUSIVE" if implicit and isolation_level(conn) == "EXCLUSIVE" else "IMMEDIATE"
        if not session.begin(conn, kind, deferred_on_error=implicit):
            return Entry.REMOTE
        return Entry.IMPLICIT if implicit else Entry.OWN
    if not session.writable and not session.take_lock(conn):
        ours(conn, "ROLLBACK")
        session.reset()
        session.open_remote(conn).execute("BEGIN", (), implicit_begin=None)
        return Entry.REMOTE
    return Entry.JOINED


def _compiles(conn: sqlite3.Connection, sql: str) -> bool:
    """Python meets an error of the text before it begins a transaction, and one of its execution after."""
    try:
        PlainConnection.__call__(conn, sql)
    except (sqlite3.Error, sqlite3.Warning):
        return False
    return True


def _run_elsewhere(session: Session, cursor: Cursor, conn: sqlite3.Connection, sql: str, params: Any) -> None:
    """A write to TEMP tables or another file: SQLite's business, and Python's implicit transaction as ever."""
    if session.in_script and not in_transaction(conn):
        PlainCursor.executescript(cursor, sql)
    else:
        run(cursor, sql, params)
    session.counters.app_wrote(None)


def _not_ours(session: Session, conn: sqlite3.Connection, statement: Statement) -> bool:
    """TEMP tables and tables of other files: SQLite alone deals with them."""
    if statement.schema is not None and statement.schema != "main":
        return True
    if not session.foreign or statement.schema == "main":
        return False
    with plain_text(conn):
        temp = ask(
            conn,
            "SELECT 1 FROM temp.sqlite_master WHERE name = ? COLLATE NOCASE AND type != 'trigger'",
            (statement.name,),
        )
        if temp:
            return True
        if "" not in session.foreign:
            return False
        here = ask(conn, "SELECT 1 FROM main.sqlite_master WHERE name = ? COLLATE NOCASE", (statement.name,))
    return not here


def decide(session: Session, conn: sqlite3.Connection, statement: Statement) -> Plan:
    """How this statement is carried, with everything prepared that must be before it runs."""
    facts = session.facts(conn)
    foreign_keys = bool(facts.actions) and session.foreign_keys(conn)
    plan = plan_for(statement, facts, foreign_keys=foreign_keys)
    if plan.how is How.REPLAY:
        reason = ""
        if session.functions and session.functions & (statement.functions | _table_functions(facts, statement)):
            reason = "functions of the app"
        elif session.foreign and (
            "" in session.foreign or "triggers" in session.foreign or session.foreign & statement.identifiers
        ):
            reason = "temporary or attached objects"
        elif plan.now and not session.clock.install(conn):
            reason = "the time, while a statement is running"
        if reason and statement.name in facts.tables:
            plan = as_images(statement, facts, reason, foreign_keys=foreign_keys)
    if plan.how is How.IMAGES:
        try:
            possible = session.images.prepare(conn, facts, plan.tables, session.catalog_version)
        except sqlite3.Error:
            possible = False
        if not possible:
            plan = Plan(How.UNKNOWN, plan.tables, plan.reason)
    return plan


def _table_functions(facts: Any, statement: Statement) -> frozenset[str]:
    table = facts.tables.get(statement.name)
    return frozenset() if table is None else table.functions


def _run_and_record(
    session: Session, cursor: Cursor, conn: sqlite3.Connection, statement: Statement, sql: str, params: Any
) -> None:
    plan = decide(session, conn, statement)
    if plan.how is How.REPLAY:
        try:
            bound = adapt.params(params, statement)
        except adapt.CannotAdapt:
            bound = None
        session.clock.now = None
        run(cursor, sql, params if bound is None or adapt.base_adapters_registered() else bound)
        count = _count(cursor, statement)
        session.counters.app_wrote(count)
        try:
            if bound is None:
                session.buffer.add(encode_item(Undetermined(sql, plan.tables, "parameters")))
            else:
                session.buffer.add(
                    encode_executed(
                        sql,
                        (adapt.journaled(bound, statement),),
                        False,
                        -1 if count is None else count,
                        (_rowid(cursor, count, statement),) if plan.rowid else None,
                        session.clock.now,
                    )
                )
        except Exception as error:  # noqa: BLE001 -- the app's statement has succeeded; its record says "not known"
            session.failed("record", error, sql)
        return
    _run_otherwise(session, conn, statement, sql, plan, lambda: run(cursor, sql, params))
    session.counters.app_wrote(_count(cursor, statement))


def _run_otherwise(
    session: Session, conn: sqlite3.Connection, statement: Statement, sql: str, plan: Plan, call: Callable[[], object]
) -> None:
    """Run with row images taken, or with the tables marked."""
    session.clock.now = None
    if plan.how is How.UNKNOWN:
        try:
            call()
        finally:
            if in_transaction(conn):
                session.buffer.add(encode_item(Undetermined(sql, plan.tables, plan.reason)))
        return
    images = session.images
    images.begin(sql, plan.reason)
    try:
        call()
    except BaseException as error:
        _add_images(session, conn, sql, plan, error, statement)
        raise
    _add_images(session, conn, sql, plan, None, statement)


def _add_images(
    session: Session, conn: sqlite3.Connection, sql: str, plan: Plan, error: BaseException | None, statement: Statement
) -> None:
    """What the statement did to rows goes into the record; after an error, what of it has stayed."""
    images = session.images
    items = images.end()
    if error is not None and not in_transaction(conn):
        return
    if error is not None and (items or images.overflow):
        kept = statement.or_action == "FAIL" and getattr(error, "sqlite_errorcode", 0) in _KEEPS_ROWS
        if not kept:
            # ABORT takes the statement back, and FAIL inside a trigger or a table's own clause does not: marked.
            if plan.reason in ("triggers", "on conflict clause of the table") or statement.or_action == "FAIL":
                session.buffer.add(encode_item(Undetermined(sql, plan.tables, "failed halfway")))
            return
    if images.overflow:
        session.buffer.add(encode_item(Undetermined(sql, plan.tables, "too many rows for images")))
        return
    for item in items:
        session.buffer.add(item)


def _count(cursor: sqlite3.Cursor, statement: Statement) -> int | None:
    """`changes()` of the statement where the cursor knows it."""
    return None if statement.returning or cursor.rowcount < 0 else cursor.rowcount


def _rowid(cursor: sqlite3.Cursor, count: int | None, statement: Statement) -> int | None:
    if count == 0 and statement.or_action != "REPLACE":
        return None
    return cursor.lastrowid


def spill(session: Session, conn: sqlite3.Connection) -> None:
    """Write a part of the record, so that a big transaction does not stay in memory."""
    try:
        session.counters.before_ours(conn)
        session.buffer.spill(conn)
        session.counters.ours += 1
    except (sqlite3.Error, OverflowError, MemoryError) as error:
        if not in_transaction(conn):
            raise
        session.buffer.items.clear()
        session.failed("spill", error)


def _commit_own(session: Session, conn: sqlite3.Connection) -> None:
    """Commit the transaction that stands for SQLite's autocommit."""
    try:
        session.before_commit(conn)
        ours(conn, "COMMIT")
    except BaseException:
        if in_transaction(conn):
            ours(conn, "ROLLBACK")
        session.rolled_back()
        raise
    session.committed()


def _after_error(session: Session, conn: sqlite3.Connection, sql: str, entry: Entry, error: BaseException) -> None:
    """The statement failed. What it has changed stays or goes as without us."""
    compiled = isinstance(error, sqlite3.IntegrityError) or _compiles(conn, sql)
    if compiled and not isinstance(error, (sqlite3.ProgrammingError, sqlite3.InterfaceError)):
        session.counters.app_wrote(None)  # it ran, so `changes()` is its own
    if not in_transaction(conn):
        session.rolled_back()
    elif entry is Entry.OWN and session.buffer.pending:
        _commit_own(session, conn)  # OR FAIL: the rows before the one that failed are committed
    elif entry is Entry.OWN or (entry is Entry.IMPLICIT and not compiled):
        ours(conn, "ROLLBACK")
        session.rolled_back()


def execute_many(
    session: Session, cursor: Cursor, conn: sqlite3.Connection, statement: Statement, sql: str, sets: Any
) -> Cursor:
    """executemany of a write. Sets that were done before an error stay, as sqlite3 has it."""
    from .cursor import executemany

    if _not_ours(session, conn, statement):
        executemany(cursor, sql, sets)
        session.counters.app_wrote(None)
        return cursor
    entry = enter(session, conn, statement)
    if entry is Entry.REMOTE:
        return session.run_remote_many(cursor, conn, statement, sets)
    session.touched = True
    try:
        if session.journaling:
            plan = decide(session, conn, statement)
            if plan.how is How.REPLAY:
                _Many(session, cursor, conn, statement, sql, plan).run(sets)
            else:
                _many_otherwise(session, cursor, conn, statement, sql, plan, sets)
        else:
            executemany(cursor, sql, sets)
            session.counters.app_wrote(None)
    except BaseException as error:
        if entry is Entry.OWN and in_transaction(conn):
            session.counters.app_wrote(None)
            _commit_own(session, conn)  # the sets before the failing one were committed one by one
            entry = Entry.JOINED
        _after_error(session, conn, sql, entry, error)
        raise
    if entry is Entry.OWN:
        _commit_own(session, conn)
    elif session.buffer.full:
        spill(session, conn)
    return cursor


def _many_otherwise(
    session: Session,
    cursor: Cursor,
    conn: sqlite3.Connection,
    statement: Statement,
    sql: str,
    plan: Plan,
    sets: Any,
) -> None:
    """executemany whose effect is captured; a set that fails takes only its own images back."""
    from .cursor import executemany

    if plan.how is How.UNKNOWN:
        _run_otherwise(session, conn, statement, sql, plan, lambda: executemany(cursor, sql, sets))
        session.counters.app_wrote(None)
        return
    images = session.images
    images.begin(sql, plan.reason)
    mark = images.mark()
    pulled = False

    def marked() -> Iterator[Any]:
        nonlocal mark, pulled
        for one in sets:
            pulled = True
            mark = images.mark()
            yield one

    done = False
    try:
        executemany(cursor, sql, marked())
        done = True
        if pulled:
            session.counters.app_wrote(None)
    finally:
        overflow = images.overflow
        items = images.end(None if done or statement.or_action == "FAIL" else mark)
        if in_transaction(conn):
            if overflow or (not done and plan.reason == "triggers"):
                items = [encode_item(Undetermined(sql, plan.tables, plan.reason))]
            for item in items:
                session.buffer.add(item)


class _Many:
    """The sets of one executemany, recorded as they complete: when the next is pulled, the one before is done."""

    def __init__(
        self, session: Session, cursor: Cursor, conn: sqlite3.Connection, statement: Statement, sql: str, plan: Plan
    ) -> None:
        self.session, self.cursor, self.conn = session, cursor, conn
        self.statement, self.sql, self.plan = statement, sql, plan
        self.done: list[Any] = []
        self.rowids: list[int | None] = []
        self.count = 0
        self.running: Any = None
        self.pulled = False

    def run(self, sets: Any) -> None:
        from .cursor import executemany

        self.session.clock.now = None
        try:
            executemany(self.cursor, self.sql, self._sets(sets))
            if self.pulled:
                self.session.counters.app_wrote(None)
        finally:
            if in_transaction(self.conn):
                self._flush()

    def _sets(self, sets: Any) -> Iterator[Any]:
        for one in sets:
            self.pulled = True
            self._complete()
            if len(self.done) >= _SETS_PER_ITEM:
                self._flush()
                if self.session.buffer.full:
                    self.session.counters.app_wrote(None)
                    spill(self.session, self.conn)
            try:
                bound = adapt.params(one, self.statement)
            except adapt.CannotAdapt:
                self._unknown()
                yield one
                continue
            self.running = (adapt.journaled(bound, self.statement),)
            yield one if adapt.base_adapters_registered() else bound
        self._complete()

    def _complete(self) -> None:
        if self.running is None:
            return
        if self.plan.rowid:
            rowid, changes = ask(self.conn, "SELECT last_insert_rowid(), changes()")[0]
            self.rowids.append(rowid if changes else None)
        else:
            changes = ask(self.conn, "SELECT changes()")[0][0]
        self.count += changes
        self.done.append(self.running[0])
        self.running = None

    def _unknown(self) -> None:
        self.session.buffer.add(encode_item(Undetermined(self.sql, self.plan.tables, "parameters")))

    def _flush(self) -> None:
        if not self.done:
            return
        try:
            self.session.buffer.add(
                encode_executed(
                    self.sql,
                    self.done,
                    True,
                    self.count,
                    self.rowids if self.plan.rowid else None,
                    self.session.clock.now,
                )
            )
        except Exception as error:  # noqa: BLE001 -- as for a single statement
            self.session.failed("record", error, self.sql)
        self.done, self.rowids, self.count = [], [], 0
        self.session.clock.now = None


def define(
    session: Session, cursor: Cursor, conn: sqlite3.Connection, statement: Statement, sql: str, params: Any
) -> Cursor:
    """CREATE, ALTER, DROP."""
    if _defines_elsewhere(session, conn, statement):
        run(cursor, sql, params)
        return cursor
    if statement.conditional and _changes_nothing(session, cursor, conn, statement, sql, params):
        return cursor
    entry = enter(session, conn, statement)
    if entry is Entry.REMOTE:
        return session.run_remote(cursor, conn, statement, params)
    session.touched = True
    try:
        if session.journaling:
            _define_and_record(session, cursor, conn, statement, sql, params)
        else:
            run(cursor, sql, params)
    except BaseException as error:
        _after_error(session, conn, sql, entry, error)
        raise
    if entry is Entry.OWN:
        _commit_own(session, conn)
    return cursor


def _defines_elsewhere(session: Session, conn: sqlite3.Connection, statement: Statement) -> bool:
    """DDL on TEMP objects or on an attached file; remembers the names."""
    if statement.verb == "CREATE" and statement.temporary:
        session.foreign.add("triggers" if statement.what == "TRIGGER" else statement.name)
        return True
    if statement.temporary or (statement.schema is not None and statement.schema != "main"):
        return True
    return statement.verb != "CREATE" and bool(session.foreign) and _not_ours(session, conn, statement)


def _changes_nothing(
    session: Session, cursor: Cursor, conn: sqlite3.Connection, statement: Statement, sql: str, params: Any
) -> bool:
    """CREATE IF NOT EXISTS of what is there, DROP IF EXISTS of what is not: no write lock is taken, as without us."""
    own = not in_transaction(conn)
    if own:
        ours(conn, "BEGIN")
    try:
        with plain_text(conn):
            there = bool(ask(conn, "SELECT 1 FROM main.sqlite_master WHERE name = ? COLLATE NOCASE", (statement.name,)))
        nothing = there == (statement.verb == "CREATE")
        if nothing:
            run(cursor, sql, params)
    finally:
        if own and in_transaction(conn):
            ours(conn, "ROLLBACK")
    return nothing


def _define_and_record(
    session: Session, cursor: Cursor, conn: sqlite3.Connection, statement: Statement, sql: str, params: Any
) -> None:
    if session.images.present:
        session.images.drop(conn)
    children: frozenset[str] = frozenset()
    if statement.verb == "DROP" and statement.what == "TABLE":
        facts = session.facts(conn)
        if facts.actions and session.foreign_keys(conn):
            children = frozenset(facts.closure(statement.name, foreign_keys=True)) - {statement.name}
    run(cursor, sql, params)
    session.counters.before_ours(conn)
    ours(conn, "WITH k AS (SELECT 1) UPDATE main._shadow_control SET catalog_version = catalog_version + 1")
    session.counters.ours += 1
    session.schema_changed(conn)
    with plain_text(conn):
        objects = ask(conn, _OBJECTS)
    session.buffer.add(encode_item(SchemaChanged(sql, tuple(objects))))
    if statement.as_select:
        session.buffer.add(encode_item(Undetermined(sql, (statement.name,), "create table as select")))
    if children:
        session.buffer.add(encode_item(Undetermined(sql, tuple(sorted(children)), "foreign key actions")))


def vacuum(
    session: Session, cursor: Cursor, conn: sqlite3.Connection, statement: Statement, sql: str, params: Any
) -> Cursor:
    """VACUUM may give rows of tables without INTEGER PRIMARY KEY other ids: those are marked, before and after."""
    if statement.what == "INTO" or in_transaction(conn):
        run(cursor, sql, params)
        return cursor
    mark_hidden_rowids(session, conn, sql)
    run(cursor, sql, params)
    mark_hidden_rowids(session, conn, sql)
    return cursor


def mark_hidden_rowids(session: Session, conn: sqlite3.Connection, sql: str) -> None:
    if not session.initialised_file(conn) or not session.begin(conn, "IMMEDIATE", deferred_on_error=False):
        return
    tables = session.facts(conn).with_hidden_rowid()
    if session.journaling and tables:
        session.buffer.add(encode_item(Undetermined(sql, tables, "row ids after VACUUM")))
        _commit_own(session, conn)
    else:
        ours(conn, "ROLLBACK")
        session.rolled_back()


def mark(
    session: Session, conn: sqlite3.Connection, table: str, reason: str, before_commit: Callable[[], object]
) -> None:
    """Record that a table's content changed in a way no statement tells, in one transaction with `before_commit`."""
    own = not in_transaction(conn)
    if own:
        session.begin(conn, "IMMEDIATE", deferred_on_error=False)
    elif not session.writable:
        session.take_lock(conn)
    if session.journaling:
        session.buffer.add(encode_item(Undetermined("", (fold(table),), reason)))
    before_commit()
    if own:
        _commit_own(session, conn)
