"""An app's DDL, carried over: the catalog after it, and PostgreSQL's tables to match.

Runs in the transaction of the group, so a catalog and its tables are never apart. Where a step fails on PostgreSQL
the tables concerned are made anew, empty, and become dirty: repair fills them from SQLite, which is authoritative.
"""

from __future__ import annotations

import psycopg2
from psycopg2.extensions import cursor as PgCursor

from .. import log
from ..errors import TargetError
from ..flag import proof
from ..journal.record import SchemaChanged
from ..schema import Replica, build, plan_evolve, plan_indexes, plan_tables, save_catalog, types_after
from ..schema.names import pg_table
from ..translate.catalog import Catalog
from .faults import is_of_the_world

_log = log.get(__name__)


def evolve(cursor: PgCursor, pair: str, old: Catalog, change: SchemaChanged) -> tuple[Catalog, tuple[str, ...]]:
    """Gives the new catalog, and the tables (folded names) that had to be made anew and are empty now."""
    objects = list(change.objects)
    new = Replica(objects).catalog(old.pg_schema, types_after(old, change.sql))
    plan = plan_evolve(old, new, change.sql)
    remade: tuple[str, ...] = ()
    cursor.execute("SAVEPOINT shadow_evolve")
    try:
        findings = [*plan.findings, *build(cursor, plan.statements)]
    except TargetError as error:
        if isinstance(error.__cause__, psycopg2.Error) and is_of_the_world(error.__cause__):
            raise error.__cause__ from None
        cursor.execute("ROLLBACK TO shadow_evolve")
        findings, remade = [], _make_anew(cursor, old, new)
    cursor.execute("RELEASE shadow_evolve")
    save_catalog(cursor, pair, objects, new)
    proof.void(cursor, pair, "the app changed its schema")
    for finding in findings:
        _log.warning("schema.incomplete", table=finding.table, kind=finding.kind, message=finding.message)
    return new, remade


def _make_anew(cursor: PgCursor, old: Catalog, new: Catalog) -> tuple[str, ...]:
    """Drop and create every table whose definition changed. Raises `TargetError` when PostgreSQL refuses that too."""
    changed = sorted(name for name, table in new.tables.items() if old.tables.get(name) != table and not table.virtual)
    for name, table in old.tables.items():
        if (name in changed or name not in new.tables) and not table.virtual:
            cursor.execute(f"DROP TABLE IF EXISTS {pg_table(old, table)} CASCADE")
    tables = [new.tables[name] for name in changed]
    for plan in (plan_tables(new, tables), plan_indexes(new, tables)):
        build(cursor, plan.statements)
    return tuple(changed)
