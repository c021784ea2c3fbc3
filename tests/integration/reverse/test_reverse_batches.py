"""Changes made in PostgreSQL arrive in SQLite exactly, in whatever order transactions commit."""

from __future__ import annotations

import sqlite3
import threading

import psycopg2
import pytest
from flagging import FlagPair
from psycopg2.extensions import connection as PgConnection

from shadow.reverse import changes
from shadow.reverse.applier import ReverseApplier
from shadow.values.codec import Mixed


def execute(conn: PgConnection, sql: str) -> None:
    with conn.cursor() as cursor:
        cursor.execute(sql)


def test_inserts_updates_and_deletes_arrive(pair: FlagPair, reverse: ReverseApplier) -> None:
    """The plain case, over two batches."""
    pair.write("INSERT INTO account (id, owner, balance) VALUES (1, 'ann', 5), (2, 'bob', 7)")
    assert reverse.run_once() == 2
    pair.same("account", "id, owner, balance")
    pair.write("UPDATE account SET balance = balance + 1 WHERE id = 1", "DELETE FROM account WHERE id = 2")
    assert reverse.run_once() == 2
    assert pair.same("account", "id, owner, balance") == [(1, "ann", 6)]
    assert reverse.run_once() == 0


def test_a_transaction_that_began_first_and_commits_last_is_not_missed(pair: FlagPair, reverse: ReverseApplier) -> None:
    """`id > last` would miss it: its change has the smaller id and becomes visible after the batch."""
    early = pair.connect()
    pair.enter(early)
    execute(early, "INSERT INTO account (id, owner) VALUES (1, 'early')")
    pair.write("INSERT INTO account (id, owner) VALUES (2, 'late')")
    assert reverse.run_once() == 1
    assert pair.origin("SELECT id FROM account") == [(2,)]
    early.commit()
    early.close()
    assert reverse.run_once() == 1
    pair.same("account", "id, owner, balance")


def test_batches_cut_by_xmin_would_apply_an_old_image_last(pair: FlagPair, reverse: ReverseApplier) -> None:
    """The trap of `xid < xmin ORDER BY id`: the older transaction writes the row last; SQLite would end at 10."""
    pair.write("INSERT INTO account (id, owner, balance) VALUES (1, 'ann', 0)")
    reverse.run_once()
    older, long = pair.connect(), pair.connect()
    older.set_session(isolation_level=psycopg2.extensions.ISOLATION_LEVEL_READ_COMMITTED)
    pair.enter(older)
    execute(older, "INSERT INTO log (id, text) VALUES (1, 'takes a transaction number')")
    pair.enter(long)
    execute(long, "INSERT INTO log (id, text) VALUES (2, 'holds xmin back')")
    pair.write("UPDATE account SET balance = 10 WHERE id = 1")
    execute(older, "UPDATE account SET balance = 20 WHERE id = 1")
    older.commit()
    assert reverse.run_once() == 3, "a long transaction does not hold back what others have committed"
    assert pair.same("account", "id, balance") == [(1, 20)]
    long.commit()
    reverse.run_once()
    assert pair.same("account", "id, balance") == [(1, 20)]
    pair.same("log", "id, text")
    older.close()
    long.close()


def test_values_swapped_between_rows_do_not_meet(pair: FlagPair, reverse: ReverseApplier) -> None:
    """Net effect, deletes first: no order of single updates could swap a unique value."""
    pair.write("INSERT INTO account (id, owner) VALUES (1, 'ann'), (2, 'bob'), (3, 'cec')")
    reverse.run_once()
    pair.write(
        "UPDATE account SET owner = 'tmp' WHERE id = 1",
        "UPDATE account SET owner = 'ann' WHERE id = 2",
        "UPDATE account SET owner = 'bob' WHERE id = 1",
    )
    reverse.run_once()
    assert pair.same("account", "id, owner") == [(1, "bob"), (2, "ann"), (3, "cec")]


