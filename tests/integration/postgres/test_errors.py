"""PostgreSQL's errors become sqlite3's, in SQLite's words; the reference is SQLite itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from shadow.postgres.connect import connect
from shadow.postgres.errors import to_sqlite_error
from shadow.schema import create_indexes, create_tables, inspect

SCHEMA = """
CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT NOT NULL, b INTEGER CHECK (b > 0),
                c TEXT UNIQUE, d TEXT, e TEXT, UNIQUE (d, e), CONSTRAINT sensible CHECK (a <> 'no'));
CREATE TABLE w (a TEXT, b TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE UNIQUE INDEX t_ae ON t (a, e);
INSERT INTO t VALUES (1, 'x', 1, 'c', 'd', 'e');
INSERT INTO w VALUES ('x', 'y');
"""


@pytest.fixture
def sides(pg_dsn: str) -> Iterator[tuple[sqlite3.Connection, psycopg2.extensions.connection]]:
    """The same tables and rows in both engines."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as origin:
        origin.executescript(SCHEMA)
        catalog = inspect(origin)
        with closing(connect(pg_dsn, purpose="test", autocommit=True)) as target:
            with target.cursor() as cursor:
                for statement in create_tables(catalog) + create_indexes(catalog):
                    cursor.execute(statement)
                cursor.execute("INSERT INTO t VALUES (1, 'x', 1, 'c', 'd', 'e'); INSERT INTO w VALUES ('x', 'y')")
                cursor.execute("SELECT setval(pg_get_serial_sequence('t', 'id'), 1)")
            yield origin, target


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO t (id, a) VALUES (1, 'y')",
        "INSERT INTO t (a, c) VALUES ('y', 'c')",
        "INSERT INTO t (a, d, e) VALUES ('y', 'd', 'e')",
        "INSERT INTO t (a, e) VALUES ('x', 'e')",
        "INSERT INTO w VALUES ('x', 'y')",
        "INSERT INTO t (a) VALUES (NULL)",
        "UPDATE t SET a = NULL",
        "INSERT INTO t (a, b) VALUES ('y', -1)",
        "INSERT INTO t (a) VALUES ('no')",
        "SELECT * FROM nowhere",
        "SELECT missing FROM t",
    ],
)
def test_an_error_has_sqlites_class_words_and_codes(
    sides: tuple[sqlite3.Connection, psycopg2.extensions.connection], statement: str
) -> None:
    origin, target = sides
    with pytest.raises(sqlite3.Error) as expected:
        origin.execute(statement)
    with target.cursor() as cursor, pytest.raises(psycopg2.Error) as caught:
        cursor.execute(statement)
    error = to_sqlite_error(caught.value, inspect(origin))
    assert (type(error), str(error)) == (expected.type, str(expected.value))
    assert (error.sqlite_errorcode, error.sqlite_errorname) == (
        expected.value.sqlite_errorcode,
        expected.value.sqlite_errorname,
    )


@pytest.mark.parametrize("state", ["40001", "40P01", "55P03"])
def test_conflicts_are_database_is_locked(pg_dsn: str, state: str) -> None:
    with closing(connect(pg_dsn, purpose="test", autocommit=True)) as conn, conn.cursor() as cursor:
        with pytest.raises(psycopg2.Error) as caught:
            cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $$")
        error = to_sqlite_error(caught.value, None)
    assert isinstance(error, sqlite3.OperationalError)
    assert (str(error), error.sqlite_errorname) == ("database is locked", "SQLITE_BUSY")


def test_a_lost_connection_is_an_operational_error_that_says_so(pg_dsn: str) -> None:
    with (
        closing(connect(pg_dsn, purpose="test", autocommit=True)) as conn,
        conn.cursor() as cursor,
        pytest.raises(psycopg2.Error) as caught,
    ):
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    error = to_sqlite_error(caught.value, None)
    assert isinstance(error, sqlite3.OperationalError)
    assert "connection to PostgreSQL was lost" in str(error)
