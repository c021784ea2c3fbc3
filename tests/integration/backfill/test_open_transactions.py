"""Transactions that were open, and knew nothing of a journal, when the pair came into being."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import shadow
from shadow import sqlite3
from shadow.backfill import backfill
from shadow.config import Settings
from shadow.errors import OriginError
from shadow.flag import origin_setup
from shadow.flag.setup import init_pair
from shadow.postgres.connect import connect


def test_no_snapshot_is_taken_beside_an_open_write_transaction(
    sqlite_path: Path, pg_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have begun before `init`, so leave no record: its rows must be in the copy, or they are nowhere."""
    settings = Settings(str(sqlite_path), pg_dsn)
    shadow.configure(sqlite_path=sqlite_path, database_url=pg_dsn)
    app = sqlite3.connect(sqlite_path, isolation_level=None)
    app.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    app.execute("BEGIN")

    def rows() -> Iterator[tuple[int]]:
        init_pair(settings)  # the statement has asked whether there is a journal, and holds no lock yet
        yield (1,)

    app.executemany("INSERT INTO t (v) VALUES (?)", rows())
    monkeypatch.setattr(origin_setup, "_BUSY_TIMEOUT_SECONDS", 0.2)
    with pytest.raises(OriginError, match="locked"):
        backfill(settings)
    app.execute("COMMIT")
    app.close()
    backfill(settings)
    target = connect(pg_dsn, purpose="test", autocommit=True)
    with target.cursor() as cursor:
        cursor.execute("SELECT id, v FROM t")
        assert [(row[0], row[1]) for row in cursor.fetchall()] == [(1, 1)]
    target.close()
