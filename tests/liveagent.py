"""A real pair with a real agent as a process of its own, started with the commands a person would type."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
from psycopg2.extensions import make_dsn

from shadow import config
from shadow import sqlite3 as shadowed

SHADOW = [sys.executable, "-m", "shadow.cli"]
START_SECONDS_MAX = 60.0

SCHEMA = """
CREATE TABLE kpis (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, target REAL,
                   is_active BOOLEAN DEFAULT 1, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE messages (id INTEGER PRIMARY KEY, body TEXT);
INSERT INTO kpis (name, target) VALUES ('churn', 2.5), ('revenue', 1200);
"""


def until(what: str, happened: Callable[[], bool], seconds: float = START_SECONDS_MAX) -> None:
    """Poll; a test that waits says for what."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fetch(url: str) -> tuple[int, str]:
    """Status and body; 0 while nothing listens."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


@contextmanager
def process(command: list[str], log: Path, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        running = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait(20)


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """A database for a whole module; `pg_dsn` gives one for a test."""
    name = f"m_{uuid.uuid4().hex[:12]}"

    def admin(statement: str) -> None:
        with closing(psycopg2.connect(server)) as conn:
            conn.autocommit = True
            conn.cursor().execute(statement)

    admin(f"CREATE DATABASE {name}")
    try:
        yield make_dsn(server, dbname=name)
    finally:
        admin(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@dataclass(frozen=True, slots=True)
class LiveAgent:
    """A running agent and the pair it serves."""

    url: str
    sqlite_path: Path
    dsn: str
    env: dict[str, str]
    log: Path

    def shadow(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the pair."""
        return subprocess.run(
            [*SHADOW, *arguments], env=self.env, capture_output=True, text=True, timeout=120, check=False
        )


@contextmanager
def live_agent(dsn: str, sqlite_path: Path, directory: Path, **environment: str) -> Iterator[LiveAgent]:
    """An agent at work: rows copied, some writes applied, some reads offered."""
    with closing(sqlite3.connect(sqlite_path)) as conn:
        conn.executescript(SCHEMA)
    port = free_port()
    env = {
        **os.environ,
        "SQLITE_PATH": str(sqlite_path),
        "DATABASE_URL": dsn,
        "DATABASE_TYPE": "shadow",
        "SHADOW_HTTP_PORT": str(port),
        **environment,
    }
    for verb in ("init", "backfill"):
        subprocess.run([*SHADOW, verb], env=env, check=True, timeout=120, capture_output=True)
    url = f"http://127.0.0.1:{port}"
    log = directory / "agent.log"
    with process([*SHADOW, "agent"], log, env) as agent:
        until("the agent to be ready", lambda: fetch(f"{url}/readyz")[0] == 200 or agent.poll() is not None)
        assert agent.poll() is None, log.read_text()
        traffic(sqlite_path, dsn)
        yield LiveAgent(url, sqlite_path, dsn, env, log)
        assert agent.poll() is None, log.read_text()


def traffic(sqlite_path: Path, dsn: str) -> None:
    """What an app does: some writes, some reads, through the shim."""
    config.configure(sqlite_path=sqlite_path, database_url=dsn)
    for i in range(20):
        with closing(shadowed.connect(sqlite_path)) as conn:
            conn.execute("INSERT INTO messages (body) VALUES (?)", (f"message {i}",))
            conn.execute("UPDATE kpis SET target = target + 1 WHERE name = ?", ("churn",))
            conn.commit()
            conn.execute("SELECT id, body FROM messages ORDER BY id DESC LIMIT 3").fetchall()
            conn.execute("SELECT COUNT(*) FROM kpis WHERE is_active = 1").fetchone()
