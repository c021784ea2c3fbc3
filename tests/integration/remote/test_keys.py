"""PRAGMA foreign_keys=ON with PostgreSQL primary; the reference is SQLite with the same statements."""

from __future__ import annotations

import sqlite3

import pytest

from shadow.shim.remote.session import RemoteSession
from tests.integration.remote.helpers import NewSession, rows

SCHEMA = (
    "CREATE TABLE dept (id INTEGER PRIMARY KEY, code TEXT UNIQUE NOT NULL)",
    "CREATE TABLE emp (id INTEGER PRIMARY KEY, dept_id INTEGER REFERENCES dept(id) ON DELETE CASCADE,"
    " boss_id INTEGER REFERENCES emp(id) ON DELETE SET NULL, code TEXT REFERENCES dept(code) ON UPDATE CASCADE)",
    "CREATE TABLE badge (id INTEGER PRIMARY KEY, emp_id INTEGER REFERENCES emp ON DELETE RESTRICT)",
    "INSERT INTO dept VALUES (1, 'a'), (2, 'b'), (3, 'c')",
    "INSERT INTO emp VALUES (1, 1, NULL, 'a'), (2, 1, 1, 'b'), (3, 2, 1, NULL)",
    "INSERT INTO badge VALUES (1, 3)",
)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO emp (dept_id) VALUES (9)",
        "INSERT INTO emp (dept_id) VALUES (NULL)",
        "INSERT INTO emp (id, boss_id) VALUES (10, 10)",
        "UPDATE emp SET dept_id = 9 WHERE id = 1",
        "UPDATE emp SET dept_id = 2 WHERE id = 1",
        "DELETE FROM dept WHERE id = 1",
        "DELETE FROM dept WHERE id = 2",
        "DELETE FROM dept WHERE id = 3",
        "DELETE FROM emp WHERE id = 1",
        "DELETE FROM emp WHERE id = 3",
        "UPDATE dept SET code = 'z' WHERE id = 1",
        "UPDATE dept SET id = 20 WHERE id = 2",
        "UPDATE dept SET id = id",
        "DROP TABLE badge",
    ],
)
def test_keys_do_what_sqlite_does(session: RemoteSession, statement: str) -> None:
    origin = sqlite3.connect(":memory:", isolation_level=None)
    for sql in ("PRAGMA foreign_keys=ON", *SCHEMA):
        origin.execute(sql)
        session.execute(sql, ())
    outcomes = []
    for run in (lambda sql: origin.execute(sql).rowcount, lambda sql: session.execute(sql, ()).rowcount):
        try:
            outcomes.append(run(statement))
        except sqlite3.IntegrityError as error:
            outcomes.append((str(error), error.sqlite_errorname))
    assert outcomes[0] == outcomes[1]
    for table in ("dept", "emp"):
        query = f"SELECT * FROM {table} ORDER BY id"
        assert rows(session, query) == origin.execute(query).fetchall()
    origin.close()


def test_keys_are_a_matter_of_each_connection(session: RemoteSession, new_session: NewSession) -> None:
    for sql in ("PRAGMA foreign_keys=ON", *SCHEMA):
        session.execute(sql, ())
    other = new_session()
    assert other.execute("INSERT INTO emp (dept_id) VALUES (9)", ()).rowcount == 1
    session.execute("PRAGMA foreign_keys=OFF", ())
    assert session.execute("INSERT INTO emp (dept_id) VALUES (9)", ()).rowcount == 1
    session.execute("PRAGMA foreign_keys=ON", ())
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY constraint failed"):
        session.execute("INSERT INTO emp (dept_id) VALUES (9)", ())


def test_the_setting_does_not_change_inside_a_transaction(session: RemoteSession) -> None:
    session.execute("BEGIN", ())
    session.execute("PRAGMA foreign_keys=ON", ())
    assert rows(session, "PRAGMA foreign_keys") == [(0,)]
    session.execute("COMMIT", ())


def test_keys_made_in_the_same_transaction_count(session: RemoteSession) -> None:
    session.execute("PRAGMA foreign_keys=ON", ())
    session.execute("BEGIN", ())
    for sql in SCHEMA:
        session.execute(sql, ())
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY constraint failed"):
        session.execute("INSERT INTO emp (dept_id) VALUES (9)", ())
    session.execute("COMMIT", ())
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY constraint failed"):
        session.execute("DELETE FROM emp WHERE id = 3", ())


ORPHANS = (
    "CREATE TABLE owner (id INTEGER PRIMARY KEY, a TEXT UNIQUE, b TEXT COLLATE NOCASE UNIQUE, UNIQUE (a, b))",
    "CREATE TABLE thing (x INTEGER REFERENCES owner(id), y TEXT REFERENCES owner(a), z TEXT REFERENCES owner(b),"
    " w INTEGER REFERENCES nowhere(id), FOREIGN KEY (y, z) REFERENCES owner(a, b))",
    "CREATE TABLE bare (k INTEGER PRIMARY KEY, o INTEGER REFERENCES owner) WITHOUT ROWID",
    "CREATE TABLE loose (o REFERENCES owner)",
    "INSERT INTO owner VALUES (1, 'a', 'B')",
    "INSERT INTO thing VALUES (1, 'a', 'b', NULL), (2, 'b', 'q', 3), (NULL, 'z', NULL, NULL), (NULL, NULL, NULL, 7)",
    "INSERT INTO bare VALUES (5, 1), (6, 9)",
    "INSERT INTO loose VALUES (5), ('1'), ('1x')",
)


@pytest.mark.parametrize(
    "pragma", ["foreign_key_check", "foreign_key_check(thing)", "foreign_key_check = 'bare'", "foreign_key_check(gone)"]
)
def test_foreign_key_check_names_the_rows_that_sqlite_names(session: RemoteSession, pragma: str) -> None:
    session.execute("DROP TABLE t", ())
    origin = sqlite3.connect(":memory:", isolation_level=None)
    for sql in ORPHANS:
        origin.execute(sql)
        session.execute(sql, ())
    outcomes: list[object] = []
    for run in (origin.execute, lambda sql: session.execute(sql, ())):
        try:
            result = run(f"PRAGMA {pragma}")
            outcomes.append((tuple(c[0] for c in result.description), list(getattr(result, "rows", result))))
        except sqlite3.OperationalError as error:
            outcomes.append(str(error))
    assert outcomes[1] == outcomes[0]
    origin.close()


def test_foreign_key_check_refuses_a_key_that_does_not_match_as_sqlite_does(session: RemoteSession) -> None:
    session.execute("CREATE TABLE child (a TEXT REFERENCES t(a))", ())
    with pytest.raises(sqlite3.OperationalError, match='foreign key mismatch - "child" referencing "t"'):
        session.execute("PRAGMA foreign_key_check", ())
    for sql in ("SELECT * FROM pragma_foreign_key_check", "SELECT count(*) FROM pragma_foreign_key_check('child')"):
        with pytest.raises(sqlite3.NotSupportedError, match="while PostgreSQL is primary"):
            session.execute(sql, ())
