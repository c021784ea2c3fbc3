"""What the first statement after a cutover would wait for, done beforehand and off the app's thread.

Imports (psycopg2, the translator), a pooled connection and the app's schema take a quarter of a second of CPU; at a
cutover every process of the app would need it in the same moment. Three things start it: the sampler once an agent
answers, a connect when an agent has been there (a process that only writes sends no samples), and the wait for a
switch that is announced. Nothing depends on it: what fails here is done by the first statement.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time

from ..config import Settings
from ..types import DatabaseType

_LEASE_SECONDS = 5.0
#: What was loaded is looked at again after so long, if somebody asks.
_AGAIN_SECONDS = 1.0
#: A process younger than this may be a script that is over before any cutover.
_YOUNG_SECONDS = 2.0

_Key = tuple[str | None, str]
#: Per pair: the process, when the thread was started, the thread. A race of two threads starts two, which is harmless.
_runs: dict[_Key, tuple[int, float, threading.Thread]] = {}
#: Per pair: the process and when `connected` looks next; infinity: no more.
_looks: dict[_Key, tuple[int, float]] = {}


def start(settings: Settings) -> None:
    """Begin, or look again whether the schema is still the one. Cheap to call twice; never raises, never waits."""
    if settings.database_url is None:
        return
    key, now = _key(settings), time.monotonic()
    known = _runs.get(key)
    if known is not None and known[0] == os.getpid() and (now - known[1] < _AGAIN_SECONDS or known[2].is_alive()):
        return
    thread = threading.Thread(target=_warm, args=(settings,), name="shadow-warm", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return  # no more threads, or the interpreter ends
    _runs[key] = (os.getpid(), now, thread)


def connected(settings: Settings) -> None:
    """The app has opened a connection. Starts once per process, when an agent has been seen: a cutover may come."""
    if settings.database_type is not DatabaseType.SHADOW:
        return
    key, now = _key(settings), time.monotonic()
    pid, due = _looks.get(key, (0, 0.0))
    if pid != os.getpid():
        _looks[key] = (os.getpid(), now + _YOUNG_SECONDS)
    elif now >= due:
        there = os.path.exists(settings.socket_path)
        _looks[key] = (pid, float("inf") if there else now + _AGAIN_SECONDS)
        if there:
            start(settings)


def wait(settings: Settings) -> None:
    """Let a run that is under way come to its end, rather than do the same beside it."""
    known = _runs.get(_key(settings))
    if known is not None and known[0] == os.getpid():
        known[2].join(_LEASE_SECONDS)


def _key(settings: Settings) -> _Key:
    return settings.database_url, settings.pg_schema


def _warm(settings: Settings) -> None:
    import psycopg2

    from ..errors import ShadowError
    from ..postgres.pool import pool_for
    from .remote import cursor as _cursor  # noqa: F401 -- loading these two is the purpose
    from .remote import session as _session  # noqa: F401
    from .remote.schema import store_for

    try:
        pool = pool_for(settings)
        lease = pool.lease(_LEASE_SECONDS)
        try:
            with lease.conn.cursor() as cursor:
                store_for(settings).load(cursor)
        finally:
            pool.release(lease)
    except (ShadowError, psycopg2.Error, sqlite3.Error):
        return  # PostgreSQL is away; the app is on SQLite and notices nothing
