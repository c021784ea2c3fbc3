"""The PostgreSQL half of `init` and `remove`: check the database, put a pair in, take it out again.

A pair comes and goes in one transaction. The pair's row is the last word on whether it is there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg2
from psycopg2.sql import SQL, Identifier, Literal

from ..errors import TargetError
from ..journal.record import FORMAT
from ..postgres.install import check_rights, create_fence, drop_fence, install_housekeeping
from ..schema import Finding, build, plan_indexes, plan_tables, save_catalog
from ..schema.inspect import Objects
from ..schema.names import pg_quote, quote
from ..translate import compat_sql
from ..translate.catalog import Catalog, pg_name
from .control import ControlRecord, read_target

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection
    from psycopg2.extensions import cursor as PgCursor

_SCHEMA_IS_OURS = "made by shadow init; dropped again by shadow remove"
_LOCK_TIMEOUT_MS = 10_000
_SETUP_TIMEOUT_MS = 60_000


@dataclass(frozen=True, slots=True)
class TargetPair:
    """What PostgreSQL knows of a pair."""

    pair_id: str
    sqlite_path: str
    record: ControlRecord
    #: Rows have been copied or applied.
    in_use: bool


def lock_setup(conn: PgConnection, pair: str) -> None:
    """Only one process at a time inits or removes a pair; held until the session ends."""
    with conn.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", (f"{_SETUP_TIMEOUT_MS}ms",))
        try:
            cursor.execute("SELECT pg_advisory_lock(hashtext('shadow.setup'), hashtext(%s))", (pair,))
        except psycopg2.errors.LockNotAvailable as error:
            raise TargetError(f"another init or remove of {pair} has not ended in a minute; end it first") from error


def read_pair(cursor: PgCursor, pair: str) -> TargetPair | None:
    cursor.execute("SELECT to_regclass('shadow.pair') IS NOT NULL AND to_regclass('shadow.control') IS NOT NULL")
    if not _one(cursor):
        return None
    cursor.execute(
        "SELECT pair_id, sqlite_path, EXISTS (SELECT FROM shadow.applied a WHERE a.pair = p.pair)"
        " OR EXISTS (SELECT FROM shadow.change c WHERE c.pair = p.pair)"
        " FROM shadow.pair p WHERE pair = %s",
        (pair,),
    )
    row = cursor.fetchone()
    record = read_target(cursor, pair)
    return None if row is None or record is None else TargetPair(row[0], row[1], record, bool(row[2]))


def check_target(cursor: PgCursor, catalog: Catalog) -> None:
    """Raise `TargetError` when the pair's tables cannot be made: no right, or something is there. Changes nothing."""
    check_rights(cursor)
    schema = catalog.pg_schema
    cursor.execute(
        "SELECT n.oid IS NOT NULL, coalesce(has_schema_privilege(n.oid, 'CREATE'),"
        " has_database_privilege(current_database(), 'CREATE')), current_user"
        " FROM (SELECT to_regnamespace(%s)::oid AS oid) n",
        (quote(schema),),
    )
    present, may_create, user = cursor.fetchone() or (False, False, "")
    if not may_create:
        raise TargetError(
            f"user {user} may not create tables in schema {schema}; run: GRANT CREATE ON SCHEMA {quote(schema)}"
            f" TO {quote(user)}, or set SHADOW_PG_SCHEMA"
        )
    if present:
        for name in _relations(catalog):
            _check_free(cursor, schema, name)


def _check_free(cursor: PgCursor, schema: str, name: str) -> None:
    relation = f"{quote(schema)}.{quote(name)}"
    cursor.execute(
        "SELECT relkind IN ('r', 'p', 'v', 'm', 'f') AND has_table_privilege(oid, 'SELECT')"
        " FROM pg_class WHERE oid = to_regclass(%s)",
        (relation,),
    )
    row = cursor.fetchone()
    if row is None:
        return
    rows = False
    if row[0]:
        cursor.execute(f"SELECT EXISTS (SELECT FROM {relation})")
        rows = bool(_one(cursor))
    held = "with rows in it" if rows else "without rows"
    raise TargetError(
        f"{schema}.{name} is already there in PostgreSQL, {held}, and is not ours;"
        " drop it, or choose another schema with SHADOW_PG_SCHEMA"
    )


def install(
    cursor: PgCursor,
    catalog: Catalog,
    found: Objects,
    *,
    pair_id: str,
    sqlite_path: str,
    record: ControlRecord,
    with_indexes: bool,
) -> list[Finding]:
    """Put the pair in, inside the caller's transaction; `with_indexes` when no rows are to be copied."""
    pair = catalog.pg_schema
    install_housekeeping(cursor)
    cursor.execute(compat_sql())
    cursor.execute("SELECT to_regnamespace(%s) IS NULL", (quote(pair),))
    if _one(cursor):
        cursor.execute(SQL("CREATE SCHEMA {}").format(Identifier(pair)))
        cursor.execute(SQL("COMMENT ON SCHEMA {} IS {}").format(Identifier(pair), Literal(_SCHEMA_IS_OURS)))
    create_fence(cursor, pair)
    cursor.execute(
        "INSERT INTO shadow.pair (pair, pair_id, format, sqlite_path) VALUES (%s, %s, %s, %s)",
        (pair, pair_id, FORMAT, sqlite_path),
    )
    cursor.execute(
        "INSERT INTO shadow.control (pair, epoch, attempt, primary_side, state) VALUES (%s, %s, %s, %s, %s)",
        (pair, record.epoch, record.attempt, record.primary.value, record.state.value),
    )
    cursor.execute("INSERT INTO shadow.proof (pair, proof_epoch, reason) VALUES (%s, 1, 'init')", (pair,))
    audit(cursor, pair, "init", {"pair_id": pair_id, "primary": record.primary.value})
    return install_tables(cursor, catalog, found, with_indexes=with_indexes)


