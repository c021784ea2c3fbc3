"""Transactions with PostgreSQL primary behave as SQLite's."""

from __future__ import annotations

import sqlite3

import pytest

from shadow.shim.remote.session import RemoteSession
from tests.integration.remote.helpers import NewSession, rows


def values(session: RemoteSession) -> list[object]:
    return [row[0] for row in rows(session, "SELECT a FROM t ORDER BY id")]


def test_implicit_begin_opens_a_transaction_that_others_do_not_see(
    session: RemoteSession, new_session: NewSession
) -> None:
    other = new_session()
    session.execute("INSERT INTO t (a) VALUES ('x')", (), implicit_begin="")
    assert session.in_transaction
    assert values(other) == []
    session.commit()
    assert not session.in_transaction
    assert values(other) == ["x"]


def test_rollback_undoes_and_the_session_goes_on(session: RemoteSession) -> None:
    session.execute("INSERT INTO t (a) VALUES ('x')", (), implicit_begin="")
    session.rollback()
    assert not session.in_transaction
    assert values(session) == []


def test_a_failed_statement_leaves_the_earlier_ones_standing(session: RemoteSession) -> None:
    session.execute("BEGIN", ())
    session.execute("INSERT INTO t (a) VALUES ('one')", ())
    for bad in ("INSERT INTO t (a) VALUES (NULL)", "INSERT INTO t (a, b) VALUES ('x', -1)"):
        with pytest.raises(sqlite3.IntegrityError):
            session.execute(bad, ())
        assert session.in_transaction
    session.execute("INSERT INTO t (a) VALUES ('two')", ())
    with pytest.raises(sqlite3.IntegrityError):
        session.execute("INSERT INTO t (id, a) VALUES (1, 'again')", ())
    session.execute("COMMIT", ())
    assert values(session) == ["one", "two"]


def test_a_failed_first_statement_leaves_the_transaction_open(session: RemoteSession) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        session.execute("INSERT INTO t (a) VALUES (NULL)", (), implicit_begin="")
    assert session.in_transaction
    session.execute("INSERT INTO t (a) VALUES ('x')", ())
    session.commit()
    assert values(session) == ["x"]


def test_a_deferred_transaction_reads_one_snapshot_and_then_writes(
    session: RemoteSession, new_session: NewSession
) -> None:
    session.execute("INSERT INTO t (a) VALUES ('x')", ())
    session.execute("BEGIN", ())
    assert values(session) == ["x"]
    session.execute("INSERT INTO t (a) VALUES ('y')", ())
    assert values(session) == ["x", "y"]
    session.execute("COMMIT", ())
    assert values(new_session()) == ["x", "y"]


def test_a_snapshot_does_not_see_what_others_commit_meanwhile(session: RemoteSession, new_session: NewSession) -> None:
    session.execute("BEGIN", ())
    assert values(session) == []
    new_session().execute("INSERT INTO t (a) VALUES ('x')", ())
    assert values(session) == []
    session.execute("COMMIT", ())
    assert values(session) == ["x"]


def test_savepoints_nest_and_roll_back(session: RemoteSession) -> None:
    session.execute("BEGIN", ())
    session.execute("INSERT INTO t (a) VALUES ('one')", ())
    session.execute("SAVEPOINT a", ())
    session.execute("INSERT INTO t (a) VALUES ('two')", ())
    session.execute("SAVEPOINT b", ())
    with pytest.raises(sqlite3.IntegrityError):
        session.execute("INSERT INTO t (a) VALUES (NULL)", ())
    session.execute("INSERT INTO t (a) VALUES ('three')", ())
    session.execute("ROLLBACK TO b", ())
    session.execute("RELEASE b", ())
    session.execute("INSERT INTO t (a) VALUES ('four')", ())
    with pytest.raises(sqlite3.IntegrityError):
        session.execute("INSERT INTO t (a) VALUES (NULL)", ())
    session.execute("RELEASE A", ())
    session.execute("COMMIT", ())
    assert values(session) == ["one", "two", "four"]


