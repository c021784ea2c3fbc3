"""Bring one batch of captured changes into SQLite, inside the caller's SQLite transaction.

A batch without DDL is applied as its net effect: first every row it touched is deleted, then the final images are
inserted. Untouched rows and final images together are a state that PostgreSQL has had, so no unique key is ever
violated on the way, whatever was swapped or moved. A batch with DDL is applied change by change, because a table may
be another one before and after; there a row in the way is replaced, and its own change, in the same statement, puts
it back.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from itertools import groupby

from ..errors import OriginError
from ..flag import guards
from .changes import Batch, Change, Image, Op, Types, image
from .tables import Key, OriginTable, origin_tables


def apply(conn: sqlite3.Connection, batch: Batch) -> int:
    """Apply everything; gives the number of changes. The guard must be off in this transaction."""
    if any(change.op is Op.SCHEMA for change in batch.read()):
        return _apply_in_order(conn, batch)
    return _apply_net(conn, batch)


def _apply_net(conn: sqlite3.Connection, batch: Batch) -> int:
    tables = origin_tables(conn)
    cursor = sqlite3.Cursor(conn)
    count = 0
    #: table -> key -> id of the last change that touched it
    touched: dict[str, dict[Key, int]] = {}
    marks = _HighWater(tables)
    for change in batch.read():
        count += 1
        table = _table(tables, change)
        keys = touched.setdefault(change.table, {})
        if change.op is Op.TRUNCATE:
            cursor.execute(f"DELETE FROM main.{_quote(table.name)}")
            keys.clear()
            continue
        types = _types(batch.types, change)
        for text in (change.old, change.new):
            if text is not None:
                keys[table.key(image(text, types))] = change.id
    for name, keys in touched.items():
        cursor.executemany(tables[name].delete, list(keys))
    for name, changes in groupby(batch.read(), key=lambda c: c.table):
        table = tables[name]
        for change in changes:
            if change.new is None:
                continue
            row = image(change.new, _types(batch.types, change))
            marks.see(name, change, row)
            if touched[name].get(table.key(row)) == change.id:
                cursor.execute(*table.insert(row))
    marks.write(cursor)
    return count


def _apply_in_order(conn: sqlite3.Connection, batch: Batch) -> int:
    tables = origin_tables(conn)
    cursor = sqlite3.Cursor(conn)
    marks = _HighWater(tables)
    count = 0
    for change in batch.read():
        count += 1
        if change.op is Op.SCHEMA:
            marks.write(cursor)
            _run_ddl(conn, str(json.loads(change.new or '""')))
            tables = origin_tables(conn)
            marks = _HighWater(tables)
            continue
        if change.table not in tables and change.table not in batch.types:
            continue  # dropped later in the batch, or renamed away before this image could matter
        table = _table(tables, change)
        if change.op is Op.TRUNCATE:
            cursor.execute(f"DELETE FROM main.{_quote(table.name)}")
            continue
        types = _types(batch.types_at(change.id), change)
        if change.old is not None:
            cursor.execute(table.delete, table.key(image(change.old, types)))
        if change.new is not None:
            row = image(change.new, types)
            marks.see(change.table, change, row)
            cursor.execute(*table.insert(row))
    marks.write(cursor)
    return count


def _run_ddl(conn: sqlite3.Connection, sql: str) -> None:
    """The app's DDL, with its triggers in place while it runs: ALTER TABLE rewrites them, DROP removes them."""
    guards.remove(conn)
    guards.restore_triggers(conn)
    try:
        sqlite3.Cursor(conn).execute(sql)
    except sqlite3.Error as error:
        raise OriginError(
            f"SQLite refuses a schema change that PostgreSQL has made ({error}); run it by hand"
        ) from error
    guards.park_triggers(conn)
    guards.install(conn)
    sqlite3.Cursor(conn).execute("UPDATE main._shadow_control SET catalog_version = catalog_version + 1")


def _table(tables: dict[str, OriginTable], change: Change) -> OriginTable:
    table = tables.get(change.table)
    if table is None:
        raise OriginError(f"PostgreSQL captured a change of table {change.table}, which SQLite does not have")
    return table


def _types(types: Types, change: Change) -> Mapping[str, str]:
    found = types.get(change.table)
    if found is None:
        raise OriginError(
            f"table {change.table} was changed in PostgreSQL by DDL that shadow did not see; undo it there"
        )
    return found


class _HighWater:
    """AUTOINCREMENT marks: an id that was given must not be given again, though its row is gone by now."""

    def __init__(self, tables: dict[str, OriginTable]) -> None:
        self._tables = {name: table for name, table in tables.items() if table.autoincrement}
        self._seen: dict[str, int] = {}

    def see(self, name: str, change: Change, row: Image) -> None:
        table = self._tables.get(name)
        if table is None or change.op is not Op.INSERT:
            return
        (key,) = table.key(row)
        if isinstance(key, int):
            self._seen[table.name] = max(key, self._seen.get(table.name, key))

    def write(self, cursor: sqlite3.Cursor) -> None:
        for name, key in self._seen.items():
            cursor.execute("UPDATE main.sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (key, name))
            if not cursor.rowcount:
                cursor.execute("INSERT INTO main.sqlite_sequence (name, seq) VALUES (?, ?)", (name, key))
        self._seen.clear()


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
