"""The app keeps writing through the shim while rows are copied; the copy is killed and run again."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest

from shadow.backfill import backfill
from shadow.config import Settings
from shadow.flag.setup import init_pair
from shadow.replicate.applier import Applier
from shadow.verify import verify

ROWS = 3_000

#: Writes until its standard input ends; every line on its standard output is one acknowledged round.
WRITER = """
import os, sys, threading
from shadow import sqlite3
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
done = 0
while not stop.is_set():
    conn = sqlite3.connect(os.environ["SQLITE_PATH"], timeout=30)
    with conn:
        conn.execute("UPDATE counters SET n = n + 1 WHERE id = 1")
        added = conn.execute("INSERT INTO items (name, price) VALUES (?, ?)", (f"new {done}", done / 3)).lastrowid
        conn.execute("DELETE FROM items WHERE id = ?", (done * 3 + 1,))
        conn.execute("UPDATE items SET name = name || '!' WHERE id % 100 = ?", (done % 100,))
        conn.execute("INSERT INTO log (what) VALUES (?)", (f"item {added}",))
    conn.close()
    done += 1
    print(done, flush=True)
"""

#: Runs the backfill and tells of each step, so that whoever kills it knows where it is.
COPIER = """
import sys
from shadow.backfill import backfill
from shadow.config import from_environment
backfill(from_environment(), progress=lambda name, done, total: print(name, done, flush=True))
"""


@pytest.fixture
def settings(sqlite_path: Path, pg_dsn: str) -> Settings:
    conn = sqlite3.connect(sqlite_path)
    conn.executescript(
        "CREATE TABLE counters (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO counters VALUES (1, 0);"
        "CREATE TABLE items (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, price REAL);"
        "CREATE TABLE log (what TEXT, at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);"
    )
    conn.executemany("INSERT INTO items (name, price) VALUES (?, ?)", [(f"item {i}", i / 7) for i in range(ROWS)])
    conn.commit()
    conn.close()
    return Settings(str(sqlite_path), pg_dsn)


def environment(settings: Settings) -> dict[str, str]:
    return {
        **os.environ,
        "SQLITE_PATH": settings.sqlite_path,
        "DATABASE_URL": settings.database_url or "",
        "DATABASE_TYPE": "shadow",
    }


@contextmanager
def writer(settings: Settings) -> Iterator[list[int]]:
    """A process that writes; afterwards the list holds how many rounds it was told are committed."""
    acknowledged: list[int] = []
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER],
        env=environment(settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().strip() == "1"
        yield acknowledged
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        acknowledged.append(int(out.split()[-1]) if out.split() else 1)
    finally:
        process.kill()
        process.wait()


def assert_all_arrived(settings: Settings, rounds: int) -> None:
    applier = Applier(settings.sqlite_path, settings.database_url or "", settings.pg_schema)
    with applier.exclusive():
        progress = applier.apply_to()
    report = verify(settings, applier)
    applier.close()
    conn = psycopg2.connect(settings.database_url or "")
    with conn.cursor() as cursor:
        cursor.execute("SELECT detail FROM shadow.divergence")
        assert cursor.fetchall() == []
        cursor.execute("SELECT n FROM counters")
        assert cursor.fetchone() == (rounds,)
    conn.close()
    assert progress.records > 0
    assert report.equal, [(t.table, t.detail, t.examples[:3]) for t in report.tables if not t.equal]


def test_rows_written_changed_and_deleted_during_the_copy_arrive_once(settings: Settings) -> None:
    init_pair(settings)
    with writer(settings) as acknowledged:
        backfill(settings)
    assert_all_arrived(settings, acknowledged[0])


def test_a_copy_killed_in_the_middle_doubles_and_loses_nothing_when_run_again(settings: Settings) -> None:
    init_pair(settings)
    with writer(settings) as acknowledged:
        for table in ("counters", "items", "log"):
            copier = subprocess.Popen(
                [sys.executable, "-c", COPIER], env=environment(settings), stdout=subprocess.PIPE, text=True
            )
            assert copier.stdout is not None
            for line in copier.stdout:
                if line.startswith(f"{table} "):
                    copier.send_signal(signal.SIGKILL)
                    break
            copier.stdout.close()
            assert copier.wait(timeout=30) == -signal.SIGKILL
        backfill(settings)
    assert_all_arrived(settings, acknowledged[0])
