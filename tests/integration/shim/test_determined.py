"""What SQLite chose is in the record: ids, the time, random values, rows that a statement alone does not tell."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from shadow import sqlite3 as door
from shadow.journal.record import Executed, RowImage, RowImages, Undetermined

from .conftest import File

WITH_TRIGGERS = """
CREATE TABLE a (id INTEGER PRIMARY KEY, v);
CREATE TABLE b (w);
CREATE TRIGGER a_i AFTER INSERT ON a BEGIN
    UPDATE a SET v = v + 1 WHERE id = new.id;
    INSERT INTO b VALUES (new.v);
END;
CREATE TRIGGER b_i AFTER INSERT ON b WHEN new.w > 100 BEGIN DELETE FROM a WHERE id = 1; END;
"""


def one(file: File) -> Any:
    ((item,),) = file.records()
    return item


def test_the_row_id_of_a_single_insert_is_carried(conn: Any, file: File) -> None:
    conn.execute("INSERT INTO t (id, a) VALUES (41, 'x')")
    conn.execute("INSERT INTO t (a) VALUES ('y')")
    conn.execute("INSERT INTO plain VALUES (1, 2)")
    conn.execute("INSERT INTO keyed VALUES ('k', 1)")
    conn.execute("INSERT OR IGNORE INTO t (a) VALUES ('y')")
    conn.commit()
    (items,) = file.records()
    assert [i.rowids for i in items] == [(41,), (42,), (1,), None, (None,)]  # type: ignore[union-attr]


def test_executemany_carries_an_id_for_each_set_also_of_a_generator(conn: Any, file: File) -> None:
    conn.executemany("INSERT INTO t (a) VALUES (?)", ((str(i),) for i in range(1200)))
    conn.commit()
    (items,) = file.records()
    assert all(isinstance(i, Executed) and i.many for i in items)
    assert [r for i in items for r in i.rowids or ()] == list(range(1, 1201))  # type: ignore[union-attr]
    assert sum(i.rowcount for i in items) == 1200  # type: ignore[union-attr]


def test_a_generator_of_sets_may_use_the_connection_itself(conn: Any, file: File) -> None:
    def sets() -> Any:
        for i in range(3):
            yield (f"{i}-{conn.execute('SELECT count(*) FROM t').fetchone()[0]}",)

    conn.executemany("INSERT INTO t (a) VALUES (?)", sets())
    conn.commit()
    assert one(file).param_sets == (("0-0",), ("1-1",), ("2-2",))


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t (a) VALUES ('default')",
        "INSERT INTO t (a, at) VALUES ('x', CURRENT_TIMESTAMP)",
        "INSERT INTO t (a, at) VALUES ('x', datetime('now'))",
        "INSERT INTO t (a, at) VALUES ('x', datetime('NOW', '-7 days'))",
        "INSERT INTO t (a, at) VALUES ('x', strftime('%Y-%m-%d %H:%M:%f', 'now'))",
        "INSERT INTO t (a, at) VALUES ('x', datetime())",
        "INSERT INTO t (a, at) VALUES ('x', julianday('now'))",
        "INSERT INTO t (a, at) VALUES ('x', date('now', ?))",
    ],
)
def test_the_time_that_a_write_asked_for_is_in_its_record(conn: Any, file: File, sql: str) -> None:
    conn.execute(sql, ("+1 day",) if "?" in sql else ())
    conn.commit()
    item = one(file)
    assert isinstance(item, Executed)
    assert item.now is not None
    stored = file.rows("SELECT at FROM t")[0][0]
    text = sql.replace("'now'", "?").replace("'NOW'", "?").replace("datetime()", "datetime(?)")
    text = text.replace("CURRENT_TIMESTAMP", "datetime(?)").replace("('default')", "('default')")
    expression = text[text.index("'x', ") + 5 : -1] if "'x', " in text else "datetime(?)"
    plain = sqlite3.Connection(":memory:")
    expected = plain.execute(f"SELECT CAST({expression} AS TEXT)", (item.now, "+1 day")[: expression.count("?")])
    assert (stored,) == expected.fetchone()


def test_a_write_that_asks_for_no_time_carries_none(conn: Any, file: File) -> None:
    conn.execute("INSERT INTO plain VALUES (datetime('2020-01-01'), date(0, 'unixepoch'))")
    conn.commit()
    assert one(file).now is None
    assert file.rows("SELECT * FROM plain") == [("2020-01-01 00:00:00", "1970-01-01")]


def test_overridden_date_functions_answer_reads_as_sqlite_does(conn: Any, file: File) -> None:
    conn.execute("INSERT INTO t (a, at) VALUES ('x', datetime('now'))")
    conn.commit()
    plain = sqlite3.Connection(":memory:")
    for expression in (
        "date('2024-02-30')",
        "datetime(NULL)",
        "strftime('%s', '2020-01-01', '+1 month', 'start of month')",
        "strftime('%J', 2459000.5)",
        "datetime('nonsense')",
        "unixepoch('2020-01-01 12:00', 'utc')",
        "time('12:00', 'localtime')",
        "strftime(NULL, 'now')",
        "typeof(julianday('2000-01-01'))",
        "date(x'3230323030')",
    ):
        assert conn.execute(f"SELECT {expression}").fetchall() == plain.execute(f"SELECT {expression}").fetchall()
    seen = datetime.datetime.fromisoformat(conn.execute("SELECT datetime('now')").fetchone()[0])
    assert abs(seen - datetime.datetime.now(datetime.UTC).replace(tzinfo=None)) < datetime.timedelta(seconds=5)


def test_the_time_while_a_read_is_unfinished_is_carried_as_row_images(conn: Any, file: File) -> None:
    """SQLite refuses to override a function while a statement runs; the row itself is carried then."""
    conn.execute("INSERT INTO plain VALUES (1, 1)")
    conn.execute("INSERT INTO plain VALUES (2, 2)")
    conn.commit()
    file.records()
    for _ in conn.execute("SELECT * FROM plain"):
        conn.execute("INSERT INTO t (a) VALUES (hex(1)) ON CONFLICT DO NOTHING")
    conn.commit()
    (items,) = file.records()
    assert isinstance(items[0], RowImages)
    assert items[0].rows[0].row == file.rows("SELECT * FROM t")[0]


def test_with_an_untrusted_schema_nothing_is_overridden(conn: Any, file: File) -> None:
    conn.execute("PRAGMA trusted_schema = OFF")
    conn.execute("INSERT INTO t (a) VALUES ('x')")
    conn.commit()
    assert isinstance(one(file), RowImages)


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("INSERT INTO plain VALUES (random(), 1)", 1),
        ("INSERT INTO plain SELECT b, a FROM plain", 2),
        ("INSERT INTO plain VALUES (1, 1), (2, 2), (3, 3)", 3),
        ("UPDATE plain SET b = randomblob(3)", 2),
        ("DELETE FROM plain WHERE a > random()", None),
        ("UPDATE plain SET b = s.n FROM (SELECT 5 AS n) AS s", 2),
    ],
)
def test_what_replay_cannot_determine_is_carried_row_by_row(conn: Any, file: File, sql: str, rows: int | None) -> None:
    conn.execute("INSERT INTO plain VALUES (1, 10)")
    conn.execute("INSERT INTO plain VALUES (2, 20)")
    conn.commit()
    file.records()
    conn.execute(sql)
    conn.commit()
    records = file.records()
    if rows is not None:
        ((item,),) = records
        assert isinstance(item, RowImages)
        assert len(item.rows) == rows
        for image in item.rows:
            assert image.row in file.rows("SELECT rowid, a, b FROM plain")


def test_row_images_name_keys_and_rows_as_the_table_has_them(make_file: Callable[..., File]) -> None:
    file = make_file(
        "CREATE TABLE hidden (a, rowid TEXT, g AS (a || '!'));"
        "CREATE TABLE alias (n, id INTEGER PRIMARY KEY);"
        "CREATE TABLE pair (y, x, v, PRIMARY KEY (x, y)) WITHOUT ROWID;"
        "CREATE TABLE descending (id INTEGER PRIMARY KEY DESC, v);"
    )
    conn = door.connect(file.path)
    conn.execute("INSERT INTO hidden (a, rowid) SELECT 'a', 'r'")
    conn.execute("INSERT INTO alias SELECT 'n', 5")
    conn.execute("UPDATE alias SET id = 6, n = random() WHERE id = 5")
    conn.execute("INSERT INTO pair SELECT 1, 2, 3")
    conn.execute("INSERT INTO descending SELECT 9, 9")
    conn.execute("DELETE FROM alias WHERE random() IS NOT NULL")
    conn.commit()
    (items,) = file.records()
    images = [image for item in items for image in item.rows]  # type: ignore[union-attr]
    assert images[0] == RowImage("hidden", "I", (1,), (1, "a", "r"))
    assert images[1] == RowImage("alias", "I", (5,), ("n", 5))
    assert (images[2].op, images[2].key, images[2].row[1]) == ("U", (5,), 6)  # type: ignore[index]
    assert images[3] == RowImage("pair", "I", (2, 1), (1, 2, 3))
    assert images[4] == RowImage("descending", "I", (1,), (1, 9, 9))
    assert images[5] == RowImage("alias", "D", (6,), None)
    conn.close()


def test_effects_of_the_apps_triggers_are_carried_in_order(make_file: Callable[..., File]) -> None:
    file = make_file(WITH_TRIGGERS)
    conn = door.connect(file.path)
    conn.execute("INSERT INTO a VALUES (1, 10)")
    conn.execute("INSERT INTO a VALUES (2, 200)")
    conn.commit()
    (items,) = file.records()
    assert [(i.table, i.op, i.row) for i in items[0].rows] == [  # type: ignore[union-attr]
        ("a", "I", (1, 10)),
        ("a", "U", (1, 11)),
        ("b", "I", (1, 10)),
    ]
    assert [(i.table, i.op, i.key) for i in items[1].rows] == [  # type: ignore[union-attr]
        ("a", "I", (2,)),
        ("a", "U", (2,)),
        ("b", "I", (2,)),
        ("a", "D", (1,)),
    ]
    conn.close()


def test_foreign_key_actions_are_carried_when_the_connection_enforces_keys(make_file: Callable[..., File]) -> None:
    file = make_file(
        "CREATE TABLE p (id INTEGER PRIMARY KEY);"
        "CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p ON DELETE CASCADE ON UPDATE SET NULL);"
    )
    conn = door.connect(file.path)
    conn.executescript("INSERT INTO p VALUES (1); INSERT INTO c VALUES (5, 1);")
    file.records()
    conn.execute("DELETE FROM p")
    conn.rollback()
    conn.execute("PRAGMA foreign_keys = ON")
    conn.execute("DELETE FROM p")
    conn.commit()
    item = one(file)
    assert {(i.table, i.op, i.key) for i in item.rows} == {("c", "D", (5,)), ("p", "D", (1,))}
    conn.close()


def test_functions_of_the_app_are_carried_by_their_effect(conn: Any, file: File) -> None:
    conn.create_function("twice", 1, lambda x: x * 2)
    conn.execute("INSERT INTO plain VALUES (twice(21), 1)")
    conn.commit()
    item = one(file)
    assert isinstance(item, RowImages)
    assert item.rows[0].row == (1, 42, 1)


def test_a_virtual_table_is_marked(make_file: Callable[..., File]) -> None:
    file = make_file("CREATE VIRTUAL TABLE f USING fts5(body)")
    conn = door.connect(file.path)
    conn.execute("INSERT INTO f VALUES ('some words')")
    conn.commit()
    item = one(file)
    assert isinstance(item, Undetermined)
    assert item.tables == ("f",)
    conn.close()


def test_another_processs_ddl_does_not_trip_over_our_capture(conn: Any, file: File) -> None:
    conn.execute("INSERT INTO plain SELECT 1, 2")
    conn.commit()
    other = door.connect(file.path)
    other.execute("ALTER TABLE plain DROP COLUMN b")
    other.execute("ALTER TABLE plain RENAME COLUMN a TO z")
    other.close()
    conn.execute("INSERT INTO plain SELECT 3")
    conn.execute("ALTER TABLE plain ADD COLUMN y")
    conn.execute("INSERT INTO plain SELECT 4, 5")
    conn.commit()
    (*_, last) = file.records()
    assert last[-1].rows[0].row == (3, 4, 5)  # type: ignore[union-attr]


def test_parameters_are_carried_as_sqlite_stored_them(conn: Any, file: File) -> None:
    class Number(int):
        pass

    class Point:
        calls = 0

        def __conform__(self, protocol: object) -> str:
            Point.calls += 1
            return f"point {Point.calls}"

    values = [True, Number(7), bytearray(b"ab"), memoryview(b"cd"), float("nan"), Point(), datetime.date(2024, 5, 6)]
    for value in values:
        conn.execute("INSERT INTO plain VALUES (?, typeof(?1))", (value,))
    conn.commit()
    (items,) = file.records()
    carried = [i.param_sets[0][0] for i in items]  # type: ignore[union-attr]
    assert carried == [1, 7, b"ab", b"cd", None, "point 1", "2024-05-06"]
    assert [type(c) for c in carried] == [int, int, bytes, bytes, type(None), str, str]
    assert [r[0] for r in file.rows("SELECT a FROM plain ORDER BY rowid")] == carried
    assert Point.calls == 1


def test_named_parameters_are_carried_by_name_and_only_those_used(conn: Any, file: File) -> None:
    class Filled(dict[str, Any]):
        def __missing__(self, key: str) -> str:
            return f"<{key}>"

    conn.execute("INSERT INTO plain VALUES (:x, @y)", Filled(x=1, unused=object()))
    conn.execute("INSERT INTO plain VALUES (?2, ?1)", ["one", "two"])
    conn.commit()
    (items,) = file.records()
    assert [i.param_sets[0] for i in items] == [{"x": 1, "y": "<y>"}, ("one", "two")]  # type: ignore[union-attr]


def test_text_that_is_not_unicode_survives(conn: Any, file: File) -> None:
    conn.execute("INSERT INTO plain VALUES (CAST(x'ff' AS TEXT), 'a' || char(0) || 'b')")
    conn.commit()
    assert isinstance(one(file), Executed)


def test_capture_that_cannot_read_a_value_never_fails_the_app(conn: Any, file: File) -> None:
    """Bytes that are no text cannot be handed to Python: the statement runs, its table is marked."""
    conn.execute("INSERT INTO plain SELECT CAST(x'ff' AS TEXT), 1")
    conn.execute("INSERT INTO plain SELECT 2, 2")
    conn.commit()
    (items,) = file.records()
    assert isinstance(items[0], Undetermined)
    assert items[0].tables == ("plain",)
    assert file.rows("SELECT count(*) FROM plain") == [(2,)]
