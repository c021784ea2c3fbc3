"""Which side a statement goes to, with real control records on both sides and connections that stay open."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

import shadow
from shadow import sqlite3 as door
from shadow.config import Settings
from shadow.flag import control
from shadow.flag.control import ControlRecord, State
from shadow.flag.hint import HintState, write_hint
from shadow.flag.setup import init_pair
from shadow.postgres.pool import close_pools
from shadow.reverse import capture
from shadow.shim.remote.schema import forget_schemas
from shadow.types import Side


class Pair:
    """A pair whose flag the test turns by hand."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.epoch = 1

    def target(self) -> Any:
        conn = psycopg2.connect(self.settings.database_url)
        conn.autocommit = True
        return conn

    def write_target(self, primary: Side, state: State, attempt: str) -> None:
        conn = self.target()
        record = ControlRecord(self.epoch, attempt, primary, state)
        control.write_target(conn.cursor(), self.settings.pg_schema, record)
        conn.close()

    def write_origin(self, primary: Side, state: State, attempt: str) -> None:
        conn = sqlite3.Connection(self.settings.sqlite_path, isolation_level=None)
        control.write_origin(conn, ControlRecord(self.epoch, attempt, primary, state), guard=False)
        conn.close()

    def hint(self, state: HintState, draining_for: float = 0.0) -> None:
        until = time.time() + draining_for if draining_for else 0.0
        write_hint(self.settings.hint_path, state, draining_until=until)

    def switch(self, primary: Side, *, hint: bool = True) -> None:
        """The flag as a finished switch leaves it."""
        self.epoch += 1
        attempt = f"a{self.epoch}"
        for write in (self.write_origin, self.write_target):
            write(primary, State.ACTIVE, attempt)
        if hint:
            self.hint(HintState(1 if primary is Side.SQLITE else 2))

    def count(self, side: Side) -> int:
        if side is Side.SQLITE:
            conn: Any = sqlite3.Connection(self.settings.sqlite_path)
            found = conn.execute("SELECT count(*) FROM t").fetchone()[0]
        else:
            conn = self.target()
            cursor = conn.cursor()
            cursor.execute(f'SELECT count(*) FROM "{self.settings.pg_schema}".t')
            found = cursor.fetchone()[0]
        conn.close()
        return int(found)


@pytest.fixture
def make_pair(pg_dsn: str, sqlite_path: Path) -> Iterator[Callable[..., Pair]]:
    def make(**settings: Any) -> Pair:
        conn = sqlite3.Connection(sqlite_path)
        conn.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, at TEXT DEFAULT CURRENT_TIMESTAMP)")
        conn.close()
        made = shadow.configure(sqlite_path=sqlite_path, database_url=pg_dsn, switch_wait_seconds=5, **settings)
        init_pair(made, prepare_target=capture.install)
        return Pair(made)

    yield make
    close_pools()
    forget_schemas()


@pytest.fixture
def pair(make_pair: Callable[..., Pair]) -> Pair:
    return make_pair()


@pytest.fixture
def conn(pair: Pair) -> Iterator[Any]:
    conn = door.connect(pair.settings.sqlite_path, timeout=2)
    yield conn
    conn.close()


@pytest.mark.parametrize("hint", [True, False])
def test_a_connection_goes_over_and_comes_back_without_noticing(pair: Pair, conn: Any, hint: bool) -> None:
    """With `hint` False the hint still says "sqlite", or "postgres" on the way back: the authority decides."""
    conn.execute("INSERT INTO t (a) VALUES ('one')")
    conn.commit()
    pair.switch(Side.POSTGRES, hint=hint)
    cursor = conn.execute("INSERT INTO t (a) VALUES (?)", ("two",))
    assert conn.in_transaction
    assert cursor.rowcount == 1
    conn.commit()
    assert not conn.in_transaction
    assert (pair.count(Side.SQLITE), pair.count(Side.POSTGRES)) == (1, 1)
    pair.hint(HintState.POSTGRES)
    assert [r[0] for r in conn.execute("SELECT a FROM t")] == ["two"]
    pair.switch(Side.SQLITE, hint=hint)
    with conn:
        conn.execute("INSERT INTO t (a) VALUES ('three')")
    assert (pair.count(Side.SQLITE), pair.count(Side.POSTGRES)) == (2, 1)


