"""The autocommit attribute of Python 3.12: every mode leaves a record for each transaction, and looks as without us."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from shadow import sqlite3 as door
from shadow.journal.record import Executed

from .conftest import File

HAS_IT = sys.version_info >= (3, 12)

#: What is done to a connection, and how many records there are afterwards, with autocommit=False and with True.
STEPS: list[tuple[str, tuple[Any, ...], int, int]] = [
    ("execute", ("INSERT INTO plain VALUES (1, 1)",), 0, 1),
    ("executemany", ("INSERT INTO plain VALUES (?, 2)", [(1,), (2,)]), 0, 1),
    ("commit", (), 1, 0),
    ("execute", ("UPDATE plain SET b = 3",), 0, 1),
    ("rollback", (), 0, 0),
    ("__enter__", (), 0, 0),
    ("execute", ("DELETE FROM plain WHERE a = 2",), 0, 1),
    ("__exit__", (None, None, None), 1, 0),
    ("executescript", ("INSERT INTO plain VALUES (7, 7); INSERT INTO plain VALUES (8, 8)",), 0, 2),
    ("execute", ("SAVEPOINT s",), 0, 0),
    ("execute", ("INSERT INTO plain VALUES (9, 9)",), 0, 0),
    ("execute", ("RELEASE s",), 0, 1),
    ("execute", ("CREATE TABLE made (a)",), 0, 1),
    ("commit", (), 1, 0),
]


def seen(conn: Any) -> tuple[Any, ...]:
    rows = conn.execute("SELECT a, b FROM plain ORDER BY a").fetchall()
    return rows, conn.in_transaction, conn.total_changes, conn.autocommit


@pytest.mark.parametrize("value", [False, True])
def test_each_transaction_leaves_one_record(file: File, tmp_path: Path, value: bool) -> None:
    """Step by step beside plain sqlite3."""
    if not HAS_IT:
        assert not hasattr(sqlite3.Connection, "autocommit")
        with pytest.raises(TypeError):
            door.connect(file.path, autocommit=value)
        return
    plain = sqlite3.connect(tmp_path / "plain.db", autocommit=value)  # type: ignore[call-arg]
    plain.execute("CREATE TABLE plain (a, b)")
    plain.commit()
    shim = door.connect(file.path, autocommit=value)
    for method, arguments, records, records_if_true in STEPS:
        for conn in (plain, shim):
            getattr(conn, method)(*arguments)
        assert seen(shim) == seen(plain), (method, arguments)
        assert len(file.records()) == (records_if_true if value else records), (method, arguments)
    plain.close()
    shim.close()


@pytest.mark.parametrize("call", ["commit", "rollback"])
def test_with_autocommit_true_commit_and_rollback_end_nothing(file: File, call: str) -> None:
    """The app's own BEGIN stays open, and so does its record."""
    if not HAS_IT:
        assert not hasattr(sqlite3.Connection, "autocommit")
        return
    conn = door.connect(file.path, autocommit=True)
    conn.execute("BEGIN")
    conn.execute("INSERT INTO plain VALUES (1, 1)")
    getattr(conn, call)()
    assert conn.in_transaction
    conn.execute("INSERT INTO plain VALUES (2, 2)")
    assert file.records() == []
    conn.execute("COMMIT")
    assert [[type(i) for i in record] for record in file.records()] == [[Executed, Executed]]
    conn.close()


def test_leaving_autocommit_false_commits_with_a_record(file: File) -> None:
    """Assigning True commits; so does isolation_level = None; assigning the legacy mode leaves the transaction open."""
    if not HAS_IT:
        assert not hasattr(sqlite3.Connection, "autocommit")
        return
    conn = door.connect(file.path, autocommit=False)
    conn.execute("INSERT INTO plain VALUES (1, 1)")
    conn.autocommit = sqlite3.LEGACY_TRANSACTION_CONTROL  # type: ignore[attr-defined]
    assert conn.in_transaction
    assert file.records() == []
    conn.execute("INSERT INTO plain VALUES (2, 2)")
    conn.autocommit = True
    assert len(file.records()) == 1
    conn.autocommit = False
    conn.execute("INSERT INTO plain VALUES (3, 3)")
    conn.isolation_level = None
    assert len(file.records()) == 1
    conn.execute("INSERT INTO plain VALUES (4, 4)")
    conn.close()
    assert file.records() == []
    assert file.rows("SELECT count(*) FROM plain") == [(3,)]
