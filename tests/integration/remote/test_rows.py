"""Big results: the server keeps the rows, the app takes them a chunk at a time."""

from __future__ import annotations

import sqlite3

import pytest

from shadow.shim.remote import rows as remote_rows
from shadow.shim.remote.session import RemoteSession
from tests.integration.remote.helpers import rows

QUERY = "SELECT id FROM t ORDER BY id"
COUNT = 5_500


@pytest.fixture
def big(session: RemoteSession) -> RemoteSession:
    """A session that has learned that the query gives many rows."""
    session.executemany("INSERT INTO t (a) VALUES (?)", (("x",) for _ in range(COUNT)))
    assert sum(1 for _ in session.execute(QUERY, ()).rows) == COUNT
    return session


def test_all_rows_come_and_the_connection_goes_back(big: RemoteSession) -> None:
    result = big.execute(QUERY, ())
    assert isinstance(result.rows, remote_rows.HeldRows)
    assert [row[0] for row in result.rows] == list(range(1, COUNT + 1))
    assert rows(big, "SELECT 1") == [(1,)]
    assert big._pool.in_use == 0


def test_rows_are_read_while_the_session_writes_commits_and_rolls_back(big: RemoteSession) -> None:
    result = big.execute(QUERY, ())
    first = [next(result.rows) for _ in range(10)]
    big.execute("DELETE FROM t WHERE id > 10", (), implicit_begin="")
    big.commit()
    big.execute("INSERT INTO t (a) VALUES ('x')", (), implicit_begin="")
    with pytest.raises(sqlite3.IntegrityError):
        big.execute("INSERT INTO t (a) VALUES (NULL)", ())
    big.rollback()
    assert len(first) + sum(1 for _ in result.rows) == COUNT


def test_rows_that_nobody_reads_do_not_keep_the_connection(big: RemoteSession) -> None:
    result = big.execute(QUERY, ())
    next(result.rows)
    del result
    assert rows(big, "SELECT 1") == [(1,)]
    assert big._pool.in_use == 0


def test_a_small_result_of_such_a_query_is_one_round_trip(big: RemoteSession, monkeypatch: pytest.MonkeyPatch) -> None:
    big.execute("DELETE FROM t WHERE id > 3", ())
    sent: list[str] = []
    original = RemoteSession._run
    monkeypatch.setattr(RemoteSession, "_run", lambda s, text, args=(): sent.append(text) or original(s, text, args))
    for _ in range(3):
        assert rows(big, QUERY) == [(1,), (2,), (3,)]
    assert len([text for text in sent if "catalog_version" not in text]) == 3


def test_rows_after_close_are_refused(big: RemoteSession) -> None:
    result = big.execute(QUERY, ())
    next(result.rows)
    big.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        list(result.rows)
