"""The app cannot tell: any sequence of statements looks the same with and without the shim, and replaying what was
recorded gives the same rows."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import shadow
from shadow import config, journal
from shadow import sqlite3 as door
from shadow.flag.hint import HintState, write_hint
from shadow.shim import routing

from .conftest import NO_SERVER, initialise
from .replay import Replica, content

SCHEMA = """
CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT UNIQUE, n INTEGER DEFAULT 7);
CREATE TABLE stamped (id INTEGER PRIMARY KEY, at TEXT DEFAULT CURRENT_TIMESTAMP, d TEXT DEFAULT (date('now')));
CREATE TABLE plain (a, b);
CREATE TABLE keyed (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
CREATE TABLE watched (id INTEGER PRIMARY KEY, a);
CREATE TABLE log (what, who, counted);
CREATE TRIGGER watch AFTER INSERT ON watched BEGIN
    INSERT INTO log VALUES ('insert', new.id, changes());
    UPDATE watched SET a = a || '!' WHERE id = new.id;
END;
CREATE TRIGGER watch_d BEFORE DELETE ON watched BEGIN
    INSERT INTO log VALUES ('delete', old.id, last_insert_rowid());
END;
CREATE VIEW shown AS SELECT id, a FROM watched;
CREATE TRIGGER shown_i INSTEAD OF INSERT ON shown BEGIN INSERT INTO watched (a) VALUES (new.a); END;
CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE child (id INTEGER PRIMARY KEY, p INTEGER REFERENCES parent ON DELETE CASCADE);
CREATE TABLE noise (id INTEGER PRIMARY KEY, n DEFAULT (random()));
CREATE TABLE lenient (a INTEGER UNIQUE ON CONFLICT REPLACE, b);
"""

#: What a step does: a method of the connection and its arguments.
STEPS: list[tuple[str, tuple[Any, ...]]] = [
    ("execute", ("INSERT INTO t (a) VALUES ('x')",)),
    ("execute", ("INSERT INTO t (a, n) VALUES (?, ?)", ("y", 2))),
    ("execute", ("INSERT INTO t (a, n) VALUES (:a, :n)", {"a": "z", "n": None})),
    ("execute", ("INSERT OR IGNORE INTO t (a) VALUES ('x')",)),
    ("execute", ("INSERT OR REPLACE INTO t (a, n) VALUES ('x', 9)",)),
    ("execute", ("INSERT OR ROLLBACK INTO t (a) VALUES ('x')",)),
    ("execute", ("INSERT OR FAIL INTO t (a) VALUES ('p'), ('x'), ('q'), ('x')",)),
    ("execute", ("INSERT INTO t (a) VALUES ('m1'), ('m2')",)),
    ("execute", ("INSERT INTO t (a) SELECT a || '+' FROM t WHERE n > 1",)),
    ("execute", ("INSERT INTO t (a) VALUES ('r') RETURNING id, a",)),
    ("execute", ("INSERT INTO t (a) VALUES ('u') ON CONFLICT (a) DO UPDATE SET n = n + 1",)),
    ("execute", ("WITH w AS (SELECT 'with' AS a) INSERT INTO t (a) SELECT a FROM w",)),
    ("execute", ("UPDATE t SET n = n + 1",)),
    ("execute", ("UPDATE OR IGNORE t SET a = 'x' WHERE a > 'a'",)),
    ("execute", ("UPDATE t SET n = changes()",)),
    ("execute", ("UPDATE noise SET n = random() % 100 WHERE id = 1",)),
    ("execute", ("INSERT INTO noise DEFAULT VALUES",)),
    ("execute", ("DELETE FROM t WHERE a = 'y'",)),
    ("execute", ("DELETE FROM t",)),
    ("execute", ("INSERT INTO stamped DEFAULT VALUES",)),
    ("execute", ("INSERT INTO stamped (at) VALUES (datetime('now', '-1 day'))",)),
    ("execute", ("UPDATE stamped SET d = strftime('%Y', 'now')",)),
    ("execute", ("INSERT INTO plain VALUES (1, 'one')",)),
    ("execute", ("INSERT INTO plain VALUES (x'00ff', 2.5)",)),
    ("execute", ("DELETE FROM plain WHERE a = 1",)),
    ("execute", ("REPLACE INTO keyed VALUES ('k', 1)",)),
    ("execute", ("UPDATE keyed SET k = k || 'k' WHERE v = 1",)),
    ("execute", ("INSERT INTO watched (a) VALUES ('w')",)),
    ("execute", ("INSERT INTO shown (a) VALUES ('v')",)),
    ("execute", ("DELETE FROM watched WHERE id % 2",)),
    ("execute", ("INSERT INTO parent (id, name) VALUES (1, 'p')",)),
    ("execute", ("INSERT INTO child (p) VALUES (1)",)),
    ("execute", ("DELETE FROM parent",)),
    ("execute", ("INSERT INTO lenient VALUES (1, random() % 10)",)),
    ("execute", ("PRAGMA foreign_keys = ON",)),
    ("execute", ("SELECT a, n FROM t ORDER BY id",)),
    ("execute", ("SELECT changes(), last_insert_rowid()",)),
    ("execute", ("SELECT total_changes()",)),
    ("execute", ("SELECT name FROM sqlite_master ORDER BY name",)),
    ("execute", ("SELECT nope FROM t",)),
    ("execute", ("INSERT INTO nowhere VALUES (1)",)),
    ("execute", ("INSERT INTO t (a) VALUES (?)", ())),
    ("execute", ("INSERT INTO t (a) VALUES (?); SELECT 1", ("two",))),
    ("execute", ("BEGIN",)),
    ("execute", ("BEGIN IMMEDIATE",)),
    ("execute", ("COMMIT",)),
    ("execute", ("END TRANSACTION",)),
    ("execute", ("ROLLBACK",)),
    ("execute", ("SAVEPOINT s",)),
    ("execute", ("SAVEPOINT q",)),
    ("execute", ("ROLLBACK TO s",)),
    ("execute", ("ROLLBACK TRANSACTION TO SAVEPOINT q",)),
    ("execute", ("RELEASE s",)),
    ("execute", ("RELEASE SAVEPOINT q",)),
    ("execute", ("CREATE TABLE IF NOT EXISTS extra (id INTEGER PRIMARY KEY, e)",)),
    ("execute", ("CREATE TABLE again (x)",)),
    ("execute", ("DROP TABLE IF EXISTS again",)),
    ("execute", ("INSERT INTO extra (e) VALUES (1)",)),
    # A table into which every INSERT names its columns: whether one that no longer compiles has begun a transaction
    # hangs, in plain sqlite3, on what its statement cache still holds.
    ("execute", ("ALTER TABLE parent ADD COLUMN c DEFAULT 5",)),
    ("execute", ("CREATE TEMP TABLE scratch (a)",)),
    ("execute", ("INSERT INTO scratch VALUES (1), (2)",)),
    ("execute", ("INSERT INTO plain (a) SELECT a FROM scratch",)),
    ("executemany", ("INSERT INTO t (a) VALUES (?)", [("e1",), ("e2",), ("e3",)])),
    ("executemany", ("INSERT INTO t (a) VALUES (?)", [("f1",), ("x",), ("x",), ("f2",)])),
    ("executemany", ("INSERT OR IGNORE INTO t (a) VALUES (?)", [("x",), ("g",)])),
    ("executemany", ("UPDATE t SET n = ? WHERE a = ?", [(1, "x"), (2, "y")])),
    ("executemany", ("INSERT INTO watched (a) VALUES (:a)", [{"a": "n1"}, {"a": "n2"}])),
    ("executemany", ("SELECT 1", [()])),
    ("executescript", ("INSERT INTO plain VALUES (5, 6); BEGIN; DELETE FROM plain WHERE a = 5; COMMIT;",)),
    ("executescript", ("INSERT INTO t (a) VALUES ('script'); SELEC; INSERT INTO t (a) VALUES ('never');",)),
    ("commit", ()),
    ("rollback", ()),
    ("with", ("INSERT INTO plain VALUES (8, 8)",)),
    ("with", ("INSERT INTO t (a) VALUES ('x')",)),
    ("isolation", (None,)),
    ("isolation", ("",)),
    ("isolation", ("EXCLUSIVE",)),
]
_BY_TEXT = {f"{m} {a}": (m, a) for m, a in STEPS}


def look(conn: Any, cursor: Any, method: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Do a step and tell everything the app can see afterwards."""
    try:
        if method in ("commit", "rollback"):
            outcome: Any = getattr(conn, method)()
        elif method == "isolation":
            conn.isolation_level = arguments[0]
            outcome = conn.isolation_level
        elif method == "with":
            with conn:
                outcome = conn.execute(*arguments).rowcount
        else:
            assert getattr(cursor, method)(*arguments) is cursor
            early = cursor.rowcount
            outcome = (early, cursor.fetchall())
    except (sqlite3.Error, sqlite3.Warning) as error:
        outcome = (type(error), str(error), getattr(error, "sqlite_errorname", None))
    return (outcome, cursor.rowcount, cursor.lastrowid, cursor.description, conn.in_transaction, conn.total_changes)


def counters(conn: Any) -> Any:
    return conn.execute("SELECT changes(), last_insert_rowid()").fetchall()


class Both:
    """The same schema twice: shadowed and plain."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "app.db"
        for path in (self.path, directory / "plain.db"):
            made = sqlite3.Connection(path, isolation_level=None)
            made.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;" + SCHEMA)
            made.close()
        initialise(self.path)
        write_hint(str(self.path) + "-shadow-hint", HintState.SQLITE)
        config.reset_for_tests()
        routing._routers.clear()
        shadow.configure(sqlite_path=self.path, database_url=NO_SERVER, sample_rate=0.0)
        self.shim = door.connect(self.path)
        self.plain = sqlite3.Connection(directory / "plain.db")
        for conn in (self.shim, self.plain):
            conn.execute("PRAGMA synchronous=OFF")
        self.replica = Replica(SCHEMA)

    def replayed(self) -> None:
        self.shim.rollback()
        reader = sqlite3.Connection(self.path, isolation_level=None)
        self.replica.apply(r.items for r in journal.read(reader, 2, 1 << 40))
        marked = {t for u in self.replica.undetermined for t in u.tables}
        here, there = content(reader), content(self.replica.conn)
        self.plain.rollback()
        assert here["log"] == content(self.plain)["log"]  # what the app's triggers saw of counters
        reader.close()
        assert {t: rows for t, rows in here.items() if t not in marked} == {
            t: rows for t, rows in there.items() if t not in marked
        }
        assert not any(u.reason.startswith("shim:") for u in self.replica.undetermined)

    def close(self) -> None:
        for conn in (self.shim, self.plain, self.replica.conn):
            conn.close()
        config.reset_for_tests()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(sorted(_BY_TEXT)), min_size=3, max_size=16), st.booleans())
def test_any_sequence_looks_the_same_and_is_recorded_whole(names: list[str], ask_counters: bool) -> None:
    """With `ask_counters`, `changes()` is asked after every step; without, only where a step does."""
    with tempfile.TemporaryDirectory() as directory:
        both = Both(Path(directory))
        try:
            shim_cursor, plain_cursor = both.shim.cursor(), both.plain.cursor()
            for name in names:
                method, arguments = _BY_TEXT[name]
                seen = look(both.shim, shim_cursor, method, arguments)
                expected = look(both.plain, plain_cursor, method, arguments)
                assert seen == expected, name
                if ask_counters:
                    assert counters(both.shim) == counters(both.plain), name
            both.replayed()
        finally:
            both.close()


@pytest.mark.parametrize("name", sorted(_BY_TEXT))
@pytest.mark.parametrize("level", ["", None])
def test_each_step_alone_looks_the_same(name: str, level: str | None, tmp_path: Path) -> None:
    """Every step, in both transaction modes, followed by a commit."""
    both = Both(tmp_path)
    try:
        for conn in (both.shim, both.plain):
            conn.execute("INSERT INTO t (a, n) VALUES ('x', 5)")
            conn.commit()
            conn.isolation_level = level
        shim_cursor, plain_cursor = both.shim.cursor(), both.plain.cursor()
        for method, arguments in (_BY_TEXT[name], ("commit", ()), ("execute", ("SELECT * FROM t WHERE id < 3",))):
            assert look(both.shim, shim_cursor, method, arguments) == look(both.plain, plain_cursor, method, arguments)
        assert counters(both.shim) == counters(both.plain)
        both.replayed()
    finally:
        both.close()
