"""The app's tables in SQLite, as the reverse applier needs them: keys and the statements that put and take rows."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..schema.inspect import inspect
from ..translate.catalog import ROWID_COLUMN, Table, fold, pg_name
from ..types import SqliteValue
from .changes import Image

Key = tuple[SqliteValue, ...]
_ROWID_NAMES = ("rowid", "_rowid_", "oid")


@dataclass(slots=True)
class OriginTable:
    """One table of the SQLite file."""

    name: str
    #: Names as PostgreSQL has them of the columns that identify a row.
    key_columns: tuple[str, ...]
    delete: str
    autoincrement: bool
    #: PostgreSQL's column name -> SQLite's, for every column that holds data; the rowid among them if it has no alias.
    columns: dict[str, str]
    _inserts: dict[tuple[str, ...], str] = field(default_factory=dict)

    def key(self, image: Image) -> Key:
        return tuple(image[column] for column in self.key_columns)

    def insert(self, image: Image) -> tuple[str, Key]:
        """Statement and parameters that put a row; columns younger than the image get their default."""
        present = tuple(column for column in self.columns if column in image)
        sql = self._inserts.get(present)
        if sql is None:
            names = ", ".join(_quote(self.columns[column]) for column in present)
            marks = ", ".join("?" * len(present))
            # REPLACE only matters between the statements of one DDL batch; final images never conflict.
            sql = f"INSERT OR REPLACE INTO main.{_quote(self.name)} ({names}) VALUES ({marks})"
            self._inserts[present] = sql
        return sql, tuple(image[column] for column in present)


#: The last schema read by each thread: reading one takes longer than a small batch, and rollback's is inside the fence.
_last = threading.local()


def origin_tables(conn: sqlite3.Connection) -> dict[str, OriginTable]:
    """Every ordinary table of the app, by its name in PostgreSQL."""
    cursor = sqlite3.Cursor(conn)
    (path,) = cursor.execute("SELECT file FROM pragma_database_list WHERE name = 'main'").fetchone()
    (version,) = cursor.execute("PRAGMA main.schema_version").fetchone()
    # Inside a transaction that changes the schema the version is not final: what is read there is not kept.
    known = getattr(_last, "tables", None)
    if known is not None and known[0] == (path, version):
        return dict(known[1])
    catalog = inspect(conn)
    found = {pg_name(t.name): _origin_table(t) for t in catalog.tables.values() if not t.virtual}
    _last.tables = None if conn.in_transaction else ((path, version), found)
    return dict(found)


def _origin_table(table: Table) -> OriginTable:
    columns = {pg_name(c.name): c.name for c in table.stored_columns}
    if table.rowid_column == ROWID_COLUMN:
        taken = {fold(c.name) for c in table.columns}
        columns = {ROWID_COLUMN: next(n for n in _ROWID_NAMES if n not in taken), **columns}
    key_columns = tuple(pg_name(name) for name in table.key)
    return OriginTable(
        name=table.name,
        key_columns=key_columns,
        delete=f"DELETE FROM main.{_quote(table.name)} WHERE {_where(columns[c] for c in key_columns)}",
        autoincrement=table.autoincrement,
        columns=columns,
    )


def _where(names: Iterable[str]) -> str:
    return " AND ".join(f"{_quote(name)} IS ?" for name in names)


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
