"""Random transactions through the shim, applied to PostgreSQL: a table that apply does not call dirty is equal.

What apply cannot reproduce must end in `shadow.dirty`, never in a silent difference; after a repair all is equal.

SHADOW_SIMULATION_SEEDS=17 python -m pytest tests/simulation/test_data_random.py     repeats seed 17
"""

from __future__ import annotations

import os
import random
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from pairing import make_pair

import shadow
from shadow import sqlite3
from shadow.replicate.applier import Applier
from shadow.shim import transaction
from shadow.verify.repair import repair
from shadow.verify.verify import verify

SCHEMA = """
CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT UNIQUE, b INTEGER UNIQUE, n NUMERIC, at TEXT DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE auto (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT NOT NULL, r REAL DEFAULT 1.5);
CREATE TABLE keyed (k TEXT PRIMARY KEY, v, x REAL) WITHOUT ROWID;
CREATE TABLE plain (a, b INTEGER);
CREATE TABLE hidden (k TEXT PRIMARY KEY, v TEXT);
CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE child (id INTEGER PRIMARY KEY, pid REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE, v);
CREATE TABLE log (id INTEGER PRIMARY KEY, what TEXT, at REAL DEFAULT (julianday('now')));
CREATE TRIGGER auto_log AFTER INSERT ON auto BEGIN INSERT INTO log (what) VALUES ('auto ' || new.v); END;
CREATE TRIGGER auto_gone AFTER DELETE ON auto BEGIN DELETE FROM log WHERE what = 'auto ' || old.v; END;
"""
TRANSACTIONS = 60


class App:
    """An app that does anything, on one connection."""

    def __init__(self, conn: sqlite3.Connection, chance: random.Random) -> None:
        self.conn = conn
        self.chance = chance
        self.columns = 0

    def value(self) -> Any:
        return self.chance.choice(
            (None, 0, -1, 7, 2**53 + 1, 1.0, -0.0, 0.1, 1e300, "", "x", "1", "1.5", "Ä", "a'b\\", b"", b"\x00\xff")
        )

    def small(self) -> int:
        return self.chance.randrange(-3, 25)

    def text(self) -> str:
        return self.chance.choice("abcdefghij") * self.chance.choice((1, 1, 40))

    def statement(self) -> None:
        c, run = self.chance, self.conn.execute
        many = self.conn.executemany
        choices = (
            lambda: run("INSERT INTO t (a, b, n) VALUES (?, ?, ?)", (self.text(), self.small(), self.value())),
            lambda: run("INSERT OR REPLACE INTO t (a, b) VALUES (?, ?)", (self.text(), self.small())),
            lambda: run("REPLACE INTO t (id, a, b, n) VALUES (?, ?, ?, 1)", (self.small(), self.text(), self.small())),
            lambda: run("INSERT OR IGNORE INTO t (a, b) VALUES (?, ?)", (self.text(), self.small())),
            lambda: run(
                "INSERT INTO t (a, b) VALUES (?, ?) ON CONFLICT (a) DO UPDATE SET n = coalesce(n, 0) + 1",
                (self.text(), self.small()),
            ),
            lambda: run("INSERT INTO t (a, b) SELECT a || 'z', b + 100 FROM t WHERE b < ?", (self.small(),)),
            lambda: run("UPDATE t SET id = id + ? WHERE b = ?", (self.small(), self.small())),
            lambda: run("UPDATE t SET b = b + 1 WHERE b > ?", (self.small(),)),
            lambda: run("UPDATE OR REPLACE t SET a = ? WHERE b < ?", (self.text(), self.small())),
            lambda: run("UPDATE t SET n = random() WHERE b = ?", (self.small(),)),
            lambda: run("DELETE FROM t WHERE b = ?", (self.small(),)),
            lambda: many("INSERT INTO t (a, b) VALUES (?, ?)", [(self.text(), self.small()) for _ in range(4)]),
            lambda: many("INSERT OR FAIL INTO t (a, b) VALUES (?, ?)", [(self.text(), self.small()) for _ in range(4)]),
            lambda: many("INSERT OR IGNORE INTO t (a) VALUES (?)", [(self.text(),) for _ in range(4)]),
            lambda: many("REPLACE INTO keyed VALUES (?, ?, 2)", [(self.text(), self.value()) for _ in range(3)]),
            lambda: run("INSERT INTO auto (v) VALUES (?)", (self.text(),)),
            lambda: run("INSERT INTO auto (id, v) VALUES (?, ?)", (self.small(), self.text())),
            lambda: run("INSERT OR REPLACE INTO auto (id, v, r) VALUES (?, ?, ?)", (self.small(), self.text(), 2)),
            lambda: run("DELETE FROM auto WHERE id = (SELECT max(id) FROM auto)"),
            lambda: run("INSERT INTO auto (v) VALUES (NULL)"),
            lambda: run("INSERT INTO keyed VALUES (?, ?, ?)", (self.text(), self.value(), c.random())),
            lambda: run("UPDATE keyed SET k = k || ?, v = ? WHERE k = ?", (self.text(), self.value(), self.text())),
            lambda: run("INSERT INTO plain VALUES (?, ?)", (self.value(), self.small())),
            lambda: run("INSERT INTO plain VALUES (?, ?)", (self.value(), self.value())),
            lambda: run("UPDATE plain SET a = ? WHERE b = ?", (self.value(), self.small())),
            lambda: run("DELETE FROM plain WHERE rowid % 3 = 1"),
            lambda: run("INSERT OR REPLACE INTO hidden VALUES (?, ?)", (self.text(), self.text())),
            lambda: run("UPDATE hidden SET v = datetime('now') || v WHERE k > ?", (self.text(),)),
            lambda: run("INSERT INTO parent (name) VALUES (?)", (self.text(),)),
            lambda: run("INSERT INTO child (pid, v) SELECT id, ? FROM parent ORDER BY id LIMIT 2", (self.value(),)),
            lambda: run("DELETE FROM parent WHERE id = ?", (self.small(),)),
            lambda: run("REPLACE INTO parent (id, name) VALUES (?, ?)", (self.small(), self.text())),
            lambda: run("UPDATE parent SET id = id + 30 WHERE id = ?", (self.small(),)),
            lambda: run("INSERT INTO parent (name) VALUES (?) RETURNING id", (self.text(),)).fetchall(),
        )
        with suppress(sqlite3.IntegrityError):
            c.choice(choices)()

    def ddl(self) -> None:
        self.columns += 1
        n = self.columns
        self.conn.execute(
            self.chance.choice(
                (
                    f"ALTER TABLE plain ADD COLUMN c{n} TEXT DEFAULT 'd{n}'",
                    f"ALTER TABLE keyed ADD COLUMN c{n} INTEGER NOT NULL DEFAULT {n}",
                    f"CREATE TABLE made{n} AS SELECT * FROM t",
                    f"CREATE TABLE new{n} (id INTEGER PRIMARY KEY, v)",
                    f"ALTER TABLE hidden RENAME COLUMN v TO v{n}; ",
                    f"CREATE UNIQUE INDEX i{n} ON log (id, what)",
                )
            )
            if n > 1
            else "CREATE TABLE gone (v)"
        )
        if n > 1 and self.chance.random() < 0.2:
            self.conn.execute("DROP TABLE IF EXISTS gone")

    def transaction(self) -> None:
        c, conn = self.chance, self.conn
        if c.random() < 0.2:
            conn.execute(f"PRAGMA foreign_keys = {c.choice(('ON', 'OFF'))}")
        conn.execute(c.choice(("BEGIN", "BEGIN IMMEDIATE", "SAVEPOINT outer")))
        marks = 0
        for _ in range(c.randrange(1, 8)):
            roll = c.random()
            if roll < 0.12:
                marks += 1
                conn.execute(f"SAVEPOINT s{marks}")
            elif roll < 0.22 and marks:
                conn.execute(f"ROLLBACK TO s{c.randrange(1, marks + 1)}") if marks == 1 else conn.execute(
                    f"ROLLBACK TO s{marks}"
                )
            elif roll < 0.28 and marks:
                conn.execute(f"RELEASE s{marks}")
                marks -= 1
            elif roll < 0.31:
                with suppress(sqlite3.OperationalError):
                    self.ddl()
            else:
                with suppress(sqlite3.OperationalError):  # a column that has been renamed
                    self.statement()
        conn.rollback() if c.random() < 0.1 else conn.commit()


