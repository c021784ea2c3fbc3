"""Existing rows arrive once, unchanged, at a known position."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import psycopg2
import pytest

from shadow import journal
from shadow.backfill import backfill
from shadow.config import Settings
from shadow.errors import ConfigError, OriginError
from shadow.flag import proof
from shadow.flag.setup import init_pair
from shadow.postgres.connect import connect
from shadow.types import SqliteValue
from shadow.values.compare import same

DIRTY = """
CREATE TABLE dirty (id INTEGER PRIMARY KEY AUTOINCREMENT, i INTEGER, r REAL, t TEXT, b BLOB, flag BOOLEAN, at TIMESTAMP,
    d DECIMAL(10, 2), any_);
CREATE TABLE keyless (a TEXT, b TEXT);
CREATE TABLE pair (a TEXT, b INT, v TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE empty (id INTEGER PRIMARY KEY, v TEXT);
CREATE INDEX dirty_t ON dirty (t);
"""
TEXTS = [
    "",
    "a",
    "\\N",
    "\\",
    "tab\there",
    "line\nbreak",
    "\r",
    "ü漢字🎉",
    "'",
    '"',
    "%s",
    "\x01\x7f",
    "{1,2}",
    "NULL",
    "\b\f\v",
]
NUMBERS: list[SqliteValue] = [0, 1, -1, 2**63 - 1, -(2**63), 0.1, -0.0, 1e308, 5e-324, 1.0, 2.0**53, float("inf"), 1e22]


@pytest.fixture
def settings(sqlite_path: Path, pg_dsn: str) -> Settings:
    conn = sqlite3.connect(sqlite_path)
    conn.executescript(DIRTY)
    chosen = random.Random(4)
    everything = [*TEXTS, *NUMBERS, None, b"", b"\x00\xff\\"]
    for i in range(300):
        row = (
            "n/a" if i == 7 else chosen.randrange(-5, 5),
            chosen.choice([v for v in NUMBERS if isinstance(v, float)]),
            chosen.choice(TEXTS),
            chosen.randbytes(i % 5),
            chosen.choice([0, 1, None]),
            "2024-01-01 00:00:00",
            chosen.choice([9.99, 10, None]),
            chosen.choice(everything),
        )
        conn.execute("INSERT INTO dirty (i, r, t, b, flag, at, d, any_) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        conn.execute("INSERT INTO keyless VALUES (?, ?)", (chosen.choice(TEXTS), None))
        conn.execute("INSERT OR IGNORE INTO pair VALUES (?, ?, ?)", (chosen.choice(TEXTS), i % 10, "v"))
    conn.execute("DELETE FROM keyless WHERE rowid % 3 = 0")
    conn.execute("DELETE FROM dirty WHERE id > 290")
    conn.commit()
    conn.close()
    return Settings(str(sqlite_path), pg_dsn)


def rows_differ(settings: Settings) -> list[str]:
    """Tables whose rows are not the same on both sides; ordered by key, value by value, type by type."""
    queries = {
        "dirty": ("SELECT * FROM dirty ORDER BY id", "SELECT * FROM dirty ORDER BY id"),
        "keyless": (
            "SELECT rowid, * FROM keyless ORDER BY rowid",
            "SELECT _shadow_rowid, a, b FROM keyless ORDER BY _shadow_rowid",
        ),
        "pair": ("SELECT * FROM pair ORDER BY a, b", "SELECT * FROM pair ORDER BY a, b"),
        "empty": ("SELECT * FROM empty", "SELECT * FROM empty"),
    }
    origin, target = sqlite3.connect(settings.sqlite_path), connect(settings.database_url or "", purpose="test")
    found = []
    for name, (lite, pg) in queries.items():
        with target.cursor() as cursor:
            cursor.execute(pg)
            theirs = cursor.fetchall()
        ours = origin.execute(lite).fetchall()
        if len(ours) != len(theirs) or not all(
            same(a, b) for left, right in zip(ours, theirs, strict=True) for a, b in zip(left, right, strict=True)
        ):
            found.append(name)
    origin.close()
    target.close()
    return found


def ask(settings: Settings, sql: str) -> list[tuple[object, ...]]:
    conn = psycopg2.connect(settings.database_url or "")
    with conn, conn.cursor() as cursor:
        cursor.execute(sql)
        rows = cursor.fetchall() if cursor.description else []
    conn.close()
    return rows


def test_every_dirty_value_arrives_unchanged(settings: Settings) -> None:
    init_pair(settings)
    seen: dict[str, tuple[int, int]] = {}
    report = backfill(settings, progress=lambda name, done, total: seen.update({name: (done, total)}))
    assert rows_differ(settings) == []
    assert {t.name for t in report.tables} == {"dirty", "keyless", "pair", "empty"}
    assert seen["dirty"] == (290, 290)


def test_the_position_is_that_of_the_snapshot(settings: Settings) -> None:
    init_pair(settings)
    report = backfill(settings)
    origin = sqlite3.connect(settings.sqlite_path)
    ((position, nonce),) = ask(settings, "SELECT position, nonce FROM shadow.applied")
    assert (position, bytes(nonce)) == journal.head(origin)  # type: ignore[arg-type]
    assert report.position == position
    origin.close()


def test_sequences_go_on_after_the_highest_id_ever_given(settings: Settings) -> None:
    init_pair(settings)
    backfill(settings)
    assert ask(settings, "INSERT INTO dirty (t) VALUES ('x') RETURNING id") == [(301,)]
    highest = ask(settings, "SELECT max(_shadow_rowid) FROM keyless")[0][0]
    assert isinstance(highest, int)
    assert ask(settings, "INSERT INTO keyless (a) VALUES ('x') RETURNING _shadow_rowid") == [(highest + 1,)]
    assert ask(settings, "INSERT INTO empty (v) VALUES ('x') RETURNING id") == [(1,)]


def test_a_type_that_no_longer_fits_is_widened_before_copying(settings: Settings) -> None:
    init_pair(settings)
    conn = sqlite3.connect(settings.sqlite_path)
    conn.execute("UPDATE dirty SET flag = 'maybe' WHERE id = 3")
    conn.commit()
    conn.close()
    backfill(settings)
    assert rows_differ(settings) == []


def test_a_second_backfill_is_refused_unless_asked_for_and_doubles_nothing(settings: Settings) -> None:
    init_pair(settings)
    backfill(settings)
    with pytest.raises(ConfigError, match="already backfilled"):
        backfill(settings)
    backfill(settings, again=True)
    assert rows_differ(settings) == []


def test_a_second_copy_voids_what_was_proven_about_the_first(settings: Settings) -> None:
    init_pair(settings)
    backfill(settings)
    with connect(str(settings.database_url), purpose="test") as target, target.cursor() as cursor:
        before = proof.target_count(cursor, settings.pg_schema)
    backfill(settings, again=True)
    with connect(str(settings.database_url), purpose="test") as target, target.cursor() as cursor:
        assert proof.target_count(cursor, settings.pg_schema) > before


def test_an_interrupted_backfill_counts_as_none_and_starts_over(settings: Settings) -> None:
    init_pair(settings)

    def stop(name: str, done: int, total: int) -> None:
        if name == "keyless" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backfill(settings, progress=stop)
    assert ask(settings, "SELECT count(*) FROM shadow.applied") == [(0,)]
    backfill(settings)
    assert rows_differ(settings) == []


def test_a_value_that_postgresql_cannot_hold_is_named_by_table_column_and_key(settings: Settings) -> None:
    init_pair(settings)
    conn = sqlite3.connect(settings.sqlite_path)
    conn.execute("UPDATE dirty SET t = 'a' || char(0) WHERE id = 5")
    conn.commit()
    conn.close()
    with pytest.raises(OriginError, match=r"dirty\.t .*NUL.* rows 5;") as refusal:
        backfill(settings)
    assert "\n" not in str(refusal.value)
    assert ask(settings, "SELECT count(*) FROM shadow.applied") == [(0,)]


def test_backfill_before_init_says_what_to_run(settings: Settings) -> None:
    with pytest.raises(ConfigError, match="shadow init"):
        backfill(settings)
