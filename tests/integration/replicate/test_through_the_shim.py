"""What apps do, through the real shim, ends in PostgreSQL exactly as in SQLite, without a divergence."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pairing import PAIR, PairForTest, make_pair

from shadow import config
from shadow import sqlite3 as shadowed
from shadow.postgres.connect import connect
from shadow.replicate.applier import Applier

SCHEMA = """
CREATE TABLE ds (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, kind TEXT DEFAULT 'db',
                 is_on BOOLEAN DEFAULT 1, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, UNIQUE (name, kind));
CREATE TABLE kv (key TEXT PRIMARY KEY, value TEXT, n INTEGER DEFAULT 0);
CREATE TABLE msg (id INTEGER PRIMARY KEY, ds_id INTEGER REFERENCES ds (id), body TEXT, score REAL, raw BLOB, at TEXT);
CREATE TABLE pair (a TEXT, b INTEGER, note TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE mixed (id INTEGER PRIMARY KEY, v, n NUMERIC);
"""
TABLES = ("ds", "kv", "msg", "pair", "mixed")


@pytest.fixture
def pair(sqlite_path: Path, pg_dsn: str) -> PairForTest:
    return make_pair(sqlite_path, pg_dsn, SCHEMA)


@pytest.fixture
def app(pair: PairForTest) -> Iterator[sqlite3.Connection]:
    config.configure(sqlite_path=pair.sqlite_path, database_url=pair.dsn)
    with closing(shadowed.connect(pair.sqlite_path)) as conn:
        yield conn


def apply_and_compare(pair: PairForTest, *, dirty: tuple[str, ...] = ()) -> None:
    with closing(Applier(pair.sqlite_path, pair.dsn, PAIR)) as applier, applier.exclusive():
        progress = applier.apply_to()
    found = pair.pg("SELECT kind, sql, detail FROM shadow.divergence")
    assert (found, progress.groups_redone) == ([], 0)
    assert pair.pg("SELECT table_name FROM shadow.dirty ORDER BY 1") == [(name,) for name in dirty]
    with closing(connect(pair.dsn, purpose="test")) as target, target.cursor() as cursor:
        for table in TABLES:
            order = "a, b" if table == "pair" else "rowid"
            ours = pair.lite(f"SELECT * FROM {table} ORDER BY {order}")
            columns = ", ".join(f'"{row[1]}"' for row in pair.lite(f"PRAGMA table_info({table})"))
            key = {"pair": 'a COLLATE "C", b', "kv": "_shadow_rowid"}.get(table, "id")
            cursor.execute(f"SELECT {columns} FROM {table} ORDER BY {key}")
            theirs = cursor.fetchall()
            assert [tuple(map(typed, row)) for row in theirs] == [tuple(map(typed, row)) for row in ours], table


def typed(value: Any) -> tuple[type, Any]:
    return type(value), value


def many(sql: str, *sets: Any) -> Callable[[sqlite3.Connection], None]:
    return lambda conn: conn.executemany(sql, sets) and None  # type: ignore[func-returns-value]


def script(sql: str) -> Callable[[sqlite3.Connection], None]:
    return lambda conn: conn.executescript(sql) and None  # type: ignore[func-returns-value]


Step = str | tuple[str, Any] | Callable[[sqlite3.Connection], None]

CASES: dict[str, list[Step]] = {
    "defaults and now": [
        "INSERT INTO ds (name) VALUES ('a')",
        "INSERT INTO msg (body, at) VALUES ('x', datetime('now', '-7 days'))",
        "UPDATE msg SET at = strftime('%Y-%m-%d %H:%M:%f', 'now')",
        "UPDATE ds SET created_at = CURRENT_TIMESTAMP WHERE name = 'a'",
    ],
    "replace gives a new id and defaults": [
        "INSERT INTO ds (name, kind, is_on) VALUES ('a', 'db', 0)",
        "INSERT INTO ds (name) VALUES ('b')",
        "INSERT OR REPLACE INTO ds (name) VALUES ('a')",
        "REPLACE INTO kv VALUES ('k', '1', 2)",
        "REPLACE INTO kv VALUES ('k', '2', 3)",
        "REPLACE INTO pair VALUES ('p', 1, 'x')",
        "REPLACE INTO pair VALUES ('p', 1, 'y')",
    ],
    "ignore": [
        "INSERT INTO kv (key, value) VALUES ('k', '1')",
        "INSERT OR IGNORE INTO kv (key, value) VALUES ('k', '2')",
        "INSERT OR IGNORE INTO ds (name) VALUES ('a')",
        "INSERT OR IGNORE INTO ds (name) VALUES ('a')",
        many("INSERT OR IGNORE INTO kv (key, value) VALUES (?, ?)", ("k", "3"), ("l", "4"), ("l", "5"), ("m", None)),
        many("INSERT OR IGNORE INTO pair VALUES (?, ?, ?)", ("a", 1, "x"), ("a", 1, "y"), ("a", 2, "z")),
    ],
    "upsert, both ways": [
        (
            "INSERT INTO kv (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            ("k", "1"),
        ),
        (
            "INSERT INTO kv (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            ("k", "2"),
        ),
        "INSERT INTO kv (key, n) VALUES ('k', 5) ON CONFLICT (key) DO UPDATE SET n = n + excluded.n",
        "INSERT INTO kv (key) VALUES ('k') ON CONFLICT DO NOTHING",
        many("INSERT INTO kv (key, n) VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET n = n + 1", ("k",), ("z",), ("z",)),
    ],
    "several rows and INSERT ... SELECT": [
        "INSERT INTO ds (name) VALUES ('a'), ('b'), ('c')",
        "INSERT INTO msg (ds_id, body) SELECT id, name || '!' FROM ds WHERE name > 'a'",
        "DELETE FROM msg WHERE ds_id IN (SELECT id FROM ds WHERE name = 'c')",
        "UPDATE ds SET is_on = NOT is_on WHERE id IN (SELECT ds_id FROM msg)",
        "INSERT INTO pair SELECT name, id, NULL FROM ds",
    ],
    "values of every kind": [
        ("INSERT INTO msg (score, raw, body) VALUES (?, ?, ?)", (1, b"\x00\xff", "it's 100% ? \\ done")),
        ("INSERT INTO msg (score, raw, body) VALUES (?, ?, ?)", (1e300, b"", "")),
        ("INSERT INTO msg (score, raw, body) VALUES (?, ?, ?)", (0.1 + 0.2, None, "ünï ✓ 🙂")),
        ("UPDATE msg SET score = ?, ds_id = ? WHERE id = ?", (-0.0, -(2**63), 1)),
        ("UPDATE msg SET score = ?, ds_id = ? WHERE id = ?", (float("inf"), 2**63 - 1, 2)),
        many(
            "INSERT INTO mixed (v, n) VALUES (?, ?)",
            (1, 1),
            (1.5, 1.5),
            ("t", "t"),
            (b"b", b"b"),
            (None, None),
            ("1", "1"),
        ),
        ("UPDATE mixed SET n = :n WHERE v = :v", {"n": "2.0", "v": "t"}),
    ],
    "dynamic updates and deletes": [
        many("INSERT INTO msg (ds_id, body) VALUES (?, ?)", *[(number % 3, f"m{number}") for number in range(20)]),
        ("UPDATE msg SET body = ?, ds_id = ? WHERE id IN (?, ?, ?)", ("new", None, 1, 2, 99)),
        many("DELETE FROM msg WHERE id = ?", (3,), (4,), (400,)),
        "UPDATE msg SET ds_id = ds_id + 1 WHERE ds_id IS NOT NULL",
        "DELETE FROM msg WHERE id NOT IN (SELECT MAX(id) FROM msg GROUP BY ds_id)",
    ],
    "ids after deletes": [
        "INSERT INTO ds (name) VALUES ('a'), ('b')",
        "DELETE FROM ds WHERE name = 'b'",
        "INSERT INTO ds (name) VALUES ('c')",
        "INSERT INTO msg (id, body) VALUES (100, 'x')",
        "DELETE FROM msg WHERE id = 100",
        "INSERT INTO msg (body) VALUES ('y')",
    ],
    "schema on the way": [
        "INSERT INTO kv (key) VALUES ('before')",
        "ALTER TABLE kv ADD COLUMN extra TEXT DEFAULT 'e'",
        "INSERT INTO kv (key) VALUES ('after')",
        script("CREATE INDEX kv_value ON kv (value); UPDATE kv SET extra = key; DROP INDEX kv_value;"),
        "ALTER TABLE kv RENAME COLUMN extra TO more",
        "UPDATE kv SET more = more || '!'",
    ],
    "random is carried over": [
        "INSERT INTO msg (body, ds_id) VALUES (hex(randomblob(4)), abs(random()) % 100)",
        "UPDATE msg SET score = random()",
        "INSERT INTO kv (key, value) SELECT 'r' || id, random() FROM msg",
    ],
}


@pytest.mark.parametrize("name", CASES)
def test_the_same_rows_stand_on_both_sides(pair: PairForTest, app: sqlite3.Connection, name: str) -> None:
    for step in CASES[name]:
        if callable(step):
            step(app)
        else:
            sql, params = (step, ()) if isinstance(step, str) else step
            app.execute(sql, params)
        app.commit()
    apply_and_compare(pair)


def test_a_rolled_back_savepoint_is_not_applied(pair: PairForTest, app: sqlite3.Connection) -> None:
    app.execute("BEGIN")
    app.execute("INSERT INTO ds (name) VALUES ('kept')")
    app.execute("SAVEPOINT s")
    app.execute("INSERT INTO ds (name) VALUES ('gone')")
    app.execute("ROLLBACK TO s")
    app.execute("INSERT INTO ds (name) VALUES ('kept too')")
    app.commit()
    with pytest.raises(sqlite3.IntegrityError):
        app.execute("INSERT INTO ds (name) VALUES ('kept')")
    app.commit()
    apply_and_compare(pair)
