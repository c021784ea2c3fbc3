"""Processes beside each other: one that writes past the journal, one that lives through `remove` and `init`."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from pairing import make_pair

import shadow
from shadow import config
from shadow import sqlite3 as door
from shadow.flag.setup import init_pair, remove_pair
from shadow.journal.record import Executed, RowImages, Undetermined

from .conftest import File


def proof(file: File) -> int:
    return int(file.rows("SELECT proof_epoch FROM _shadow_control")[0][0])


def test_every_transaction_past_the_journal_voids_proof(file: File, caplog: pytest.LogCaptureFixture) -> None:
    """Not only the first one of the process: somebody may have verified in between."""
    config.reset_for_tests()
    shadow.configure(sqlite_path=file.path, database_type="sqlite")
    conn = door.connect(file.path)
    with conn:
        conn.execute("INSERT INTO plain VALUES (1, 1)")
    after_first = proof(file)
    with conn:
        conn.execute("INSERT INTO plain VALUES (2, 2)")
    conn.close()
    assert proof(file) > after_first > 1
    assert file.records() == []
    assert caplog.text.count("journal.bypassed") == 1  # it says so, and not for each write


def test_ddl_past_the_journal_makes_cached_facts_stale(file: File) -> None:
    """A trigger made by a `DATABASE_TYPE=sqlite` process is known to the shadow processes that run already."""
    app = door.connect(file.path)
    with app:
        app.execute("INSERT INTO plain VALUES (1, 1)")
    file.records()
    config.reset_for_tests()  # another process, in effect
    shadow.configure(sqlite_path=file.path, database_type="sqlite")
    other = door.connect(file.path)
    other.execute("CREATE TRIGGER copy AFTER INSERT ON plain BEGIN INSERT INTO keyed VALUES (new.a, new.b); END")
    other.close()
    with app:
        app.execute("INSERT INTO plain VALUES (2, 2)")
    app.close()
    (items,) = file.records()
    assert not any(isinstance(item, Executed) for item in items), items
    assert any(isinstance(item, (RowImages, Undetermined)) for item in items)


def test_facts_do_not_outlive_remove_and_init(sqlite_path: Path, pg_dsn: str) -> None:
    """What was altered while the file was not shadowed is known to a process that has lived through it."""
    pair = make_pair(sqlite_path, pg_dsn, "CREATE TABLE a (id INTEGER PRIMARY KEY, v); CREATE TABLE b (v)")
    shadow.configure(sqlite_path=sqlite_path, database_url=pg_dsn)
    app = door.connect(sqlite_path)
    with app:
        app.execute("INSERT INTO a (v) VALUES (1)")
    remove_pair(pair.settings)
    plain = sqlite3.Connection(sqlite_path)
    plain.execute("CREATE TRIGGER copy AFTER INSERT ON a BEGIN INSERT INTO b VALUES (new.v); END")
    plain.close()
    init_pair(pair.settings)
    with app:
        app.execute("INSERT INTO a (v) VALUES (2)")
    app.close()
    (items,) = File(sqlite_path).records()
    assert not any(isinstance(item, Executed) for item in items), items
