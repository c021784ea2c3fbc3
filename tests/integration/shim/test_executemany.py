"""executemany tells what each set did without asking for each: slices of plain rows, counted ids, and their proof."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from shadow.journal.record import Executed, Undetermined

from .conftest import SCHEMA, File
from .replay import Replica, content


def items_of(file: File) -> list[Any]:
    return [item for record in file.records() for item in record]


def assert_replays(file: File, items: list[Any]) -> None:
    replica = Replica(SCHEMA)
    replica.apply([tuple(items)])
    raw = file.raw()
    assert content(raw) == content(replica.conn)
    raw.close()
    replica.conn.close()
    assert not replica.undetermined


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("INSERT INTO t (a, n) VALUES (?, ?)", [(f"r{i}", i) for i in range(1201)]),
        ("INSERT INTO t VALUES (?, ?, ?, ?)", [(i * 3, f"r{i}", i, "now") for i in range(700)]),
        ("INSERT INTO t (n, id) VALUES (?, ?)", [(i, 5000 - i) for i in range(700)]),
        ("INSERT INTO t (rowid, n) VALUES (?, ?)", [(i * 2, i) for i in range(10)]),
        ("INSERT INTO t VALUES (?, ?, ?, ?)", [(None, "a", 1, "x"), (70, "b", 1, "x"), (None, "c", 1, "x")]),
        ("INSERT INTO plain VALUES (?, ?)", [(1.5, b"x"), (None, "y")] * 400),
        ("INSERT INTO plain VALUES (?, ?)", [(float("nan"), 1), (2, 2)]),
        ("INSERT INTO plain (b) VALUES (?)", [[i] for i in range(3)]),
        ("INSERT OR IGNORE INTO t (a) VALUES (?)", [("x",), ("x",), ("y",)]),
        ("INSERT INTO t (a) VALUES (?) ON CONFLICT DO NOTHING", [("x",), ("x",), ("y",)]),
        ("INSERT OR REPLACE INTO t (a) VALUES (?)", [("x",), ("x",), ("y",)]),
        ("INSERT INTO keyed VALUES (?, ?)", [(str(i), i) for i in range(600)]),
        ("INSERT INTO t (a, n) VALUES (lower(?), 1 + (2))", [(f"R{i}",) for i in range(5)]),
        ("INSERT INTO t (a) VALUES (:a)", [{"a": "p"}, {"a": "q"}]),
        ('INSERT INTO t ("a", [n]) VALUES (?2, ?1)', [(1, "p"), (2, "q")]),
    ],
)
@pytest.mark.parametrize("form", [list, tuple, iter])
def test_every_set_has_its_id(conn: Any, file: File, sql: str, rows: list[Any], form: Any) -> None:
    """Chosen by SQLite, bound, or neither; of a list and of an iterator: replay gives the same rows."""
    conn.executemany(sql, form(rows))
    conn.commit()
    items = items_of(file)
    assert all(isinstance(i, Executed) for i in items)
    assert sum(len(i.param_sets) for i in items) == len(rows)
    assert_replays(file, items)


@pytest.mark.parametrize("form", [list, iter])
@pytest.mark.parametrize("failing", [0, 1, 2, 499, 500, 501, 1100])
def test_what_was_done_before_a_failing_set_is_recorded(conn: Any, file: File, form: Any, failing: int) -> None:
    """Wherever in its slice the set stands."""
    conn.execute("INSERT INTO t (a) VALUES ('there')")
    rows = [(f"r{i}",) for i in range(1200)]
    rows[failing] = ("there",)
    with pytest.raises(sqlite3.IntegrityError):
        conn.executemany("INSERT INTO t (a) VALUES (?)", form(rows))
    conn.commit()
    items = items_of(file)
    assert sum(len(i.param_sets) for i in items) == failing + 1
    assert_replays(file, items)


def test_a_failing_update_counts_only_the_sets_before_it(conn: Any, file: File) -> None:
    """A set that changes some rows and then fails is taken back by SQLite, and is not in the record."""
    conn.executemany("INSERT INTO t (a, n) VALUES (?, ?)", [(f"r{i}", i % 2) for i in range(10)])
    with pytest.raises(sqlite3.IntegrityError):
        conn.executemany(
            "UPDATE t SET a = CASE WHEN id < 4 THEN a || ? ELSE 'same' END WHERE n = ? OR id < ?",
            [("x", 0, 0), ("y", 1, 3), ("z", 1, 9)][2:],
        )
    conn.execute("DELETE FROM t WHERE id > 4")
    with pytest.raises(sqlite3.IntegrityError):
        conn.executemany("UPDATE t SET a = CASE WHEN id < ? THEN a || 'x' ELSE 'same' END", [(9,), (9,), (2,), (9,)])
    conn.commit()
    items = items_of(file)
    assert (len(items[-1].param_sets), items[-1].rowcount) == (2, 8)
    assert_replays(file, items)


def test_updates_are_counted_by_the_item(conn: Any, file: File) -> None:
    """Over several slices, with sets that change nothing or many rows."""
    conn.executemany("INSERT INTO t (a, n) VALUES (?, ?)", [(f"r{i}", i % 3) for i in range(9)])
    conn.commit()
    before = items_of(file)
    cursor = conn.executemany("UPDATE t SET at = ? WHERE n = ?", [(str(i), i % 4) for i in range(1200)])
    assert cursor.rowcount == 2700
    conn.commit()
    items = items_of(file)
    assert [len(i.param_sets) for i in items] == [500, 500, 200]
    assert [i.rowcount for i in items] == [1125, 1125, 450]
    assert_replays(file, before + items)


def test_ids_chosen_at_random_are_not_taken_for_counted_ones(make_file: Any) -> None:
    """Past the greatest id there is SQLite draws at random: the table is marked, never given wrong ids."""
    from shadow import sqlite3 as door

    file = make_file("CREATE TABLE k (id INTEGER PRIMARY KEY, a);")
    conn = door.connect(file.path)
    conn.execute("INSERT INTO k VALUES (?, 'near the end')", (2**63 - 3,))
    conn.commit()
    file.records()
    conn.executemany("INSERT INTO k (a) VALUES (?)", [(i,) for i in range(5)])
    conn.commit()
    conn.close()
    given = {a: i for i, a in file.rows("SELECT id, a FROM k WHERE typeof(a) = 'integer'")}
    items = items_of(file)
    for item in items:
        if isinstance(item, Executed):
            assert item.rowids == tuple(given[p[0]] for p in item.param_sets)
        else:
            assert isinstance(item, Undetermined)
            assert item.tables == ("k",)
    assert any(isinstance(i, Undetermined) for i in items)


def test_writes_of_the_app_between_two_sets_do_not_confuse_the_ids(conn: Any, file: File) -> None:
    """A generator may itself write, into the same table too."""

    def sets() -> Iterator[tuple[str]]:
        for i in range(8):
            if i % 3 == 1:
                conn.execute("INSERT INTO t (a) VALUES (?)", (f"between {i}",))
            if i % 3 == 2:
                conn.execute("INSERT INTO plain VALUES (1, 2)")
            yield (f"set {i}",)

    conn.executemany("INSERT INTO t (a) VALUES (?)", sets())
    conn.commit()
    given = dict(file.rows("SELECT a, id FROM t"))
    carried: dict[str, int] = {}
    for item in items_of(file):
        assert isinstance(item, Executed)
        if item.many:
            carried |= {p[0]: r for p, r in zip(item.param_sets, item.rowids or (), strict=True)}
    assert carried == {a: i for a, i in given.items() if a.startswith("set")}


def test_a_plan_is_forgotten_when_the_schema_changes(conn: Any, file: File) -> None:
    """A trigger of the app, created between two runs of one text, makes row images of the second."""
    from shadow.journal.record import RowImages

    kinds = []
    for ddl in (None, "CREATE TRIGGER w AFTER INSERT ON plain BEGIN UPDATE plain SET b = 1; END", "DROP TRIGGER w"):
        if ddl:
            conn.execute(ddl)
            conn.commit()
        items_of(file)
        for _ in range(2):
            conn.execute("INSERT INTO plain VALUES (1, 2)")
            conn.commit()
            kinds += [type(i) for i in items_of(file)]
    assert kinds == [Executed, Executed, RowImages, RowImages, Executed, Executed]


def test_a_plan_is_forgotten_when_another_process_changes_the_schema(conn: Any, file: File) -> None:
    """The control row's catalog version says so."""
    from shadow import sqlite3 as door
    from shadow.journal.record import RowImages

    conn.execute("INSERT INTO plain VALUES (1, 2)")
    conn.commit()
    other = door.connect(file.path)
    other.execute("CREATE TRIGGER w AFTER INSERT ON plain BEGIN UPDATE plain SET b = 1; END")
    other.commit()
    other.close()
    items_of(file)
    conn.execute("INSERT INTO plain VALUES (1, 2)")
    conn.commit()
    assert [type(i) for i in items_of(file)] == [RowImages]


def test_a_plan_is_forgotten_when_the_connection_changes(conn: Any, file: File) -> None:
    """A TEMP table that hides the app's, and a function in the place of SQLite's own."""
    conn.execute("INSERT INTO plain VALUES (lower('A'), 2)")
    conn.commit()
    assert [type(i).__name__ for i in items_of(file)] == ["Executed"]
    conn.create_function("lower", 1, lambda v: "mine")
    conn.execute("INSERT INTO plain VALUES (lower('A'), 2)")
    conn.commit()
    assert [type(i).__name__ for i in items_of(file)] == ["RowImages"]
    conn.execute("CREATE TEMP TABLE plain (a, b)")
    conn.execute("INSERT INTO plain VALUES (lower('A'), 2)")
    conn.commit()
    assert items_of(file) == []
