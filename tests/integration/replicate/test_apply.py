"""The applier brings journal records to PostgreSQL in order, once, and sets aside what does not go there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pairing import PAIR, PairForTest, make_pair

from shadow import journal
from shadow.errors import FenceTimeout, JournalBroken, NotPrimary, TargetError
from shadow.journal.record import EpochChanged, Executed, RowImage, RowImages, SchemaChanged, Undetermined
from shadow.replicate.applier import Applier, Progress

SCHEMA = """
CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, amount INTEGER);
CREATE TABLE u (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE);
CREATE TABLE plain (body TEXT);
"""


@pytest.fixture
def pair(sqlite_path: Path, pg_dsn: str) -> PairForTest:
    return make_pair(sqlite_path, pg_dsn, SCHEMA)


@pytest.fixture
def applier(pair: PairForTest) -> Iterator[Applier]:
    with closing(Applier(pair.sqlite_path, pair.dsn, PAIR)) as found:
        yield found


def apply(applier: Applier, position: int | None = None) -> Progress:
    with applier.exclusive():
        return applier.apply_to(position)


def test_statements_reach_postgres_with_the_ids_that_sqlite_chose(pair: PairForTest, applier: Applier) -> None:
    with pair.writer() as writer:
        writer.run("INSERT INTO t (name) VALUES ('a')", "INSERT INTO t (name) VALUES ('b')")
        last = writer.run(("UPDATE t SET amount = ? WHERE id = ?", (7, 2)), ("DELETE FROM t WHERE id = ?", (1,)))
    progress = apply(applier)
    assert progress.position == last
    assert progress.statements == 4
    assert progress.groups == 1
    assert progress.groups_redone == 0
    assert pair.pg("SELECT id, name, amount FROM t ORDER BY id") == pair.lite("SELECT id, name, amount FROM t")


def test_nothing_is_applied_twice_and_an_end_reached_is_an_end(pair: PairForTest, applier: Applier) -> None:
    with pair.writer() as writer:
        writer.run("INSERT INTO t (id, name, amount) VALUES (1, 'a', 0)")
        writer.run("UPDATE t SET amount = amount + 1")
    apply(applier)
    again = apply(applier)
    assert again.records == 0
    assert pair.pg("SELECT amount FROM t") == [(1,)]
    with closing(Applier(pair.sqlite_path, pair.dsn, PAIR)) as other:
        assert apply(other).records == 0


def test_apply_stops_at_exactly_the_position_asked_for(pair: PairForTest, applier: Applier) -> None:
    with pair.writer() as writer:
        positions = [writer.run(("INSERT INTO t (name) VALUES (?)", (str(n),))) for n in range(10)]
    assert apply(applier, positions[3]).position == positions[3]
    assert pair.pg("SELECT count(*) FROM t") == [(4,)]
    assert applier.applied()[0] == positions[3]
    assert apply(applier).position == positions[-1]


def test_rows_without_integer_primary_key_keep_their_rowid(pair: PairForTest, applier: Applier) -> None:
    with pair.writer() as writer:
        writer.run("INSERT INTO plain (body) VALUES ('x')", "INSERT INTO plain (body) VALUES ('y')")
        writer.run("DELETE FROM plain WHERE body = 'x'")
    apply(applier)
    assert pair.pg("SELECT _shadow_rowid, body FROM plain") == [(2, "y")]


def test_executemany_is_checked_by_its_sum(pair: PairForTest, applier: Applier) -> None:
    with pair.writer() as writer:
        writer.run(*[("INSERT INTO t (name, amount) VALUES (?, ?)", (f"n{n}", n)) for n in range(5)])
        writer.conn.execute("BEGIN IMMEDIATE")
        cursor = writer.conn.executemany("UPDATE t SET amount = 0 WHERE amount > ?", [(3,), (1,), (100,)])
        assert cursor.rowcount == 3
        writer.commit([Executed("UPDATE t SET amount = 0 WHERE amount > ?", ((3,), (1,), (100,)), True, 3)])
    progress = apply(applier)
    assert progress.groups_redone == 0
    assert pair.pg("SELECT amount FROM t ORDER BY id") == pair.lite("SELECT amount FROM t ORDER BY id")


def test_a_failing_statement_is_isolated_and_makes_its_table_dirty(pair: PairForTest, applier: Applier) -> None:
    """Everything else of the group is applied; the failing statement is named."""
    with pair.writer() as writer:
        writer.run("INSERT INTO u (name) VALUES ('a')")
        apply(applier)
        pair.pg("INSERT INTO u (id, name) VALUES (50, 'taken')")
        writer.run("INSERT INTO t (name) VALUES ('before')")
        bad = writer.run("INSERT INTO u (name) VALUES ('taken')")
        last = writer.run("INSERT INTO t (name) VALUES ('after')")
    before = proof_epoch(pair)
    progress = apply(applier)
    assert progress.position == last
    assert progress.groups_redone == 1
    assert progress.skipped_diverged == 1
    assert pair.pg("SELECT name FROM t ORDER BY id") == [("before",), ("after",)]
    assert pair.pg("SELECT position, table_name, kind FROM shadow.divergence") == [(bad, "u", "error")]
    assert pair.pg("SELECT table_name, position FROM shadow.dirty") == [("u", bad)]
    assert proof_epoch(pair) > before


def test_a_row_count_that_differs_is_undone_and_recorded(pair: PairForTest, applier: Applier) -> None:
    with pair.writer() as writer:
        writer.run("INSERT INTO t (name, amount) VALUES ('a', 1)", "INSERT INTO t (name, amount) VALUES ('b', 1)")
        apply(applier)
        pair.pg("UPDATE t SET amount = 2 WHERE name = 'b'")
        writer.run("UPDATE t SET amount = 10 WHERE amount = 1")
    progress = apply(applier)
    assert progress.skipped_diverged == 1
    assert pair.pg("SELECT amount FROM t ORDER BY id") == [(1,), (2,)]
    ((kind, detail),) = pair.pg("SELECT kind, detail FROM shadow.divergence")
    assert kind == "rowcount"
    assert detail == "2 rows on SQLite, 1 on PostgreSQL"


def test_dirt_spreads_and_dirty_tables_are_left_alone(pair: PairForTest, applier: Applier) -> None:
    with pair.writer() as writer:
        writer.run("INSERT INTO t (id, name) VALUES (1, 'a')")
        apply(applier)
        pair.pg("DELETE FROM t")
        writer.run("UPDATE t SET name = 'b'")
        writer.run("INSERT INTO t (id, name) VALUES (2, 'skipped')")
        writer.run("DELETE FROM u WHERE name IN (SELECT name FROM t)")
        writer.run("INSERT INTO plain (body) VALUES ('still applied')")
    progress = apply(applier)
    assert progress.skipped_dirty == 2
    assert pair.pg("SELECT count(*) FROM t") == [(0,)]
    assert sorted(pair.pg("SELECT table_name FROM shadow.dirty")) == [("t",), ("u",)]
    assert pair.pg("SELECT body FROM plain") == [("still applied",)]
    assert len(pair.pg("SELECT 1 FROM shadow.divergence")) == 1


def test_a_value_that_does_not_fit_its_column_is_a_divergence(pair: PairForTest, applier: Applier) -> None:
    with pair.writer() as writer:
        writer.run(("INSERT INTO t (name) VALUES (?)", ("nul \0 inside",)))
        writer.run("INSERT INTO u (name) VALUES ('fine')")
    apply(applier)
    assert pair.pg("SELECT count(*) FROM t") == [(0,)]
    assert pair.pg("SELECT name FROM u") == [("fine",)]
    assert pair.pg("SELECT table_name FROM shadow.dirty") == [("t",)]


def test_row_images_are_applied_by_key_in_order(pair: PairForTest, applier: Applier) -> None:
    with pair.writer() as writer:
        writer.run("INSERT INTO t (id, name, amount) VALUES (1, 'a', 1)", "INSERT INTO t (id, name) VALUES (2, 'b')")
        writer.conn.execute("BEGIN IMMEDIATE")
        writer.conn.execute("UPDATE t SET id = 9, name = 'moved' WHERE id = 1")
        writer.conn.execute("DELETE FROM t WHERE id = 2")
        writer.conn.execute("INSERT INTO t (id, name) VALUES (3, 'c')")
        images = (
            RowImage("t", "U", (1,), (9, "moved", 1)),
            RowImage("t", "D", (2,), None),
            RowImage("t", "I", (3,), (3, "c", None)),
        )
        writer.commit([RowImages("UPDATE t ...", images, "test")])
    apply(applier)
    assert pair.pg("SELECT id, name, amount FROM t ORDER BY id") == pair.lite("SELECT * FROM t ORDER BY id")
    assert pair.pg("SELECT count(*) FROM shadow.dirty") == [(0,)]


def test_an_undetermined_write_makes_its_tables_dirty(pair: PairForTest, applier: Applier) -> None:
    with pair.writer() as writer:
        writer.commit([Undetermined("VACUUM", ("plain",), "rowids may have changed")])
        apply(applier)
        assert pair.pg("SELECT table_name FROM shadow.dirty") == [("plain",)]
        writer.commit([Undetermined("SELECT f()", (), "anything")])
        apply(applier)
    assert sorted(pair.pg("SELECT table_name FROM shadow.dirty")) == [("plain",), ("t",), ("u",)]


def test_ddl_changes_tables_and_catalog_in_one_transaction(pair: PairForTest, applier: Applier) -> None:
    before = pair.pg("SELECT version FROM shadow.catalog_version")[0][0]
    with pair.writer() as writer:
        writer.run("INSERT INTO t (name) VALUES ('old')")
        writer.conn.execute("BEGIN IMMEDIATE")
        writer.conn.execute("ALTER TABLE t ADD COLUMN note TEXT")
        writer.commit([SchemaChanged("ALTER TABLE t ADD COLUMN note TEXT", writer.objects())])
        writer.run("UPDATE t SET note = 'x'")
        writer.conn.execute("BEGIN IMMEDIATE")
        writer.conn.execute("CREATE TABLE fresh (id INTEGER PRIMARY KEY, a TEXT)")
        writer.commit([SchemaChanged("CREATE TABLE fresh (id INTEGER PRIMARY KEY, a TEXT)", writer.objects())])
        writer.run("INSERT INTO fresh (a) VALUES ('y')")
    progress = apply(applier)
    assert progress.groups == 1
    assert progress.groups_redone == 0
    assert pair.pg("SELECT name, note FROM t") == [("old", "x")]
    assert pair.pg("SELECT id, a FROM fresh") == [(1, "y")]
    assert pair.pg("SELECT version FROM shadow.catalog_version")[0][0] == before + 2


def test_sequences_stay_ahead_of_the_ids(pair: PairForTest, applier: Applier) -> None:
    """What SQLite numbered next, PostgreSQL numbers next, also when the last rows are gone again."""
    with pair.writer() as writer:
        writer.run("INSERT INTO u (id, name) VALUES (40, 'a')", "INSERT INTO u (name) VALUES ('b')")
        writer.run("DELETE FROM u WHERE id = 41")
    apply(applier)
    assert pair.pg("INSERT INTO u (name) VALUES ('next') RETURNING id") == [(42,)]


def test_another_nonce_at_the_applied_position_stops_the_apply(pair: PairForTest, applier: Applier) -> None:
    """Power loss with synchronous=NORMAL: the last positions are used a second time, for other writes."""
    with pair.writer() as writer:
        writer.run("INSERT INTO t (name) VALUES ('kept')")
        last = writer.run("INSERT INTO t (name) VALUES ('lost')")
        apply(applier)
        writer.conn.execute("DELETE FROM _shadow_journal WHERE position = ?", (last,))
        writer.conn.execute("DELETE FROM t WHERE name = 'lost'")
        assert writer.run("INSERT INTO t (name) VALUES ('other')") == last
    before = proof_epoch(pair)
    with pytest.raises(JournalBroken, match=f"position {last} .*other nonce"):
        apply(applier)
    assert proof_epoch(pair) == before + 1
    with pytest.raises(JournalBroken):
        apply(applier)
    assert proof_epoch(pair) == before + 1
    assert pair.pg("SELECT name FROM t ORDER BY id") == [("kept",), ("lost",)]


def test_a_journal_that_ends_before_the_applied_position_stops_the_apply(pair: PairForTest, applier: Applier) -> None:
    with pair.writer() as writer:
        writer.run("INSERT INTO t (name) VALUES ('a')")
        last = writer.run("INSERT INTO t (name) VALUES ('b')")
        apply(applier)
        writer.conn.execute("DELETE FROM _shadow_journal WHERE position = ?", (last,))
    with pytest.raises(JournalBroken, match="restored or lost its last commits"):
        apply(applier)


def test_an_older_copy_moved_into_the_files_place_is_noticed(pair: PairForTest, applier: Applier) -> None:
    """The applier's open connection would go on reading the file that is gone."""
    copy = pair.sqlite_path.with_name("copy.db")
    with pair.writer() as writer:
        writer.run("INSERT INTO t (name) VALUES ('a')")
        apply(applier)
        with closing(sqlite3.connect(copy)) as target:
            writer.conn.backup(target)
        writer.run("INSERT INTO t (name) VALUES ('b')")
        apply(applier)
    for leftover in ("-wal", "-shm"):
        Path(f"{pair.sqlite_path}{leftover}").unlink(missing_ok=True)
    copy.replace(pair.sqlite_path)
    with pytest.raises(JournalBroken, match="restored or lost its last commits"):
        apply(applier)


