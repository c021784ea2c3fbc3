"""An app on `shadow.sqlite3` with PostgreSQL primary: connections, cursors and rows as the standard module's."""

from __future__ import annotations

import gc
import sqlite3 as plain
from collections.abc import Iterator

import pytest

import shadow
from shadow import sqlite3
from shadow.config import Settings
from shadow.postgres.pool import pool_for


@pytest.fixture
def conn(settings: Settings) -> Iterator[sqlite3.Connection]:
    conn = connect(settings)
    conn.executescript(
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, n INTEGER, x REAL, b BLOB);"
        "INSERT INTO t (name, n, x, b) VALUES ('one', 1, 1.5, x'00ff'); INSERT INTO t (name, n) VALUES ('two', 2);"
    )
    yield conn
    conn.close()


def connect(settings: Settings) -> sqlite3.Connection:
    shadow.configure(
        sqlite_path=settings.sqlite_path,
        database_url=settings.database_url,
        database_type="postgres",
        pg_schema=settings.pg_schema,
        pg_mode=settings.pg_mode,
    )
    return sqlite3.connect(settings.sqlite_path, timeout=30)


def test_rows_live_in_postgres_and_the_file_stays_empty(conn: sqlite3.Connection, settings: Settings) -> None:
    origin = plain.connect(settings.sqlite_path)
    tables = origin.execute("SELECT name FROM sqlite_master WHERE name = 't'").fetchall()
    origin.close()
    assert tables == []
    assert conn.execute("SELECT count(*) FROM t").fetchone() == (2,)


def test_sqlite3_row_works_on_rows_from_postgres(conn: sqlite3.Connection) -> None:
    conn.row_factory = sqlite3.Row
    row = conn.execute("SELECT id, name AS Name, n + 1 FROM t ORDER BY id").fetchone()
    again = conn.execute("SELECT id, name AS Name, n + 1 FROM t WHERE id = 1").fetchall()[0]
    assert isinstance(row, sqlite3.Row)
    assert row.keys() == ["id", "Name", "n + 1"]
    assert (row["id"], row["NAME"], row[2], row[-1], row[0:2]) == (1, "one", 2, 2, (1, "one"))
    assert dict(row) == {"id": 1, "Name": "one", "n + 1": 2}
    assert (row == again, hash(row) == hash(again), len(row), list(row)) == (True, True, 3, [1, "one", 2])
    with pytest.raises(IndexError):
        row["nothing"]


def test_a_row_factory_of_the_app_sees_the_description(conn: sqlite3.Connection) -> None:
    conn.row_factory = lambda cursor, row: {c[0]: v for c, v in zip(cursor.description, row, strict=True)}
    assert conn.execute("SELECT id, name FROM t WHERE id = 2").fetchone() == {"id": 2, "name": "two"}


def test_fetching(conn: sqlite3.Connection) -> None:
    cursor = conn.cursor()
    assert cursor.execute("SELECT id FROM t ORDER BY id") is cursor
    assert (cursor.fetchone(), cursor.fetchone(), cursor.fetchone()) == ((1,), (2,), None)
    cursor.execute("SELECT id FROM t ORDER BY id")
    assert (cursor.fetchmany(), cursor.fetchmany(5), cursor.fetchmany(5)) == ([(1,)], [(2,)], [])
    assert list(cursor.execute("SELECT id FROM t ORDER BY id")) == [(1,), (2,)]
    assert cursor.execute("SELECT id FROM t WHERE 0").fetchall() == []
    assert cursor.description[0][0] == "id"
    cursor.execute("UPDATE t SET n = 3")
    assert (cursor.description, cursor.rowcount, cursor.fetchall(), cursor.fetchone()) == (None, 2, [], None)


def test_two_cursors_are_open_at_once(conn: sqlite3.Connection) -> None:
    outer = conn.execute("SELECT id FROM t ORDER BY id")
    seen = [(i, conn.execute("SELECT name FROM t WHERE id = ?", (i,)).fetchone()[0]) for (i,) in outer]
    assert seen == [(1, "one"), (2, "two")]


def test_rowcount_and_lastrowid_stay_readable(conn: sqlite3.Connection) -> None:
    cursor = conn.execute("INSERT INTO t (name) VALUES ('three')")
    conn.execute("UPDATE t SET n = 0")
    conn.commit()
    assert (cursor.lastrowid, cursor.rowcount) == (3, 1)
    cursor.close()
    assert cursor.rowcount == 1
    with pytest.raises(sqlite3.ProgrammingError, match="closed cursor"):
        cursor.execute("SELECT 1")


