"""The copy of existing rows: one SQLite snapshot at a known journal position, while the app keeps writing.

Tables are made anew, filled by COPY, then get keys, indexes and checks, then sequences. Their types are those that
`init` chose; a table with a value that does not fit is profiled in the snapshot and begun again with wider types. The
last transaction stores `shadow.applied` at the snapshot's position: until it commits the pair counts as not backfilled
and nothing is applied, so an interrupted backfill is simply run again, from an empty start.

Limits, wider than wanted: one process, one snapshot for all tables (the WAL cannot be reset while it is open, so it
grows by what the app writes meanwhile), and no resume of tables already copied.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import psycopg2

from .. import journal, log
from ..config import Settings
from ..errors import ConfigError, OriginError, TargetError
from ..flag import origin_setup, proof, target_setup
from ..flag.control import OriginControl, read_origin, read_target
from ..postgres.connect import connect, describe
from ..schema import (
    Finding,
    build,
    column_types,
    inspect,
    load_catalog,
    objects,
    plan_indexes,
    plan_tables,
    profile_rows,
    save_catalog,
)
from ..schema.copy import copy_table, rowid_term
from ..schema.names import pg_table, quote, text_literal
from ..schema.store import load_types
from ..translate.catalog import Catalog, Table, pg_name
from ..types import Side
from ..values.codec import DoesNotFit

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection
    from psycopg2.extensions import cursor as PgCursor

#: (table, rows done, rows in all); called often, so it should be quick.
OnProgress = Callable[[str, int, int], None]

_SETTINGS = ("SET LOCAL synchronous_commit = off", "SET LOCAL maintenance_work_mem = '256MB'")


@dataclass(frozen=True, slots=True)
class TableCopied:
    name: str
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class BackfillReport:
    position: int
    tables: tuple[TableCopied, ...]
    seconds: float
    findings: tuple[Finding, ...]

    @property
    def rows(self) -> int:
        return sum(t.rows for t in self.tables)


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What the SQLite snapshot holds besides the rows."""

    position: int
    nonce: bytes
    control: OriginControl
    catalog: Catalog
    #: Rows of each table, by folded name.
    rows: dict[str, int]
    #: Highest id that each table has given so far, by folded name; what its sequence starts after.
    ids: dict[str, int]


def backfill(settings: Settings, *, progress: OnProgress | None = None, again: bool = False) -> BackfillReport:
    """Copy everything. Refuses when the pair has been backfilled already, unless `again`.

    Raises `ConfigError`, `OriginError` or `TargetError`; after any of them the pair counts as not backfilled.
    """
    if settings.database_url is None:
        raise ConfigError("DATABASE_URL is not set; give the PostgreSQL DSN")
    origin_setup.check_file(settings.sqlite_path)
    started = time.monotonic()
    with (
        closing(connect(settings.database_url, purpose="backfill")) as target,
        closing(origin_setup.open_file(settings.sqlite_path)) as origin,
    ):
        try:
            _claim(target, settings, again=again)
            with _no_writer(settings):
                origin.execute("BEGIN")
                read_origin(origin)  # the first read: the snapshot is taken here
            snapshot = _take_snapshot(origin, target, settings)
            copy = _Copy(origin, target, snapshot, progress or (lambda *_: None))
            copy.prepare()
            copy.all_tables()
            origin.execute("ROLLBACK")
            copy.finish()
        except sqlite3.Error as error:
            raise OriginError(f"{settings.sqlite_path} could not be read: {error}; run backfill again") from error
        except psycopg2.Error as error:
            text = " ".join(str(error.diag.message_primary or error).split())
            raise TargetError(
                f"PostgreSQL at {describe(settings.database_url)} stopped the backfill ({text}); run it again"
            ) from error
    seconds = time.monotonic() - started
    report = BackfillReport(snapshot.position, tuple(copy.copied), seconds, tuple(copy.findings))
    log.get(__name__).info(
        "backfill.finished",
        position=report.position,
        tables=len(copy.copied),
        rows=report.rows,
        seconds=round(seconds, 3),
    )
    return report