def test_a_gap_in_the_journal_stops_the_apply(pair: PairForTest, applier: Applier) -> None:
    with pair.writer() as writer:
        first = writer.run("INSERT INTO t (name) VALUES ('a')")
        apply(applier)
        gone = writer.run("INSERT INTO t (name) VALUES ('b')")
        writer.run("INSERT INTO t (name) VALUES ('c')")
        writer.conn.execute("DELETE FROM _shadow_journal WHERE position = ?", (gone,))
    with pytest.raises(JournalBroken, match="continues at position"):
        apply(applier)
    assert applier.applied()[0] == first


def test_two_appliers_exclude_each_other(pair: PairForTest, applier: Applier) -> None:
    with applier.exclusive(), closing(Applier(pair.sqlite_path, pair.dsn, PAIR)) as other:
        with applier.exclusive():
            applier.apply_to()  # its holder may enter again
        with pytest.raises(FenceTimeout), other.exclusive(wait_seconds=0.1):
            raise AssertionError("two held the lock")
    with closing(Applier(pair.sqlite_path, pair.dsn, PAIR)) as other, other.exclusive(wait_seconds=5):
        pass


def test_nothing_is_applied_while_postgres_is_primary(pair: PairForTest, applier: Applier) -> None:
    pair.pg("UPDATE shadow.control SET primary_side = 'postgres'")
    with pytest.raises(NotPrimary):
        apply(applier)


