"""Everything `shadow status`, the API and the gates know of a pair, collected once; each side on its own.

Works with either database out of reach: that side is `up=False` with one line why, and its figures are empty.
"""

from __future__ import annotations

import dataclasses
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import psycopg2
from psycopg2.extensions import cursor as PgCursor

from .. import journal
from ..config import Settings
from ..errors import ShadowError, TargetError
from ..flag import control, guards, proof
from ..flag.control import ControlRecord
from ..postgres.connect import connect
from ..reverse import capture, changes
from ..schema.inspect import Objects, inspect, objects
from ..schema.store import load_objects
from ..translate.catalog import Catalog
from ..types import Side
from .attempt import dsn_of, one_line, open_origin

_STATEMENT_TIMEOUT_MS = 10_000


@dataclass(frozen=True, slots=True)
class OriginStatus:
    """The SQLite side."""

    up: bool = False
    error: str = ""
    record: ControlRecord | None = None
    journaling: bool = False
    guard: bool = False
    proof_epoch: int = 0
    journal_position: int = 0
    journal_rows: int = 0
    journal_bytes: int = 0
    #: Records behind the applied position, and the age of the oldest of them; None: not known (PostgreSQL is away).
    lag_records: int | None = None
    lag_seconds: float | None = None
    #: Whether the applied position is in this journal, with the same nonce; None: not known.
    journal_fits: bool | None = None
    #: What of PostgreSQL's changes this file has, as a snapshot; '' before the first cutover.
    reverse_snapshot: str = ""
    parked_triggers: int = 0
    #: Names of the app's tables, virtual ones left out, as PostgreSQL has them.
    tables: tuple[str, ...] = ()
    unguarded_tables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VerifiedTable:
    """The last verification of one table."""

    table: str
    position: int
    proof_epoch: int
    rows_compared: int
    rows_different: int
    complete: bool
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Shapes:
    """Statement shapes seen in reads."""

    seen: int = 0
    #: Compared under the current proof, with equal results.
    compared: int = 0
    waiting: int = 0
    unsupported: int = 0
    #: One of each, for the gate's reason.
    waiting_example: str = ""
    unsupported_example: str = ""


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """The PostgreSQL side."""

    up: bool = False
    error: str = ""
    server_version: int = 0
    connections: int = 0
    connections_max: int = 0
    record: ControlRecord | None = None
    applied_position: int | None = None
    applied_nonce: str = ""
    applied_age_seconds: float | None = None
    proof_epoch: int = 0
    proof_reason: str = ""
    dirty: tuple[tuple[str, str], ...] = ()
    divergences_unresolved: int = 0
    divergence_example: str = ""
    unsupported_writes: int = 0
    mismatches_unresolved: int = 0
    mismatch_example: str = ""
    shapes: Shapes = Shapes()
    #: Samples that never reached a verdict because they were dropped, by reason.
    dropped: Mapping[str, int] = dataclasses.field(default_factory=dict)
    verified: tuple[VerifiedTable, ...] = ()
    #: Tables whose copy has begun, and how many of them are not finished.
    backfill_tables: int = 0
    backfill_unfinished: int = 0
    captured: tuple[str, ...] = ()
    capture_missing: tuple[str, ...] = ()
    #: Tables that this user may put triggers on.
    capture_forbidden: tuple[str, ...] = ()
    #: Committed changes that SQLite does not have; None: not known.
    reverse_pending: int | None = None
    #: Objects that are not the same in both catalogs.
    drift: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """One look at a pair."""

    at: float
    pair: str
    sqlite_path: str
    #: Who takes the app's writes; None: not settled, or not known.
    primary: Side | None
    epoch: int | None
    #: The current proof epoch (`flag.proof`).
    proof_epoch: int
    origin: OriginStatus
    target: TargetStatus


def collect(settings: Settings) -> Status:
    """Look at both sides. Raises only for settings that name nothing (`ConfigError`)."""
    dsn = dsn_of(settings)
    origin, found, catalog = _origin(settings)
    target = TargetStatus()
    try:
        conn = connect(
            dsn, purpose="status", autocommit=True, session={"statement_timeout": str(_STATEMENT_TIMEOUT_MS)}
        )
        try:
            with conn.cursor() as cursor:
                target = _target(cursor, settings.pg_schema, origin, catalog, found)
        finally:
            conn.close()
    except (ShadowError, psycopg2.Error) as error:
        target = TargetStatus(error=one_line(error))
    origin = _with_lag(settings, origin, target)
    record = _holds(origin.record, target.record)
    return Status(
        at=time.time(),
        pair=settings.pg_schema,
        sqlite_path=settings.sqlite_path,
        primary=record.primary if record else None,
        epoch=record.epoch if record else None,
        proof_epoch=proof.combined(origin.proof_epoch, target.proof_epoch),
        origin=origin,
        target=target,
    )


