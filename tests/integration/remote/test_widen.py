"""A value of another kind than its column's, while PostgreSQL is primary: SQLite stores it, and so does PostgreSQL."""

from __future__ import annotations

import sqlite3

import pytest

from shadow.postgres.connect import connect
from shadow.shim.remote.session import RemoteSession
from tests.integration.remote.helpers import NewSession, rows


def test_text_in_an_integer_column_is_kept_and_the_column_becomes_wide(
    session: RemoteSession, new_session: NewSession
) -> None:
    session.execute("CREATE TABLE v (id INTEGER PRIMARY KEY, n INTEGER DEFAULT 3, m INTEGER)", ())
    session.execute("CREATE INDEX v_n ON v (n)", ())
    session.execute("INSERT INTO v (n, m) VALUES (5, 1)", ())
    assert session.execute("INSERT INTO v (n, m) VALUES (?, ?)", ("n/a", 2)).rowcount == 1
    session.execute("INSERT INTO v (m) VALUES (9)", ())
    for one in (session, new_session()):
        assert rows(one, "SELECT n, typeof(n), m FROM v ORDER BY n") == [
            (3, "integer", 9),
            (5, "integer", 1),
            ("n/a", "text", 2),
        ]


def test_only_the_column_that_needs_it_is_widened(session: RemoteSession) -> None:
    session.execute("CREATE TABLE v (id INTEGER PRIMARY KEY, n INTEGER, m INTEGER)", ())
    session.execute("INSERT INTO v (n, m) VALUES (?, ?)", ("n/a", 2))
    table = session.state.catalog.tables["v"]
    assert [c.pg_type.value for c in table.columns] == ["bigint", "shadow.value", "bigint"]


def test_widening_is_part_of_the_transaction(session: RemoteSession) -> None:
    session.execute("CREATE TABLE v (n INTEGER)", ())
    session.execute("BEGIN", ())
    session.execute("INSERT INTO v VALUES (1)", ())
    session.execute("INSERT INTO v VALUES (?)", ("x",))
    session.execute("UPDATE v SET n = ? WHERE n = 1", (1.5,))
    assert rows(session, "SELECT n FROM v ORDER BY rowid") == [(1.5,), ("x",)]
    session.execute("ROLLBACK", ())
    assert rows(session, "SELECT count(*) FROM v") == [(0,)]
    assert session.state.catalog.tables["v"].columns[0].pg_type.value == "bigint"


def test_a_check_judges_the_value_as_sqlite_does(session: RemoteSession) -> None:
    """Text is greater than any number."""
    session.execute("INSERT INTO t (a, b) VALUES ('x', 'many')", ())
    with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed: b > 0"):
        session.execute("INSERT INTO t (a, b) VALUES ('x', -1)", ())
    assert rows(session, "SELECT b FROM t") == [("many",)]


def test_a_row_id_that_is_no_integer_is_a_datatype_mismatch(session: RemoteSession) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="datatype mismatch") as caught:
        session.execute("INSERT INTO t (id, a) VALUES (?, 'x')", ("one",))
    assert type(caught.value) is sqlite3.IntegrityError


def test_a_strict_table_refuses_as_sqlite_does(session: RemoteSession) -> None:
    session.execute("CREATE TABLE s (n INT) STRICT", ())
    with pytest.raises(sqlite3.IntegrityError, match=r"cannot store TEXT value in INT column s\.n"):
        session.execute("INSERT INTO s VALUES (?)", ("x",))


def test_the_way_back_is_told(session: RemoteSession) -> None:
    session.execute("CREATE TABLE v (n INTEGER)", ())
    session.execute("INSERT INTO v VALUES (1)", ())
    session.execute("INSERT INTO v VALUES ('x')", ())
    conn = connect(session.settings.database_url or "", purpose="test", autocommit=True)
    with conn.cursor() as cursor:
        cursor.execute("SELECT op FROM shadow.change WHERE table_name IN ('v', '') ORDER BY id")
        assert [row[0] for row in cursor.fetchall()] == ["S", "S", "I", "S", "I"]
    conn.close()