def test_without_backfill_there_is_nothing_to_go_on_from(pair: PairForTest, applier: Applier) -> None:
    pair.pg("DELETE FROM shadow.applied")
    with pytest.raises(TargetError, match="shadow backfill"):
        apply(applier)


def test_a_change_of_epoch_is_noted_and_changes_nothing(pair: PairForTest, applier: Applier) -> None:
    with pair.writer() as writer:
        writer.conn.execute("BEGIN IMMEDIATE")
        writer.conn.execute("UPDATE _shadow_control SET epoch = epoch + 2")
        writer.commit([EpochChanged(3, "attempt")])
    apply(applier)
    assert pair.pg("SELECT epoch FROM shadow.applied") == [(3,)]
    pair.lite("UPDATE _shadow_control SET epoch = 1")
    with pytest.raises(JournalBroken, match="older copy"):
        apply(applier)


def test_a_lost_session_is_opened_again(pair: PairForTest, applier: Applier) -> None:
    with pair.writer() as writer:
        writer.run("INSERT INTO t (name) VALUES ('a')")
        apply(applier)
        writer.run("INSERT INTO t (name) VALUES ('b')")
        pair.pg(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'shadow apply' AND datname = current_database()"
        )
        with pytest.raises(TargetError, match="tried again"):
            apply(applier)
        apply(applier)
    assert pair.pg("SELECT name FROM t ORDER BY id") == [("a",), ("b",)]


