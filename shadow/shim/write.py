"""One write on SQLite: how it comes into a transaction, and how that ends.

The order of steps is PROTOCOL: the write lock, the control row, the statement, at commit the record. What Python or
SQLite would have committed by itself (a statement outside a transaction) is one transaction of ours.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

from ..journal.record import Undetermined, encode_item
from .carry import compiles, count_of, run_and_record
from .classify import Statement, fold
from .facts import plain_text
from .plain import PlainCursor, ask, in_transaction, ours, run
from .transaction import SPILL_BYTES

if TYPE_CHECKING:
    from .cursor import Cursor
    from .session import Session


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


#: Members as globals: Python 3.11 looks a member up through the enum's class each time.
JOINED, IMPLICIT, OWN, REMOTE = Entry.JOINED, Entry.IMPLICIT, Entry.OWN, Entry.REMOTE


def execute(
    session: Session, cursor: Cursor, conn: sqlite3.Connection, statement: Statement, sql: str, params: Any
) -> Cursor:
    """INSERT, UPDATE, DELETE, REPLACE of the app."""
    if (session.foreign or statement.schema is not None) and not_ours(session, conn, statement):
        _run_elsewhere(session, cursor, conn, sql, params)
        return cursor
    entry = JOINED if session.writable and in_transaction(conn) else enter(session, conn, statement)
    if entry is REMOTE:
        return session.run_remote(cursor, conn, statement, params)
    session.touched = True
    if statement.mentions_counters:
        session.counters.restore(conn)
    try:
        if session.journaling:
            run_and_record(session, cursor, conn, statement, sql, params)
        else:
            run(cursor, sql, params)
            session.counters.app_wrote(count_of(cursor, statement))
    except BaseException as error:
        after_error(session, conn, sql, entry, error)
        raise
    if entry is OWN:
        rows = cursor.fetchall() if statement.returning else None
        count = cursor.rowcount
        commit_own(session, conn)
        if rows is not None:
            from .buffered import keep

            keep(cursor, rows, count)
    elif session.buffer.size_bytes > SPILL_BYTES:
        spill(session, conn)
    return cursor


def enter(session: Session, conn: sqlite3.Connection, statement: Statement) -> Entry:
    """Hold the write lock with the control row read, or say that PostgreSQL is primary."""
    if not in_transaction(conn):
        level = session.legacy_level(conn, statement)
        text = "BEGIN EXCLUSIVE" if level == "EXCLUSIVE" else "BEGIN IMMEDIATE"
        if not session.begin(conn, text, deferred_on_error=level in ("", "DEFERRED")):
            return REMOTE
        return OWN if level is None else IMPLICIT
    if not session.writable and not session.take_lock(conn):
        session.move(conn)
        return REMOTE
    return JOINED


def _run_elsewhere(session: Session, cursor: Cursor, conn: sqlite3.Connection, sql: str, params: Any) -> None:
    """A write to TEMP tables or another file: SQLite's business, and Python's implicit transaction as ever."""
    if session.in_script and not in_transaction(conn):
        PlainCursor.executescript(cursor, sql)
    else:
        run(cursor, sql, params)
    session.counters.app_wrote(None)


def not_ours(session: Session, conn: sqlite3.Connection, statement: Statement) -> bool:
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


def commit_own(session: Session, conn: sqlite3.Connection) -> None:
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


def after_error(session: Session, conn: sqlite3.Connection, sql: str, entry: Entry, error: BaseException) -> None:
    """The statement failed. What it has changed stays or goes as without us."""
    compiled = isinstance(error, sqlite3.IntegrityError) or compiles(conn, sql)
    if compiled and not isinstance(error, (sqlite3.ProgrammingError, sqlite3.InterfaceError)):
        session.counters.app_wrote(None)  # it ran, so `changes()` is its own
    if not in_transaction(conn):
        session.rolled_back()
    elif entry is Entry.OWN and session.buffer.pending:
        commit_own(session, conn)  # OR FAIL: the rows before the one that failed are committed
    elif entry is Entry.OWN or (entry is Entry.IMPLICIT and not compiled):
        ours(conn, "ROLLBACK")
        session.rolled_back()


def mark(
    session: Session, conn: sqlite3.Connection, table: str, reason: str, before_commit: Callable[[], object]
) -> None:
    """Record that a table's content changed in a way no statement tells, in one transaction with `before_commit`."""
    own = not in_transaction(conn)
    if own:
        session.begin(conn, "BEGIN IMMEDIATE", deferred_on_error=False)
    elif not session.writable:
        session.take_lock(conn)
    if session.journaling:
        session.buffer.add(encode_item(Undetermined("", (fold(table),), reason)))
    before_commit()
    if own:
        commit_own(session, conn)
