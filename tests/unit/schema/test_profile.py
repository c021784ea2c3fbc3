"""What is stored decides the type; the declaration is a hint."""

from __future__ import annotations

import sqlite3

import pytest

from shadow.schema import inspect, profile
from shadow.schema.inspect import affinity
from shadow.translate.catalog import Affinity, PgType


@pytest.mark.parametrize(
    ("declared", "values", "expected"),
    [
        ("INTEGER", ["1", "NULL", "-5"], PgType.BIGINT),
        ("INTEGER", ["1", "'n/a'"], PgType.VALUE),
        ("INTEGER", ["1", "1.5"], PgType.VALUE),
        ("INTEGER", ["'12'"], PgType.BIGINT),
        ("TINYINT", [], PgType.BIGINT),
        ("UNSIGNED BIG INT", ["9223372036854775807"], PgType.BIGINT),
        ("REAL", ["1", "2.5"], PgType.DOUBLE),
        ("REAL", ["'abc'"], PgType.VALUE),
        ("REAL", ["9e999"], PgType.DOUBLE),
        ("TEXT", ["'a'", "5"], PgType.TEXT),
        ("TEXT", ["x'00'"], PgType.VALUE),
        ("LONGVARCHAR(32)", ["'ä'"], PgType.TEXT),
        ("BLOB", ["x'00ff'"], PgType.BYTEA),
        ("BLOB", ["'text'"], PgType.VALUE),
        ("BLOB", [], PgType.BYTEA),
        ("", ["1"], PgType.VALUE),
        ("", [], PgType.VALUE),
        ("BOOLEAN", ["0", "1", "NULL"], PgType.BOOLEAN),
        ("BOOLEAN", ["2"], PgType.BIGINT),
        ("BOOLEAN", ["'yes'"], PgType.VALUE),
        ("BOOLEAN", [], PgType.BOOLEAN),
        ("TIMESTAMP", ["'2024-01-01 10:00:00'", "NULL"], PgType.TEXT),
        ("DATETIME", ["1700000000"], PgType.BIGINT),
        ("DATETIME", ["1700000000", "'2024-01-01'"], PgType.VALUE),
        ("DATE", [], PgType.TEXT),
        ("DECIMAL(10, 2)", ["1"], PgType.VALUE),
        ("DECIMAL(10, 2)", ["1.5"], PgType.VALUE),
        ("NUM", [], PgType.VALUE),
    ],
)
def test_a_type_is_chosen_from_which_every_value_comes_back(declared: str, values: list[str], expected: PgType) -> None:
    conn = sqlite3.connect(":memory:")
    conn.execute(f"CREATE TABLE t (c {declared})")
    for value in values:
        conn.execute(f"INSERT INTO t VALUES ({value})")
    catalog, _ = profile(conn, inspect(conn))
    assert catalog.tables["t"].columns[0].pg_type is expected


def test_rows_in_the_way_are_named_by_their_primary_key_and_at_most_ten() -> None:
    conn = sqlite3.connect(":memory:")
    conn.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")
    conn.executemany("INSERT INTO t VALUES (?, ?)", [(i, "n/a" if i % 2 else i) for i in range(40)])
    _, findings = profile(conn, inspect(conn))
    assert [(f.kind, f.column, len(f.keys), f.blocking) for f in findings] == [("type", "n", 10, False)]
    assert findings[0].keys[:2] == ((1,), (3,))


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le"])
def test_text_that_postgresql_cannot_hold_blocks(encoding: str) -> None:
    conn = sqlite3.connect(":memory:")
    conn.execute(f"PRAGMA encoding = '{encoding}'")
    conn.execute("CREATE TABLE t (k TEXT PRIMARY KEY, a TEXT, b)")
    conn.execute("INSERT INTO t VALUES ('fine', 'grüße 漢字', 'x'), ('nul', 'a' || char(0) || 'b', char(0))")
    _, findings = profile(conn, inspect(conn))
    blocking = [f for f in findings if f.blocking]
    assert [(f.column, f.keys) for f in blocking] == [("a", (("'nul'",),)), ("b", (("'nul'",),))]


def test_bytes_that_are_not_utf8_block() -> None:
    conn = sqlite3.connect(":memory:")
    conn.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
    conn.execute("INSERT INTO t VALUES (7, CAST(x'61ff' AS TEXT)), (8, 'fine')")
    _, findings = profile(conn, inspect(conn))
    assert [(f.kind, f.keys, f.blocking) for f in findings] == [("text", ((7,),), True)]


def test_a_table_of_a_thousand_columns_is_profiled() -> None:
    conn = sqlite3.connect(":memory:")
    conn.execute("CREATE TABLE t (" + ", ".join(f"c{i} INTEGER" for i in range(1000)) + ")")
    conn.execute("INSERT INTO t (c999) VALUES ('n/a')")
    catalog, _ = profile(conn, inspect(conn))
    assert catalog.tables["t"].columns[998].pg_type is PgType.BIGINT
    assert catalog.tables["t"].columns[999].pg_type is PgType.VALUE


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("CHARINT", Affinity.INTEGER),
        ("CLOB", Affinity.TEXT),
        ("", Affinity.BLOB),
        ("FLOATING POINT", Affinity.INTEGER),
        ("DOUBLE", Affinity.REAL),
        ("STRING", Affinity.NUMERIC),
        ("NONE", Affinity.NUMERIC),
    ],
)
def test_affinity_follows_sqlites_rules_in_their_order(declared: str, expected: Affinity) -> None:
    assert affinity(declared) is expected
