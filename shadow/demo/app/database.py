"""The one place where the app opens connections: what a backend's `db.py` looks like.

`sqlite3` is chosen here and nowhere else: the drop-in by default, the standard module when `DEMO_SQLITE_MODULE=stdlib`
(tests compare the two call by call). Everything else would read the same without shadow.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import migrations

if TYPE_CHECKING or os.environ.get("DEMO_SQLITE_MODULE") == "stdlib":
    import sqlite3 as sqlite3
else:
    from shadow import sqlite3 as sqlite3

logger = logging.getLogger(__name__)

CATALOG_PATH = Path(os.environ.get("SQLITE_PATH", "catalog.db"))
SCHEMA_PATH = Path(__file__).with_name("schema.sql")
BUSY_TIMEOUT_SECONDS = 30.0

#: A row as the API returns it.
Json = dict[str, Any]


def init_database() -> None:
    """Create the catalogue from the schema; does nothing if the file is there."""
    if CATALOG_PATH.exists():
        return
    CATALOG_PATH.parent.mkdir(parents=True, exist_ok=True)
    conn = sqlite3.connect(str(CATALOG_PATH))
    try:
        conn.executescript(SCHEMA_PATH.read_text())
        conn.commit()
    finally:
        conn.close()


def run_migrations() -> list[str]:
    """Bring the file to this version's schema; returns the ids of the migrations that ran."""
    conn = get_connection()
    try:
        return migrations.run_migrations(conn)
    except migrations.MigrationError:
        logger.exception("database migration failed")
        raise
    finally:
        conn.close()


def get_connection() -> sqlite3.Connection:
    """A new connection with rows that can be read by name; the caller closes it."""
    conn = sqlite3.connect(str(CATALOG_PATH), timeout=BUSY_TIMEOUT_SECONDS)
    conn.row_factory = sqlite3.Row
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_SECONDS * 1000)}")
    return conn


@contextmanager
def get_db() -> Iterator[sqlite3.Connection]:
    """A connection for one unit of work: committed at the end, rolled back on an error, closed in any case."""
    conn = get_connection()
    try:
        yield conn
        conn.commit()
    except Exception:
        conn.rollback()
        raise
    finally:
        conn.close()