def to_json(value: object) -> object:
    """A status, gate or outcome in terms of dict, list, str, int, float, bool and None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(v) for v in value]
    return value.value if isinstance(value, Enum) else value


def _holds(ours: ControlRecord | None, theirs: ControlRecord | None) -> ControlRecord | None:
    """The record that holds: SQLite's when it is active (see `flag.control`), else the committed other half."""
    if ours is not None and ours.state is control.State.ACTIVE:
        return ours
    return theirs if theirs is not None and theirs.state is control.State.ACTIVE else None


def _origin(settings: Settings) -> tuple[OriginStatus, Objects, Catalog | None]:
    try:
        conn = open_origin(settings)
    except (ShadowError, sqlite3.Error) as error:
        return OriginStatus(error=one_line(error)), [], None
    try:
        found = control.read_origin(conn)
        if found is None:
            return OriginStatus(error="the SQLite file is not initialised; run `shadow init`"), [], None
        position, _ = journal.head(conn)
        rows, size = conn.execute(
            "SELECT count(*), coalesce(sum(length(record)), 0) FROM main._shadow_journal"
        ).fetchone()
        snapshot = conn.execute("SELECT snapshot FROM main._shadow_reverse").fetchone()
        (parked,) = conn.execute("SELECT count(*) FROM main._shadow_app_trigger").fetchone()
        catalog = inspect(conn, pg_schema=settings.pg_schema)
        return (
            OriginStatus(
                up=True,
                record=found.record,
                journaling=found.journaling,
                guard=found.guard,
                proof_epoch=found.proof_epoch,
                journal_position=position,
                journal_rows=rows,
                journal_bytes=size,
                reverse_snapshot=snapshot[0] if snapshot else "",
                parked_triggers=parked,
                tables=tuple(sorted(capture.table_names(catalog))),
                unguarded_tables=tuple(guards.unguarded(conn)),
            ),
            objects(conn),
            catalog,
        )
    except (ShadowError, sqlite3.Error) as error:
        return OriginStatus(error=one_line(error)), [], None
    finally:
        conn.close()


def _with_lag(settings: Settings, origin: OriginStatus, target: TargetStatus) -> OriginStatus:
    if not origin.up or target.applied_position is None:
        return origin
    conn = open_origin(settings)
    try:
        backlog = journal.backlog(conn, target.applied_position)
        nonce = journal.nonce_at(conn, target.applied_position)
    finally:
        conn.close()
    oldest = backlog.oldest_nonce
    return dataclasses.replace(
        origin,
        lag_records=backlog.records,
        lag_seconds=0.0 if oldest is None else max(0.0, time.time() - journal.nonce_time(oldest)),
        journal_fits=nonce is not None and nonce.hex() == target.applied_nonce,
    )


def _target(cursor: PgCursor, pair: str, origin: OriginStatus, catalog: Catalog | None, found: Objects) -> TargetStatus:
    version, connections, connections_max, present = _one(
        cursor,
        "SELECT current_setting('server_version_num')::int,"
        " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),"
        " current_setting('max_connections')::int, to_regclass('shadow.control') IS NOT NULL",
    )
    record = control.read_target(cursor, pair) if present else None
    if record is None:
        raise TargetError(f"PostgreSQL knows no pair {pair!r}; run `shadow init`")
    applied = _one(
        cursor,
        "SELECT max(position), max(encode(nonce, 'hex')), max(extract(epoch FROM now() - applied_at))::float8"
        " FROM shadow.applied WHERE pair = %s",
        pair,
    )
    voided = _one(
        cursor,
        "SELECT coalesce(max(proof_epoch), 0), coalesce(max(reason), '') FROM shadow.proof WHERE pair = %s",
        pair,
    )
    proof_epoch = proof.combined(origin.proof_epoch, int(str(voided[0])))
    divergence = _one(
        cursor,
        "SELECT count(*), count(*) FILTER (WHERE kind = 'unsupported'), coalesce(min(detail), '')"
        " FROM shadow.divergence WHERE pair = %s AND resolved_at IS NULL",
        pair,
    )
    mismatch = _one(
        cursor,
        "SELECT count(DISTINCT fingerprint), coalesce(min(sql), '') FROM shadow.mismatch"
        " WHERE pair = %s AND resolved_at IS NULL",
        pair,
    )
    backfill = _one(
        cursor,
        "SELECT count(*), count(*) FILTER (WHERE finished_at IS NULL) FROM shadow.backfill WHERE pair = %s",
        pair,
    )
    under = capture.captured(cursor, catalog) if catalog is not None else capture.Captured(frozenset(), frozenset())
    return TargetStatus(
        up=True,
        server_version=int(str(version)),
        connections=int(str(connections)),
        connections_max=int(str(connections_max)),
        record=record,
        applied_position=None if applied[0] is None else int(str(applied[0])),
        applied_nonce=str(applied[1] or ""),
        applied_age_seconds=None if applied[2] is None else float(str(applied[2])),
        proof_epoch=int(str(voided[0])),
        proof_reason=str(voided[1]),
        dirty=tuple(
            (str(t), str(r))
            for t, r in _all(cursor, "SELECT table_name, reason FROM shadow.dirty WHERE pair = %s ORDER BY 1", pair)
        ),
        divergences_unresolved=int(str(divergence[0])),
        unsupported_writes=int(str(divergence[1])),
        divergence_example=str(divergence[2]),
        mismatches_unresolved=int(str(mismatch[0])),
        mismatch_example=str(mismatch[1]),
        shapes=_shapes(cursor, pair, proof_epoch),
        dropped={
            str(name).partition(".")[2]: int(str(value))
            for name, value in _all(
                cursor, "SELECT name, value FROM shadow.counter WHERE pair = %s AND name LIKE 'dropped.%%'", pair
            )
        },
        verified=_verified(cursor, pair),
        backfill_tables=int(str(backfill[0])),
        backfill_unfinished=int(str(backfill[1])),
        captured=tuple(sorted(under.tables)),
        capture_missing=tuple(sorted(under.missing)),
        capture_forbidden=_forbidden(cursor, pair, origin.tables),
        reverse_pending=_pending(cursor, pair, origin, record),
        drift=tuple(_drift(found, load_objects(cursor, pair))) if origin.up else (),
    )


