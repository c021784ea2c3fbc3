"""A step of ours that fails is ours to bear: the app's write stands, and its record says that it is not known."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from shadow.journal.record import Undetermined
from shadow.shim import carry, many

from .conftest import File


def refuse(*_: Any, **__: Any) -> bytes:
    raise ValueError("a step of ours failed")


@pytest.mark.parametrize("sets", [1, 3])
def test_a_record_that_cannot_be_made_does_not_fail_the_write(
    file: File, conn: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, sets: int
) -> None:
    """Every table counts as touched then, so that nothing drifts."""
    monkeypatch.setattr(carry, "encode_executed", refuse)
    monkeypatch.setattr(many, "encode_executed", refuse)
    with conn:
        if sets == 1:
            conn.execute("INSERT INTO t (a) VALUES ('x')")
        else:
            conn.executemany("INSERT INTO t (a) VALUES (?)", [(str(i),) for i in range(sets)])
    assert file.rows("SELECT count(*) FROM t") == [(sets,)]
    (items,) = file.records()
    assert [type(item) for item in items] == [Undetermined]
    assert items[0].tables == ()


def test_a_journal_format_of_the_future_is_refused_clearly_and_leaves_no_lock(
    file: File, conn: sqlite3.Connection
) -> None:
    """In a rolling deploy an old shim must not write records a new agent cannot follow, nor hold the file."""
    raw = file.raw()
    raw.execute("UPDATE _shadow_control SET format = format + 1")
    with pytest.raises(sqlite3.OperationalError, match="upgrade shadow"):
        conn.execute("INSERT INTO t (a) VALUES ('x')")
    assert not conn.in_transaction
    raw.execute("BEGIN IMMEDIATE")
    raw.execute("ROLLBACK")
    raw.close()
