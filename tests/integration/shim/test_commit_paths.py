"""No write without its journal record: every way in which Python's sqlite3 commits, counted in records."""

from __future__ import annotations

import gc
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from shadow import sqlite3 as door
from shadow.journal.record import Executed, RowImages, SchemaChanged, Undetermined

from .conftest import File


def kinds(file: File) -> list[list[str]]:
    """Class names of the items of each new record."""
    return [[type(i).__name__ for i in record] for record in file.records()]


def test_commit_leaves_one_record_for_the_transaction(conn: Any, file: File) -> None:
    conn.execute("INSERT INTO plain VALUES (1, 2)")
    conn.execute("UPDATE plain SET b = 3")
    assert kinds(file) == []
    conn.commit()
    assert kinds(file) == [["Executed", "Executed"]]


def test_a_transaction_that_wrote_nothing_leaves_no_record(conn: Any, file: File) -> None:
    conn.execute("SELECT * FROM t").fetchall()
    conn.commit()
    conn.execute("BEGIN")
    conn.execute("SELECT * FROM t").fetchall()
    conn.execute("COMMIT")
    assert kinds(file) == []


def test_with_conn_commits_with_a_record_and_rolls_back_without(conn: Any, file: File) -> None:
    with conn:
        conn.execute("INSERT INTO plain VALUES (1, 2)")
    assert kinds(file) == [["Executed"]]

    def write_and_fail() -> None:
        with conn:
            conn.execute("INSERT INTO plain VALUES (3, 4)")
            raise LookupError

    with pytest.raises(LookupError):
        write_and_fail()
    assert kinds(file) == []
    assert file.rows("SELECT a FROM plain") == [(1,)]


def test_executescript_commits_what_was_open_and_records_each_statement(conn: Any, file: File) -> None:
    conn.execute("INSERT INTO plain VALUES (1, 2)")
    conn.executescript(
        """
        INSERT INTO plain VALUES (3, 4); -- a comment; with a semicolon
        CREATE TABLE made (x);
        CREATE TRIGGER made_i AFTER INSERT ON made BEGIN
            INSERT INTO plain VALUES (new.x, CASE WHEN new.x THEN 'a;b' END);
            DELETE FROM plain WHERE a = 1;
        END;
        BEGIN;
        INSERT INTO made VALUES (5);
        UPDATE plain SET b = ':not a variable';
        END;
        """
    )
    assert not conn.in_transaction
    assert kinds(file) == [
        ["Executed"],
        ["Executed"],
        ["SchemaChanged"],
        ["SchemaChanged"],
        ["RowImages", "Executed"],
    ]


def test_a_script_that_leaves_a_transaction_open_is_recorded_at_commit(conn: Any, file: File) -> None:
    conn.executescript("BEGIN; INSERT INTO plain VALUES (1, 1);")
    assert conn.in_transaction
    assert kinds(file) == []
    conn.commit()
    assert kinds(file) == [["Executed"]]


def test_setting_isolation_level_to_none_commits_with_a_record(conn: Any, file: File) -> None:
    conn.execute("INSERT INTO plain VALUES (1, 2)")
    conn.isolation_level = None
    assert not conn.in_transaction
    assert kinds(file) == [["Executed"]]


@pytest.mark.parametrize("text", ["COMMIT", "commit transaction", "END", "/* done */ END TRANSACTION"])
def test_commit_as_text_leaves_a_record(conn: Any, file: File, text: str) -> None:
    conn.execute("BEGIN")
    conn.execute("INSERT INTO plain VALUES (1, 2)")
    conn.execute(text)
    assert kinds(file) == [["Executed"]]


def test_release_of_the_outermost_savepoint_commits_with_a_record(conn: Any, file: File) -> None:
    conn.isolation_level = None
    conn.execute("SAVEPOINT outer_one")
    conn.execute("INSERT INTO plain VALUES (1, 2)")
    conn.execute("SAVEPOINT inner_one")
    conn.execute("INSERT INTO plain VALUES (3, 4)")
    conn.execute("ROLLBACK TO inner_one")
    conn.execute("INSERT INTO plain VALUES (5, 6)")
    conn.execute("RELEASE inner_one")
    assert kinds(file) == []
    conn.execute('RELEASE SAVEPOINT "OUTER_ONE"')
    ((first, second),) = file.records()
    assert isinstance(first, Executed)
    assert isinstance(second, Executed)
    assert (first.sql, second.sql) == ("INSERT INTO plain VALUES (1, 2)", "INSERT INTO plain VALUES (5, 6)")