def test_rowcount_of_returning_is_known_at_the_end(conn: sqlite3.Connection) -> None:
    origin = plain.connect(":memory:")
    origin.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
    for each in (origin, conn):
        cursor = each.execute("INSERT INTO t (name) VALUES ('x') RETURNING name")
        assert (cursor.rowcount, cursor.fetchall(), cursor.rowcount) == (0, [("x",)], 1)
    origin.close()


def test_with_commits_or_rolls_back(conn: sqlite3.Connection, settings: Settings) -> None:
    with conn:
        conn.execute("INSERT INTO t (name) VALUES ('kept')")
    with pytest.raises(ZeroDivisionError), conn:  # noqa: PT012
        conn.execute("INSERT INTO t (name) VALUES ('lost')")
        1 / 0
    other = connect(settings)
    assert [r[0] for r in other.execute("SELECT name FROM t ORDER BY id")] == ["one", "two", "kept"]
    other.close()


def test_an_error_is_caught_and_the_rest_committed(conn: sqlite3.Connection, settings: Settings) -> None:
    conn.execute("INSERT INTO t (name) VALUES ('three')")
    with pytest.raises(sqlite3.IntegrityError, match=r"NOT NULL constraint failed: t\.name"):
        conn.execute("INSERT INTO t (name) VALUES (NULL)")
    assert conn.in_transaction
    conn.commit()
    assert not conn.in_transaction
    other = connect(settings)
    assert other.execute("SELECT count(*) FROM t").fetchone() == (3,)
    other.close()


def test_total_changes(conn: sqlite3.Connection) -> None:
    before = conn.total_changes
    conn.execute("UPDATE t SET n = 5")
    assert conn.total_changes - before == 2
    assert conn.execute("SELECT changes()").fetchone() == (2,)


def test_text_factory(conn: sqlite3.Connection) -> None:
    conn.text_factory = bytes
    assert conn.execute("SELECT name, n FROM t WHERE id = 1").fetchone() == (b"one", 1)


def test_connection_level_shortcuts_and_executemany(conn: sqlite3.Connection) -> None:
    cursor = conn.executemany(
        "INSERT INTO t (name, n) VALUES (:name, :n)", [{"name": "a", "n": 1}, {"name": "b", "n": 2}]
    )
    assert cursor.rowcount == 2
    conn.rollback()
    assert conn.execute("SELECT count(*) FROM t").fetchone() == (2,)


def test_catalog_and_pragmas(conn: sqlite3.Connection) -> None:
    assert conn.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
    assert conn.execute("PRAGMA busy_timeout=30000").fetchone() == (30000,)
    assert [r[1] for r in conn.execute("PRAGMA table_info(t)")] == ["id", "name", "n", "x", "b"]
    found = conn.execute("SELECT name FROM sqlite_master WHERE type='table' AND name=?", ("t",)).fetchone()
    assert found == ("t",)


def test_a_connection_left_to_the_collector_is_rolled_back_and_its_connection_given_back(settings: Settings) -> None:
    conn = connect(settings)
    conn.execute("CREATE TABLE t (a)")
    conn.execute("INSERT INTO t VALUES (1)")
    pool = pool_for(settings)
    in_use = pool.in_use
    del conn
    gc.collect()
    assert pool.in_use <= in_use - 1 or pool.in_use == 0
    conn = connect(settings)
    assert conn.execute("SELECT count(*) FROM t").fetchone() == (0,)
    conn.close()


def test_closing_twice_and_using_after_close(settings: Settings) -> None:
    conn = connect(settings)
    conn.execute("CREATE TABLE t (a)")
    conn.close()
    conn.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        conn.execute("SELECT 1")


def test_isolation_level_none_is_autocommit(conn: sqlite3.Connection, settings: Settings) -> None:
    conn.isolation_level = None
    conn.execute("INSERT INTO t (name) VALUES ('x')")
    assert not conn.in_transaction
    conn.execute("BEGIN")
    conn.execute("INSERT INTO t (name) VALUES ('y')")
    assert conn.in_transaction
    conn.execute("ROLLBACK")
    assert conn.execute("SELECT count(*) FROM t").fetchone() == (3,)
