"""What reverse capture costs the app's transactions while PostgreSQL is primary.

    python benchmarks/capture.py [--transactions 3000] [--rounds 5] [--database-url DSN]

Small transactions as PostgreSQL mode sends them (entry, one insert, one update), with and without the capture triggers,
in alternating rounds; the figure is the ratio of the medians. Besides it, one bulk UPDATE.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from psycopg2.extensions import connection as PgConnection
from switch import server

from shadow.config import Settings
from shadow.flag.control import fence_table
from shadow.flag.setup import init_pair
from shadow.postgres.connect import connect
from shadow.reverse import capture
from shadow.schema import inspect
from shadow.types import Side

SCHEMA = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, amount INTEGER, price REAL, at TIMESTAMP);"
BULK_ROWS = 20_000


def small(conn: PgConnection, transactions: int, first: int) -> float:
    """Seconds for one transaction."""
    entry = f"BEGIN ISOLATION LEVEL REPEATABLE READ; LOCK TABLE {fence_table('public')} IN ROW SHARE MODE"
    started = time.perf_counter()
    with conn.cursor() as cursor:
        for n in range(first, first + transactions):
            cursor.execute(entry)
            cursor.execute("SELECT epoch FROM shadow.control")
            cursor.execute("INSERT INTO t VALUES (%s, 'a name', %s, 1.5, '2024-01-01 00:00:00')", (n, n))
            cursor.execute("UPDATE t SET amount = amount + 1 WHERE id = %s; COMMIT", (n,))
    return (time.perf_counter() - started) / transactions


def bulk(conn: PgConnection) -> float:
    with conn.cursor() as cursor:
        started = time.perf_counter()
        cursor.execute("UPDATE t SET price = price + 1 WHERE id <= %s", (BULK_ROWS,))
        return time.perf_counter() - started


def run(dsn: str, transactions: int, rounds: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "app.db"
        with closing(sqlite3.connect(path)) as origin:
            origin.execute("PRAGMA journal_mode=WAL")
            origin.execute(SCHEMA)
            catalog = inspect(origin)
        init_pair(Settings(str(path), dsn), Side.POSTGRES)
    seconds: dict[str, dict[bool, list[float]]] = {"small": {False: [], True: []}, "bulk": {False: [], True: []}}
    with closing(connect(dsn, purpose="benchmark", autocommit=True)) as conn, conn.cursor() as cursor:
        cursor.execute(f"INSERT INTO t SELECT g, 'a name', g, 1.5, NULL FROM generate_series(1, {BULK_ROWS}) g")
        first = BULK_ROWS + 1
        for _ in range(rounds):
            for captured in (False, True):
                if captured:
                    capture.install(cursor, catalog)
                else:
                    capture.remove(cursor, "public")
                cursor.execute("VACUUM ANALYZE t")
                seconds["small"][captured].append(small(conn, transactions, first))
                first += transactions
                seconds["bulk"][captured].append(bulk(conn))
                cursor.execute("TRUNCATE shadow.change")
    result: dict[str, object] = {}
    for kind, found in seconds.items():
        plain, captured_seconds = statistics.median(found[False]), statistics.median(found[True])
        result[kind] = {
            "plain_ms": round(plain * 1000, 3),
            "captured_ms": round(captured_seconds * 1000, 3),
            "ratio": round(captured_seconds / plain, 2),
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transactions", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--database-url")
    options = parser.parse_args()
    with server(options.database_url) as dsn:
        print(json.dumps(run(dsn, options.transactions, options.rounds), indent=1))


if __name__ == "__main__":
    main()
