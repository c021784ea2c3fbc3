"""Install, count and remove the triggers that record the app's changes while PostgreSQL is primary.

The SQL beside this module (`sql/capture.sql`) does the work, so that DDL in PostgreSQL mode can put a new table under
capture in its own transaction: `SELECT shadow.capture(pair, table)`, then `SELECT shadow.capture_ddl(pair, sql)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from psycopg2.extensions import cursor as PgCursor
from psycopg2.sql import SQL, Identifier

from ..translate.catalog import Catalog, pg_name

#: Creating a trigger waits for the table's writers, and every later writer waits behind it: give way soon.
LOCK_TIMEOUT_MS = 1_000


@dataclass(frozen=True, slots=True)
class Captured:
    """Which of a pair's tables are under capture."""

    tables: frozenset[str]
    missing: frozenset[str]


def capture_sql() -> str:
    return resources.files(__package__).joinpath("sql", "capture.sql").read_text(encoding="utf-8")


def install_functions(cursor: PgCursor) -> None:
    """Create or update the functions; needs schema shadow's housekeeping tables."""
    cursor.execute("SELECT pg_advisory_xact_lock(hashtext('shadow.capture'))")
    cursor.execute(capture_sql())


def table_names(catalog: Catalog) -> list[str]:
    """The tables that can have rows on both sides, as PostgreSQL has their names."""
    return [pg_name(table.name) for table in catalog.tables.values() if not table.virtual]


def install(cursor: PgCursor, catalog: Catalog) -> None:
    """Put the catalog's tables under capture, one transaction each when the session autocommits.

    Raises psycopg2's LockNotAvailable when a table cannot be had within `LOCK_TIMEOUT_MS`; calling again goes on.
    """
    pair = catalog.pg_schema
    install_functions(cursor)
    cursor.execute("SELECT table_name FROM shadow.capture_tables(%s)", (pair,))
    present = {row[0] for row in cursor.fetchall()}
    cursor.execute("SELECT set_config('lock_timeout', %s, false)", (f"{LOCK_TIMEOUT_MS}ms",))
    for table in table_names(catalog):
        if table not in present:
            cursor.execute("SELECT shadow.capture(%s, %s)", (pair, table))
    cursor.execute("SELECT shadow.capture_refresh(%s)", (pair,))
    cursor.execute("SELECT set_config('lock_timeout', '0', false)")


def captured(cursor: PgCursor, catalog: Catalog) -> Captured:
    """Which of the catalog's tables carry the triggers."""
    cursor.execute("SELECT to_regproc('shadow.capture_tables') IS NOT NULL")
    row = cursor.fetchone()
    present: set[str] = set()
    if row is not None and row[0]:
        cursor.execute("SELECT table_name FROM shadow.capture_tables(%s)", (catalog.pg_schema,))
        present = {r[0] for r in cursor.fetchall()}
    return Captured(frozenset(present), frozenset(table_names(catalog)) - present)


def remove(cursor: PgCursor, pair: str) -> None:
    """Take the triggers off every table of the pair; the functions stay for other pairs."""
    cursor.execute("SELECT to_regproc('shadow.capture_tables') IS NOT NULL")
    row = cursor.fetchone()
    if row is None or not row[0]:
        return
    cursor.execute("SELECT table_name FROM shadow.capture_tables(%s)", (pair,))
    for (table,) in cursor.fetchall():
        for trigger in ("_shadow_capture", "_shadow_capture_truncate"):
            cursor.execute(
                SQL("DROP TRIGGER IF EXISTS {} ON {}.{}").format(
                    Identifier(trigger), Identifier(pair), Identifier(table)
                )
            )
    cursor.execute("DELETE FROM shadow.captured WHERE pair = %s", (pair,))
