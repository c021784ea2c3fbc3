"""A pair on which PostgreSQL is primary from the start."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flagging import SCHEMA, FlagPair

from shadow.config import configure
from shadow.flag.setup import init_pair
from shadow.reverse import capture
from shadow.reverse.applier import ReverseApplier
from shadow.types import Side


@pytest.fixture
def pair(sqlite_path: Path, pg_dsn: str) -> FlagPair:
    settings = configure(sqlite_path=sqlite_path, database_url=pg_dsn)
    with closing(sqlite3.connect(sqlite_path)) as conn:
        conn.executescript(SCHEMA)
    init_pair(settings, Side.POSTGRES, prepare_target=capture.install)
    return FlagPair(settings)


@pytest.fixture
def reverse(pair: FlagPair) -> Iterator[ReverseApplier]:
    with ReverseApplier(pair.path, pair.dsn, "public") as applier:
        yield applier
