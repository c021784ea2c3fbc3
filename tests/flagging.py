"""For tests of the flag: a pair on which PostgreSQL is primary, and sessions that enter as the shim's do."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2.extensions import connection as PgConnection

from shadow import journal
from shadow.config import Settings
from shadow.cutover.outcome import Outcome
from shadow.cutover.switch import cutover
from shadow.errors import NotPrimary
from shadow.flag import control
from shadow.flag.control import fence_table
from shadow.flag.setup import init_pair
from shadow.journal.record import Executed
from shadow.postgres.connect import connect
from shadow.types import Side

SCHEMA = """
CREATE TABLE account (id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT UNIQUE, balance INTEGER NOT NULL DEFAULT 0);
CREATE TABLE kind (i INTEGER, r REAL, t TEXT, b BLOB, o BOOLEAN, n NUMERIC, x);
CREATE TABLE place (country TEXT, city TEXT, note TEXT, PRIMARY KEY (country, city)) WITHOUT ROWID;
CREATE TABLE log (id INTEGER PRIMARY KEY, text TEXT);
CREATE TRIGGER kind_log AFTER INSERT ON kind BEGIN INSERT INTO log (text) VALUES ('new ' || new.t); END;
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


#: Gates whose proof (verify, compared reads) these tests do not produce.
FORCED = ("verify", "coverage")


def start(settings: Settings) -> FlagPair:
    """`init` on tables without rows: PostgreSQL has everything, SQLite is primary."""
    init_pair(settings)
    pair = FlagPair(settings)
    with closing(sqlite3.connect(pair.path)) as conn:
        position, nonce = journal.head(conn)
    with closing(connect(pair.dsn, purpose="test", autocommit=True)) as target, target.cursor() as cursor:
        cursor.execute(
            "INSERT INTO shadow.applied (pair, position, nonce, epoch) VALUES ('public', %s, %s, 1)", (position, nonce)
        )
    return pair


def cut_over(pair: FlagPair, **options: Any) -> Outcome:
    return cutover(pair.settings, force_gates=FORCED, reason="test", **options)


def app_write(conn: sqlite3.Connection, *statements: tuple[str, tuple[Any, ...]]) -> int:
    """One write transaction as the shim makes it: the lock, the control row, the writes, their record; gives the epoch.

    Raises `NotPrimary` when the record does not let SQLite take writes.
    """
    conn.execute("BEGIN IMMEDIATE")
    try:
        found = control.read_origin(conn)
        if found is None or not found.record.accepts_writes(Side.SQLITE):
            raise NotPrimary("SQLite is not primary")
        items = []
        for sql, params in statements:
            cursor = conn.execute(sql, params)
            rowids = (cursor.lastrowid,) if sql.startswith("INSERT") else None
            items.append(Executed(sql, (params,), False, cursor.rowcount, rowids))
        journal.append(conn, items)
        conn.execute("COMMIT")
    finally:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
    return found.record.epoch


def apply_all(pair: FlagPair) -> None:
    """Bring PostgreSQL to the journal's end."""
    from shadow.replicate.applier import Applier

    applier = Applier(pair.path, pair.dsn, "public")
    try:
        with applier.exclusive(30):
            applier.apply_to(None)
    finally:
        applier.close()
