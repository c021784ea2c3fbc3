"""A pair on which SQLite is primary, everything applied, and gates that need proof forced."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from flagging import SCHEMA, FlagPair, start

from shadow.config import configure


@pytest.fixture
def pair(sqlite_path: Path, pg_dsn: str) -> FlagPair:
    settings = configure(sqlite_path=sqlite_path, database_url=pg_dsn)
    with closing(sqlite3.connect(sqlite_path)) as conn:
        conn.executescript(SCHEMA)
    return start(settings)
