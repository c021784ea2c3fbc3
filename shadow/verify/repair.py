"""Make PostgreSQL's rows equal to SQLite's, for dirty tables and for what `verify` found.

Under the applier's lock: an SQLite snapshot at q; everything that is not dirty applied to exactly q; then one
PostgreSQL transaction that replaces the rows that differ, takes the tables off the dirty list, settles their
divergences and stores q. Copying a present row and then replaying what came before it would count it twice; storing q
with the rows is what rules that out. When the journal and the applied position do not fit any more (power loss, a
restored copy), nothing can be applied first: then all tables are repaired and q is stored whatever stood there.
"""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import psycopg2

from .. import log
from ..config import Settings
from ..errors import ConfigError, JournalBroken, OriginError, TargetError, TargetUnavailable
from ..flag import origin_setup, proof, target_setup
from ..flag.control import State, read_origin, read_target
from ..postgres.connect import connect, describe
from ..schema import build, column_types, inspect, load_catalog, objects, plan_evolve, profile_rows, save_catalog
from ..schema.copy import Row, copy_rows
from ..schema.names import carried_columns, pg_literal, pg_quote, pg_table, quote, text_literal
from ..translate.catalog import Catalog, PgType, Table, fold, pg_name
from ..types import Side
from ..values.codec import DoesNotFit
from .diff import Kind, RowDiff, TableDiff, diff_table, walk
from .pair import Applies, begin_origin, without_values

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection
    from psycopg2.extensions import cursor as PgCursor

_ROWS_PER_STATEMENT = 500
_LOCK_TIMEOUT = "10s"


@dataclass(frozen=True, slots=True)
class TableRepair:
    """What was, or with `dry_run` would be, changed in one table of PostgreSQL."""

    table: str
    different: int
    missing: int
    extra: int
    #: Columns that became `shadow.value` because what SQLite stores did not fit their type.
    widened: tuple[str, ...] = ()
    examples: tuple[RowDiff, ...] = ()
    columns: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        return self.different + self.missing + self.extra


@dataclass(frozen=True, slots=True)
class RepairReport:
    position: int
    tables: tuple[TableRepair, ...]
    dry_run: bool
    #: The journal did not fit the applied position; all was repaired and the position set anew.
    journal_replaced: bool
    seconds: float

    @property
    def rows(self) -> int:
        return sum(t.rows for t in self.tables)


def repair(
    settings: Settings, applier: Applies, tables: Collection[str] | None = None, *, dry_run: bool = False
) -> RepairReport:
    """Repair `tables`, or all. Raises `ConfigError` while PostgreSQL is primary or for a table that is not there."""
    if settings.database_url is None:
        raise ConfigError("DATABASE_URL is not set; give the PostgreSQL DSN")
    dsn, started = settings.database_url, time.monotonic()
    with closing(origin_setup.open_file(settings.sqlite_path)) as origin:
        try:
            with applier.exclusive():
                position, nonce = begin_origin(origin, settings.sqlite_path)
                broken = _apply_to(applier, position, tables)
                # The capture triggers take these writes for what they are: SQLite's.
                with closing(connect(dsn, purpose="repair", session={"shadow.applier": "on"})) as target:
                    work = _Repair(settings.pg_schema, origin, target, position, nonce, broken)
                    try:
                        found = work.run(tables, dry_run=dry_run, profiled=dry_run)
                    except DoesNotFit:  # nothing is committed: once more, with columns that hold what is stored
                        found = work.run(tables, dry_run=dry_run, profiled=True)
        except sqlite3.Error as error:
            what = without_values(error)
            raise OriginError(f"{settings.sqlite_path} could not be read: {what}; nothing was repaired") from error
        except DoesNotFit as error:
            raise OriginError(f"{error}; nothing was repaired") from error
        except psycopg2.OperationalError as error:
            text = " ".join(str(error).split())
            raise TargetUnavailable(f"PostgreSQL at {describe(dsn)} stopped the repair: {text}; try again") from error
        except psycopg2.Error as error:
            text = " ".join(str(error.diag.message_primary or error).split())
            raise TargetError(f"PostgreSQL at {describe(dsn)} refused a step of the repair: {text}") from error
    report = RepairReport(position, tuple(found), dry_run, broken and not dry_run, time.monotonic() - started)
    log.get(__name__).info(
        "repair.planned" if dry_run else "repair.finished",
        position=position,
        tables=[t.table for t in found if t.rows],
        rows=report.rows,
        journal_replaced=report.journal_replaced,
    )
    return report


def _apply_to(applier: Applies, position: int, tables: Collection[str] | None) -> bool:
    """Everything that is not dirty at exactly the snapshot's position; True when the journal makes that impossible."""
    try:
        applier.apply_to(position)
    except JournalBroken as error:
        if tables is not None:
            raise JournalBroken(f"{error} (all tables, not only some)") from error
        return True
    return False


