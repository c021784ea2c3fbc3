"""Two writers at once, in both modes; locks, conflicts and lost connections as an app meets them."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable

import psycopg2
import pytest

from shadow.postgres.connect import connect
from shadow.shim.remote.session import RemoteSession
from shadow.types import PgMode
from tests.integration.remote.helpers import NewSession, rows

concurrent = pytest.mark.parametrize("mode", [PgMode.CONCURRENT], indirect=True)
serial = pytest.mark.parametrize("mode", [PgMode.SERIAL], indirect=True)


def run(count: int, work: Callable[[int], None]) -> None:
    """`work(i)` in so many threads; an error in one is the test's error."""
    errors: list[BaseException] = []

    def guarded(i: int) -> None:
        try:
            work(i)
        except BaseException as error:  # noqa: BLE001 - handed to the test below
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise errors[0]


def backend(session: RemoteSession) -> int:
    with session.cursor() as cursor:
        return cursor.connection.info.backend_pid


def kill(dsn: str, pid: int) -> None:
    conn = connect(dsn, purpose="test", autocommit=True)
    with conn.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    conn.close()


def test_counters_raised_by_many_writers_lose_nothing(session: RemoteSession, new_session: NewSession) -> None:
    session.execute("INSERT INTO t (id, a, b) VALUES (1, 'x', 1)", ())
    sessions = [new_session() for _ in range(4)]

    def work(i: int) -> None:
        sessions[i].busy_timeout_ms = 30_000
        for _ in range(25):
            sessions[i].execute("UPDATE t SET b = b + 1 WHERE id = 1", (), implicit_begin="")
            sessions[i].commit()

    run(4, work)
    assert rows(session, "SELECT b FROM t") == [(101,)]


def test_read_then_write_that_met_somebody_elses_write_is_locked(
    session: RemoteSession, new_session: NewSession
) -> None:
    """As SQLite's SQLITE_BUSY_SNAPSHOT: nothing is written on the strength of a stale read."""
    session.execute("INSERT INTO t (id, a, b) VALUES (1, 'x', 1)", ())
    session.execute("BEGIN", ())
    assert rows(session, "SELECT b FROM t") == [(1,)]
    new_session().execute("UPDATE t SET b = 5", ())
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        session.execute("UPDATE t SET b = 2", ())
    assert session.in_transaction
    session.execute("ROLLBACK", ())
    assert rows(session, "SELECT b FROM t") == [(5,)]


@serial
def test_in_serial_mode_a_stale_reader_may_not_write_anything(session: RemoteSession, new_session: NewSession) -> None:
    session.execute("BEGIN", ())
    assert rows(session, "SELECT count(*) FROM t") == [(0,)]
    new_session().execute("INSERT INTO t (a) VALUES ('x')", ())
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        session.execute("INSERT INTO t (a) VALUES ('y')", ())
    session.execute("ROLLBACK", ())


@serial
def test_in_serial_mode_a_second_writer_waits_until_its_timeout(
    session: RemoteSession, new_session: NewSession
) -> None:
    session.execute("INSERT INTO t (a) VALUES ('x')", (), implicit_begin="")
    other = new_session()
    other.busy_timeout_ms = 50
    with pytest.raises(sqlite3.OperationalError, match="database is locked") as caught:
        other.execute("INSERT INTO t (a) VALUES ('y')", ())
    assert caught.value.sqlite_errorname == "SQLITE_BUSY"
    session.commit()
    assert other.execute("INSERT INTO t (a) VALUES ('y')", ()).lastrowid == 2


@serial
def test_in_serial_mode_failed_and_rolled_back_inserts_burn_no_ids(session: RemoteSession) -> None:
    session.execute("INSERT INTO t (a) VALUES ('x')", ())
    with pytest.raises(sqlite3.IntegrityError):
        session.execute("INSERT INTO t (a) VALUES (NULL)", ())
    session.execute("INSERT INTO t (a) VALUES ('y')", (), implicit_begin="")
    session.rollback()
    assert session.execute("INSERT INTO t (a) VALUES ('z')", ()).lastrowid == 2
    session.execute("DELETE FROM t WHERE id = 2", ())
    assert session.execute("INSERT INTO t (a) VALUES ('again')", ()).lastrowid == 2


@serial
def test_in_serial_mode_autoincrement_never_reuses_an_id(session: RemoteSession) -> None:
    session.execute("CREATE TABLE n (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT UNIQUE)", ())
    assert session.execute("INSERT INTO n (a) VALUES ('x')", ()).lastrowid == 1
    assert session.execute("INSERT INTO n (id, a) VALUES (10, 'y')", ()).lastrowid == 10
    session.execute("DELETE FROM n WHERE id = 10", ())
    assert session.execute("INSERT INTO n (a) VALUES ('z')", ()).lastrowid == 11
    assert session.execute("INSERT OR REPLACE INTO n (a) VALUES ('z')", ()).lastrowid == 12
    session.execute("INSERT INTO n (a) VALUES ('gone')", (), implicit_begin="")
    session.rollback()
    assert session.execute("INSERT INTO n (a) VALUES ('w')", ()).lastrowid == 13