@pytest.mark.parametrize("text", ["INSERT INTO t (a) VALUES ('x')", "UPDATE t SET a = 'y'", "BEGIN IMMEDIATE"])
def test_in_autocommit_each_write_asks_under_the_lock(pair: Pair, conn: Any, text: str) -> None:
    conn.isolation_level = None
    pair.switch(Side.POSTGRES, hint=False)
    conn.execute(text)
    if conn.in_transaction:
        conn.execute("INSERT INTO t (a) VALUES ('x')")
        conn.execute("COMMIT")
    assert pair.count(Side.SQLITE) == 0


def test_executemany_goes_over(pair: Pair, conn: Any) -> None:
    pair.switch(Side.POSTGRES, hint=False)
    conn.executemany("INSERT INTO t (a) VALUES (?)", ((str(i),) for i in range(10)))
    conn.commit()
    assert (pair.count(Side.SQLITE), pair.count(Side.POSTGRES)) == (0, 10)
    pair.switch(Side.SQLITE, hint=False)
    pair.hint(HintState.POSTGRES)
    conn.executemany("INSERT INTO t (a) VALUES (?)", ((str(i),) for i in range(5)))
    conn.commit()
    assert (pair.count(Side.SQLITE), pair.count(Side.POSTGRES)) == (5, 10)


def test_a_transaction_that_has_read_here_meets_a_lock_and_can_be_tried_again(pair: Pair, conn: Any) -> None:
    conn.execute("BEGIN")
    conn.execute("SELECT * FROM t").fetchall()
    pair.switch(Side.POSTGRES)
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        conn.execute("INSERT INTO t (a) VALUES ('x')")
    conn.rollback()
    conn.execute("INSERT INTO t (a) VALUES ('x')")
    conn.commit()
    assert (pair.count(Side.SQLITE), pair.count(Side.POSTGRES)) == (0, 1)


def test_a_transaction_that_has_done_nothing_yet_moves(pair: Pair, conn: Any) -> None:
    conn.execute("BEGIN")
    pair.switch(Side.POSTGRES)
    conn.execute("INSERT INTO t (a) VALUES ('x')")
    assert conn.in_transaction
    conn.execute("INSERT INTO t (a) VALUES ('y')")
    conn.execute("ROLLBACK")
    assert (pair.count(Side.SQLITE), pair.count(Side.POSTGRES)) == (0, 0)


def test_new_transactions_wait_while_a_switch_is_announced(pair: Pair, conn: Any) -> None:
    pair.hint(HintState.ASK, draining_for=30)
    done = threading.Event()

    def write() -> None:
        own = door.connect(pair.settings.sqlite_path, timeout=0)
        with own:
            own.execute("INSERT INTO t (a) VALUES ('waited')")
        own.close()
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    assert not done.wait(0.3)
    assert conn.execute("SELECT count(*) FROM t").fetchone() == (0,)  # reads do not wait
    pair.switch(Side.POSTGRES)
    thread.join(10)
    assert done.is_set()
    assert (pair.count(Side.SQLITE), pair.count(Side.POSTGRES)) == (0, 1)


def test_a_prepared_record_is_settled_by_what_postgres_has_committed(pair: Pair, conn: Any) -> None:
    """Rollback's commit point is PostgreSQL's: whoever comes first finishes SQLite's half."""
    pair.switch(Side.POSTGRES)
    pair.hint(HintState.ASK)
    pair.epoch += 1
    pair.write_origin(Side.SQLITE, State.PREPARED, "back")
    conn.execute("INSERT INTO t (a) VALUES ('still there')")
    conn.commit()
    assert (pair.count(Side.SQLITE), pair.count(Side.POSTGRES)) == (0, 1)
    pair.write_target(Side.SQLITE, State.ACTIVE, "back")
    assert conn.execute("SELECT count(*) FROM t").fetchone() == (0,)
    conn.execute("INSERT INTO t (a) VALUES ('here again')")
    conn.commit()
    assert (pair.count(Side.SQLITE), pair.count(Side.POSTGRES)) == (1, 1)


