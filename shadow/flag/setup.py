"""`init` and `remove`: a pair comes into being, or goes, on both sides.

Both sides are checked before either is changed. PostgreSQL comes first, in one transaction; then SQLite, in one
transaction, whose commit makes the pair real; then the hint. Whoever crashes between the two leaves a pair that only
PostgreSQL knows: it is not in use, and the next `init` replaces it. `remove` goes the other way round, and a crash
there leaves the same state, which the next `remove` clears.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2

from .. import journal
from ..config import Settings
from ..errors import ConfigError, OriginError, TargetError
from ..postgres.connect import connect, describe
from ..schema import Finding, column_types, inspect, load_catalog, objects, orphans, profile
from ..translate.catalog import Catalog
from ..types import Side
from . import guards, origin_setup, target_setup
from .control import ControlRecord, OriginControl, State
from .hint import HintState, remove_hint, write_hint
from .target_setup import TargetPair

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection
    from psycopg2.extensions import cursor as PgCursor

#: Runs in PostgreSQL's transaction once the app's tables are made: `reverse.capture.install` for a start as primary.
PrepareTarget = Callable[["PgCursor", Catalog], None]

_SCHEMA_CHANGES_MAX = 5  # DDL of the app that may come between our two transactions


@dataclass(frozen=True, slots=True)
class InitReport:
    """A pair, as `init` made or found it."""

    pair_id: str
    pg_schema: str
    sqlite_path: str
    primary: Side
    tables: int
    #: False: another process had made it already (only when PostgreSQL starts as primary).
    created: bool
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoveReport:
    """What `remove` took away."""

    pg_schema: str
    sqlite_path: str
    tables: int
    #: No other pair was left in this database.
    schema_shadow_dropped: bool


def init_pair(
    settings: Settings, primary: Side = Side.SQLITE, *, prepare_target: PrepareTarget | None = None
) -> InitReport:
    """Make the pair; all or nothing. Raises `ConfigError`, `OriginError` or `TargetError` with one clear line.

    With `primary=POSTGRES` the pair must be new and empty; several processes may call at once: one makes the pair, the
    others get the finished one.
    """
    dsn = _dsn(settings)
    if primary is Side.SQLITE:
        origin_setup.check_file(settings.sqlite_path)
    with closing(connect(dsn, purpose="init", autocommit=True)) as target:
        with target.cursor() as cursor:
            _check_first(settings, cursor, primary)
        target_setup.lock_setup(target, settings.pg_schema)
        if primary is Side.POSTGRES:
            origin_setup.create_file(settings.sqlite_path)
            origin_setup.check_file(settings.sqlite_path)
        with closing(origin_setup.open_file(settings.sqlite_path)) as origin:
            try:
                return _init(settings, primary, origin, target, prepare_target)
            except sqlite3.Error as error:
                raise OriginError(f"{settings.sqlite_path} cannot be changed: {error}; nothing was done") from error
            except psycopg2.Error as error:
                text = " ".join(str(error.diag.message_primary or error).split())
                raise TargetError(f"PostgreSQL refused a step of init at {describe(dsn)}: {text}") from error


def _check_first(settings: Settings, cursor: PgCursor, primary: Side) -> None:
    """What can be refused before the lock is taken and, with a new pair, before an SQLite file is made."""
    from ..postgres.install import check_rights

    check_rights(cursor)
    if primary is Side.POSTGRES and not Path(settings.sqlite_path).exists():
        known = target_setup.read_pair(cursor, settings.pg_schema)
        _check_known(settings, primary, None, known)
        if known is None:
            target_setup.check_target(cursor, Catalog(pg_schema=settings.pg_schema))


def _init(
    settings: Settings,
    primary: Side,
    origin: sqlite3.Connection,
    target: PgConnection,
    prepare_target: PrepareTarget | None,
) -> InitReport:
    pair = settings.pg_schema
    with target.cursor() as cursor:
        left = target_setup.read_pair(cursor, pair)
    finished = _check_known(settings, primary, origin_setup.control(origin), left)
    if finished:
        assert left is not None
        return _report(settings, left.pair_id, left.record.primary, inspect(origin, pg_schema=pair), created=False)
    origin.execute("BEGIN IMMEDIATE")  # may we write at all? Asked before PostgreSQL is changed
    origin.execute("ROLLBACK")
    origin.execute("BEGIN")
    try:
        catalog = inspect(origin, pg_schema=pair)
        if primary is Side.POSTGRES:
            _check_empty(settings, origin, catalog)
        catalog, findings = profile(origin, catalog)
        found = objects(origin)
    finally:
        origin.execute("ROLLBACK")
    _check_findings(findings)
    findings += orphans(origin, catalog)

    resumed = left if left is not None and primary is Side.POSTGRES else None
    pair_id = resumed.pair_id if resumed else uuid.uuid4().hex
    record = ControlRecord(1, f"init-{pair_id[:12]}", primary, State.ACTIVE)
    nonces = (journal.new_nonce(), journal.new_nonce())
    snapshot = None
    target.autocommit = False
    with target, target.cursor() as cursor:
        if resumed is not None:
            start = target_setup.load_start(cursor, pair)
            if start is None:
                raise TargetError(f"schema {pair} holds a pair that has no start; run `shadow remove` first")
            snapshot, nonces = start[0], (nonces[0], start[1])
            record = resumed.record
        else:
            if left is not None:
                target_setup.uninstall(cursor, load_catalog(cursor, pair))
            target_setup.check_target(cursor, catalog)
            findings += target_setup.install(
                cursor,
                catalog,
                found,
                pair_id=pair_id,
                sqlite_path=settings.sqlite_path,
                record=record,
                with_indexes=primary is Side.POSTGRES,
            )
            if prepare_target is not None:
                prepare_target(cursor, catalog)
            if primary is Side.POSTGRES:
                snapshot = target_setup.store_start(cursor, pair, 2, nonces[1])
    try:
        catalog = _install_origin(settings, origin, target, catalog, pair_id, record, nonces, snapshot)
    except Exception:
        # PostgreSQL has committed, SQLite has refused: neither is to be changed.
        if resumed is None:
            with target, target.cursor() as cursor:
                target_setup.uninstall(cursor, load_catalog(cursor, pair))
        raise
    write_hint(settings.hint_path, HintState.SQLITE if record.primary is Side.SQLITE else HintState.POSTGRES)
    return _report(settings, pair_id, record.primary, catalog, created=True, findings=findings)


def _install_origin(
    settings: Settings,
    origin: sqlite3.Connection,
    target: PgConnection,
    catalog: Catalog,
    pair_id: str,
    record: ControlRecord,
    nonces: tuple[bytes, bytes],
    snapshot: str | None,
) -> Catalog:
    """SQLite's transaction. DDL that the app has run since we looked is carried to PostgreSQL first."""
    pair = settings.pg_schema
    for _ in range(_SCHEMA_CHANGES_MAX):
        origin.execute("BEGIN IMMEDIATE")
        try:
            now = inspect(origin, pg_schema=pair, types=column_types(catalog))
            if now.version == catalog.version:
                origin_setup.install(origin, pair_id, record, nonces, reverse_snapshot=snapshot)
                if record.primary is Side.POSTGRES:
                    guards.install(origin)
                    guards.park_triggers(origin)  # their effects come back from PostgreSQL by themselves
                origin.execute("COMMIT")
                return catalog
            found = objects(origin)
        finally:
            if origin.in_transaction:
                origin.execute("ROLLBACK")
        with target, target.cursor() as cursor:
            target_setup.drop_tables(cursor, catalog)
            target_setup.check_target(cursor, now)
            target_setup.install_tables(cursor, now, found, with_indexes=record.primary is Side.POSTGRES)
        catalog = now
    raise OriginError(f"the schema of {settings.sqlite_path} keeps changing; run `shadow init` again when it is quiet")


