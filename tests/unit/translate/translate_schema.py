"""One small schema for the unit tests, read by SQLite itself."""

from __future__ import annotations

import sqlite3
from functools import cache

from shadow.schema.inspect import inspect
from shadow.translate.catalog import Catalog, PgType

SCHEMA = """
CREATE TABLE items (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, qty INTEGER CHECK (qty >= 0), price REAL,
    active BOOLEAN DEFAULT 1, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, nick TEXT COLLATE NOCASE,
    UNIQUE (name, qty)
);
CREATE TABLE notes (body TEXT, item_id INTEGER);
CREATE TABLE "tables" ("order" TEXT, data BLOB, anything);
CREATE TABLE flags (k TEXT PRIMARY KEY, v INTEGER) WITHOUT ROWID;
CREATE VIEW active_items AS SELECT id, name FROM items WHERE active = 1;
"""


@cache
def catalog() -> Catalog:
    conn = sqlite3.connect(":memory:")
    conn.executescript(SCHEMA)
    types = {
        ("items", "active"): PgType.BOOLEAN,
        ("items", "created_at"): PgType.TEXT,
        ("tables", "anything"): PgType.VALUE,
    }
    found = inspect(conn, types=types)
    conn.close()
    return found
