"""The catalog as PostgreSQL keeps it: sqlite_master's texts and the types chosen, one set per pair.

`shadow.object` is what a `Replica` is built from; `shadow.column_type` is what no text tells. Every change raises the
version, in the same transaction: whoever cached a catalog compares versions.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from ..translate.catalog import Catalog, PgType, fold
from .inspect import Objects, objects
from .replica import Replica

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as PgCursor


def load_objects(cursor: PgCursor, pair: str) -> Objects:
    cursor.execute("SELECT type, name, tbl_name, sql FROM shadow.object WHERE pair = %s ORDER BY ordinal", (pair,))
    return [(kind, name, table, sql) for kind, name, table, sql in cursor.fetchall()]


def load_types(cursor: PgCursor, pair: str) -> dict[tuple[str, str], PgType]:
    cursor.execute("SELECT table_name, column_name, pg_type FROM shadow.column_type WHERE pair = %s", (pair,))
    return {(table, column): PgType(kind) for table, column, kind in cursor.fetchall()}


def load_catalog(cursor: PgCursor, pair: str) -> Catalog:
    """The pair's catalog as it stands in PostgreSQL."""
    return Replica(load_objects(cursor, pair)).catalog(pair, load_types(cursor, pair))


def save_catalog(cursor: PgCursor, pair: str, conn_or_objects: sqlite3.Connection | Objects, catalog: Catalog) -> None:
    """Replace the pair's catalog, inside the caller's transaction, and raise its version."""
    is_connection = isinstance(conn_or_objects, sqlite3.Connection)
    found = objects(conn_or_objects) if is_connection else conn_or_objects  # type: ignore[arg-type]
    cursor.execute("DELETE FROM shadow.object WHERE pair = %s", (pair,))
    cursor.execute("DELETE FROM shadow.column_type WHERE pair = %s", (pair,))
    for ordinal, row in enumerate(found):  # type: ignore[arg-type]
        cursor.execute(
            "INSERT INTO shadow.object (pair, ordinal, type, name, tbl_name, sql) VALUES (%s, %s, %s, %s, %s, %s)",
            (pair, ordinal, *row),
        )
    for key, table in catalog.tables.items():
        for column in table.columns:
            cursor.execute(
                "INSERT INTO shadow.column_type (pair, table_name, column_name, pg_type) VALUES (%s, %s, %s, %s)",
                (pair, key, fold(column.name), column.pg_type.value),
            )
    cursor.execute(
        "INSERT INTO shadow.catalog_version (pair, version) VALUES (%s, 1)"
        " ON CONFLICT (pair) DO UPDATE SET version = shadow.catalog_version.version + 1",
        (pair,),
    )


def catalog_version(cursor: PgCursor, pair: str) -> int:
    """0 when the pair has no catalog."""
    cursor.execute("SELECT version FROM shadow.catalog_version WHERE pair = %s", (pair,))
    row = cursor.fetchone()
    return 0 if row is None else int(row[0])
