"""A fenced pair: one snapshot of each database, both at the same position, proven by PostgreSQL's snapshot itself.

Pause the applier (its lock); take the SQLite snapshot, which stands at p; apply to exactly p; take the PostgreSQL
snapshot and read (position, nonce) inside it; let the applier go on. Whoever waits with a sample, or wants to compare
tables, works on the pair for as long as it is open, while the app and the applier go on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

import psycopg2

from .. import journal
from ..errors import OriginError, TargetError, TargetUnavailable
from ..flag import origin_setup, proof
from ..flag.control import read_origin
from ..postgres.connect import connect, describe
from ..schema import load_catalog
from ..translate.catalog import Catalog

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection


class NotComparable(TargetUnavailable):
    """The two snapshots are not at one position; try again."""


class Applies(Protocol):
    """The part of `replicate.Applier` that a pair needs; passed in, siblings do not see each other."""

    def exclusive(self, wait_seconds: float | None = None) -> AbstractContextManager[object]: ...
    def apply_to(self, position: int | None = None, *, budget_seconds: float | None = None) -> object: ...


@dataclass(slots=True)
class FencedPair:
    """Both snapshots. Read only; closing it ends them."""

    position: int
    nonce: bytes
    origin: sqlite3.Connection
    target: PgConnection
    pair: str
    #: Folded names of the tables that apply skips.
    dirty: frozenset[str]
    #: What is shown on this pair is proof of this epoch.
    proof_epoch: int
    _catalog: Catalog | None = None

    @property
    def catalog(self) -> Catalog:
        """The app's schema as PostgreSQL has it at this position."""
        if self._catalog is None:
            with self.target.cursor() as cursor:
                self._catalog = load_catalog(cursor, self.pair)
        return self._catalog

    def __enter__(self) -> FencedPair:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.origin.close()
        self.target.close()


#: Opens a pair; `verify` takes another one when PostgreSQL is primary and the reverse direction has to be drained.
OpenPair = Callable[[], FencedPair]


def open_pair(
    sqlite_path: str, dsn: str, pair: str, applier: Applies, *, wait_seconds: float | None = None
) -> FencedPair:
    """Raises `NotComparable` when the sides cannot be brought to one position now, and what the applier raises."""
    origin = origin_setup.open_file(sqlite_path)
    target: PgConnection | None = None
    try:
        target = connect(dsn, purpose="compare")
        target.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with applier.exclusive(wait_seconds):
            position, nonce = begin_origin(origin, sqlite_path)
            applier.apply_to(position)
            return begin_target(origin, target, pair, position, nonce)
    except BaseException as error:
        origin.close()
        if target is not None:
            target.close()
        if isinstance(error, psycopg2.Error):
            raise TargetUnavailable(
                f"PostgreSQL at {describe(dsn)} was lost: {' '.join(str(error).split())}"
            ) from error
        if isinstance(error, sqlite3.Error):
            raise OriginError(f"{sqlite_path} could not be read: {without_values(error)}") from error
        raise


def without_values(error: Exception) -> str:
    """The error's text on one line; SQLite's quotes the value when text is not UTF-8."""
    text = " ".join(str(error).split())
    return text.partition(" with text ")[0] if text.startswith("Could not decode") else text


def begin_origin(origin: sqlite3.Connection, sqlite_path: str) -> tuple[int, bytes]:
    """Take the SQLite snapshot; gives its position."""
    origin.execute("BEGIN")
    if read_origin(origin) is None:  # the first read takes the snapshot
        raise OriginError(f"{sqlite_path} is not initialised; run `shadow init`")
    return journal.head(origin)


def begin_target(
    origin: sqlite3.Connection, target: PgConnection, pair: str, position: int, nonce: bytes
) -> FencedPair:
    """Take the PostgreSQL snapshot and see in it that it stands where SQLite's does."""
    with target.cursor() as cursor:
        # The first statement takes the snapshot; the session is REPEATABLE READ.
        cursor.execute("SELECT position, nonce FROM shadow.applied WHERE pair = %s", (pair,))
        row = cursor.fetchone()
        if row is None:
            raise TargetError(f"pair {pair} has no applied position in PostgreSQL; run `shadow backfill`")
        if (row[0], bytes(row[1])) != (position, nonce):
            raise NotComparable(
                f"PostgreSQL's snapshot of {pair} is at position {row[0]}, SQLite's at {position}; try again"
            )
        cursor.execute("SELECT table_name FROM shadow.dirty WHERE pair = %s", (pair,))
        dirty = frozenset(r[0] for r in cursor.fetchall())
        control = read_origin(origin)
        epoch = proof.combined(control.proof_epoch if control else 0, proof.target_count(cursor, pair))
    return FencedPair(position, nonce, origin, target, pair, dirty, epoch)
