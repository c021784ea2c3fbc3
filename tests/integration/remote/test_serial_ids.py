"""Row ids in serial mode are the ones SQLite chooses, also around rows that are skipped; the reference is SQLite."""

from __future__ import annotations

import sqlite3

import pytest

from shadow.shim.remote.session import RemoteSession
from shadow.types import PgMode
from tests.integration.remote.helpers import rows


@pytest.fixture
def mode() -> PgMode:
    return PgMode.SERIAL


@pytest.mark.parametrize("key", ["INTEGER PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT"])
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT OR IGNORE INTO item (a) VALUES ('x')",
        "INSERT OR IGNORE INTO item (a) VALUES ('x'), ('y')",
        "INSERT OR IGNORE INTO item (a) VALUES ('y'), ('x')",
        "INSERT OR IGNORE INTO item (a) VALUES ('y'), ('x'), ('x'), ('q')",
        "INSERT OR IGNORE INTO item (a) SELECT column1 FROM (VALUES ('x'), ('y'), ('x'), ('q'), ('y'), ('r'))",
        "INSERT OR IGNORE INTO item (a) SELECT a FROM item",
        "INSERT OR IGNORE INTO item (id, a) SELECT id + 7, a || 'o' FROM item",
        "INSERT INTO item (a, n) SELECT a, 1 FROM item WHERE true ON CONFLICT (a) DO UPDATE SET n = 2",
        "INSERT INTO item (a) VALUES ('x'), ('y') ON CONFLICT (a) DO NOTHING",
        "INSERT INTO item (a) VALUES ('x'), ('y') ON CONFLICT (a) DO UPDATE SET n = 1",
        "INSERT OR REPLACE INTO item (a) VALUES ('x'), ('y')",
        "INSERT OR REPLACE INTO item (a) VALUES ('x'), ('x')",
    ],
)
def test_a_skipped_or_replaced_row_uses_up_an_id_exactly_where_sqlite_does(
    session: RemoteSession, key: str, statement: str
) -> None:
    origin = sqlite3.connect(":memory:", isolation_level=None)
    script = (
        f"CREATE TABLE item (id {key}, a TEXT UNIQUE NOT NULL, n INTEGER)",
        "INSERT INTO item (a) VALUES ('w'), ('x')",
        statement,
        "INSERT INTO item (a) VALUES ('z')",
    )
    for sql in script:
        there, here = session.execute(sql, ()), origin.execute(sql)
        assert (there.rowcount, there.lastrowid or 0) == (here.rowcount, here.lastrowid or 0)
    query = "SELECT id, a, n FROM item ORDER BY id"
    assert rows(session, query) == origin.execute(query).fetchall()
    origin.close()