class _Repair:
    """One PostgreSQL transaction."""

    def __init__(
        self, pair: str, origin: sqlite3.Connection, target: PgConnection, position: int, nonce: bytes, broken: bool
    ) -> None:
        self._pair = pair
        self._origin = origin
        self._target = target
        self._position = position
        self._nonce = nonce
        self._broken = broken

    def run(self, wanted: Collection[str] | None, *, dry_run: bool, profiled: bool) -> list[TableRepair]:
        """`profiled`: look at all values first, and widen the columns that do not hold them."""
        try:
            with self._target.cursor() as cursor:
                self._hold(cursor)
                present = load_catalog(cursor, self._pair)
                catalog, widened = self._fit_types(cursor, present, wanted, profiled=profiled)
                names = _names(catalog, wanted)
                found = []
                for name in names:
                    table = catalog.tables[name]
                    change = self._plan if dry_run else self._mend
                    found.append(_report(table, change(cursor, catalog, table), widened.get(name, ())))
                if not dry_run:
                    self._store(cursor, names, whole=wanted is None, changed=any(t.rows for t in found))
            if dry_run:
                self._target.rollback()
            else:
                self._target.commit()
            return found
        finally:
            if not self._target.closed:
                self._target.rollback()

    def _hold(self, cursor: PgCursor) -> None:
        """The flag and the applied position stand still, and are where the snapshot is."""
        cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
        cursor.execute("SELECT 1 FROM shadow.control WHERE pair = %s FOR SHARE", (self._pair,))
        record, control = read_target(cursor, self._pair), read_origin(self._origin)
        for side in (record, control.record if control else None):
            if side is None or side.primary is not Side.SQLITE or side.state is not State.ACTIVE:
                raise ConfigError("SQLite is not primary; repair goes from SQLite to PostgreSQL only")
        cursor.execute("SELECT position, nonce FROM shadow.applied WHERE pair = %s FOR UPDATE", (self._pair,))
        row = cursor.fetchone()
        if row is None:
            raise TargetError(f"pair {self._pair} has no applied position in PostgreSQL; run `shadow backfill`")
        if not self._broken and (row[0], bytes(row[1])) != (self._position, self._nonce):
            raise TargetUnavailable(f"the applied position of {self._pair} moved during the repair; try again")

    def _fit_types(
        self, cursor: PgCursor, catalog: Catalog, wanted: Collection[str] | None, *, profiled: bool
    ) -> tuple[Catalog, dict[str, tuple[str, ...]]]:
        """The snapshot's schema, with columns widened whose values no longer fit; their tables are made anew, empty."""
        fresh = inspect(self._origin, pg_schema=self._pair, types=column_types(catalog))
        names = _names(fresh, wanted) if profiled else []
        looked_at = replace(fresh, tables={name: fresh.tables[name] for name in names})
        found = profile_rows(self._origin, looked_at)
        blocking = [f for f in found.findings if f.blocking]
        if blocking:
            raise OriginError(blocking[0].message)
        types = column_types(fresh)
        widened: dict[str, tuple[str, ...]] = {}
        for key, table in looked_at.tables.items():
            wider = [c for c in table.columns if (key, fold(c.name)) in found.misfits]
            if wider:
                widened[key] = tuple(c.name for c in wider)
                types.update({(key, fold(c.name)): PgType.VALUE for c in wider})
        if fresh == catalog and not widened:
            return catalog, {}
        after = inspect(self._origin, pg_schema=self._pair, types=types)
        # To PostgreSQL a table with another type of column is another table.
        before = _without(catalog, {k for k in widened if k in catalog.tables})
        for key in widened:
            if key in catalog.tables:
                cursor.execute(f"DROP TABLE {pg_table(catalog, catalog.tables[key])} CASCADE")
        plan = plan_evolve(before, after, "")
        build(cursor, plan.statements)
        save_catalog(cursor, self._pair, objects(self._origin), after)
        return after, widened

    def _plan(self, cursor: PgCursor, catalog: Catalog, table: Table) -> TableDiff:
        return diff_table(self._origin, self._target, catalog, table)

    def _mend(self, cursor: PgCursor, catalog: Catalog, table: Table) -> TableDiff:
        """All wrong rows go before the right ones come: no uniqueness is broken on the way."""
        target = pg_table(catalog, table)
        cursor.execute(f"LOCK TABLE {target} IN SHARE ROW EXCLUSIVE MODE")
        found = TableDiff(table.name, tuple(name for name, _ in carried_columns(table)))
        cursor.execute(f"CREATE TEMP TABLE shadow_right ON COMMIT DROP AS SELECT * FROM {target} WHERE false")
        doomed: list[Row] = []
        right: list[Row] = []
        for row in walk(self._origin, self._target, catalog, table):
            _count(found, row)
            if row.target is not None:
                doomed.append(row.key)
            if row.origin is not None:
                right.append(row.origin)
            if len(doomed) >= _ROWS_PER_STATEMENT:
                _delete(cursor, target, table, doomed)
                doomed = []
            if len(right) >= _ROWS_PER_STATEMENT:
                _insert(cursor, table, right)
                right = []
        if doomed:
            _delete(cursor, target, table, doomed)
        if right:
            _insert(cursor, table, right)
        names = ", ".join(quote(name) for name, _ in carried_columns(table))
        cursor.execute(f"INSERT INTO {target} ({names}) SELECT {names} FROM pg_temp.shadow_right")
        cursor.execute("DROP TABLE pg_temp.shadow_right")
        _advance_sequence(cursor, catalog, table)
        found.complete = True
        return found

    def _store(self, cursor: PgCursor, names: Collection[str], *, whole: bool, changed: bool) -> None:
        control = read_origin(self._origin)
        assert control is not None
        cursor.execute(
            "UPDATE shadow.applied SET position = %s, nonce = %s, epoch = %s, applied_at = now() WHERE pair = %s",
            (self._position, self._nonce, control.record.epoch, self._pair),
        )
        cursor.execute("DELETE FROM shadow.dirty WHERE pair = %s AND table_name = ANY(%s)", (self._pair, list(names)))
        cursor.execute(
            "UPDATE shadow.divergence SET resolved_at = now() WHERE pair = %s AND resolved_at IS NULL"
            " AND (lower(table_name) = ANY(%s) OR (%s AND table_name IS NULL))",
            (self._pair, list(names), whole),
        )
        if changed or self._broken:
            proof.void(cursor, self._pair, "repair: rows were replaced")
        target_setup.audit(
            cursor, self._pair, "repair", {"position": self._position, "tables": sorted(names), "rows_changed": changed}
        )