def test_database_type_sqlite_refuses_to_write_when_postgres_is_primary(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair(database_type="sqlite")
    conn = door.connect(pair.settings.sqlite_path)
    pair.switch(Side.POSTGRES)
    for level in ("", None):
        conn.isolation_level = level
        with pytest.raises(sqlite3.OperationalError, match=r"PostgreSQL is primary .* DATABASE_TYPE=shadow"):
            conn.execute("INSERT INTO t (a) VALUES ('x')")
        assert not conn.in_transaction
    assert conn.execute("SELECT count(*) FROM t").fetchone() == (0,)
    conn.close()


def test_database_type_sqlite_writes_past_the_journal_and_voids_the_proof_each_time(
    make_pair: Callable[..., Pair],
) -> None:
    pair = make_pair(database_type="sqlite")
    conn = door.connect(pair.settings.sqlite_path)
    look = sqlite3.Connection(pair.settings.sqlite_path, isolation_level=None)

    def state() -> Any:
        return look.execute(
            "SELECT (SELECT proof_epoch FROM _shadow_control), (SELECT count(*) FROM _shadow_journal)"
        ).fetchone()

    proof, records = state()
    conn.execute("INSERT INTO t (a) VALUES ('x')")
    assert conn.total_changes == 1
    conn.rollback()
    assert state() == (proof, records)
    for _ in range(3):
        conn.execute("INSERT INTO t (a) VALUES ('x')")
        conn.commit()
    assert state() == (proof + 3, records)
    conn.close()
    look.close()


def test_database_type_postgres_refuses_to_start_while_sqlite_is_primary(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair(database_type="postgres")
    with pytest.raises(sqlite3.OperationalError, match="run `shadow cutover`"):
        door.connect(pair.settings.sqlite_path)
    pair.switch(Side.POSTGRES)
    conn = door.connect(pair.settings.sqlite_path)
    conn.execute("INSERT INTO t (a) VALUES ('x')")
    conn.commit()
    assert (pair.count(Side.SQLITE), pair.count(Side.POSTGRES)) == (0, 1)
    conn.close()


def test_database_type_postgres_starts_a_new_empty_pair_there(pg_dsn: str, tmp_path: Path) -> None:
    settings = shadow.configure(sqlite_path=tmp_path / "new.db", database_url=pg_dsn, database_type="postgres")
    conn = door.connect(settings.sqlite_path)
    conn.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
    conn.execute("INSERT INTO t (a) VALUES ('x')")
    conn.commit()
    assert [tuple(r) for r in conn.execute("SELECT * FROM t")] == [(1, "x")]
    assert Pair(settings).count(Side.POSTGRES) == 1
    conn.close()
    close_pools()
    forget_schemas()


def test_settings_of_a_connection_hold_on_both_sides(pair: Pair, conn: Any) -> None:
    conn.execute("PRAGMA foreign_keys = ON")
    pair.switch(Side.POSTGRES)
    assert conn.execute("PRAGMA foreign_keys").fetchone() == (1,)
    conn.execute("PRAGMA foreign_keys = OFF")
    pair.switch(Side.SQLITE)
    assert conn.execute("PRAGMA foreign_keys").fetchone() == (0,)


@pytest.mark.parametrize("begin", ["", "BEGIN"])
def test_savepoints_in_which_nothing_was_seen_move_with_their_transaction(pair: Pair, conn: Any, begin: str) -> None:
    conn.isolation_level = None
    for sql in (begin, "SAVEPOINT outer", 'SAVEPOINT "in ner"'):
        conn.execute(sql)
    pair.switch(Side.POSTGRES)
    conn.execute("INSERT INTO t (a) VALUES ('gone')")
    conn.execute('ROLLBACK TO "in ner"')
    conn.execute("INSERT INTO t (a) VALUES ('stays')")
    conn.execute("RELEASE OUTER")
    assert conn.in_transaction is bool(begin)
    if begin:
        conn.execute("COMMIT")
    assert conn.execute("SELECT a FROM t").fetchall() == [("stays",)]
    assert (pair.count(Side.SQLITE), pair.count(Side.POSTGRES)) == (0, 1)


def test_a_hint_file_deleted_by_hand_misleads_nobody_for_long(pair: Pair, conn: Any) -> None:
    """A process still maps the file that is gone, which says "sqlite" for ever: a write or a new connection sees it."""
    Path(pair.settings.hint_path).unlink()
    pair.switch(Side.POSTGRES)
    with conn:
        conn.execute("INSERT INTO t (a) VALUES ('x')")
    assert conn.execute("SELECT count(*) FROM t").fetchone()[0] == 1
    Path(pair.settings.hint_path).unlink()
    pair.hint(HintState.POSTGRES)
    fresh = door.connect(pair.settings.sqlite_path)
    assert fresh.execute("SELECT count(*) FROM t").fetchone()[0] == 1
    fresh.close()


def test_a_hint_of_garbage_means_ask(pair: Pair, conn: Any) -> None:
    """Whatever stands in it, the control record decides; the next switch writes it anew."""
    Path(pair.settings.hint_path).write_bytes(b"garbage" * 10)
    pair.switch(Side.POSTGRES, hint=False)
    with conn:
        conn.execute("INSERT INTO t (a) VALUES ('x')")
    fresh = door.connect(pair.settings.sqlite_path)
    assert fresh.execute("SELECT count(*) FROM t").fetchone()[0] == 1
    fresh.close()
    assert (pair.count(Side.SQLITE), pair.count(Side.POSTGRES)) == (0, 1)


@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_executemany_that_comes_back_to_sqlite_writes_each_row_once(pair: Pair, conn: Any, kind: Any) -> None:
    pair.switch(Side.POSTGRES)
    conn.execute("SELECT 1 FROM t")
    pair.switch(Side.SQLITE, hint=False)  # the hint still says "postgres": PostgreSQL itself refuses
    conn.executemany("INSERT INTO t (a) VALUES (?)", kind([("one",), ("two",), ("three",)]))
    conn.commit()
    assert (pair.count(Side.SQLITE), pair.count(Side.POSTGRES)) == (3, 0)


@pytest.mark.parametrize("hint", [True, False])
def test_a_connection_without_autocommit_goes_over_and_comes_back(pair: Pair, hint: bool) -> None:
    """With autocommit=False of Python 3.12 a transaction is always open; one in which nothing has run yet moves."""
    path = pair.settings.sqlite_path
    if sys.version_info < (3, 12):
        assert not hasattr(sqlite3.Connection, "autocommit")
        with pytest.raises(TypeError):
            door.connect(path, autocommit=False)
        return
    conn = door.connect(path, timeout=2, autocommit=False)
    conn.execute("INSERT INTO t (a) VALUES ('one')")
    conn.commit()
    pair.switch(Side.POSTGRES, hint=hint)
    conn.execute("INSERT INTO t (a) VALUES ('lost')")
    conn.rollback()
    conn.execute("INSERT INTO t (a) VALUES ('two')")
    assert conn.in_transaction
    conn.commit()
    assert conn.in_transaction
    assert (pair.count(Side.SQLITE), pair.count(Side.POSTGRES)) == (1, 1)
    pair.hint(HintState.POSTGRES)
    assert [r[0] for r in conn.execute("SELECT a FROM t")] == ["two"]
    conn.commit()
    pair.switch(Side.SQLITE, hint=hint)
    with conn:
        conn.execute("INSERT INTO t (a) VALUES ('three')")
    assert (pair.count(Side.SQLITE), pair.count(Side.POSTGRES)) == (2, 1)
    conn.close()