def remove_pair(settings: Settings) -> RemoveReport:
    """Back to plain SQLite, nothing of ours left on either side. Refuses while PostgreSQL is primary."""
    dsn = _dsn(settings)
    origin_setup.check_file(settings.sqlite_path)
    pair = settings.pg_schema
    with (
        closing(connect(dsn, purpose="remove", autocommit=True)) as target,
        closing(origin_setup.open_file(settings.sqlite_path)) as origin,
    ):
        target_setup.lock_setup(target, pair)
        target.autocommit = False
        try:
            with target, target.cursor() as cursor:
                known = target_setup.read_pair(cursor, pair)
                control = origin_setup.control(origin)
                _check_removable(settings, control, known)
                catalog = Catalog(pg_schema=pair)
                dropped = False
                if known is not None:
                    catalog = load_catalog(cursor, pair)
                    # Run before SQLite is changed, committed after: what can be refused is refused while all stands.
                    dropped = target_setup.uninstall(cursor, catalog)
                _remove_origin(settings, origin)
        except sqlite3.Error as error:
            raise OriginError(f"{settings.sqlite_path} cannot be changed: {error}; nothing was done") from error
        except psycopg2.Error as error:
            text = " ".join(str(error.diag.message_primary or error).split())
            raise TargetError(f"PostgreSQL refused a step of remove at {describe(dsn)}: {text}") from error
    Path(settings.socket_path).unlink(missing_ok=True)
    return RemoveReport(pair, settings.sqlite_path, len(catalog.tables), dropped)


