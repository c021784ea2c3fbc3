"""A shadowed pair for tests, made by the real `init`; the app's tables start empty, so nothing has to be copied.

`Writer` journals by hand, statement by statement, what the shim would journal: for tests of what comes behind it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

from shadow import journal
from shadow.config import Settings
from shadow.flag.setup import init_pair
from shadow.journal.record import Executed, Item
from shadow.postgres.connect import connect
from shadow.schema import build, load_catalog, objects, plan_indexes

PAIR = "public"


@dataclass(frozen=True, slots=True)
class PairForTest:
    sqlite_path: Path
    dsn: str

    @property
    def settings(self) -> Settings:
        return Settings(str(self.sqlite_path.resolve()), self.dsn)

    def pg(self, sql: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run something on PostgreSQL and commit."""
        with closing(psycopg2.connect(self.dsn)) as conn, conn, conn.cursor() as cursor:
            cursor.execute(sql, tuple(params))
            return cursor.fetchall() if cursor.description else []

    def lite(self, sql: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run something on SQLite, past the journal."""
        with closing(sqlite3.connect(self.sqlite_path, isolation_level=None)) as conn:
            return conn.execute(sql, tuple(params)).fetchall()

    @contextmanager
    def writer(self) -> Iterator[Writer]:
        with closing(sqlite3.connect(self.sqlite_path, isolation_level=None)) as conn:
            yield Writer(conn)


class Writer:
    """Runs statements on SQLite and journals them."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self.conn = conn

    def run(self, *statements: str | tuple[str, Sequence[object]]) -> int:
        """One transaction of single statements; gives its position."""
        self.conn.execute("BEGIN IMMEDIATE")
        items: list[Item] = []
        for statement in statements:
            sql, params = statement if isinstance(statement, tuple) else (statement, ())
            cursor = self.conn.execute(sql, tuple(params))
            inserted = sql.lstrip().upper().startswith(("INSERT", "REPLACE"))
            rowids = (cursor.lastrowid if cursor.rowcount else None,) if inserted else None
            items.append(Executed(sql, (tuple(params),), False, cursor.rowcount, rowids))
        return self.commit(items)

    def commit(self, items: Sequence[Item]) -> int:
        """Journal `items` for what has been done in the open transaction, and commit."""
        if not self.conn.in_transaction:
            self.conn.execute("BEGIN IMMEDIATE")
        journal.append(self.conn, items)
        self.conn.execute("COMMIT")
        return journal.head(self.conn)[0]

    def objects(self) -> list[tuple[str, str, str, str | None]]:
        return objects(self.conn)


def make_pair(sqlite_path: Path, dsn: str, schema: str) -> PairForTest:
    """Create the app's tables, `init`, and say that the (no) rows have been copied."""
    pair = PairForTest(sqlite_path, dsn)
    with closing(sqlite3.connect(sqlite_path)) as conn:
        conn.executescript(schema)
    init_pair(pair.settings)
    with closing(connect(dsn, purpose="test")) as target, target, target.cursor() as cursor:
        build(cursor, plan_indexes(load_catalog(cursor, PAIR)).statements)
    with closing(sqlite3.connect(sqlite_path)) as conn:
        position, nonce = journal.head(conn)
    pair.pg(
        "INSERT INTO shadow.applied (pair, position, nonce, epoch) SELECT pair, %s, %s, epoch FROM shadow.control"
        " ON CONFLICT (pair) DO UPDATE SET position = excluded.position, nonce = excluded.nonce",
        (position, nonce),
    )
    return pair
