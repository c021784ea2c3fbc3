"""What the shim costs an app while SQLite is primary: statements through it against plain sqlite3, medians.

    python benchmarks/hot_path.py [--rounds 7] [--json]

Each figure is the median over rounds of the time of one operation; the two sides take turns within a round, so that a
busy machine slows both. Time is the process's own (CPU), so that neighbours count less. WAL, synchronous=NORMAL. No
PostgreSQL and no agent: the app's process needs neither.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import shadow
from shadow import journal
from shadow import sqlite3 as door
from shadow.flag.hint import HintState, write_hint
from shadow.journal.record import FORMAT, EpochChanged

SCHEMA = """
PRAGMA journal_mode=WAL;
CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT, n INTEGER, at TEXT DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE bare (id INTEGER PRIMARY KEY, a TEXT, n INTEGER);
"""
Operation = Callable[[Any], None]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        figures = measure(Path(directory), chosen.rounds)
    if chosen.json:
        print(json.dumps(figures, indent=2))
        return
    print(f"{'operation':<34}{'plain µs':>10}{'shim µs':>10}{'ratio':>8}")
    for name, figure in figures.items():
        print(f"{name:<34}{figure['plain_us']:>10.2f}{figure['shim_us']:>10.2f}{figure['ratio']:>8.2f}")


def measure(directory: Path, rounds: int) -> dict[str, dict[str, float]]:
    plain_path, shim_path = directory / "plain.db", directory / "shim.db"
    for path in (plain_path, shim_path):
        conn = sqlite3.connect(path, isolation_level=None)
        conn.executescript(SCHEMA)
        conn.executemany("INSERT INTO bare VALUES (?, ?, ?)", [(i, f"row {i}", i % 10) for i in range(1000)])
        conn.close()
    initialise(shim_path)
    shadow.configure(sqlite_path=shim_path, database_url="postgresql://127.0.0.1:1/none")
    plain, shim = sqlite3.connect(plain_path), door.connect(shim_path)
    for conn in (plain, shim):
        conn.execute("PRAGMA synchronous=NORMAL")
    figures: dict[str, dict[str, float]] = {}
    for name, (count, operation) in OPERATIONS.items():
        times: dict[str, list[float]] = {"plain": [], "shim": []}
        for _ in range(rounds):
            times["plain"].append(timed(plain if name != CONNECT else plain_path, operation, count))
            times["shim"].append(timed(shim if name != CONNECT else shim_path, operation, count))
        medians = {side: statistics.median(t) for side, t in times.items()}
        figures[name] = {
            "plain_us": medians["plain"],
            "shim_us": medians["shim"],
            "ratio": statistics.median(s / p for s, p in zip(times["shim"], times["plain"], strict=True)),
        }
    plain.close()
    shim.close()
    return figures


def initialise(path: Path) -> None:
    """What `shadow init` leaves in SQLite; the other side has no part in these figures."""
    conn = sqlite3.connect(path, isolation_level=None)
    conn.executescript(resources.files("shadow.journal").joinpath("origin.sql").read_text())
    conn.execute(
        "INSERT INTO _shadow_control VALUES (1, ?, 'bench', 1, 'init', 'sqlite', 'active', 1, 0, 1, 1)", (FORMAT,)
    )
    journal.append(conn, [EpochChanged(1, "init")])
    journal.append(conn, [EpochChanged(1, "init")])
    conn.close()
    write_hint(str(path) + "-shadow-hint", HintState.SQLITE)


def timed(conn: Any, operation: Operation, count: int) -> float:
    """Microseconds of one operation."""
    operation(conn)
    start = time.process_time()
    for _ in range(count):
        operation(conn)
    return (time.process_time() - start) / count * 1e6


def read_row(conn: Any) -> None:
    conn.execute("SELECT a, n FROM bare WHERE id = ?", (500,)).fetchone()


def read_thousand(conn: Any) -> None:
    conn.execute("SELECT id, a, n FROM bare").fetchall()


def write_one(conn: Any) -> None:
    conn.execute("UPDATE bare SET n = n + 1 WHERE id = ?", (500,))
    conn.commit()


def insert_one(conn: Any) -> None:
    conn.execute("INSERT INTO t (a, n) VALUES (?, ?)", ("some text of a row", 5))
    conn.commit()


def insert_ten(conn: Any) -> None:
    for i in range(10):
        conn.execute("INSERT INTO t (a, n) VALUES (?, ?)", ("some text of a row", i))
    conn.commit()


def insert_many(conn: Any) -> None:
    conn.executemany("INSERT INTO t (a, n) VALUES (?, ?)", [("some text of a row", i) for i in range(1000)])
    conn.commit()


def connect_write_close(path: Any) -> None:
    """As DataTalk does: a connection per call."""
    conn = door.connect(path) if path.name == "shim.db" else sqlite3.connect(path)
    conn.execute("UPDATE bare SET n = n + 1 WHERE id = ?", (500,))
    conn.commit()
    conn.close()


CONNECT = "connect, write, close"
OPERATIONS: dict[str, tuple[int, Operation]] = {
    "read one row": (5000, read_row),
    "read 1000 rows": (200, read_thousand),
    "update and commit": (1000, write_one),
    "insert and commit": (1000, insert_one),
    "ten inserts and commit": (200, insert_ten),
    "executemany of 1000 and commit": (10, insert_many),
    CONNECT: (200, connect_write_close),
}

if __name__ == "__main__":
    main()