def _claim(target: PgConnection, settings: Settings, *, again: bool) -> None:
    """One backfill at a time; held by the session, so a killed one frees it."""
    pair = settings.pg_schema
    with target, target.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtext('shadow.backfill'), hashtext(%s))", (pair,))
        if not _one(cursor):
            raise TargetError(f"another backfill of {pair} is running; wait for it or end it")
        known = target_setup.read_pair(cursor, pair)
        if known is None:
            raise ConfigError(f"schema {pair} holds no pair; run `shadow init` first")
        if known.record.primary is not Side.SQLITE:
            raise ConfigError("PostgreSQL is primary; a backfill would undo its writes")
        cursor.execute("SELECT EXISTS (SELECT FROM shadow.applied WHERE pair = %s)", (pair,))
        if _one(cursor) and not again:
            raise ConfigError(
                f"{pair} is already backfilled; mend it with `shadow verify --repair`, or copy all with --again"
            )


@contextmanager
def _no_writer(settings: Settings) -> Iterator[None]:
    """Nobody writes for a moment. A transaction that was open when `init` came may leave no record, so what it wrote
    must be in the snapshot: wait for it, as for every other."""
    with closing(origin_setup.open_file(settings.sqlite_path)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        yield


def _take_snapshot(origin: sqlite3.Connection, target: PgConnection, settings: Settings) -> _Snapshot:
    control = read_origin(origin)
    if control is None:
        raise ConfigError(f"{settings.sqlite_path} is not initialised; run `shadow init` first")
    if control.record.primary is not Side.SQLITE:
        raise ConfigError("PostgreSQL is primary; a backfill would undo its writes")
    position, nonce = journal.head(origin)
    with target, target.cursor() as cursor:
        types = load_types(cursor, settings.pg_schema)
    catalog = inspect(origin, pg_schema=settings.pg_schema, types=types)
    ids, rows = {}, {}
    for key, table in catalog.tables.items():
        if table.virtual:
            continue
        rows[key] = sqlite3.Cursor(origin).execute(f"SELECT count(*) FROM main.{quote(table.name)}").fetchone()[0]
        if not table.without_rowid:
            ids[key] = _highest_id(origin, table)
    return _Snapshot(position, nonce, control, catalog, rows, ids)


def _highest_id(origin: sqlite3.Connection, table: Table) -> int:
    cursor = sqlite3.Cursor(origin)
    highest = cursor.execute(f"SELECT max({rowid_term(table)}) FROM main.{quote(table.name)}").fetchone()[0] or 0
    if table.autoincrement:  # an id that was given once and deleted is not given again
        row = cursor.execute("SELECT max(seq) FROM main.sqlite_sequence WHERE name = ?", (table.name,)).fetchone()
        highest = max(highest, row[0] or 0)
    return int(highest)


class _Copy:
    """One backfill from its snapshot on."""

    def __init__(
        self, origin: sqlite3.Connection, target: PgConnection, snapshot: _Snapshot, progress: OnProgress
    ) -> None:
        self._origin = origin
        self._target = target
        self._snapshot = snapshot
        self._progress = progress
        #: Changes when a column has to be wider than `init` thought.
        self._catalog = snapshot.catalog
        self._pair = snapshot.catalog.pg_schema
        self.findings: list[Finding] = []
        self.copied: list[TableCopied] = []

    def prepare(self) -> None:
        """Start from nothing, in one transaction: not backfilled, no rows, no indexes, the snapshot's schema."""
        with self._target, self._target.cursor() as cursor:
            _lock_pair(cursor, self._pair, self._snapshot)
            cursor.execute("DELETE FROM shadow.applied WHERE pair = %s", (self._pair,))
            if cursor.rowcount:
                proof.void(cursor, self._pair, "all rows were copied again")
            for table in ("backfill", "dirty", "verified"):
                cursor.execute(f"DELETE FROM shadow.{table} WHERE pair = %s", (self._pair,))
            target_setup.drop_tables(cursor, load_catalog(cursor, self._pair))
            target_setup.check_target(cursor, self._catalog)
            found = objects(self._origin)
            self.findings += target_setup.install_tables(cursor, self._catalog, found, with_indexes=False)

    def all_tables(self) -> None:
        for key, table in self._catalog.tables.items():
            if table.virtual:
                continue
            started = time.monotonic()
            self._progress(table.name, 0, self._snapshot.rows[key])
            try:
                rows = self._one_table(key)
            except (DoesNotFit, sqlite3.OperationalError) as error:
                if isinstance(error, sqlite3.OperationalError) and "decode" not in str(error):
                    raise
                self._widen(key)
                rows = self._one_table(key)
            self.copied.append(TableCopied(table.name, rows, time.monotonic() - started))

    def _one_table(self, key: str) -> int:
        table, total = self._catalog.tables[key], self._snapshot.rows[key]
        with self._target, self._target.cursor() as cursor:
            cursor.execute(_SETTINGS[0])
            rows = copy_table(
                self._origin, cursor, self._catalog, table, lambda done: self._progress(table.name, done, total)
            )
            cursor.execute(
                "INSERT INTO shadow.backfill (pair, table_name, position, rows_copied, finished_at)"
                " VALUES (%s, %s, %s, %s, clock_timestamp())",
                (self._pair, key, self._snapshot.position, rows),
            )
        return rows

    def _widen(self, key: str) -> None:
        """Make the table anew with types that hold what the snapshot has; raises for what no type holds."""
        alone = replace(self._catalog, tables={key: self._catalog.tables[key]})
        found = profile_rows(self._origin, alone)
        blocking = [f for f in found.findings if f.blocking]
        if blocking:
            raise OriginError(blocking[0].message)
        types = column_types(self._catalog) | {k: column_types(found.catalog)[k] for k in found.misfits}
        wider = inspect(self._origin, pg_schema=self._pair, types=types)
        plan = plan_tables(wider, [wider.tables[key]])
        with self._target, self._target.cursor() as cursor:
            target_setup.drop_tables(cursor, alone)
            self.findings += [*found.findings, *plan.findings, *build(cursor, plan.statements)]
            save_catalog(cursor, self._pair, self._origin, wider)
        self._catalog = wider

    def finish(self) -> None:
        """Keys, indexes, checks, sequences; then, in the last transaction, the position from which apply goes on."""
        catalog = self._catalog
        with self._target, self._target.cursor() as cursor:
            for setting in _SETTINGS:
                cursor.execute(setting)
            plan = plan_indexes(catalog)
            self.findings += [*plan.findings, *build(cursor, plan.statements)]
        with self._target, self._target.cursor() as cursor:
            for key, highest in self._snapshot.ids.items():
                _set_sequence(cursor, catalog, catalog.tables[key], highest)
            for table in catalog.tables.values():
                if not table.virtual:
                    cursor.execute(f"ANALYZE {pg_table(catalog, table)}")
        with self._target, self._target.cursor() as cursor:
            _lock_pair(cursor, self._pair, self._snapshot)
            cursor.execute(
                "INSERT INTO shadow.applied (pair, position, nonce, epoch) VALUES (%s, %s, %s, %s)",
                (self._pair, self._snapshot.position, self._snapshot.nonce, self._snapshot.control.record.epoch),
            )
            target_setup.audit(cursor, self._pair, "backfill", {"position": self._snapshot.position})


def _set_sequence(cursor: PgCursor, catalog: Catalog, table: Table, highest: int) -> None:
    if highest < 1 or table.rowid_column is None:
        return
    relation = text_literal(pg_table(catalog, table))
    column = text_literal(pg_name(table.rowid_column))
    cursor.execute(f"SELECT setval(pg_get_serial_sequence({relation}, {column}), {highest})")


def _lock_pair(cursor: PgCursor, pair: str, snapshot: _Snapshot) -> None:
    """Hold the flag still, and see that it is where it was."""
    cursor.execute("SELECT 1 FROM shadow.control WHERE pair = %s FOR UPDATE", (pair,))
    record = read_target(cursor, pair)
    if record is None or record.epoch != snapshot.control.record.epoch or record.primary is not Side.SQLITE:
        raise ConfigError(f"the flag of {pair} has changed during the backfill; see `shadow status`, then run it again")


def _one(cursor: PgCursor) -> object:
    row = cursor.fetchone()
    assert row is not None
    return row[0]
