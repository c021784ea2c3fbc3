"""The app's own migrations while PostgreSQL is primary.

SQLite checks the statement on a copy of the replica and so makes the new catalog; the difference of the two catalogs
is what changes in PostgreSQL, with the new catalog and a change row for the way back in the same transaction. DDL
holds the fence against other DDL, taken before the snapshot: who waited sees what the other one made.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ... import log
from ..classify import Statement, classify
from ..tokens import T, tokenize
from .plan import not_supported
from .result import RemoteResult
from .schema import SchemaState

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as PgCursor

    from ...schema import Plan
    from .session import RemoteSession


def run_ddl(session: RemoteSession, sql: str, statement: Statement) -> RemoteResult:
    """CREATE, ALTER or DROP. Raises what SQLite would, and `NotSupportedError` for what has no counterpart."""
    if statement.temporary:
        raise not_supported("temporary tables, views and triggers")
    if statement.what == "VIRTUAL":
        raise not_supported("virtual tables")
    if statement.what == "TRIGGER" and statement.verb == "CREATE":
        raise not_supported("CREATE TRIGGER; triggers of the app do not run in PostgreSQL yet")
    session.refresh()
    state = session.state
    if state.replica.evolve(sql).objects == state.replica.objects:
        return RemoteResult()  # IF NOT EXISTS, and it does
    with session.schema_change():
        _change(session, sql, statement)
    return RemoteResult()


def _change(session: RemoteSession, sql: str, statement: Statement) -> None:
    """Inside the fence; the catalog that is known now is the one that stands."""
    from ...schema import plan_evolve, save_catalog, types_after
    from ...translate.catalog import pg_name

    state = session.state
    replica = state.replica.evolve(sql)
    if replica.objects == state.replica.objects:
        return
    catalog = replica.catalog(state.catalog.pg_schema, types_after(state.catalog, sql))
    pair = state.catalog.pg_schema
    cursor = session.cursor()
    build_plan(session, cursor, plan_evolve(state.catalog, catalog, sql))
    save_catalog(cursor, pair, replica.objects, catalog)
    fresh = [t for key, t in catalog.tables.items() if key not in state.catalog.tables and not t.virtual]
    session.note_change(sql, [pg_name(table.name) for table in fresh])
    session.adopt(SchemaState(state.version + 1, catalog, replica, time.monotonic()))
    if statement.as_select:
        _fill(session, sql, statement)


def build_plan(session: RemoteSession, cursor: PgCursor, plan: Plan) -> None:
    """Run a plan; uniqueness that the rows break is the app's error, what PostgreSQL cannot express is left out."""
    import psycopg2

    for finding in plan.findings:
        _left_out(finding.table, finding.message)
    for statement in plan.statements:
        cursor.execute("SAVEPOINT shadow_ddl")
        try:
            cursor.execute(statement.sql)
        except psycopg2.Error as error:
            state = error.pgcode or ""
            # Class 23: the rows break it. 40, 55, 57 and none at all: it could not be tried.
            if statement.required or not state or state.startswith(("23", "40", "55", "57")):
                raise
            cursor.execute("ROLLBACK TO shadow_ddl")
            _left_out(statement.table, f"{statement.kind} is refused by PostgreSQL ({state})")
        else:
            cursor.execute("RELEASE shadow_ddl")


def _left_out(table: str, message: str) -> None:
    log.get("shadow.remote").warning("ddl.left_out", table=table, detail=message)


def _fill(session: RemoteSession, sql: str, statement: Statement) -> None:
    """CREATE TABLE ... AS SELECT: the rows."""
    start = next(t.start for t in tokenize(sql) if t.kind is T.WORD and t.value in ("SELECT", "WITH", "VALUES"))
    name = statement.name.replace('"', '""')
    insert = f'INSERT INTO "{name}" {sql[start:]}'
    if classify(insert).kind is not None:
        changes, total, last = session.changes, session.total_changes, session.last_insert_rowid
        session.execute(insert, ())
        session.changes, session.total_changes, session.last_insert_rowid = changes, total, last