def test_an_outermost_savepoint_begins_and_its_release_commits(session: RemoteSession, new_session: NewSession) -> None:
    session.execute("SAVEPOINT outer", ())
    assert session.in_transaction
    session.execute("INSERT INTO t (a) VALUES ('x')", ())
    session.execute("RELEASE outer", ())
    assert not session.in_transaction
    assert values(new_session()) == ["x"]


def test_rollback_to_the_outermost_savepoint_keeps_the_transaction_open(session: RemoteSession) -> None:
    session.execute("SAVEPOINT outer", ())
    session.execute("INSERT INTO t (a) VALUES ('x')", ())
    session.execute("ROLLBACK TO outer", ())
    assert session.in_transaction
    session.execute("INSERT INTO t (a) VALUES ('y')", ())
    session.execute("RELEASE outer", ())
    assert values(session) == ["y"]


def test_a_write_after_going_back_behind_the_entry_enters_again(session: RemoteSession) -> None:
    """ROLLBACK TO a savepoint set before the write frees the fence's lock; the next write takes it anew."""
    session.execute("BEGIN", ())
    assert values(session) == []
    session.execute("SAVEPOINT s", ())
    session.execute("INSERT INTO t (a) VALUES ('x')", ())
    session.execute("ROLLBACK TO s", ())
    session.execute("INSERT INTO t (a) VALUES ('y')", ())
    session.execute("COMMIT", ())
    assert values(session) == ["y"]


def test_begin_within_a_transaction_is_refused(session: RemoteSession) -> None:
    session.execute("BEGIN", ())
    with pytest.raises(sqlite3.OperationalError, match="cannot start a transaction within a transaction"):
        session.execute("BEGIN", ())
    session.execute("ROLLBACK", ())


def test_rows_read_before_a_commit_are_still_there_after_it(session: RemoteSession) -> None:
    session.executemany("INSERT INTO t (a) VALUES (?)", [("x",), ("y",)])
    result = session.execute("SELECT a FROM t ORDER BY id", ())
    assert next(result.rows) == ("x",)
    session.execute("DELETE FROM t", (), implicit_begin="")
    session.commit()
    assert list(result.rows) == [("y",)]


def test_an_abandoned_session_gives_its_connection_back_clean(session: RemoteSession, new_session: NewSession) -> None:
    from shadow.shim.remote.session import RemoteSession as Session

    left = Session(session.settings)
    left.execute("INSERT INTO t (a) VALUES ('x')", (), implicit_begin="")
    pool = left._pool
    assert pool.in_use == 1
    del left
    assert pool.in_use == 0
    assert values(session) == []


def test_ddl_is_part_of_the_transaction(session: RemoteSession, new_session: NewSession) -> None:
    session.execute("BEGIN", ())
    session.execute("CREATE TABLE u (x INTEGER)", ())
    session.execute("INSERT INTO u VALUES (1)", ())
    assert rows(session, "SELECT name FROM sqlite_master WHERE name = 'u'") == [("u",)]
    session.execute("ROLLBACK", ())
    with pytest.raises(sqlite3.OperationalError, match="no such table: u"):
        session.execute("SELECT * FROM u", ())
    session.execute("BEGIN", ())
    session.execute("CREATE TABLE u (x INTEGER)", ())
    session.execute("INSERT INTO u VALUES (1)", ())
    session.execute("COMMIT", ())
    assert rows(new_session(), "SELECT x FROM u") == [(1,)]


def test_a_failed_ddl_statement_leaves_the_transaction_open(session: RemoteSession) -> None:
    session.execute("INSERT INTO t (a) VALUES ('x'), ('x')", ())
    session.execute("BEGIN", ())
    session.execute("INSERT INTO t (a) VALUES ('y')", ())
    with pytest.raises(sqlite3.IntegrityError):
        session.execute("CREATE UNIQUE INDEX t_a ON t (a)", ())
    session.execute("INSERT INTO t (a) VALUES ('z')", ())
    session.execute("COMMIT", ())
    assert values(session) == ["x", "x", "y", "z"]
