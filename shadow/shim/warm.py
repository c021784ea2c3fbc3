"""What the first statement after a cutover would wait for, done beforehand and off the app's thread.

Imports (psycopg2, the translator), a pooled connection and the app's schema take a quarter of a second of CPU; at a
cutover every process of the app would need it in the same moment. The sampler starts this once an agent answers, which
says that the process is being shadowed. Nothing depends on it: what fails here is done by the first statement.
"""

from __future__ import annotations

import threading

from ..config import Settings

_LEASE_SECONDS = 5.0


def start(settings: Settings) -> None:
    """Once per process; the thread ends by itself."""
    threading.Thread(target=_warm, args=(settings,), name="shadow-warm", daemon=True).start()


def _warm(settings: Settings) -> None:
    import psycopg2

    from ..errors import ShadowError
    from ..postgres.pool import pool_for
    from . import remote  # noqa: F401 -- loading it is the purpose
    from .remote_schema import store_for

    try:
        pool = pool_for(settings)
        lease = pool.lease(_LEASE_SECONDS)
        try:
            with lease.conn.cursor() as cursor:
                store_for(settings).load(cursor)
        finally:
            pool.release(lease)
    except (ShadowError, psycopg2.Error):
        return  # PostgreSQL is away; the app is on SQLite and notices nothing