@concurrent
def test_in_concurrent_mode_writers_of_different_rows_do_not_wait(
    session: RemoteSession, new_session: NewSession
) -> None:
    other = new_session()
    other.busy_timeout_ms = 50
    session.execute("INSERT INTO t (a) VALUES ('x')", (), implicit_begin="")
    other.execute("INSERT INTO t (a) VALUES ('y')", ())
    session.commit()
    assert rows(session, "SELECT count(*) FROM t") == [(2,)]


@concurrent
def test_in_concurrent_mode_a_chosen_id_steps_over_explicit_ones(session: RemoteSession) -> None:
    session.execute("INSERT INTO t (id, a) VALUES (1, 'x'), (2, 'y')", ())
    assert session.execute("INSERT INTO t (a) VALUES ('z')", ()).lastrowid == 3
    with pytest.raises(sqlite3.IntegrityError, match=r"UNIQUE constraint failed: t\.id"):
        session.execute("INSERT INTO t (id, a) VALUES (1, 'x')", ())


@concurrent
def test_a_row_that_stays_locked_is_database_is_locked(session: RemoteSession, new_session: NewSession) -> None:
    session.execute("INSERT INTO t (id, a) VALUES (1, 'x')", ())
    session.execute("UPDATE t SET a = 'y'", (), implicit_begin="")
    other = new_session()
    other.busy_timeout_ms = 50
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        other.execute("UPDATE t SET a = 'z'", ())
    session.rollback()


def test_begin_immediate_excludes_another(session: RemoteSession, new_session: NewSession) -> None:
    session.execute("BEGIN IMMEDIATE", ())
    other = new_session()
    other.busy_timeout_ms = 50
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        other.execute("BEGIN IMMEDIATE", ())
    assert not other.in_transaction
    session.execute("COMMIT", ())
    other.execute("BEGIN IMMEDIATE", ())
    other.rollback()


def test_a_transaction_whose_connection_is_killed_fails_until_it_is_ended(session: RemoteSession) -> None:
    """A later COMMIT must not report the lost half as done."""
    session.execute("INSERT INTO t (a) VALUES ('x')", (), implicit_begin="")
    kill(session.settings.database_url or "", backend(session))
    with pytest.raises(sqlite3.OperationalError, match="connection to PostgreSQL was lost"):
        session.execute("INSERT INTO t (a) VALUES ('y')", ())
    with pytest.raises(sqlite3.OperationalError, match="connection to PostgreSQL was lost"):
        session.execute("SELECT 1", ())
    assert session.in_transaction
    with pytest.raises(sqlite3.OperationalError, match="connection to PostgreSQL was lost"):
        session.commit()
    assert not session.in_transaction
    assert rows(session, "SELECT count(*) FROM t") == [(0,)]


def test_a_connection_killed_while_idle_is_not_noticed_by_the_app(session: RemoteSession) -> None:
    pid = backend(session)
    session.close()
    kill(session.settings.database_url or "", pid)
    assert session.execute("INSERT INTO t (a) VALUES ('x')", ()).lastrowid == 1


def test_a_forked_child_works_on_a_connection_of_its_own(session: RemoteSession) -> None:
    session.execute("INSERT INTO t (a) VALUES ('parent')", (), implicit_begin="")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            try:
                session.execute("SELECT 1", ())
            except sqlite3.OperationalError as error:
                status = 0 if "forked inside a transaction" in str(error) else 2
                other = RemoteSession(session.settings)
                status = status or (0 if rows(other, "SELECT count(*) FROM t") == [(0,)] else 3)
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    session.commit()
    assert rows(session, "SELECT a FROM t") == [("parent",)]


def test_a_pool_that_is_used_up_says_what_to_do(session: RemoteSession, new_session: NewSession) -> None:
    holders = [new_session(pool_max=1), new_session(pool_max=1)]
    holders[0].execute("INSERT INTO t (a) VALUES ('x')", (), implicit_begin="")
    holders[1].busy_timeout_ms = 10
    with pytest.raises(sqlite3.OperationalError, match="SHADOW_POOL_MAX"):
        holders[1].execute("SELECT 1", ())
    holders[0].commit()
    assert rows(holders[1], "SELECT count(*) FROM t") == [(1,)]


def test_migrations_of_several_processes_at_once_make_each_table_once(
    session: RemoteSession, new_session: NewSession
) -> None:
    sessions = [new_session() for _ in range(4)]

    def work(i: int) -> None:
        for n in range(3):
            sessions[i].execute(f"CREATE TABLE IF NOT EXISTS m{n} (id INTEGER PRIMARY KEY, x TEXT)", ())
            sessions[i].execute(f"INSERT INTO m{n} (x) VALUES (?)", (str(i),))

    run(4, work)
    assert [rows(session, f"SELECT count(*) FROM m{n}") for n in range(3)] == [[(4,)]] * 3


def test_errors_of_the_server_never_leave_as_psycopg2s(session: RemoteSession) -> None:
    with pytest.raises(sqlite3.Error) as caught:
        session.execute("INSERT INTO t (a) VALUES (NULL)", ())
    assert not isinstance(caught.value, psycopg2.Error)