def test_release_inside_a_transaction_commits_nothing(conn: Any, file: File) -> None:
    conn.execute("BEGIN")
    conn.execute("SAVEPOINT s")
    conn.execute("INSERT INTO plain VALUES (1, 2)")
    conn.execute("RELEASE s")
    assert kinds(file) == []
    conn.execute("ROLLBACK")
    assert kinds(file) == []
    assert file.rows("SELECT * FROM _shadow_journal WHERE position > 2") == []


def test_autocommit_statements_leave_one_record_each(conn: Any, file: File) -> None:
    conn.isolation_level = None
    conn.execute("INSERT INTO plain VALUES (1, 2)")
    assert not conn.in_transaction
    conn.execute("UPDATE plain SET b = 1")
    conn.executemany("INSERT INTO plain VALUES (?, ?)", [(1, 1), (2, 2)])
    assert kinds(file) == [["Executed"], ["Executed"], ["Executed"]]


def test_with_insert_which_opens_no_transaction_is_recorded(conn: Any, file: File) -> None:
    conn.execute("WITH x(v) AS (VALUES (9)) INSERT INTO plain SELECT v, v FROM x")
    assert not conn.in_transaction
    assert kinds(file) == [["RowImages"]]


def test_returning_outside_a_transaction_is_committed_with_its_record_and_still_gives_its_rows(
    conn: Any, file: File
) -> None:
    conn.isolation_level = None
    cursor = conn.execute("INSERT INTO plain VALUES (1, 2) RETURNING a, b")
    assert kinds(file) == [["Executed"]]
    assert [d[0] for d in cursor.description] == ["a", "b"]
    assert cursor.fetchone() == (1, 2)
    assert cursor.fetchone() is None
    assert cursor.execute("SELECT 5").fetchall() == [(5,)]


def test_ddl_commits_itself_and_carries_the_schema(conn: Any, file: File) -> None:
    before = file.rows("SELECT catalog_version FROM _shadow_control")[0][0]
    conn.execute("CREATE TABLE made (x)")
    ((item,),) = file.records()
    assert isinstance(item, SchemaChanged)
    assert ("table", "made", "made", "CREATE TABLE made (x)") in item.objects
    assert not any(name.startswith(("_shadow_", "sqlite_")) for _, name, _, _ in item.objects)
    assert file.rows("SELECT catalog_version FROM _shadow_control") == [(before + 1,)]
    conn.execute("CREATE TABLE IF NOT EXISTS made (x)")
    conn.execute("DROP TABLE IF EXISTS never_there")
    assert kinds(file) == []


def test_ddl_inside_a_transaction_is_rolled_back_with_it(conn: Any, file: File) -> None:
    conn.execute("BEGIN")
    conn.execute("CREATE TABLE made (x)")
    conn.execute("INSERT INTO made VALUES (random())")
    conn.rollback()
    assert kinds(file) == []
    conn.execute("BEGIN")
    conn.execute("CREATE TABLE made (x, y)")
    conn.execute("INSERT INTO made VALUES (random(), 1)")
    conn.commit()
    assert kinds(file) == [["SchemaChanged", "RowImages"]]


def test_create_table_as_select_marks_the_new_table(conn: Any, file: File) -> None:
    conn.execute("CREATE TABLE copied AS SELECT * FROM t")
    ((_, item),) = file.records()
    assert isinstance(item, Undetermined)
    assert item.tables == ("copied",)


def test_a_blob_opened_for_writing_marks_its_table_at_open_and_at_close(conn: Any, file: File) -> None:
    conn.execute("INSERT INTO plain (rowid, a) VALUES (1, zeroblob(4))")
    conn.commit()
    file.records()
    with conn.blobopen("plain", "a", 1) as blob:
        blob.write(b"abcd")
        assert [i.tables for (i,) in file.records()] == [("plain",)]  # type: ignore[union-attr]
    assert [i.tables for (i,) in file.records()] == [("plain",)]  # type: ignore[union-attr]
    assert file.rows("SELECT a FROM plain") == [(b"abcd",)]
    with conn.blobopen("plain", "a", 1, readonly=True) as blob:
        assert blob.read() == b"abcd"
    assert kinds(file) == []


def test_vacuum_marks_the_tables_whose_row_ids_it_may_change(conn: Any, file: File) -> None:
    conn.execute("VACUUM")
    assert [i.tables for (i,) in file.records()] == [("plain",), ("plain",)]  # type: ignore[union-attr]


