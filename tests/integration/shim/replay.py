"""Replay journal records on a second SQLite file: if that gives the same rows, the record tells all that happened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from shadow.journal.record import EpochChanged, Executed, Item, RowImage, RowImages, SchemaChanged, Undetermined
from shadow.shim.classify import classify
from shadow.shim.clock import Clock


class Replica:
    """A file with the app's schema that only records have written."""

    def __init__(self, schema: str) -> None:
        self.conn = sqlite3.Connection(":memory:", isolation_level=None)
        self.conn.executescript(schema)
        for (name,) in self.conn.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            self.conn.execute(f'DROP TRIGGER "{name}"')  # PostgreSQL has none of the app's triggers
        self.undetermined: list[Undetermined] = []
        self._clock = Clock()
        assert self._clock.install(self.conn)

    def apply(self, records: Iterable[tuple[Item, ...]]) -> None:
        for items in records:
            for item in items:
                self._item(item)

    def _item(self, item: Item) -> None:
        if isinstance(item, Executed):
            for index, params in enumerate(item.param_sets):
                self._clock.now = item.now
                cursor = self.conn.execute(item.sql, params)
                cursor.fetchall()
                chosen = item.rowids[index] if item.rowids is not None else None
                if chosen is not None and cursor.lastrowid != chosen:
                    # An upsert burns an AUTOINCREMENT id that its row image does not show: the id is carried.
                    table = classify(item.sql).name
                    self.conn.execute(f'UPDATE "{table}" SET rowid = ? WHERE rowid = ?', (chosen, cursor.lastrowid))
        elif isinstance(item, RowImages):
            for image in item.rows:
                self._image(image)
        elif isinstance(item, SchemaChanged):
            self.conn.execute(item.sql)
        elif isinstance(item, Undetermined):
            self.undetermined.append(item)
        else:
            assert isinstance(item, EpochChanged)

    def _image(self, image: RowImage) -> None:
        columns, key, hidden = shape(self.conn, image.table)
        where = " AND ".join(f"{c} = ?" for c in key)
        self.conn.execute(f'DELETE FROM "{image.table}" WHERE {where}', image.key)
        if image.row is not None:
            names = ([hidden] if hidden else []) + [f'"{c}"' for c in columns]
            marks = ",".join("?" * len(names))
            self.conn.execute(f'INSERT OR REPLACE INTO "{image.table}" ({",".join(names)}) VALUES ({marks})', image.row)


def shape(conn: sqlite3.Connection, table: str) -> tuple[list[str], list[str], str | None]:
    """Stored columns, key, and the hidden rowid's name if the table has one."""
    info = conn.execute(f'PRAGMA table_xinfo("{table}")').fetchall()
    columns = [c[1] for c in info if c[6] == 0]
    without_rowid = conn.execute("SELECT wr FROM pragma_table_list WHERE name = ?", (table,)).fetchone()[0]
    pk = [c[1] for c in sorted(info, key=lambda c: c[5]) if c[5]]
    if without_rowid:
        return columns, pk, None
    indexed = any(i[3] == "pk" for i in conn.execute(f'PRAGMA index_list("{table}")'))
    if len(pk) == 1 and not indexed and next(c[2] for c in info if c[5]).upper() == "INTEGER":
        return columns, pk, None
    return columns, ["rowid"], "rowid"


def content(conn: sqlite3.Connection) -> dict[str, list[Any]]:
    """Every row of every table of the app, rowids included."""
    out: dict[str, list[Any]] = {}
    tables = conn.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_shadow%' ESCAPE '\\'"
        " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
    ).fetchall()
    for (table,) in tables:
        columns, _, hidden = shape(conn, table)
        names = ([hidden] if hidden else []) + [f'"{c}"' for c in columns]
        out[table] = sorted(conn.execute(f'SELECT {",".join(names)} FROM "{table}"').fetchall(), key=repr)
    return out