def _without(catalog: Catalog, keys: set[str]) -> Catalog:
    return replace(catalog, tables={k: t for k, t in catalog.tables.items() if k not in keys})


def _names(catalog: Catalog, wanted: Collection[str] | None) -> list[str]:
    present = sorted(k for k, t in catalog.tables.items() if not t.virtual)
    if wanted is None:
        return present
    names = sorted({fold(name) for name in wanted})
    for name in names:
        if name not in present:
            raise ConfigError(f"there is no table {name}; the tables are {', '.join(present)}")
    return names


def _count(found: TableDiff, row: RowDiff) -> None:
    match row.kind:
        case Kind.DIFFERENT:
            found.different += 1
        case Kind.MISSING:
            found.missing += 1
        case Kind.EXTRA:
            found.extra += 1
    if len(found.examples) < 20:
        found.examples.append(row)


def _delete(cursor: PgCursor, target: str, table: Table, keys: list[Row]) -> None:
    """By key, values as literals of their columns' types: no guessing on the way."""
    types = [_key_type(table, name) for name in table.key]
    rows = ", ".join(f"({', '.join(_literals(key, types))})" for key in keys)
    names = ", ".join(pg_quote(name) for name in table.key)
    cursor.execute(f"DELETE FROM {target} WHERE ({names}) IN ({rows})")


def _insert(cursor: PgCursor, table: Table, rows: list[Row]) -> None:
    waiting = iter(rows)
    copy_rows(
        cursor, "pg_temp.shadow_right", table, lambda count: list(itertools.islice(waiting, count)), lambda _: None
    )


def _key_type(table: Table, name: str) -> PgType:
    column = table.column(name)
    return PgType.BIGINT if column is None else column.pg_type


def _literals(key: Row, types: list[PgType]) -> Iterator[str]:
    return (pg_literal(value, kind) for value, kind in zip(key, types, strict=True))


def _advance_sequence(cursor: PgCursor, catalog: Catalog, table: Table) -> None:
    """Ids that came with the rows must not be given again."""
    if table.rowid_column is None:
        return
    target = pg_table(catalog, table)
    sequence = f"pg_get_serial_sequence({text_literal(target)}, {text_literal(pg_name(table.rowid_column))})"
    cursor.execute(f"SELECT {sequence}, coalesce(max({pg_quote(table.rowid_column)}), 0) FROM {target}")
    row = cursor.fetchone()
    if row is None or row[0] is None or row[1] < 1:
        return
    cursor.execute(f"SELECT last_value, is_called FROM {row[0]}")
    last, called = cursor.fetchone() or (0, False)
    if row[1] > last or (row[1] == last and not called):
        cursor.execute("SELECT setval(%s, %s)", (row[0], row[1]))


def _report(table: Table, found: TableDiff, widened: tuple[str, ...]) -> TableRepair:
    return TableRepair(
        table.name, found.different, found.missing, found.extra, widened, tuple(found.examples), found.columns
    )
