"""Schema changes made while PostgreSQL is primary arrive in SQLite in their place among the changes of rows."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from flagging import FlagPair

from shadow.errors import OriginError
from shadow.reverse.applier import ReverseApplier


def ddl(origin_sql: str, target_sql: str, *new_tables: str) -> list[str]:
    """What PostgreSQL mode runs for one DDL statement of the app."""
    text = origin_sql.replace("'", "''")
    captures = [f"SELECT shadow.capture('public', '{table}')" for table in new_tables]
    return [target_sql, *captures, f"SELECT shadow.capture_ddl('public', '{text}')"]


def test_a_new_table_arrives_with_its_rows(pair: FlagPair, reverse: ReverseApplier) -> None:
    """Its rows are captured from the first one on, and plain writers are kept off it in SQLite."""
    (before,) = pair.origin("SELECT catalog_version FROM _shadow_control")[0]
    pair.write(
        *ddl(
            "CREATE TABLE tag (id INTEGER PRIMARY KEY, name TEXT)",
            "CREATE TABLE tag (id bigint PRIMARY KEY, name text)",
            "tag",
        ),
        "INSERT INTO tag VALUES (1, 'a'), (2, 'b')",
    )
    reverse.run_once()
    assert pair.same("tag", "id, name") == [(1, "a"), (2, "b")]
    with closing(sqlite3.connect(pair.path)) as conn, pytest.raises(sqlite3.IntegrityError, match="primary"):
        conn.execute("DELETE FROM tag")
    (version,) = pair.origin("SELECT catalog_version FROM _shadow_control")[0]
    assert version == before + 1


def test_a_column_is_added_between_rows_of_both_forms(pair: FlagPair, reverse: ReverseApplier) -> None:
    """Rows written before it have the default, rows after it their value."""
    pair.write(
        "INSERT INTO account (id, owner) VALUES (1, 'ann')",
        *ddl(
            "ALTER TABLE account ADD COLUMN level INTEGER DEFAULT 7",
            "ALTER TABLE account ADD COLUMN level bigint DEFAULT 7",
        ),
        "INSERT INTO account (id, owner, level) VALUES (2, 'bob', 9)",
    )
    reverse.run_once()
    assert pair.same("account", "id, owner, level") == [(1, "ann", 7), (2, "bob", 9)]


def test_a_table_rebuilt_under_another_name_arrives_whole(pair: FlagPair, reverse: ReverseApplier) -> None:
    """As migration tools rewrite a table: new table, copy, drop, rename; types of each moment are known."""
    pair.write("INSERT INTO kind (_shadow_rowid, t, b) VALUES (1, 'x', '\\x01'), (2, 'y', NULL)")
    pair.write(
        *ddl(
            "CREATE TABLE tmp (t TEXT, b BLOB, size REAL)",
            "CREATE TABLE tmp (_shadow_rowid bigint PRIMARY KEY, t text, b bytea, size double precision)",
            "tmp",
        ),
        "INSERT INTO tmp SELECT _shadow_rowid, t, b, 2 FROM kind",
        *ddl("DROP TABLE kind", "DROP TABLE kind"),
        *ddl("ALTER TABLE tmp RENAME TO kind", "ALTER TABLE tmp RENAME TO kind"),
        "INSERT INTO kind VALUES (3, 'z', '\\x03', 3)",
    )
    reverse.run_once()
    assert pair.same("kind", "t, b, size") == [("x", b"\x01", 2.0), ("y", None, 2.0), ("z", b"\x03", 3.0)]


def test_swaps_beside_a_schema_change_do_not_meet(pair: FlagPair, reverse: ReverseApplier) -> None:
    """A batch with DDL is applied change by change; a row in the way comes back with its own change."""
    pair.write("INSERT INTO account (id, owner) VALUES (1, 'ann'), (2, 'bob')")
    reverse.run_once()
    pair.write(
        *ddl("CREATE INDEX account_balance ON account (balance)", "CREATE INDEX account_balance ON account (balance)"),
        "UPDATE account SET owner = 'tmp' WHERE id = 1",
        "UPDATE account SET owner = 'ann' WHERE id = 2",
        "UPDATE account SET owner = 'bob' WHERE id = 1",
    )
    reverse.run_once()
    assert pair.same("account", "id, owner") == [(1, "bob"), (2, "ann")]


def test_a_new_trigger_is_parked_and_a_parked_one_can_be_dropped(pair: FlagPair, reverse: ReverseApplier) -> None:
    """While PostgreSQL is primary no trigger of the app stands in SQLite, but its definition follows."""
    new = "CREATE TRIGGER t2 AFTER DELETE ON account BEGIN INSERT INTO log (text) VALUES ('gone'); END"
    pair.write(*ddl(new, "SELECT 1"), *ddl("DROP TRIGGER kind_log", "SELECT 1"))
    reverse.run_once()
    assert pair.origin("SELECT name, sql FROM _shadow_app_trigger") == [("t2", new)]
    assert pair.origin("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name NOT LIKE '!_%' ESCAPE '!'") == []


def test_a_schema_change_that_sqlite_refuses_stops_the_way_back(pair: FlagPair, reverse: ReverseApplier) -> None:
    """One clear line, nothing half applied, and nothing forgotten in PostgreSQL."""
    pair.write("INSERT INTO account (id, owner) VALUES (1, 'ann')", *ddl("ALTER TABLE nosuch ADD COLUMN c", "SELECT 1"))
    with pytest.raises(OriginError, match="no such table"):
        reverse.run_once()
    assert pair.origin("SELECT count(*) FROM account") == [(0,)]
    assert pair.origin("SELECT guard FROM _shadow_control") == [(1,)]
    assert pair.target("SELECT count(*) FROM shadow.change") == [(2,)]
