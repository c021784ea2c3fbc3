"""Statements with PostgreSQL primary: values, counts, ids, names and errors as sqlite3 gives them."""

from __future__ import annotations

import datetime
import sqlite3

import pytest

from shadow.shim.remote.session import RemoteSession
from tests.integration.remote.helpers import NewSession, rows


def test_values_come_back_with_their_python_types(session: RemoteSession) -> None:
    session.execute("CREATE TABLE v (i INTEGER, r REAL, s TEXT, b BLOB, n TEXT)", ())
    values = (2**63 - 1, 0.1, "na\u00efve", b"\x00\xff", None)
    session.execute("INSERT INTO v VALUES (?, ?, ?, ?, ?)", values)
    (got,) = rows(session, "SELECT i, r, s, b, n FROM v")
    assert got == values
    assert [type(v) for v in got] == [int, float, str, bytes, type(None)]


def test_parameters_are_adapted_as_sqlite3_does(session: RemoteSession) -> None:
    moment = datetime.datetime(2024, 1, 2, 3, 4, 5)
    session.execute("INSERT INTO t (a, b) VALUES (?, ?)", (moment, True))
    assert rows(session, "SELECT a, b FROM t") == [("2024-01-02 03:04:05", 1)]


def test_lastrowid_follows_inserts_and_stays_after_everything_else(session: RemoteSession) -> None:
    assert session.execute("SELECT 1", ()).lastrowid == 0
    assert session.execute("INSERT INTO t (a) VALUES ('x')", ()).lastrowid == 1
    assert session.execute("INSERT INTO t (id, a) VALUES (40, 'x')", ()).lastrowid == 40
    assert session.execute("UPDATE t SET a = 'y'", ()).lastrowid == 40
    assert session.execute("INSERT OR IGNORE INTO t (id, a) VALUES (1, 'z')", ()).lastrowid == 40
    assert session.execute("SELECT * FROM t", ()).lastrowid == 40
    assert session.execute("INSERT OR REPLACE INTO t (id, a) VALUES (1, 'z')", ()).lastrowid == 1
    assert session.executemany("INSERT INTO t (a) VALUES (?)", [("p",), ("q",)]).lastrowid is None


def test_rowcount_of_every_kind(session: RemoteSession) -> None:
    assert session.execute("INSERT INTO t (a) VALUES ('x'), ('y'), ('z')", ()).rowcount == 3
    assert session.execute("UPDATE t SET a = 'w' WHERE id > 1", ()).rowcount == 2
    assert session.execute("DELETE FROM t WHERE id = 1", ()).rowcount == 1
    assert session.execute("DELETE FROM t WHERE id = 99", ()).rowcount == 0
    assert session.execute("SELECT * FROM t", ()).rowcount == -1
    assert session.execute("INSERT OR IGNORE INTO t (id, a) VALUES (2, 'v')", ()).rowcount == 0
    assert session.execute("INSERT OR REPLACE INTO t (id, a) VALUES (2, 'v')", ()).rowcount == 1


def test_counters_are_the_connections(session: RemoteSession) -> None:
    session.execute("INSERT INTO t (a) VALUES ('x'), ('y')", ())
    session.execute("UPDATE t SET a = 'z' WHERE id = 1", ())
    assert rows(session, "SELECT changes(), total_changes(), last_insert_rowid()") == [(1, 3, 2)]
    assert rows(session, "SELECT a FROM t WHERE id = last_insert_rowid()") == [("y",)]


def test_result_columns_have_sqlites_names(session: RemoteSession) -> None:
    result = session.execute('SELECT COUNT(*), max(id)+1, a AS "My Name", t.b FROM t', ())
    assert result.columns == ("COUNT(*)", "max(id)+1", "My Name", "b")
    assert session.execute("INSERT INTO t (a) VALUES ('x')", ()).columns is None


def test_returning_gives_rows_without_the_row_id(session: RemoteSession) -> None:
    result = session.execute("INSERT INTO t (a) VALUES ('x'), ('y') RETURNING a, id", ())
    assert (result.columns, list(result.rows), result.rowcount) == (("a", "id"), [("x", 1), ("y", 2)], 2)
    assert session.last_insert_rowid == 2


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        ("SELECT * FROM nowhere", ()),
        ("SELECT nothing FROM t", ()),
        ("SELEC 1", ()),
        ("INSERT INTO t (a) VALUES (?)", ()),
        ("INSERT INTO t (a) VALUES (?)", ("x", "y")),
        ("INSERT INTO t (a) VALUES (:a)", {"b": 1}),
        ("INSERT INTO t (a) VALUES (?)", (object(),)),
        ("INSERT INTO t (b) VALUES (?)", (2**63,)),
        ("SELECT 1; SELECT 2", ()),
        ("INSERT INTO t (a) VALUES (NULL)", ()),
        ("INSERT INTO t (a, b) VALUES ('x', 0)", ()),
        ("INSERT INTO t (id, a) VALUES (7, 'x')", ()),
        ("INSERT INTO t (a, c) VALUES ('x', 1.5)", ()),
        ("CREATE TABLE t (x)", ()),
        ("DROP TABLE nowhere", ()),
        ("COMMIT", ()),
        ("ROLLBACK", ()),
        ("RELEASE nowhere", ()),
    ],
)
def test_errors_are_sqlites_own(session: RemoteSession, sql: str, params: object) -> None:
    """The reference is SQLite itself with the same table and row."""
    session.execute("INSERT INTO t (id, a, c) VALUES (7, 'there', 1.5)", ())
    origin = sqlite3.connect(":memory:", isolation_level=None)
    origin.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b INTEGER CHECK (b > 0), c REAL UNIQUE)")
    origin.execute("INSERT INTO t (id, a, c) VALUES (7, 'there', 1.5)")
    with pytest.raises((sqlite3.Error, OverflowError)) as expected:
        origin.execute(sql, params)  # type: ignore[arg-type]
    with pytest.raises((sqlite3.Error, OverflowError)) as got:
        session.execute(sql, params)
    assert (got.type, str(got.value)) == (expected.type, str(expected.value))
    assert getattr(got.value, "sqlite_errorname", None) == getattr(expected.value, "sqlite_errorname", None)
    origin.close()