def _remove_origin(settings: Settings, origin: sqlite3.Connection) -> None:
    origin.execute("BEGIN IMMEDIATE")
    try:
        control = origin_setup.control(origin)
        if control is not None and control.record.primary is Side.POSTGRES:
            raise ConfigError("PostgreSQL has become primary; roll back first (`shadow rollback`)")
        # Before the commit: from then on nobody may trust the hint, and a crash leaves it missing, which is right.
        remove_hint(settings.hint_path)
        origin_setup.uninstall(origin)
        origin.execute("COMMIT")
    finally:
        if origin.in_transaction:
            origin.execute("ROLLBACK")


def _check_known(settings: Settings, primary: Side, control: OriginControl | None, known: TargetPair | None) -> bool:
    """Whether the pair is there already and may be taken as it is; raises when what is there forbids `init`."""
    path, pair = settings.sqlite_path, settings.pg_schema
    if control is not None and (known is None or known.pair_id != control.pair_id):
        raise ConfigError(
            f"{path} is initialised with another pair ({control.pair_id}), which schema {pair} at"
            f" {describe(_dsn(settings))} does not hold; correct DATABASE_URL and SHADOW_PG_SCHEMA"
        )
    if control is not None:
        if primary is Side.POSTGRES:
            return True
        raise ConfigError(
            f"{path} and schema {pair} are already initialised; go on with `shadow status`, or `shadow remove` first"
        )
    if known is None:
        return False
    if known.sqlite_path != path:
        raise ConfigError(
            f"schema {pair} holds the pair of another SQLite file ({known.sqlite_path});"
            " choose another schema with SHADOW_PG_SCHEMA"
        )
    if known.record.primary is not primary or (primary is Side.SQLITE and known.in_use):
        raise ConfigError(
            f"schema {pair} holds a pair of {path} that is in use, but the file is not initialised (restored copy?);"
            " run `shadow remove` first"
        )
    return False


def _check_removable(settings: Settings, control: OriginControl | None, known: TargetPair | None) -> None:
    if control is None and known is None:
        raise ConfigError(f"{settings.sqlite_path} is not initialised; there is nothing to remove")
    if control is not None and known is not None and control.pair_id != known.pair_id:
        raise ConfigError(
            f"schema {settings.pg_schema} holds another pair than {settings.sqlite_path};"
            " correct DATABASE_URL and SHADOW_PG_SCHEMA"
        )
    if control is None and known is not None and known.sqlite_path != settings.sqlite_path:
        raise ConfigError(f"schema {settings.pg_schema} holds the pair of {known.sqlite_path}; correct SQLITE_PATH")
    sides = ([control.record] if control else []) + ([known.record] if known else [])
    if any(r.primary is Side.POSTGRES and r.state is State.ACTIVE for r in sides):
        raise ConfigError("PostgreSQL is primary; roll back first (`shadow rollback`), then remove")
    if any(r.state is State.PREPARED for r in sides):
        raise ConfigError("a switch is under way; finish it first (`shadow status` says how), then remove")


def _check_empty(settings: Settings, origin: sqlite3.Connection, catalog: Catalog) -> None:
    full = origin_setup.has_rows(origin, [t.name for t in catalog.tables.values() if not t.virtual])
    if full is not None:
        raise ConfigError(
            f"{settings.sqlite_path} has rows (table {full}), so PostgreSQL cannot start as primary;"
            " run with DATABASE_TYPE=shadow: `shadow init`, `shadow backfill`, `shadow cutover`"
        )


def _check_findings(findings: list[Finding]) -> None:
    blocking = [f for f in findings if f.blocking]
    if blocking:
        more = f" (and {len(blocking) - 1} more; `shadow assess` lists them)" if len(blocking) > 1 else ""
        raise OriginError(blocking[0].message + more)


def _report(
    settings: Settings,
    pair_id: str,
    primary: Side,
    catalog: Catalog,
    *,
    created: bool,
    findings: list[Finding] | None = None,
) -> InitReport:
    tables = sum(not t.virtual for t in catalog.tables.values())
    return InitReport(
        pair_id, settings.pg_schema, settings.sqlite_path, primary, tables, created, tuple(findings or ())
    )


def _dsn(settings: Settings) -> str:
    if settings.database_url is None:
        raise ConfigError("DATABASE_URL is not set; give the PostgreSQL DSN")
    return settings.database_url
