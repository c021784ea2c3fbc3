"""The flag under the fence: no write gets in when PostgreSQL is not primary, whatever the process believes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import pytest
from psycopg2.extensions import cursor as PgCursor

from shadow.errors import NotPrimary
from shadow.flag.control import ControlRecord, State, fence_table, read_target, write_origin, write_target
from shadow.postgres.connect import connect
from shadow.shim.remote.session import RemoteSession
from shadow.types import PgMode, Side
from tests.integration.remote.helpers import NewSession, rows

pytestmark = pytest.mark.parametrize("mode", [PgMode.CONCURRENT], indirect=True)


@contextmanager
def coordinator(session: RemoteSession) -> Iterator[PgCursor]:
    """A transaction of somebody who switches."""
    conn = connect(session.settings.database_url or "", purpose="test")
    try:
        with conn.cursor() as cursor:
            yield cursor
        conn.commit()
    finally:
        conn.close()


def flip(session: RemoteSession, primary: Side, state: State, attempt: str = "a2") -> None:
    with coordinator(session) as cursor:
        write_target(cursor, session.settings.pg_schema, ControlRecord(2, attempt, primary, state))


def test_an_autocommit_write_is_refused_when_sqlite_is_primary(session: RemoteSession) -> None:
    flip(session, Side.SQLITE, State.ACTIVE)
    with pytest.raises(NotPrimary):
        session.execute("INSERT INTO t (a) VALUES ('x')", ())
    assert not session.in_transaction
    assert rows(session, "SELECT count(*) FROM t") == [(0,)]


def test_a_transaction_that_has_done_nothing_may_go_elsewhere(session: RemoteSession) -> None:
    flip(session, Side.SQLITE, State.ACTIVE)
    session.execute("BEGIN", ())
    with pytest.raises(NotPrimary):
        session.execute("INSERT INTO t (a) VALUES ('x')", ())
    assert not session.in_transaction
    assert session.begun == "DEFERRED"


def test_a_transaction_that_has_read_is_locked(session: RemoteSession) -> None:
    session.execute("BEGIN", ())
    assert rows(session, "SELECT count(*) FROM t") == [(0,)]
    flip(session, Side.SQLITE, State.ACTIVE)
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        session.execute("INSERT INTO t (a) VALUES ('x')", ())
    session.rollback()


def test_a_writer_that_waited_for_the_fence_sees_the_new_epoch(session: RemoteSession) -> None:
    """The lock comes before the snapshot: who was queued behind a rollback may not write."""
    outcome: list[BaseException | None] = []
    started = threading.Event()

    def write() -> None:
        started.set()
        try:
            session.execute("INSERT INTO t (a) VALUES ('x')", ())
            outcome.append(None)
        except (sqlite3.Error, NotPrimary) as error:
            outcome.append(error)

    thread = threading.Thread(target=write)
    with coordinator(session) as cursor:
        cursor.execute(f"LOCK TABLE {fence_table(session.settings.pg_schema)} IN EXCLUSIVE MODE")
        thread.start()
        started.wait()
        wait_for_waiter(cursor)
        write_target(cursor, session.settings.pg_schema, ControlRecord(2, "a2", Side.SQLITE, State.ACTIVE))
    thread.join(20)
    assert isinstance(outcome[0], NotPrimary)


def test_the_fence_waits_for_an_open_write_transaction(session: RemoteSession, new_session: NewSession) -> None:
    session.execute("INSERT INTO t (a) VALUES ('x')", (), implicit_begin="")
    take = f"LOCK TABLE {fence_table(session.settings.pg_schema)} IN EXCLUSIVE MODE"
    with coordinator(session) as cursor:
        cursor.execute("SAVEPOINT s; SET lock_timeout = 100")
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            cursor.execute(take)
        cursor.execute("ROLLBACK TO s")
    session.commit()
    with coordinator(session) as cursor:
        cursor.execute(f"LOCK TABLE {fence_table(session.settings.pg_schema)} IN EXCLUSIVE MODE")


def test_a_savepoint_rolled_back_does_not_free_the_fence(session: RemoteSession) -> None:
    session.execute("BEGIN", ())
    session.execute("SAVEPOINT s", ())
    session.execute("INSERT INTO t (a) VALUES ('x')", ())
    session.execute("ROLLBACK TO s", ())
    with pytest.raises(sqlite3.IntegrityError):
        session.execute("INSERT INTO t (a) VALUES (NULL)", ())
    with coordinator(session) as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE relation = %s::regclass", (fence(session),))
        assert cursor.fetchone() == (1,)
    session.rollback()


def test_a_prepared_cutover_that_sqlite_has_committed_is_finished_by_the_first_writer(session: RemoteSession) -> None:
    flip(session, Side.POSTGRES, State.PREPARED, "cutover-7")
    origin = sqlite3.connect(session.settings.sqlite_path)
    write_origin(origin, ControlRecord(2, "cutover-7", Side.POSTGRES, State.ACTIVE), guard=True)
    origin.commit()
    origin.close()
    assert session.execute("INSERT INTO t (a) VALUES ('x')", ()).rowcount == 1
    with coordinator(session) as cursor:
        record = read_target(cursor, session.settings.pg_schema)
    assert record is not None
    assert record.accepts_writes(Side.POSTGRES)


def test_a_prepared_cutover_that_sqlite_has_not_committed_takes_no_writes(session: RemoteSession) -> None:
    flip(session, Side.POSTGRES, State.PREPARED, "cutover-8")
    with pytest.raises(NotPrimary):
        session.execute("INSERT INTO t (a) VALUES ('x')", ())


def test_reads_ask_the_flag_when_the_hint_says_ask(session: RemoteSession) -> None:
    session.ask = True
    assert rows(session, "SELECT count(*) FROM t") == [(0,)]
    flip(session, Side.SQLITE, State.ACTIVE)
    with pytest.raises(NotPrimary):
        session.execute("SELECT count(*) FROM t", ())


def test_a_switch_is_waited_out_longer_than_the_apps_busy_timeout(session: RemoteSession) -> None:
    session.busy_timeout_ms = 20
    done: list[int | None] = []
    thread = threading.Thread(
        target=lambda: done.append(session.execute("INSERT INTO t (a) VALUES ('x')", ()).rowcount)
    )
    with coordinator(session) as cursor:
        cursor.execute(f"LOCK TABLE {fence_table(session.settings.pg_schema)} IN EXCLUSIVE MODE")
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
    thread.join(20)
    assert done == [1]


def test_changes_are_captured_for_the_way_back(session: RemoteSession) -> None:
    session.execute("INSERT INTO t (a) VALUES ('x')", ())
    session.execute("CREATE TABLE u (x INTEGER)", ())
    session.execute("INSERT INTO u VALUES (1)", ())
    with coordinator(session) as cursor:
        cursor.execute("SELECT op, table_name FROM shadow.change ORDER BY id")
        assert cursor.fetchall() == [("S", ""), ("I", "t"), ("S", ""), ("I", "u")]


def fence(session: RemoteSession) -> str:
    return fence_table(session.settings.pg_schema)


def wait_for_waiter(cursor: PgCursor) -> None:
    """Until somebody is queued for a lock that the caller's transaction holds."""
    for _ in range(100_000):
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        if cursor.fetchone() != (0,):
            return
    raise AssertionError("nobody came to wait")