def seeds() -> list[int]:
    first, _, last = os.environ.get("SHADOW_SIMULATION_SEEDS", "0-2").partition("-")
    return list(range(int(first), int(last or first) + 1))


@pytest.mark.parametrize("seed", seeds())
def test_what_is_not_dirty_is_equal(seed: int, sqlite_path: Path, pg_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """60 transactions with savepoints, errors, REPLACE, upserts, triggers, key actions, DDL, and spilled records."""
    monkeypatch.setattr(transaction, "SPILL_BYTES", 300)
    pair = make_pair(sqlite_path, pg_dsn, SCHEMA)
    shadow.configure(sqlite_path=sqlite_path, database_url=pg_dsn)
    with (
        closing(sqlite3.connect(sqlite_path, isolation_level=None)) as conn,
        closing(Applier(sqlite_path, pg_dsn, "public")) as applier,
    ):
        app = App(conn, random.Random(seed))
        repaired = 0
        for number in range(1, TRANSACTIONS + 1):
            app.transaction()
            if number % 10:
                continue
            report = verify(pair.settings, applier)
            dirty = {name for (name,) in pair.pg("SELECT table_name FROM shadow.dirty")}
            wrong = [t for t in report.tables if not t.equal and t.table.lower() not in dirty]
            assert not wrong, (seed, number, [(t.table, t.detail, t.examples[:3]) for t in wrong])
            if dirty:
                repaired += 1
                repair(pair.settings, applier)
                assert verify(pair.settings, applier).equal
        assert repaired < TRANSACTIONS // 10, pair.pg("SELECT kind, detail, sql FROM shadow.divergence LIMIT 20")