def test_a_text_with_nul_is_refused_clearly(session: RemoteSession) -> None:
    with pytest.raises(sqlite3.NotSupportedError, match="NUL"):
        session.execute("INSERT INTO t (a) VALUES (?)", ("a\0b",))
    assert rows(session, "SELECT count(*) FROM t") == [(0,)]


def test_executemany_takes_a_generator_and_counts_all_rows(session: RemoteSession) -> None:
    result = session.executemany("INSERT INTO t (a, b) VALUES (?, ?)", ((f"n{i}", i) for i in range(1, 451)))
    assert result.rowcount == 450
    assert rows(session, "SELECT count(*), sum(b), max(id) FROM t") == [(450, 101475, 450)]
    assert session.last_insert_rowid == 450


def test_executemany_keeps_the_rows_done_before_an_error(session: RemoteSession) -> None:
    sets = [("x", 1), ("y", 2), ("z", -3), ("never", 4)]
    with pytest.raises(sqlite3.IntegrityError, match="CHECK constraint failed: b > 0"):
        session.executemany("INSERT INTO t (a, b) VALUES (?, ?)", sets, implicit_begin="")
    assert session.in_transaction
    session.commit()
    assert rows(session, "SELECT a FROM t ORDER BY id") == [("x",), ("y",)]


def test_executemany_refuses_a_query(session: RemoteSession) -> None:
    with pytest.raises(sqlite3.ProgrammingError, match="can only execute DML"):
        session.executemany("SELECT ?", [(1,)])


def test_catalog_questions_are_answered_by_sqlite_on_the_apps_schema(session: RemoteSession) -> None:
    session.execute("CREATE INDEX t_a ON t (a)", ())
    found = rows(session, "SELECT type, name FROM sqlite_master WHERE name = ?", ("t_a",))
    assert found == [("index", "t_a")]
    assert [row[1] for row in rows(session, "PRAGMA table_info(t)")] == ["id", "a", "b", "c"]
    assert session.execute("PRAGMA table_info(t)", ()).columns == ("cid", "name", "type", "notnull", "dflt_value", "pk")
    assert rows(session, "SELECT name FROM pragma_index_list('t') WHERE origin = 'c'") == [("t_a",)]


def test_pragmas(session: RemoteSession) -> None:
    assert rows(session, "PRAGMA journal_mode=WAL") == [("wal",)]
    assert rows(session, "PRAGMA busy_timeout=30000") == [(30000,)]
    assert session.busy_timeout_ms == 30000
    assert rows(session, "PRAGMA foreign_keys") == [(0,)]
    session.execute("PRAGMA foreign_keys=ON", ())
    assert rows(session, "PRAGMA foreign_keys") == [(1,)]
    assert rows(session, "PRAGMA integrity_check") == [("ok",)]


def test_user_version_is_everybodys(session: RemoteSession, new_session: NewSession) -> None:
    assert rows(session, "PRAGMA user_version") == [(0,)]
    session.execute("PRAGMA user_version = 7", ())
    assert rows(new_session(), "PRAGMA user_version") == [(7,)]


def test_maintenance_statements_do_nothing(session: RemoteSession) -> None:
    for sql in ("VACUUM", "ANALYZE", "REINDEX", "-- nothing"):
        session.execute(sql, ())


@pytest.mark.parametrize(
    "sql", ["ATTACH ':memory:' AS other", "CREATE TEMP TABLE x (a)", "CREATE VIRTUAL TABLE f USING fts5(a)"]
)
def test_what_has_no_counterpart_is_refused_with_a_reason(session: RemoteSession, sql: str) -> None:
    with pytest.raises(sqlite3.NotSupportedError, match="while PostgreSQL is primary"):
        session.execute(sql, ())


def test_a_big_result_comes_row_by_row(session: RemoteSession) -> None:
    session.executemany("INSERT INTO t (a) VALUES (?)", ((str(i),) for i in range(3000)))
    result = session.execute("SELECT id FROM t ORDER BY id", ())
    assert next(result.rows) == (1,)
    session.execute("DELETE FROM t", ())
    assert sum(1 for _ in result.rows) == 2999


def test_a_blob_that_is_no_utf8_may_stand_in_the_text(session: RemoteSession) -> None:
    session.execute("CREATE TABLE raw (b BLOB)", ())
    session.execute("INSERT INTO raw VALUES (x'fffe00')", ())
    assert rows(session, "SELECT b FROM raw WHERE b > x'fe'") == [(b"\xff\xfe\x00",)]
