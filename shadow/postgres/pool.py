"""The PostgreSQL connections of one process and one pair: leased for a transaction, given back clean.

The app opens a connection per call, PostgreSQL should not. A lease costs a list pop and one `poll`, no round trip; a
connection that the server has closed meanwhile is noticed there and replaced. Bounded: who finds all in use waits.
No thread, nothing at import; after a fork the child forgets the parent's connections without touching their sockets.
"""

from __future__ import annotations

import os
import select
import threading
import time
import weakref

import psycopg2
from psycopg2.extensions import (
    TRANSACTION_STATUS_IDLE,
    TRANSACTION_STATUS_INERROR,
    TRANSACTION_STATUS_INTRANS,
)
from psycopg2.extensions import connection as PgConnection

from ..config import Settings
from ..errors import TargetUnavailable
from .connect import connect

#: A connection unused for so long is closed when another one comes back.
IDLE_SECONDS_MAX = 300.0
#: The server ends a transaction that does nothing for so long: it must not block the way back for ever.
IDLE_IN_TRANSACTION_SECONDS_MAX = 300
#: Held cursors of small results that may wait for a statement that closes them on its way.
FINISHED_CURSORS_MAX = 50

_SESSION = {
    "default_transaction_isolation": "repeatable read",
    "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_SECONDS_MAX}s",
}


class Lease:
    """One connection while somebody has it."""

    __slots__ = ("conn", "fd", "finished", "foreign_keys", "held", "lock_timeout_ms", "pid", "returned", "since")

    def __init__(self, conn: PgConnection, lock_timeout_ms: int | None = None) -> None:
        self.conn = conn
        self.fd = conn.fileno()
        self.pid = os.getpid()
        #: What the session's lock_timeout is set to; None: the server's default.
        self.lock_timeout_ms = lock_timeout_ms
        #: Whether the session enforces foreign keys.
        self.foreign_keys = False
        #: Held cursors that somebody still reads, and how many read to their end are not closed yet.
        self.held = 0
        self.finished = 0
        #: Whoever still has it from before it went back to the pool must not use it.
        self.returned = False
        #: When it came back to the pool.
        self.since = time.monotonic()

    def alive(self) -> bool:
        """Whether the server has not closed the connection. A socket with something to read has its farewell."""
        if self.conn.closed:
            return False
        poller = select.poll()
        poller.register(self.fd, select.POLLIN)
        return not poller.poll(0)


class Pool:
    """At most `settings.pool_max` connections; thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._forget()
        _pools.add(self)

    def _forget(self) -> None:
        """Start with nothing: new, or a forked child, where the lock may be held by a thread that is not there."""
        self._pid = os.getpid()
        # Reentrant: a lease may come back from a garbage collection inside the lock. Guards the three below.
        self._changed = threading.Condition(threading.RLock())
        self._free: list[Lease] = []  # last in, first out: the coldest is at the front
        self._leased = 0
        self._opening = 0

    def lease(self, wait_seconds: float) -> Lease:
        """A clean connection. Raises `TargetUnavailable` when none comes free in time, and what `connect` raises."""
        if self._pid != os.getpid():
            self._forget()
        deadline: float | None = None
        while True:
            with self._changed:
                while self._free:
                    lease = self._free.pop()
                    if lease.alive():
                        self._leased += 1
                        again = Lease(lease.conn, lease.lock_timeout_ms)
                        again.finished = lease.finished
                        again.foreign_keys = lease.foreign_keys
                        return again
                    lease.conn.close()
                if self._leased + self._opening < self._settings.pool_max:
                    self._opening += 1
                    break
                now = time.monotonic()
                deadline = now + wait_seconds if deadline is None else deadline
                if now >= deadline:
                    raise TargetUnavailable(
                        f"all {self._settings.pool_max} PostgreSQL connections of this process are in transactions for"
                        f" {wait_seconds:g} s; raise SHADOW_POOL_MAX or look for a transaction that is left open"
                    )
                self._changed.wait(deadline - now)
        return self._open()

    def release(self, lease: Lease) -> None:
        """Take a connection back; rolled back if a transaction is open, closed if it is broken."""
        if lease.pid != os.getpid():
            return  # the parent's: psycopg2 leaves the socket alone when the object goes
        clean = _clean(lease)
        lease.returned = True
        cold: Lease | None = None
        with self._changed:
            self._leased -= 1
            if clean:
                lease.since = time.monotonic()
                self._free.append(lease)
                if lease.since - self._free[0].since > IDLE_SECONDS_MAX:
                    cold = self._free.pop(0)
            self._changed.notify()
        if not clean:
            lease.conn.close()
        if cold is not None:
            cold.conn.close()

    def close(self) -> None:
        """Close what is free; what is leased is closed when its owner gives it back to nobody."""
        with self._changed:
            free, self._free = self._free, []
        for lease in free:
            if lease.pid == os.getpid():
                lease.conn.close()

    @property
    def in_use(self) -> int:
        return self._leased

    @property
    def free(self) -> int:
        return len(self._free)

    def _open(self) -> Lease:
        opened = False
        try:
            assert self._settings.database_url is not None
            lease = Lease(connect(self._settings.database_url, purpose="app", autocommit=True, session=_SESSION))
            opened = True
        finally:
            with self._changed:
                self._opening -= 1
                self._leased += opened
                if not opened:
                    self._changed.notify()
        return lease


def _clean(lease: Lease) -> bool:
    """Whether the connection can serve another transaction; ends the one that is open, and held cursors."""
    conn = lease.conn
    if conn.closed:
        return False
    status = conn.get_transaction_status()
    cleanup = "CLOSE ALL" if lease.held or lease.finished > FINISHED_CURSORS_MAX else ""
    if status in (TRANSACTION_STATUS_INTRANS, TRANSACTION_STATUS_INERROR):
        cleanup = f"ROLLBACK; {cleanup}"
    elif status != TRANSACTION_STATUS_IDLE:
        return False
    if not cleanup:
        return True
    try:
        with conn.cursor() as cursor:
            cursor.execute(cleanup)
        if "CLOSE" in cleanup:
            lease.finished = 0
    except psycopg2.Error:
        return False
    return not conn.closed


_registry_lock = threading.Lock()  # guards _by_settings
_by_settings: dict[Settings, Pool] = {}
_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


def pool_for(settings: Settings) -> Pool:
    """The process's pool of a pair."""
    pool = _by_settings.get(settings)
    if pool is None:
        with _registry_lock:
            pool = _by_settings.get(settings) or _by_settings.setdefault(settings, Pool(settings))
    return pool


def close_pools() -> None:
    """Close every free connection of this process; pools open new ones when asked again."""
    with _registry_lock:
        pools = list(_by_settings.values())
        _by_settings.clear()
    for pool in pools:
        pool.close()


def _after_fork_in_child() -> None:
    global _registry_lock
    _registry_lock = threading.Lock()
    for pool in list(_pools):
        pool._forget()


os.register_at_fork(after_in_child=_after_fork_in_child)
