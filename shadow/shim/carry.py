"""What one write leaves in the record: the statement with what SQLite chose, row images, or a mark on its tables.

`shim.plan` says which by text and schema; what the connection adds (functions of the app, TEMP tables, a clock that
cannot be stopped) is decided here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..journal.record import Undetermined, encode_executed, encode_item
from . import adapt
from .classify import Statement
from .facts import FileFacts
from .plain import PlainConnection, in_transaction, run
from .plan import REPLAY, How, Plan, as_images, plan_for

if TYPE_CHECKING:
    from .session import Session

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


def decide(session: Session, conn: sqlite3.Connection, statement: Statement) -> Plan:
    """How this statement is carried, with everything prepared that must be before it runs.

    A replay is kept with the session (`Session.replays`), which forgets it when anything looked at here changes.
    """
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
        elif not reason and not session.ddl:
            session.keep_plan(statement, plan)
    if plan.how is How.IMAGES:
        if any(facts.tables[t].triggers_count for t in (statement.name, *plan.tables)):
            session.counters.restore(conn)
        try:
            possible = session.images.prepare(conn, facts, plan.tables, session.catalog_version)
        except sqlite3.Error:
            possible = False
        if not possible:
            plan = Plan(How.UNKNOWN, plan.tables, plan.reason)
    return plan


def _table_functions(facts: FileFacts, statement: Statement) -> frozenset[str]:
    table = facts.tables.get(statement.name)
    return frozenset() if table is None else table.functions


def run_and_record(
    session: Session, cursor: sqlite3.Cursor, conn: sqlite3.Connection, statement: Statement, sql: str, params: Any
) -> None:
    """Run a statement in an open write transaction that leaves a record."""
    plan = session.replays.get(statement) or decide(session, conn, statement)
    if plan.how is not REPLAY:
        run_otherwise(session, conn, statement, sql, plan, lambda: run(cursor, sql, params))
        session.counters.app_wrote(count_of(cursor, statement))
        return
    clock, buffer, counters = session.clock, session.buffer, session.counters
    try:
        bound = adapt.params(params, statement)
    except adapt.CannotAdapt:
        bound = None
    clock.now = None
    given = params if bound is None or adapt.base_adapters_registered() else bound
    try:
        run(cursor, sql, given)
    except sqlite3.OperationalError:
        if not triggers_misfit(session, conn, sql):
            raise
        run(cursor, sql, given)
        bound = None
    count = -1 if statement.returning else cursor.rowcount
    counters.app_changes = None if count < 0 else count
    counters.disturbed = False
    try:
        if bound is None:
            buffer.add(encode_item(Undetermined(sql, plan.tables, "parameters, or DDL past the shim")))
            return
        if plan.rowid:
            none = count == 0 and statement.or_action != "REPLACE"
            rowids = (None if none else cursor.lastrowid,)
        else:
            rowids = None
        if plan.named:
            bound = adapt.journaled(bound, statement)
        item = encode_executed(sql, (bound,), False, count, rowids, clock.now)
        buffer.items.append(item)
        buffer.size_bytes += len(item)
    except Exception as error:  # noqa: BLE001 -- the app's statement has succeeded; its record says "not known"
        session.failed("record", error, sql)


def run_otherwise(
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
        if capture_failed(session, conn, sql, error) and in_transaction(conn):
            run_uncaptured(session, conn, sql, plan, call)
            return
        _add_images(session, conn, sql, plan, error, statement)
        raise
    _add_images(session, conn, sql, plan, None, statement)


def capture_failed(session: Session, conn: sqlite3.Connection, sql: str, error: BaseException) -> bool:
    """Whether capture is to blame: the app must not notice.

    SQLite could not hand a row to our function (text that is no text), or the triggers no longer fit their tables.
    """
    if not isinstance(error, sqlite3.OperationalError):
        return False
    return "user-defined function" in str(error) or triggers_misfit(session, conn, sql)


def triggers_misfit(session: Session, conn: sqlite3.Connection, sql: str) -> bool:
    """Whether the text compiles only without our triggers: DDL past the shim has changed a table under them.

    They are gone afterwards, and what was known of the schema with them.
    """
    if not session.images.present or compiles(conn, sql):
        return False
    session.images.drop(conn)
    session.forget_schema()
    return compiles(conn, sql)


def compiles(conn: sqlite3.Connection, sql: str) -> bool:
    """Python meets an error of the text before it begins a transaction, and one of its execution after."""
    try:
        PlainConnection.__call__(conn, sql)
    except (sqlite3.Error, sqlite3.Warning):
        return False
    return True


def run_uncaptured(
    session: Session, conn: sqlite3.Connection, sql: str, plan: Plan, call: Callable[[], object]
) -> None:
    """The statement was taken back by its error; run it again without capture and mark its tables."""
    session.images.end()
    session.images.drop(conn)
    call()
    session.buffer.add(encode_item(Undetermined(sql, plan.tables, "rows that cannot be captured")))


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


def count_of(cursor: sqlite3.Cursor, statement: Statement) -> int | None:
    """`changes()` of the statement where the cursor knows it."""
    return None if statement.returning or cursor.rowcount < 0 else cursor.rowcount
