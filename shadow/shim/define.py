"""DDL and VACUUM: what changes the schema, or the row ids, of the app's file."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from ..journal.record import SchemaChanged, Undetermined, encode_item
from ..types import DatabaseType
from .classify import Statement
from .facts import plain_text
from .plain import ask, in_transaction, ours, run
from .write import Entry, after_error, commit_own, enter, not_ours

if TYPE_CHECKING:
    from .cursor import Cursor
    from .session import Session

_OBJECTS = (
    "SELECT type, name, tbl_name, sql FROM main.sqlite_master WHERE name NOT LIKE '\\_shadow\\_%' ESCAPE '\\'"
    " AND tbl_name NOT LIKE '\\_shadow\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid"
)


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
            if session.settings.database_type is DatabaseType.SQLITE and session.initialised:
                _raise_version(session, conn)  # processes that do journal keep facts by this version
    except BaseException as error:
        after_error(session, conn, sql, entry, error)
        raise
    if entry is Entry.OWN:
        commit_own(session, conn)
    return cursor


def _defines_elsewhere(session: Session, conn: sqlite3.Connection, statement: Statement) -> bool:
    """DDL on TEMP objects or on an attached file; remembers the names."""
    if statement.verb == "CREATE" and statement.temporary:
        session.sees_foreign("triggers" if statement.what == "TRIGGER" else statement.name)
        return True
    if statement.temporary or (statement.schema is not None and statement.schema != "main"):
        return True
    return statement.verb != "CREATE" and bool(session.foreign) and not_ours(session, conn, statement)


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
    _raise_version(session, conn)
    with plain_text(conn):
        objects = ask(conn, _OBJECTS)
    session.buffer.add(encode_item(SchemaChanged(sql, tuple(objects))))
    if statement.as_select:
        session.buffer.add(encode_item(Undetermined(sql, (statement.name,), "create table as select")))
    if children:
        session.buffer.add(encode_item(Undetermined(sql, tuple(sorted(children)), "foreign key actions")))


def _raise_version(session: Session, conn: sqlite3.Connection) -> None:
    session.counters.before_ours(conn)
    ours(conn, "WITH k AS (SELECT 1) UPDATE main._shadow_control SET catalog_version = catalog_version + 1")
    session.counters.ours += 1
    session.schema_changed(conn)


def vacuum(
    session: Session, cursor: Cursor, conn: sqlite3.Connection, statement: Statement, sql: str, params: Any
) -> Cursor:
    """VACUUM may give rows of tables without INTEGER PRIMARY KEY other ids: those are marked, before and after."""
    if statement.what == "INTO" or in_transaction(conn):
        run(cursor, sql, params)
        return cursor
    _mark_hidden_rowids(session, conn, sql)
    run(cursor, sql, params)
    _mark_hidden_rowids(session, conn, sql)
    return cursor


def _mark_hidden_rowids(session: Session, conn: sqlite3.Connection, sql: str) -> None:
    if not session.initialised_file(conn) or not session.begin(conn, "BEGIN IMMEDIATE", deferred_on_error=False):
        return
    tables = session.facts(conn).with_hidden_rowid()
    if session.journaling and tables:
        session.buffer.add(encode_item(Undetermined(sql, tables, "row ids after VACUUM")))
        commit_own(session, conn)
    else:
        ours(conn, "ROLLBACK")
        session.rolled_back()
