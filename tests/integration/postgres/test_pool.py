"""The pool: few connections for many callers, clean, alive, and never shared with a forked child."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest

from shadow.config import Settings
from shadow.errors import TargetUnavailable
from shadow.postgres.pool import Lease, Pool
from tests.conftest import with_admin


@pytest.fixture
def settings(pg_dsn: str, tmp_path: Path) -> Settings:
    return Settings(sqlite_path=str(tmp_path / "app.db"), database_url=pg_dsn, pool_max=2)


@pytest.fixture
def pool(settings: Settings) -> Iterator[Pool]:
    pool = Pool(settings)
    yield pool
    pool.close()


def backend(lease: Lease) -> int:
    with lease.conn.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone() or (0,)
        return int(pid)


def test_a_returned_connection_is_leased_again(pool: Pool) -> None:
    first = pool.lease(1)
    pid = backend(first)
    pool.release(first)
    second = pool.lease(1)
    assert backend(second) == pid
    pool.release(second)
    assert (pool.in_use, pool.free) == (0, 1)


def test_an_open_transaction_is_rolled_back_on_return(pool: Pool) -> None:
    lease = pool.lease(1)
    with lease.conn.cursor() as cursor:
        cursor.execute("CREATE TABLE t (a int)")
        cursor.execute("BEGIN; INSERT INTO t VALUES (1)")
    pool.release(lease)
    lease = pool.lease(1)
    with lease.conn.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM t")
        assert cursor.fetchone() == (0,)
    pool.release(lease)


def test_a_connection_in_an_aborted_transaction_is_clean_again(pool: Pool) -> None:
    lease = pool.lease(1)
    with lease.conn.cursor() as cursor, pytest.raises(psycopg2.Error):
        cursor.execute("BEGIN; SELECT 1/0")
    pool.release(lease)
    lease = pool.lease(1)
    assert backend(lease)
    pool.release(lease)


def test_who_finds_all_in_use_waits_and_is_told_what_to_do(pool: Pool) -> None:
    leases = [pool.lease(1), pool.lease(1)]
    with pytest.raises(TargetUnavailable, match=r"all 2 PostgreSQL connections.*SHADOW_POOL_MAX"):
        pool.lease(0.05)
    for lease in leases:
        pool.release(lease)


def test_a_waiter_gets_the_connection_that_comes_back(pool: Pool) -> None:
    leases = [pool.lease(1), pool.lease(1)]
    got: list[int] = []
    waiting = threading.Thread(target=lambda: got.append(backend(pool.lease(10))))
    waiting.start()
    expected = backend(leases[0])
    pool.release(leases[0])
    waiting.join(10)
    assert got == [expected]
    pool.release(leases[1])


def test_a_connection_that_the_server_closed_is_replaced(pool: Pool, pg_server: str) -> None:
    lease = pool.lease(1)
    killed = backend(lease)
    pool.release(lease)
    with_admin(pg_server, f"SELECT pg_terminate_backend({killed}, 5000)")
    lease = pool.lease(1)
    assert backend(lease) != killed
    pool.release(lease)


def test_a_failed_connect_frees_its_place(settings: Settings) -> None:
    pool = Pool(replace(settings, database_url="host=127.0.0.1 port=1 dbname=x user=y", pool_max=1))
    for _ in range(3):
        with pytest.raises(TargetUnavailable, match="nobody answers"):
            pool.lease(1)
    assert pool.in_use == 0


def test_a_forked_child_opens_its_own_connections_and_leaves_the_parents_alone(pool: Pool) -> None:
    lease = pool.lease(1)
    parent = backend(lease)
    pool.release(lease)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            lease = pool.lease(5)
            os.write(write, str(backend(lease)).encode())
            pool.release(lease)
            pool.close()
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read) as pipe:
        theirs = int(pipe.read())
    assert os.waitpid(child, 0)[1] == 0
    assert theirs != parent
    lease = pool.lease(1)
    assert backend(lease) == parent
    pool.release(lease)
