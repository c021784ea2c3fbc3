"""What the catalog says of a table is what SQLite made of its CREATE statement."""

from __future__ import annotations

import sqlite3

import pytest

from shadow.schema import inspect, orphans
from shadow.schema.ddl import parse_index, parse_table
from shadow.translate.catalog import Table


def table(sql: str, name: str = "t") -> Table:
    conn = sqlite3.connect(":memory:")
    conn.executescript(sql)
    return inspect(conn).tables[name]


def test_comments_strings_and_brackets_do_not_confuse_the_reading_of_checks() -> None:
    found = table(
        """CREATE TABLE t ( -- a comment, with ( and CHECK (1)
            a TEXT DEFAULT 'CHECK (a), ' CHECK (a <> ')' /* ) */), b INT CONSTRAINT "b is positive" CHECK ((b) > 0),
            "check" TEXT COLLATE NOCASE, CHECK (a <> b) CONSTRAINT two CHECK (a > 1) UNIQUE (a) )"""
    )
    assert found.checks == (
        ("a <> ')' /* ) */", ""),
        ("(b) > 0", "b is positive"),
        ("a <> b", ""),
        ("a > 1", "two"),
    )
    assert [c.collation for c in found.columns] == ["BINARY", "BINARY", "NOCASE"]


@pytest.mark.parametrize(
    ("sql", "alias", "autoincrement"),
    [
        ("CREATE TABLE t (id INTEGER PRIMARY KEY)", "id", False),
        ("CREATE TABLE t (id integer PRIMARY KEY AUTOINCREMENT)", "id", True),
        ("CREATE TABLE t (id INTEGER, v, PRIMARY KEY (id AUTOINCREMENT))", "id", True),
        ("CREATE TABLE t (id INTEGER, v, PRIMARY KEY (id))", "id", False),
        ("CREATE TABLE t (id INT PRIMARY KEY)", None, False),
        ("CREATE TABLE t (id BIGINT PRIMARY KEY)", None, False),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY DESC)", None, False),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY) WITHOUT ROWID", None, False),
        ("CREATE TABLE t (a INTEGER, b INTEGER, PRIMARY KEY (a, b))", None, False),
    ],
)
def test_only_an_integer_primary_key_is_the_rowid(sql: str, alias: str | None, autoincrement: bool) -> None:
    found = table(sql)
    assert (found.rowid_alias, found.autoincrement) == (alias, autoincrement)


def test_a_column_added_later_is_read_as_well_as_the_others() -> None:
    found = table(
        "CREATE TABLE t (a INT, b TEXT, CHECK (a > 0), UNIQUE (b));"
        "ALTER TABLE t ADD COLUMN c TEXT COLLATE NOCASE CHECK (c <> '') REFERENCES t (b) ON DELETE CASCADE;"
        "ALTER TABLE t ADD COLUMN d AS (a + 1)"
    )
    assert [c.name for c in found.columns] == ["a", "b", "c", "d"]
    assert (found.columns[2].collation, found.columns[3].generated) == ("NOCASE", "a + 1")
    assert [text for text, _ in found.checks] == ["c <> ''", "a > 0"]  # SQLite puts it before them
    assert found.foreign_keys[0].on_delete == "CASCADE"


def test_a_virtual_table_has_no_columns_here() -> None:
    assert parse_table("CREATE VIRTUAL TABLE f USING fts5 (a, b)").columns == []


def test_an_index_is_read_term_by_term() -> None:
    found = parse_index(
        'CREATE UNIQUE INDEX i ON "on" (a, lower(b) COLLATE nocase DESC, [c d] COLLATE "RTRIM") WHERE a > (1)'
    )
    assert [(t.expression, t.collation, t.descending) for t in found.terms] == [
        ("a", None, False),
        ("lower(b)", "NOCASE", True),
        ("[c d]", "RTRIM", False),
    ]
    assert found.where == "a > (1)"


def test_a_row_factory_on_the_connection_does_not_matter() -> None:
    conn = sqlite3.connect(":memory:")
    conn.executescript("CREATE TABLE t (a INT UNIQUE)")
    plain = inspect(conn)
    conn.row_factory = lambda cursor, row: {"x": row}
    assert inspect(conn) == plain


def test_orphans_are_counted_and_a_parent_that_is_not_there_is_named() -> None:
    conn = sqlite3.connect(":memory:")
    conn.executescript(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p INT REFERENCES p (id));"
        "CREATE TABLE g (x INT REFERENCES gone (id)); INSERT INTO p VALUES (1);"
        "INSERT INTO c VALUES (1, 1), (2, 7), (3, NULL), (4, 8); INSERT INTO g VALUES (1)"
    )
    found = orphans(conn, inspect(conn))
    assert [(f.table, f.keys) for f in found] == [("c", ((2,),)), ("g", ())]
    assert "2 rows" in found[0].message
    assert "gone, which is not there" in found[1].message
