"""For tests of the flag: a pair on which PostgreSQL is primary, and sessions that enter as the shim's do."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2.extensions import connection as PgConnection

from shadow.config import Settings
from shadow.flag.control import fence_table
from shadow.postgres.connect import connect

SCHEMA = """
CREATE TABLE account (id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT UNIQUE, balance INTEGER NOT NULL DEFAULT 0);
CREATE TABLE kind (i INTEGER, r REAL, t TEXT, b BLOB, o BOOLEAN, n NUMERIC, x);
CREATE TABLE place (country TEXT, city TEXT, note TEXT, PRIMARY KEY (country, city)) WITHOUT ROWID;
CREATE TABLE log (id INTEGER PRIMARY KEY, text TEXT);
CREATE TRIGGER account_log AFTER INSERT ON account BEGIN INSERT INTO log (text) VALUES ('new ' || new.owner); END;
"""


@dataclass
class FlagPair:
    """Both sides of a pair whose PostgreSQL is primary."""

    settings: Settings

    @property
    def dsn(self) -> str:
        assert self.settings.database_url is not None
        return self.settings.database_url

    @property
    def path(self) -> str:
        return self.settings.sqlite_path

    def connect(self) -> PgConnection:
        """A session of the app: REPEATABLE READ, transactions enter through the fence."""
        conn = connect(self.dsn, purpose="app")
        conn.set_session(isolation_level=psycopg2.extensions.ISOLATION_LEVEL_REPEATABLE_READ)
        return conn

    def enter(self, conn: PgConnection) -> None:
        with conn.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {fence_table('public')} IN ROW SHARE MODE")

    def write(self, *statements: str) -> None:
        """One committed write transaction of the app."""
        conn = self.connect()
        try:
            self.enter(conn)
            with conn.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
            conn.commit()
        finally:
            conn.close()

    def origin(self, sql: str) -> list[tuple[Any, ...]]:
        conn = sqlite3.connect(self.settings.sqlite_path)
        try:
            return conn.execute(sql).fetchall()
        finally:
            conn.close()

    def target(self, sql: str) -> list[tuple[Any, ...]]:
        conn = connect(self.dsn, purpose="test", autocommit=True)
        try:
            with conn.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()
        finally:
            conn.close()

    def same(self, table: str, columns: str, order: str = "1") -> list[tuple[Any, ...]]:
        """Assert that a table is equal on both sides, values and types; gives its rows."""
        here = self.origin(f"SELECT {columns} FROM {table} ORDER BY {order}")
        there = self.target(f"SELECT {columns} FROM {table} ORDER BY {order}")
        assert [[(type(v), v) for v in row] for row in here] == [[(type(v), v) for v in row] for row in there]
        return here
