"""Verify and repair as a person asks for them, whoever is primary: what `verify` is handed comes together here.

SQLite primary: PostgreSQL is brought forward to a SQLite snapshot. PostgreSQL primary: SQLite is brought forward to a
PostgreSQL snapshot, by the changes that flow back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing

import psycopg2

from ..compare import store
from ..config import Settings
from ..cutover.attempt import dsn_of
from ..errors import ConfigError, OriginError, TargetUnavailable
from ..flag import origin_setup, proof
from ..flag.control import read_origin
from ..postgres.connect import connect
from ..replicate.applier import Applier
from ..reverse import applier as reverse
from ..schema import load_catalog
from ..translate.catalog import fold
from ..types import Side
from ..verify.pair import FencedPair, NotComparable, begin_origin
from ..verify.repair import RepairReport, repair
from ..verify.verify import VerifyReport, verify

#: The agent's own reverse applier may move SQLite on between our batch and our snapshot; then both are taken again.
_ATTEMPTS = 20

OnProgress = Callable[[str, int], None]


def verify_pair(
    settings: Settings, tables: Collection[str] | None = None, *, progress: OnProgress = lambda *_: None
) -> VerifyReport:
    """Compare `tables`, or all, at one position. Mismatches on tables that are equal now are settled."""
    with closing(_applier(settings)) as applier:
        opener = (lambda: open_reverse_pair(settings)) if _postgres_is_primary(settings) else None
        report = verify(settings, applier, tables, pair_opener=opener, progress=progress)
    equal = [fold(t.table) for t in report.tables if t.complete and not t.rows_wrong]
    with closing(connect(dsn_of(settings), purpose="verify")) as target, target, target.cursor() as cursor:
        catalog = load_catalog(cursor, settings.pg_schema)
        store.resolve_tables(cursor, settings.pg_schema, catalog, equal, report.position)
    return report


def repair_pair(settings: Settings, tables: Collection[str] | None = None, *, dry_run: bool = False) -> RepairReport:
    """Make PostgreSQL's rows equal to SQLite's. Raises `ConfigError` while PostgreSQL is primary."""
    if _postgres_is_primary(settings):
        raise ConfigError(
            "PostgreSQL is primary, and repair goes from SQLite to PostgreSQL only; compare without --repair"
        )
    with closing(_applier(settings)) as applier:
        return repair(settings, applier, tables, dry_run=dry_run)


def open_reverse_pair(settings: Settings) -> FencedPair:
    """Both sides at one PostgreSQL snapshot, proven by the snapshot that SQLite notes with the changes it has."""
    for _ in range(_ATTEMPTS):
        target = connect(dsn_of(settings), purpose="verify")
        origin = None
        try:
            target.set_session(isolation_level="REPEATABLE READ")
            snapshot = _bring_back(settings, target)
            origin = origin_setup.open_file(settings.sqlite_path)
            position, nonce = begin_origin(origin, settings.sqlite_path)
            if reverse.read_start(origin)[0] == snapshot:
                return _fenced(settings, origin, target, position, nonce)
        except psycopg2.Error as error:
            _close(origin, target)
            raise TargetUnavailable(f"PostgreSQL was lost: {' '.join(str(error).split())}") from error
        except sqlite3.Error as error:
            _close(origin, target)
            raise OriginError(f"{settings.sqlite_path} could not be used: {error}") from error
        except BaseException:
            _close(origin, target)
            raise
        _close(origin, target)
    raise NotComparable("the changes that flow back did not stand still for a moment; try again")


def _bring_back(settings: Settings, target: psycopg2.extensions.connection) -> str:
    """Everything that `target`'s snapshot sees into SQLite; the snapshot as text.

    It is taken under SQLite's write lock, so nobody can have brought in anything later.
    """
    origin = reverse.open_origin(settings.sqlite_path)
    try:
        origin.execute("BEGIN IMMEDIATE")
        drained = reverse.drain(origin, target, settings.pg_schema)
        origin.execute("UPDATE main._shadow_control SET guard = 1")
        origin.execute("COMMIT")
        return drained.snapshot
    finally:
        origin.close()  # rolls back what was not committed


def _fenced(
    settings: Settings,
    origin: sqlite3.Connection,
    target: psycopg2.extensions.connection,
    position: int,
    nonce: bytes,
) -> FencedPair:
    control = read_origin(origin)
    assert control is not None
    with target.cursor() as cursor:
        epoch = proof.combined(control.proof_epoch, proof.target_count(cursor, settings.pg_schema))
    return FencedPair(position, nonce, origin, target, settings.pg_schema, frozenset(), epoch)


def _postgres_is_primary(settings: Settings) -> bool:
    with closing(origin_setup.open_file(settings.sqlite_path)) as origin:
        control = read_origin(origin)
    if control is None:
        raise OriginError(f"{settings.sqlite_path} is not initialised; run `shadow init`")
    return control.record.accepts_writes(Side.POSTGRES)


def _applier(settings: Settings) -> Applier:
    return Applier(settings.sqlite_path, dsn_of(settings), settings.pg_schema)


def _close(origin: sqlite3.Connection | None, target: psycopg2.extensions.connection) -> None:
    if origin is not None:
        origin.close()
    target.close()