def test_keys_may_move(pair: FlagPair, reverse: ReverseApplier) -> None:
    """A changed key leaves no row behind, also when another row takes the old key in the same batch."""
    pair.write(
        "INSERT INTO account (id, owner) VALUES (1, 'ann'), (2, 'bob')",
        "INSERT INTO place (country, city, note) VALUES ('at', 'wien', 'a'), ('de', 'köln', 'b')",
    )
    reverse.run_once()
    pair.write(
        "UPDATE account SET id = 10 WHERE id = 1",
        "UPDATE account SET id = 1 WHERE id = 2",
        "UPDATE place SET city = 'graz' WHERE country = 'at'",
        "UPDATE place SET country = 'at', city = 'wien' WHERE country = 'de'",
    )
    reverse.run_once()
    assert pair.same("account", "id, owner") == [(1, "bob"), (10, "ann")]
    assert pair.same("place", "country, city, note", "2") == [("at", "graz", "a"), ("at", "wien", "b")]


def test_truncate_is_seen_although_it_fires_no_row_trigger(pair: FlagPair, reverse: ReverseApplier) -> None:
    """Rows before it go, rows after it stay."""
    pair.write("INSERT INTO account (id, owner) VALUES (1, 'ann')")
    reverse.run_once()
    pair.write(
        "INSERT INTO account (id, owner) VALUES (2, 'bob')",
        "TRUNCATE account",
        "INSERT INTO account (id, owner) VALUES (3, 'cec')",
    )
    reverse.run_once()
    assert pair.same("account", "id, owner") == [(3, "cec")]


def test_autoincrement_does_not_give_an_id_again(pair: FlagPair, reverse: ReverseApplier) -> None:
    """The id of a row that came and went within one batch is still used up."""
    pair.write("INSERT INTO account (id, owner) VALUES (41, 'ann')", "DELETE FROM account WHERE id = 41")
    reverse.run_once()
    assert pair.origin("SELECT seq FROM sqlite_sequence WHERE name = 'account'") == [(41,)]


def test_the_apps_triggers_do_not_fire_again(pair: FlagPair, reverse: ReverseApplier) -> None:
    """What the trigger did in PostgreSQL was captured by itself; here it is parked."""
    pair.write("INSERT INTO kind (_shadow_rowid, t) VALUES (1, 'x')", "INSERT INTO log (id, text) VALUES (1, 'new x')")
    reverse.run_once()
    pair.same("log", "id, text")


def test_every_value_comes_back_as_it_was(pair: FlagPair, reverse: ReverseApplier) -> None:
    """Types and bits: whole floats, negative zero, infinity, 64-bit limits, blobs, quotes, mixed columns."""
    rows = [
        (1, 9223372036854775807, 1.0, 'O\'Neill \\ "x"\n€', b"\x00\xff\\x", True, Mixed(5), Mixed("5")),
        (2, -9223372036854775808, -0.0, "", b"", False, Mixed(5.0), Mixed(b"\x01")),
        (3, None, 1e300, None, None, None, None, None),
        (4, 0, float("inf"), "\\x41", b"\\x41", True, Mixed("text"), Mixed(-0.0)),
        (5, 1, 0.1 + 0.2, "null", b"null", False, Mixed(2**53 + 1), Mixed(1e22)),
        (6, 1, 5e-324, "1", b"1", False, Mixed(0.1), Mixed(float("-inf"))),
    ]
    conn = pair.connect()
    pair.enter(conn)
    with conn.cursor() as cursor:
        for row in rows:
            cursor.execute(
                "INSERT INTO kind (_shadow_rowid, i, r, t, b, o, n, x) VALUES (%s,%s,%s,%s,%s,%s,%s,%s)", row
            )
    conn.commit()
    conn.close()
    assert reverse.run_once() == len(rows)
    want = [tuple(v.value if isinstance(v, Mixed) else int(v) if isinstance(v, bool) else v for v in r) for r in rows]
    got = pair.origin("SELECT rowid, i, r, t, b, o, n, x FROM kind ORDER BY rowid")
    # SQLite's own doing, as with the app's own insert: NUMERIC turns 5.0 into 5, REAL loses the sign of zero.
    want[1] = (*want[1][:2], 0.0, *want[1][3:6], 5, want[1][7])
    assert [[(type(v), repr(v)) for v in row] for row in got] == [[(type(v), repr(v)) for v in row] for row in want]