def test_or_rollback_ends_the_transaction_and_drops_its_record(conn: Any, file: File) -> None:
    conn.execute("INSERT INTO t (a) VALUES ('x')")
    with pytest.raises(sqlite3.IntegrityError):
        conn.execute("INSERT OR ROLLBACK INTO t (a) VALUES ('x')")
    assert not conn.in_transaction
    conn.execute("INSERT INTO plain VALUES (1, 1)")
    conn.commit()
    ((item,),) = file.records()
    assert isinstance(item, Executed)
    assert item.sql.startswith("INSERT INTO plain")


@pytest.mark.parametrize("level", ["", None])
def test_or_fail_keeps_the_rows_before_the_error_and_records_them(conn: Any, file: File, level: str | None) -> None:
    conn.isolation_level = level
    with pytest.raises(sqlite3.IntegrityError):
        conn.execute("INSERT OR FAIL INTO t (a) VALUES ('p'), ('q'), ('p'), ('r')")
    conn.commit()
    ((item,),) = file.records()
    assert isinstance(item, RowImages)
    assert [r.row[1] for r in item.rows if r.row] == ["p", "q"]
    assert file.rows("SELECT a FROM t ORDER BY id") == [("p",), ("q",)]


@pytest.mark.parametrize("level", ["", None])
def test_executemany_keeps_the_sets_before_the_error_and_records_them(conn: Any, file: File, level: str | None) -> None:
    conn.isolation_level = level
    with pytest.raises(sqlite3.IntegrityError):
        conn.executemany("INSERT INTO t (a) VALUES (?)", [("p",), ("q",), ("p",), ("r",)])
    conn.commit()
    ((item,),) = file.records()
    assert isinstance(item, Executed)
    assert (item.param_sets, item.rowids, item.rowcount) == ((("p",), ("q",)), (1, 2), 2)
    assert file.rows("SELECT a FROM t ORDER BY id") == [("p",), ("q",)]


def test_a_caught_error_and_a_commit_afterwards_record_what_stayed(conn: Any, file: File) -> None:
    conn.execute("INSERT INTO t (a) VALUES ('x')")
    with pytest.raises(sqlite3.IntegrityError, match=r"UNIQUE constraint failed: t\.a"):
        conn.execute("INSERT INTO t (a) VALUES ('x')")
    conn.commit()
    assert kinds(file) == [["Executed"]]


def test_a_commit_that_meets_a_lock_keeps_the_record_and_can_be_tried_again(file: File) -> None:
    """Without WAL a reader blocks COMMIT: the transaction stays open, as in SQLite."""
    raw = file.raw()
    raw.execute("PRAGMA journal_mode=DELETE")
    conn = door.connect(file.path, timeout=0)
    reader = file.raw()
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM t").fetchall()
    conn.execute("INSERT INTO plain VALUES (1, 2)")
    for _ in range(2):
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            conn.commit()
        assert conn.in_transaction
    conn.execute("INSERT INTO plain VALUES (3, 4)")
    reader.execute("COMMIT")
    conn.commit()
    assert kinds(file) == [["Executed", "Executed"]]
    conn.close()
    reader.close()
    raw.close()


def test_a_deferred_key_that_fails_at_commit_leaves_no_record_behind(make_file: Any) -> None:
    file = make_file(
        "CREATE TABLE p (id INTEGER PRIMARY KEY);CREATE TABLE c (p INTEGER REFERENCES p DEFERRABLE INITIALLY DEFERRED);"
    )
    conn = door.connect(file.path)
    conn.execute("PRAGMA foreign_keys=ON")
    conn.execute("INSERT INTO c VALUES (1)")
    with pytest.raises(sqlite3.IntegrityError):
        conn.commit()
    assert conn.in_transaction
    conn.execute("INSERT INTO p VALUES (1)")
    conn.commit()
    assert kinds(file) == [["Executed", "Executed"]]
    conn.close()


def test_a_connection_left_to_the_garbage_collector_frees_its_lock(file: File) -> None:
    """Python's own statement cache holds a connection until the collector runs; nothing of ours holds it longer."""
    conn = door.connect(file.path)
    conn.execute("INSERT INTO plain VALUES (random(), datetime('now'))")
    conn.executemany("INSERT INTO t (a) VALUES (?)", [("x",)])
    conn.execute("SELECT name FROM sqlite_master").fetchall()
    del conn
    gc.collect()
    other = file.raw()
    other.execute("PRAGMA busy_timeout=0")
    other.execute("BEGIN IMMEDIATE")
    other.close()
    assert kinds(file) == []


