"""The journal: what is appended in a transaction is read back in order, whole, and trimmed with care."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from shadow import journal
from shadow.errors import JournalBroken, OriginError
from shadow.journal.record import EpochChanged, Executed, RowImage, RowImages, SchemaChanged, Undetermined


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    conn = sqlite3.connect(tmp_path / "j.db")
    conn.executescript(resources.files("shadow.journal").joinpath("origin.sql").read_text())
    conn.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
    yield conn
    conn.close()


def executed(sql: str = "INSERT INTO t VALUES (1)") -> Executed:
    return Executed(sql, ((1, "x", b"\0", None, 1.5, "\ud800"),), False, 1, (7,), "2026-01-01 00:00:00.000")


def test_every_kind_of_item_comes_back_as_it_was_written(conn: sqlite3.Connection) -> None:
    items = (
        executed(),
        RowImages("sql", (RowImage("t", "I", (1,), (1, "a")), RowImage("t", "D", (2,), None)), "why"),
        Undetermined("sql", ("t",), "why"),
        SchemaChanged("sql", (("table", "t", "t", "CREATE TABLE t (a)"),)),
        EpochChanged(3, "attempt"),
    )
    nonce = journal.append(conn, items)
    conn.commit()
    (record,) = journal.read(conn, 0, 1 << 20)
    assert record.nonce == nonce
    assert record.position == 1
    assert record.items == items
    assert journal.head(conn) == (1, nonce)
    assert journal.nonce_at(conn, 1) == nonce
    assert journal.nonce_at(conn, 2) is None


def test_parts_come_back_as_one_record_at_the_position_of_the_last(conn: sqlite3.Connection) -> None:
    nonce = journal.new_nonce()
    journal.append_part(conn, [executed("a")], nonce=nonce)
    journal.append_part(conn, [executed("b")], nonce=nonce)
    journal.append(conn, [], nonce=nonce)
    journal.append(conn, [executed("c")])
    records = list(journal.read(conn, 0, 1 << 20))
    assert [r.position for r in records] == [3, 4]
    assert [i.sql for i in records[0].items if isinstance(i, Executed)] == ["a", "b"]


def test_reading_stops_after_the_record_that_passes_the_limit(conn: sqlite3.Connection) -> None:
    for _ in range(5):
        journal.append(conn, [executed()])
    assert [r.position for r in journal.read(conn, 0, 1)] == [1]
    assert [r.position for r in journal.read(conn, 3, 1 << 20)] == [4, 5]


def test_a_gap_in_the_positions_is_an_error_never_skipped(conn: sqlite3.Connection) -> None:
    for _ in range(4):
        journal.append(conn, [executed()])
    conn.execute("DELETE FROM _shadow_journal WHERE position = 2")
    with pytest.raises(JournalBroken, match="position 3 where 2 was due"):
        list(journal.read(conn, 0, 1 << 20))


def test_appending_leaves_last_insert_rowid_alone(conn: sqlite3.Connection) -> None:
    conn.execute("INSERT INTO t (id) VALUES (4711)")
    journal.append(conn, [executed()])
    assert conn.execute("SELECT last_insert_rowid()").fetchone() == (4711,)


def test_the_newest_two_rows_are_never_trimmed(conn: sqlite3.Connection) -> None:
    for _ in range(5):
        journal.append(conn, [executed()])
    assert journal.trim(conn, 100, rows_max=2) == 2
    assert journal.trim(conn, 100) == 1
    assert journal.trim(conn, 100) == 0
    assert [r.position for r in journal.read(conn, 3, 1 << 20)] == [4, 5]
    with pytest.raises(JournalBroken):
        list(journal.read(conn, 0, 1 << 20))


def test_the_backlog_counts_records_and_names_the_oldest(conn: sqlite3.Connection) -> None:
    assert journal.backlog(conn, 0) == journal.Backlog(0, 0, None)
    with pytest.raises(OriginError):
        journal.head(conn)
    nonces = [journal.append(conn, [executed()]) for _ in range(3)]
    found = journal.backlog(conn, 1)
    assert (found.records, found.oldest_nonce) == (2, nonces[1])
    assert found.size_bytes > 0


def test_a_withdrawn_record_gives_its_position_back(conn: sqlite3.Connection) -> None:
    journal.append(conn, [executed("a")])
    journal.append(conn, [executed("b")])
    journal.withdraw(conn)
    journal.append(conn, [executed("c")])
    assert [r.items[0].sql for r in journal.read(conn, 0, 1 << 20)] == ["a", "c"]  # type: ignore[union-attr]


def test_a_nonce_carries_the_time_it_was_made() -> None:
    import time

    nonce = journal.new_nonce()
    assert len(nonce) == 12
    assert abs(journal.nonce_time(nonce) - time.time()) < 60