def test_many_small_transactions_go_in_few_groups(pair: PairForTest, applier: Applier) -> None:
    with pair.writer() as writer:
        writer.conn.execute("PRAGMA synchronous=OFF")
        for n in range(500):
            writer.run(("INSERT INTO t (name, amount) VALUES (?, ?)", (f"name {n}", n)))
    progress = apply(applier)
    assert progress.records == 500
    assert progress.groups == 1
    assert pair.pg("SELECT count(*), sum(amount) FROM t") == [(500, sum(range(500)))]


def test_a_budget_ends_between_groups(pair: PairForTest, applier: Applier) -> None:
    with pair.writer() as writer:
        writer.conn.execute("PRAGMA synchronous=OFF")
        body = "x" * 600_000
        for _ in range(6):
            last = writer.run(("INSERT INTO plain (body) VALUES (?)", (body,)))
    with applier.exclusive():
        progress = applier.apply_to(budget_seconds=0.0)
        assert not progress.complete
        assert progress.groups == 1
        assert applier.apply_to().position == last


def test_the_sqlite_file_keeps_its_write_lock_free(pair: PairForTest, applier: Applier) -> None:
    with pair.writer() as writer, closing(sqlite3.connect(pair.sqlite_path, timeout=0)) as app:
        writer.run("INSERT INTO t (name) VALUES ('a')")
        app.execute("BEGIN IMMEDIATE")
        apply(applier)
        app.rollback()
        assert journal.head(app)[0] == applier.applied()[0]


def proof_epoch(pair: PairForTest) -> int:
    rows = pair.pg("SELECT proof_epoch FROM shadow.proof")
    return int(rows[0][0]) if rows else 0