def test_a_batch_larger_than_memory_allows_is_streamed(
    pair: FlagPair, reverse: ReverseApplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same result through the server-side cursor, with swaps across its fetches."""
    monkeypatch.setattr(changes, "CHANGES_IN_MEMORY_MAX", 10)
    pair.write("INSERT INTO account (id, owner) SELECT g, 'o' || g FROM generate_series(1, 100) g")
    assert reverse.run_once() == 100
    pair.write(
        "UPDATE account SET owner = '-' || owner",
        "UPDATE account SET owner = 'o' || (101 - id)",
        "DELETE FROM account WHERE id % 7 = 0",
    )
    reverse.run_once()
    pair.same("account", "id, owner, balance")


def test_changes_are_forgotten_only_when_sqlite_has_them(pair: FlagPair, reverse: ReverseApplier) -> None:
    """What is not in the committed snapshot stays in shadow.change."""
    pair.write("INSERT INTO account (id, owner) VALUES (1, 'ann')")
    open_one = pair.connect()
    pair.enter(open_one)
    execute(open_one, "INSERT INTO account (id, owner) VALUES (2, 'bob')")
    reverse.run_once()
    open_one.commit()
    open_one.close()
    assert pair.target("SELECT count(*) FROM shadow.change") == [(1,)]
    reverse.run_once()
    assert pair.target("SELECT count(*) FROM shadow.change") == [(0,)]


def test_the_appliers_own_session_is_not_captured(pair: FlagPair) -> None:
    """Neither direction's writes echo."""
    pair.write(
        "SET LOCAL shadow.applier = 'on'", "INSERT INTO account (id, owner) VALUES (1, 'ann')", "TRUNCATE account"
    )
    assert pair.target("SELECT count(*) FROM shadow.change") == [(0,)]


def test_nothing_is_captured_while_sqlite_is_primary(pair: FlagPair) -> None:
    """The triggers ask the control record in the writing transaction."""
    pair.write("UPDATE shadow.control SET primary_side = 'sqlite'", "INSERT INTO account (id, owner) VALUES (1, 'ann')")
    assert pair.target("SELECT count(*) FROM shadow.change") == [(0,)]


def test_a_plain_writer_on_the_file_is_refused_and_the_applier_is_not(pair: FlagPair, reverse: ReverseApplier) -> None:
    """The guard is in the database itself, and on again after each batch."""
    pair.write("INSERT INTO account (id, owner) VALUES (1, 'ann')")
    reverse.run_once()
    conn = sqlite3.connect(pair.settings.sqlite_path)
    for sql in (
        "INSERT INTO account (owner) VALUES ('x')",
        "UPDATE account SET balance = 1",
        "DELETE FROM account",
        "INSERT OR IGNORE INTO place VALUES ('a', 'b', 'c')",
        "REPLACE INTO kind (i) VALUES (1)",
    ):
        with pytest.raises(sqlite3.IntegrityError, match="PostgreSQL is primary"):
            conn.execute(sql)
    conn.close()


def test_concurrent_writers_and_the_applier_end_equal(pair: FlagPair, reverse: ReverseApplier) -> None:
    """Four writers on the same rows, batches taken all the while; afterwards both sides are the same."""
    pair.write("INSERT INTO account (id, owner) SELECT g, 'o' || g FROM generate_series(1, 5) g")
    failures: list[BaseException] = []

    def writer(seed: int) -> None:
        conn = pair.connect()
        try:
            for n in range(60):
                row = (seed * 7 + n * 3) % 5 + 1
                try:
                    pair.enter(conn)
                    execute(conn, f"UPDATE account SET balance = balance + {n} WHERE id = {row}")
                    execute(conn, f"INSERT INTO log (id, text) VALUES ({seed * 1000 + n}, 'w')")
                    if n % 5 == 0:
                        execute(conn, f"DELETE FROM log WHERE id = {seed * 1000 + n - 3}")
                    conn.commit()
                except psycopg2.errors.SerializationFailure:
                    conn.rollback()
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            conn.close()

    threads = [threading.Thread(target=writer, args=(seed,)) for seed in range(1, 5)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        reverse.run_once()
    for thread in threads:
        thread.join()
    reverse.run_once()
    assert not failures
    assert pair.same("account", "id, owner, balance")
    assert pair.same("log", "id, text")
