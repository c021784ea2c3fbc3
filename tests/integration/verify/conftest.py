"""A backfilled pair with every kind of table, and the real applier."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from shadow.backfill import backfill
from shadow.config import Settings
from shadow.flag.setup import init_pair
from shadow.replicate.applier import Applier

SCHEMA = """
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT UNIQUE, score REAL, picture BLOB, age INTEGER, active BOOLEAN);
CREATE TABLE keyless (a TEXT, b);
CREATE TABLE pair (a TEXT, b INT, v TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE mixed (k, b BLOB, v TEXT, PRIMARY KEY (k, b)) WITHOUT ROWID;
CREATE TABLE empty (id INTEGER PRIMARY KEY);
"""
ROWS = 500


@pytest.fixture
def settings(sqlite_path: Path, pg_dsn: str) -> Settings:
    conn = sqlite3.connect(sqlite_path)
    conn.executescript(SCHEMA)
    for i in range(1, ROWS + 1):
        conn.execute(
            "INSERT INTO users VALUES (?, ?, ?, ?, ?, ?)", (i * 2, f"user {i}", i / 3, bytes([i % 256, 7]), i, i % 2)
        )
        conn.execute("INSERT INTO keyless VALUES (?, ?)", (f"ä{i}", [i, i / 7, "x", b"\x00", None][i % 5]))
        conn.execute("INSERT INTO pair VALUES (?, ?, ?)", (["é", "z", "", "~"][i % 4], i, "v"))
        key = [i, i + 0.5, -i / 7, f"k{i}", bytes([i % 256, i // 256])][i % 5]
        conn.execute("INSERT INTO mixed VALUES (?, ?, ?)", (key, bytes([i % 3]), "v"))
    conn.commit()
    conn.close()
    settings = Settings(str(sqlite_path), pg_dsn)
    init_pair(settings)
    backfill(settings)
    return settings


@pytest.fixture
def applier(settings: Settings) -> Iterator[Applier]:
    applier = Applier(settings.sqlite_path, settings.database_url or "", settings.pg_schema)
    yield applier
    applier.close()


@pytest.fixture
def in_target(settings: Settings) -> Callable[[str], list[tuple[object, ...]]]:
    """Run SQL in PostgreSQL behind everybody's back."""

    def run(sql: str) -> list[tuple[object, ...]]:
        conn = psycopg2.connect(settings.database_url or "")
        try:
            with conn, conn.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            conn.close()

    return run


@pytest.fixture
def in_origin(settings: Settings) -> Callable[[str], None]:
    """Run SQL in SQLite past the shim: no journal record."""

    def run(sql: str) -> None:
        conn = sqlite3.connect(settings.sqlite_path)
        try:
            conn.executescript(sql)
        finally:
            conn.close()

    return run