def test_a_big_transaction_spills_and_is_one_record(conn: Any, file: File) -> None:
    text = "x" * 100_000
    for _ in range(40):
        conn.execute("INSERT INTO plain VALUES (?, 1)", (text,))
    rows = file.rows("SELECT count(*) FROM _shadow_journal")
    assert rows == [(2,)]
    conn.commit()
    assert file.rows("SELECT count(*), sum(last) FROM _shadow_journal WHERE position > 2")[0][1] == 1
    (items,) = file.records()
    assert len(items) == 40


def test_savepoints_cut_a_spilled_record_back_to_their_marks(conn: Any, file: File) -> None:
    big = "y" * 400_000
    conn.execute("BEGIN")
    conn.execute("INSERT INTO plain VALUES ('before', 0)")
    conn.execute("SAVEPOINT a")
    for n in range(5):
        conn.execute("INSERT INTO plain VALUES (?, ?)", (big, n))
    conn.execute("SAVEPOINT b")
    for n in range(5):
        conn.execute("INSERT INTO plain VALUES (?, ?)", (big, 10 + n))
    conn.execute("ROLLBACK TO b")
    conn.execute("INSERT INTO plain VALUES ('after b', 0)")
    conn.execute("ROLLBACK TO a")
    conn.execute("INSERT INTO plain VALUES ('after a', 0)")
    conn.execute("COMMIT")
    (items,) = file.records()
    assert [i.sql for i in items] == [  # type: ignore[union-attr]
        "INSERT INTO plain VALUES ('before', 0)",
        "INSERT INTO plain VALUES ('after a', 0)",
    ]


@pytest.mark.parametrize("level", ["", "IMMEDIATE", None])
def test_a_write_that_meets_a_lock_leaves_the_connection_as_sqlite_would(file: File, level: str | None) -> None:
    other = file.raw()
    other.execute("BEGIN IMMEDIATE")
    seen = []
    for connect in (door.connect, sqlite3.Connection):
        conn = connect(file.path, timeout=0, isolation_level=level)
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            conn.execute("INSERT INTO plain VALUES (1, 1)")
        seen.append(conn.in_transaction)
        conn.close()
    assert seen[0] == seen[1]
    other.execute("ROLLBACK")
    other.close()
    assert kinds(file) == []


def test_temp_and_attached_tables_leave_no_record(conn: Any, file: File, tmp_path: Path) -> None:
    conn.execute("CREATE TEMP TABLE scratch (a)")
    conn.execute("INSERT INTO scratch VALUES (1)")
    conn.execute("INSERT INTO temp.scratch VALUES (1)")
    conn.commit()
    conn.execute("ATTACH ? AS other", (str(tmp_path / "other.db"),))
    conn.execute("CREATE TABLE other.there (a)")
    conn.execute("INSERT INTO other.there VALUES (1)")
    conn.execute("INSERT INTO there VALUES (2)")
    conn.commit()
    assert kinds(file) == []
    conn.execute("INSERT INTO plain SELECT a, a FROM there")
    conn.execute("UPDATE plain SET b = (SELECT max(a) FROM scratch)")
    conn.commit()
    assert kinds(file) == [["RowImages", "RowImages"]]


def test_another_connection_class_and_cursor_class_change_nothing(file: File) -> None:
    """Explicit calls of the base class's methods, as frameworks write them, are recorded too."""

    class OwnCursor(door.Cursor):
        def execute(self, *args: Any) -> Any:
            return door.Cursor.execute(self, *args)

    class PlainOwnCursor(sqlite3.Cursor):
        def execute(self, *args: Any) -> Any:
            return super().execute(*args)

    class OwnConnection(sqlite3.Connection):
        pass

    conn = door.connect(file.path, factory=OwnConnection)
    assert isinstance(conn, OwnConnection)
    conn.cursor(OwnCursor).execute("INSERT INTO plain VALUES (1, 1)")
    cursor = conn.cursor(factory=PlainOwnCursor)
    assert isinstance(cursor, PlainOwnCursor)
    cursor.execute("INSERT INTO plain VALUES (2, 2)")
    door.Cursor(conn).execute("INSERT INTO plain VALUES (3, 3)")
    conn.commit()
    assert kinds(file) == [["Executed"] * 3]
    conn.close()


@pytest.mark.parametrize("value", [True, False])
def test_the_autocommit_attribute_of_312_commits_with_a_record(file: File, value: bool) -> None:
    if sys.version_info < (3, 12):
        conn = door.connect(file.path)
        assert not hasattr(conn, "autocommit")  # nothing to commit by
        conn.close()
        return
    conn = door.connect(file.path, autocommit=value)
    conn.execute("INSERT INTO plain VALUES (1, 2)")
    assert conn.in_transaction is (not value)
    conn.autocommit = True
    assert kinds(file) == [["Executed"]]
    conn.close()
