"""Schemas as SQLite lets them be go through init, backfill, verify and remove with every value unchanged."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from shadow.backfill import backfill
from shadow.config import Settings
from shadow.flag.setup import init_pair, remove_pair
from shadow.replicate.applier import Applier
from shadow.verify import verify

LONG = "n" * 70

SCHEMAS = {
    "names": f"""
        CREATE TABLE "select" ("from" TEXT, "a""b" INT, [c d] REAL, `e` BLOB, "ÄÖ" TEXT, "x.y" TEXT, "%s" TEXT);
        INSERT INTO "select" VALUES ('f', 1, 2, x'03', 'ä', 'dot', '%');
        CREATE TABLE "{LONG}1" (id INTEGER PRIMARY KEY, "{LONG}a" TEXT UNIQUE, "{LONG}b" TEXT);
        CREATE TABLE "{LONG}2" (id INTEGER PRIMARY KEY, "{LONG}a" TEXT);
        CREATE INDEX "{LONG}3" ON "{LONG}1" ("{LONG}b", "{LONG}a");
        INSERT INTO "{LONG}1" VALUES (1, 'a', 'b'); INSERT INTO "{LONG}2" VALUES (2, 'c');
        CREATE TABLE "user" (id INTEGER PRIMARY KEY, "order" INT, "table" TEXT, "group" TEXT CHECK ("group" <> 'x'));
        INSERT INTO "user" VALUES (1, 2, 't', 'g');
    """,
    "types": """
        CREATE TABLE t (a TINYINT, b MEDIUMINT, c NUM, d NONE, e LONGVARCHAR(32), f UNSIGNED BIG INT, g TEXT(5), h,
            i STRING, j DOUBLE PRECISION, k DATE, l BOOL, m JSON, n "weird type (1, 2)", o FLOAT UNIQUE);
        INSERT INTO t VALUES (1, 2, 3, 4, 'e', 5, 'over five', 6, 'i', 7, '2024-01-01', 1, '{"a": [1, "ü"]}', 8, 9);
        INSERT INTO t VALUES (1.5, 'x', x'03', NULL, '', -1, 5, 1e300, 7, 'j', 20240101, 0, 5, 'n', -0.0);
        INSERT INTO t (o) VALUES (9e999), (-9e999), (1e-310), (NULL), (NULL);
    """,
    "keys": """
        CREATE TABLE a (k TEXT PRIMARY KEY, v); INSERT INTO a VALUES (NULL, 1), (NULL, 2), ('k', 3);
        CREATE TABLE b (x, y, PRIMARY KEY (y, x)) WITHOUT ROWID;
        INSERT INTO b VALUES (1, 'a'), ('1', 'a'), (1.5, x'00');
        CREATE TABLE c (k TEXT PRIMARY KEY COLLATE NOCASE, v) WITHOUT ROWID;
        INSERT INTO c VALUES ('b', 1), ('A', 2), ('_', 3);
        CREATE TABLE d (id INTEGER PRIMARY KEY DESC, v); INSERT INTO d VALUES (5, 'a'), (3, 'b');
        CREATE TABLE e (rowid TEXT, oid TEXT); INSERT INTO e VALUES ('r', 'o');
        CREATE TABLE f (id INT PRIMARY KEY, v); INSERT INTO f VALUES (1, 'x'), (NULL, 'y');
        CREATE TABLE g (id INTEGER PRIMARY KEY); INSERT INTO g VALUES (-5), (0), (9223372036854775807);
        CREATE TABLE h (a REFERENCES h (a), b REFERENCES gone); INSERT INTO h VALUES (7, 8);
        CREATE TABLE twin (a TEXT); INSERT INTO twin VALUES ('same'), ('same'); DELETE FROM twin WHERE rowid = 1;
    """,
    "expressions": """
        CREATE TABLE g (a INT, b TEXT, c AS (a + 1), d TEXT GENERATED ALWAYS AS (b || '!') STORED,
            e INT DEFAULT (1 + 2), CHECK (a > 0 OR b IS NULL), CHECK (length(b) < 100));
        INSERT INTO g (a, b) VALUES (1, 'x'), (NULL, NULL);
        CREATE INDEX g_expr ON g (lower(b), a DESC) WHERE a IS NOT NULL;
        CREATE UNIQUE INDEX g_nocase ON g (b COLLATE NOCASE);
        CREATE VIEW v AS SELECT a, b FROM g WHERE a > 0;
        CREATE TRIGGER tr AFTER INSERT ON g BEGIN UPDATE g SET a = 9 WHERE a IS NULL; END;
        CREATE TABLE s (id INTEGER PRIMARY KEY, x ANY, y TEXT) STRICT; INSERT INTO s VALUES (1, 2, 'y'), (2, 'x', NULL);
        CREATE VIRTUAL TABLE search USING fts5 (body); INSERT INTO search VALUES ('hello world');
    """,
    "utf16": """
        PRAGMA encoding = 'UTF-16le';
        CREATE TABLE u (k TEXT PRIMARY KEY, v TEXT) WITHOUT ROWID;
        INSERT INTO u VALUES ('ａ', 'wide'), ('😀', 'emoji'), ('z', 'ascii'), ('é', 'accent');
    """,
    "wide": "CREATE TABLE w (" + ", ".join(f"c{i} {('INT', 'TEXT', 'REAL')[i % 3]}" for i in range(1000)) + ");"
    "INSERT INTO w (c0, c1, c2, c999) VALUES (1, 'x', 2.5, 3);",
    "empty": "CREATE TABLE hollow (id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE bare (a);",
    "nothing": "",
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_an_odd_schema_goes_there_and_compares_equal(name: str, tmp_path: Path, pg_dsn: str) -> None:
    path = tmp_path / "app.db"
    conn = sqlite3.connect(path)
    conn.executescript(SCHEMAS[name])
    conn.execute("PRAGMA journal_mode=WAL")
    before = dump(conn)
    conn.close()
    settings = Settings(str(path), pg_dsn)
    init_pair(settings)
    report = backfill(settings)
    assert [f for f in report.findings if f.kind not in ("type", "trigger", "virtual")] == []
    applier = Applier(settings.sqlite_path, pg_dsn, settings.pg_schema)
    found = verify(settings, applier)
    applier.close()
    assert found.equal, [(t.table, t.detail, t.examples) for t in found.tables if not t.equal]
    remove_pair(settings)
    conn = sqlite3.connect(path)
    assert dump(conn) == before
    conn.close()


def dump(conn: sqlite3.Connection) -> list[tuple[object, ...]]:
    """The schema and every row; iterdump cannot do 1,000 columns."""
    found: list[tuple[object, ...]] = conn.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    for kind, name, *_ in list(found):
        if kind == "table":
            found += conn.execute("SELECT * FROM " + '"' + str(name).replace('"', '""') + '"').fetchall()
    return found
