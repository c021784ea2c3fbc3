"""DataTalk's backend/db.py, with `shadow.sqlite3` in place of `sqlite3`. Nothing else in the backend changes.

`DATABASE_TYPE` decides what this process does: `sqlite` (default without `DATABASE_URL`): as before; `shadow`: SQLite
with a journal, following the flag; `postgres`: PostgreSQL must be primary. See README.md beside this file.

Which file is shadowed follows `CATALOG_PATH` at the time of each connection, so a test that patches it to a file of
its own gets a pair of its own and never touches the real one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from config import SCHEMA_PATH, SQLITE_PATH
from db_migrations import MigrationError, run_migrations

import shadow.config
import shadow.sqlite3
from shadow import sqlite3

logger = logging.getLogger(__name__)

CATALOG_PATH = SQLITE_PATH

# The file this process was started for: it alone uses SHADOW_PG_SCHEMA (see `_shadow_catalog`).
_HOME = shadow.config.resolve_path(SQLITE_PATH)


def init_database() -> None:
    """Create the catalog from SCHEMA_PATH; does nothing if the file exists."""
    if Path(CATALOG_PATH).exists() or _postgres_has_tables():
        return
    _create_catalog()


def _create_catalog() -> None:
    logger.info("Creating catalog database at %s", CATALOG_PATH)
    with open(SCHEMA_PATH, encoding="utf-8") as file:
        schema = file.read()
    conn = sqlite3.connect(CATALOG_PATH)
    try:
        conn.executescript(schema)
        conn.commit()
    finally:
        conn.close()


def get_connection() -> sqlite3.Connection:
    """A new connection to the catalog; the caller closes it."""
    _shadow_catalog()
    conn = sqlite3.connect(CATALOG_PATH, timeout=30)
    conn.row_factory = sqlite3.Row
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute("PRAGMA busy_timeout=30000")
    return conn


@contextlib.contextmanager
def get_db() -> Iterator[sqlite3.Connection]:
    """A connection that is committed at the end, rolled back on an error, and closed."""
    conn = get_connection()
    try:
        yield conn
        conn.commit()
    except Exception:
        conn.rollback()
        raise
    finally:
        conn.close()


def _run_migrations_safe() -> None:
    """Run pending migrations; a failed one is logged and stops the start."""
    conn = get_connection()
    try:
        run_migrations(conn)
        conn.commit()
    except MigrationError as error:
        logger.error("Database migration failed: %s", error)
        raise
    finally:
        conn.close()


# ---------------------------------------------------------------------------------------------------------------------
# What shadow needs beside the above.


def _catalog_file() -> str | None:
    """CATALOG_PATH as a file's path; None for ':memory:' and URIs, which are never shadowed."""
    path = os.fspath(CATALOG_PATH)
    return None if not path or path.startswith((":memory:", "file:")) else path


def _shadow_catalog() -> shadow.config.Settings | None:
    """Make sure that shadow knows CATALOG_PATH; its settings, or None when it is no file.

    The file of the process's start uses the environment as it is. Any other file (a test's) gets a PostgreSQL schema
    of its own, named after its path: two files cannot share one.
    """
    path = _catalog_file()
    if path is None:
        return None
    known = shadow.config.settings_for(path)
    if known is not None:
        return known
    settings = shadow.config.from_environment({**os.environ, "SQLITE_PATH": path})
    assert settings is not None
    schema = settings.pg_schema
    if settings.sqlite_path != _HOME:
        schema = "catalog_" + hashlib.sha256(settings.sqlite_path.encode()).hexdigest()[:16]
    return shadow.config.configure(**{**dataclasses.asdict(settings), "pg_schema": schema})


def _on_postgres() -> bool:
    settings = _shadow_catalog()
    return settings is not None and settings.database_type == "postgres"


def _postgres_has_tables() -> bool:
    """DATABASE_TYPE=postgres: whether the catalog is there. On another machine it may be there without a file."""
    if not _on_postgres():
        return False
    conn = shadow.sqlite3.connect(CATALOG_PATH, timeout=30)
    try:
        found = conn.execute("SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name <> 'sqlite_sequence'")
        count = found.fetchone()[0]
        return isinstance(count, int) and count > 0
    finally:
        conn.close()


def _start() -> None:
    """What importing this module does, one process at a time.

    With DATABASE_TYPE=postgres a file that exists says nothing about PostgreSQL: it may be left from before, or the
    first start may have been killed between making the pair and its tables. So here, and only here, PostgreSQL is asked
    even though the file is there.
    """
    with _one_at_a_time():
        init_database()
        if _on_postgres() and not _postgres_has_tables():
            _create_catalog()
        _run_migrations_safe()


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Uvicorn's and Celery's processes start together: the first creates and migrates, the others wait for it.

    The lock is a file beside the catalog, because the containers share that volume and nothing else; the kernel
    frees it when its holder dies.
    """
    path = _catalog_file()
    if path is None:
        yield
        return
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    fd = os.open(path + "-start.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


_start()
