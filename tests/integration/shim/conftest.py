"""A shadowed SQLite file without its PostgreSQL: what the shim needs while SQLite is primary."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

import shadow
from shadow import journal
from shadow.flag.hint import HintState, write_hint
from shadow.journal.record import FORMAT, EpochChanged, Item
from shadow.shim import routing

NO_SERVER = "postgresql://nobody@127.0.0.1:1/nothing"

SCHEMA = """
CREATE TABLE t (
    id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT UNIQUE, n INTEGER DEFAULT 7, at TEXT DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE plain (a, b);
CREATE TABLE keyed (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
"""


class File:
    """An initialised file and its journal."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = 2

    def raw(self) -> sqlite3.Connection:
        """A connection past the shim."""
        return sqlite3.Connection(self.path, isolation_level=None, timeout=1)

    def records(self) -> list[tuple[Item, ...]]:
        """The records since the last call: one per committed write transaction."""
        conn = self.raw()
        try:
            found = list(journal.read(conn, self._seen, 1 << 40))
        finally:
            conn.close()
        if found:
            self._seen = found[-1].position
        return [r.items for r in found]

    def rows(self, sql: str) -> list[Any]:
        conn = self.raw()
        try:
            return conn.execute(sql).fetchall()
        finally:
            conn.close()


def initialise(path: Path, *, primary: str = "sqlite", state: str = "active") -> None:
    """What `shadow init` leaves in SQLite."""
    conn = sqlite3.Connection(path, isolation_level=None)
    conn.executescript(resources.files("shadow.journal").joinpath("origin.sql").read_text())
    conn.execute(
        "INSERT INTO _shadow_control VALUES (1, ?, 'pair', 1, 'init', ?, ?, 1, 0, 1, 1)", (FORMAT, primary, state)
    )
    journal.append(conn, [EpochChanged(1, "init")])
    journal.append(conn, [EpochChanged(1, "init")])
    conn.close()


@pytest.fixture
def make_file(sqlite_path: Path) -> Callable[..., File]:
    """Create the shadowed file with a schema and configure it."""

    def make(schema: str = SCHEMA, **settings: Any) -> File:
        conn = sqlite3.Connection(sqlite_path, isolation_level=None)
        conn.executescript(schema)
        conn.close()
        initialise(sqlite_path)
        write_hint(str(sqlite_path) + "-shadow-hint", HintState.SQLITE)
        shadow.configure(sqlite_path=sqlite_path, **{"database_url": NO_SERVER, "sample_rate": 0.0, **settings})
        return File(sqlite_path)

    return make


@pytest.fixture
def file(make_file: Callable[..., File]) -> File:
    return make_file()


@pytest.fixture
def conn(file: File) -> Iterator[sqlite3.Connection]:
    """A shadowed connection to `file`."""
    from shadow import sqlite3 as door

    conn = door.connect(file.path, timeout=1)
    yield conn
    conn.close()


@pytest.fixture(autouse=True)
def _fresh_routers() -> Iterator[None]:
    routing._routers.clear()
    yield
    routing._routers.clear()