def _shapes(cursor: PgCursor, pair: str, proof_epoch: int) -> Shapes:
    proven = "unsupported IS NULL AND compared > 0 AND proof_epoch >= %s"
    row = _one(
        cursor,
        f"SELECT count(*), count(*) FILTER (WHERE {proven}), count(*) FILTER (WHERE unsupported IS NOT NULL),"
        f" coalesce(min(sql) FILTER (WHERE unsupported IS NULL AND NOT ({proven})), ''),"
        " coalesce(min(sql) FILTER (WHERE unsupported IS NOT NULL), '') FROM shadow.shape WHERE pair = %s",
        proof_epoch,
        proof_epoch,
        pair,
    )
    seen, compared, unsupported = (int(str(n)) for n in row[:3])
    return Shapes(seen, compared, seen - compared - unsupported, unsupported, str(row[3]), str(row[4]))


def _verified(cursor: PgCursor, pair: str) -> tuple[VerifiedTable, ...]:
    cursor.execute(
        "SELECT table_name, position, proof_epoch, rows_compared, rows_different + rows_missing + rows_extra, complete,"
        " extract(epoch FROM now() - at)::float8 FROM shadow.verified WHERE pair = %s ORDER BY table_name",
        (pair,),
    )
    return tuple(VerifiedTable(r[0], r[1], r[2], r[3], r[4], bool(r[5]), r[6]) for r in cursor.fetchall())


def _forbidden(cursor: PgCursor, pair: str, tables: tuple[str, ...]) -> tuple[str, ...]:
    cursor.execute(
        "SELECT c.relname FROM pg_class c WHERE c.relnamespace = to_regnamespace(quote_ident(%s))"
        " AND c.relname = ANY(%s) AND NOT has_table_privilege(c.oid, 'TRIGGER') ORDER BY 1",
        (pair, list(tables)),
    )
    return tuple(row[0] for row in cursor.fetchall())


def _pending(cursor: PgCursor, pair: str, origin: OriginStatus, record: ControlRecord) -> int | None:
    if record.primary is not Side.POSTGRES or not origin.reverse_snapshot:
        return 0 if record.primary is Side.SQLITE else None
    return changes.pending(cursor, pair, origin.reverse_snapshot)


def _drift(ours: Objects, theirs: Objects) -> list[str]:
    """Objects whose texts differ between sqlite_master and the catalog in PostgreSQL. Parked triggers are no drift."""
    here = {(kind, name): sql for kind, name, _, sql in ours if kind != "trigger"}
    there = {(kind, name): sql for kind, name, _, sql in theirs if kind != "trigger"}
    return sorted(
        f"{kind} {name}"
        for kind, name in here.keys() | there.keys()
        if here.get((kind, name), "?") != there.get((kind, name), "?")
    )


def _one(cursor: PgCursor, sql: str, *params: object) -> tuple[object, ...]:
    cursor.execute(sql, params or None)
    row = cursor.fetchone()
    assert row is not None
    return row


def _all(cursor: PgCursor, sql: str, *params: object) -> list[tuple[object, ...]]:
    cursor.execute(sql, params)
    return cursor.fetchall()