def install_tables(cursor: PgCursor, catalog: Catalog, found: Objects, *, with_indexes: bool) -> list[Finding]:
    """The app's tables and the catalog that describes them."""
    plans = [plan_tables(catalog)] + ([plan_indexes(catalog)] if with_indexes else [])
    findings: list[Finding] = []
    for plan in plans:
        findings += [*plan.findings, *build(cursor, plan.statements)]
    save_catalog(cursor, catalog.pg_schema, found, catalog)
    return findings


def store_start(cursor: PgCursor, pair: str, position: int, nonce: bytes) -> str:
    """PostgreSQL is primary from the start: nothing is to be applied, and changes count from this snapshot on."""
    cursor.execute(
        "INSERT INTO shadow.applied (pair, position, nonce, epoch) VALUES (%s, %s, %s, 1)", (pair, position, nonce)
    )
    cursor.execute("SELECT pg_current_snapshot()::text")
    snapshot = str(_one(cursor))
    audit(cursor, pair, "init.start", {"snapshot": snapshot, "position": position, "nonce": nonce.hex()})
    return snapshot


def load_start(cursor: PgCursor, pair: str) -> tuple[str, bytes] | None:
    """What `store_start` left: for finishing an `init` that was interrupted."""
    cursor.execute(
        "SELECT detail ->> 'snapshot', detail ->> 'nonce' FROM shadow.audit"
        " WHERE pair = %s AND action = 'init.start' ORDER BY id DESC LIMIT 1",
        (pair,),
    )
    row = cursor.fetchone()
    return None if row is None else (str(row[0]), bytes.fromhex(str(row[1])))


def uninstall(cursor: PgCursor, catalog: Catalog) -> bool:
    """Take the pair out, inside the caller's transaction; True when it was the last one and schema shadow went too."""
    pair = catalog.pg_schema
    cursor.execute("SET LOCAL lock_timeout = %s", (f"{_LOCK_TIMEOUT_MS}ms",))
    try:
        drop_tables(cursor, catalog)
        drop_fence(cursor, pair)
        cursor.execute(
            "SELECT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " WHERE c.relnamespace = 'shadow'::regnamespace AND c.relkind = 'r' AND a.attname = 'pair'"
            " ORDER BY c.relname = 'pair'"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(SQL("DELETE FROM shadow.{} WHERE pair = %s").format(Identifier(table)), (pair,))
        cursor.execute("SELECT obj_description(to_regnamespace(%s)::oid, 'pg_namespace')", (quote(pair),))
        if _one(cursor) == _SCHEMA_IS_OURS:
            _drop_schema_if_empty(cursor, pair)
        cursor.execute("SELECT NOT EXISTS (SELECT FROM shadow.pair)")
        last = bool(_one(cursor))
        if last:
            cursor.execute("DROP SCHEMA shadow CASCADE")
    except psycopg2.errors.LockNotAvailable as error:
        raise TargetError(
            f"the tables of {pair} are in use in PostgreSQL; stop the agent and whoever reads them, then try again"
        ) from error
    except psycopg2.errors.DependentObjectsStillExist as error:
        detail = " ".join((error.diag.message_detail or "").split())
        raise TargetError(
            f"something in PostgreSQL stands on the tables of {pair}: {detail}; drop that first"
        ) from error
    return last


def drop_tables(cursor: PgCursor, catalog: Catalog) -> None:
    """All tables of the app; together, so that keys between them do not matter."""
    schema = quote(catalog.pg_schema)
    tables = ", ".join(f"{schema}.{pg_quote(t.name)}" for t in catalog.tables.values() if not t.virtual)
    if tables:
        cursor.execute(f"DROP TABLE IF EXISTS {tables}")


def audit(cursor: PgCursor, pair: str, action: str, detail: dict[str, object]) -> None:
    cursor.execute(
        "INSERT INTO shadow.audit (pair, who, action, detail) VALUES (%s, current_user, %s, %s)",
        (pair, action, json.dumps(detail)),
    )


def _drop_schema_if_empty(cursor: PgCursor, schema: str) -> None:
    cursor.execute("SAVEPOINT shadow_schema")
    try:
        cursor.execute(SQL("DROP SCHEMA {}").format(Identifier(schema)))
    except psycopg2.errors.DependentObjectsStillExist:
        cursor.execute("ROLLBACK TO shadow_schema")  # somebody has put something of their own there


def _relations(catalog: Catalog) -> list[str]:
    return [pg_name(t.name) for t in catalog.tables.values() if not t.virtual]


def _one(cursor: PgCursor) -> object:
    row = cursor.fetchone()
    assert row is not None
    return row[0]
