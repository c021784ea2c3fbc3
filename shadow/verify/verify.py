"""Every table, both sides, at one position.

A table is equal only if all its rows were compared and none differed. What failed or was skipped is not complete, and
then the whole is "not verified", never "equal". The result is stored in `shadow.verified` under the proof epoch that
held in the snapshot: whatever raised it meanwhile makes the result old.

Limit, wider than wanted: one pair serves all tables, so both snapshots stay open for as long as the whole takes.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass

import psycopg2

from .. import log
from ..config import Settings
from ..errors import ConfigError, ShadowError
from ..postgres.connect import connect
from ..schema import inspect
from ..translate.catalog import Table, fold
from .diff import TableDiff, diff_table
from .pair import Applies, FencedPair, OpenPair, open_pair, without_values

#: (table, rows compared so far).
OnProgress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class VerifyReport:
    position: int
    tables: tuple[TableDiff, ...]
    seconds: float
    #: All tables of the schema were asked for.
    whole: bool

    @property
    def verified(self) -> bool:
        """Every table asked for was compared to its end."""
        return all(t.complete for t in self.tables)

    @property
    def equal(self) -> bool:
        return self.verified and not self.rows_wrong

    @property
    def rows_compared(self) -> int:
        return sum(t.rows_compared for t in self.tables)

    @property
    def rows_wrong(self) -> int:
        return sum(t.rows_wrong for t in self.tables)


def verify(
    settings: Settings,
    applier: Applies,
    tables: Collection[str] | None = None,
    *,
    pair_opener: OpenPair | None = None,
    progress: OnProgress = lambda *_: None,
) -> VerifyReport:
    """Compare `tables`, or all. `pair_opener` gives the pair when PostgreSQL is primary (the reverse way drained).

    Raises `ConfigError` for a table that is not there, and what opening the pair raises.
    """
    if settings.database_url is None:
        raise ConfigError("DATABASE_URL is not set; give the PostgreSQL DSN")
    dsn, started = settings.database_url, time.monotonic()
    opener = pair_opener or (lambda: open_pair(settings.sqlite_path, dsn, settings.pg_schema, applier))
    with opener() as pair:
        results = [_one_table(pair, name, progress) for name in _names(pair, tables)]
        report = VerifyReport(pair.position, tuple(results), time.monotonic() - started, tables is None)
        with closing(connect(dsn, purpose="verify")) as store:
            _store(store, settings.pg_schema, pair, report)
    log.get(__name__).info(
        "verify.finished",
        position=report.position,
        tables=len(results),
        rows=report.rows_compared,
        wrong=report.rows_wrong,
        verified=report.verified,
        seconds=round(report.seconds, 3),
    )
    return report


def _names(pair: FencedPair, wanted: Collection[str] | None) -> list[str]:
    """Folded names: the tables of either side."""
    origin = inspect(pair.origin, pg_schema=pair.catalog.pg_schema)
    present = {k for c in (origin, pair.catalog) for k, t in c.tables.items() if not t.virtual}
    if wanted is None:
        return sorted(present)
    names = sorted({fold(name) for name in wanted})
    for name in names:
        if name not in present:
            raise ConfigError(f"there is no table {name}; the tables are {', '.join(sorted(present))}")
    return names


def _one_table(pair: FencedPair, name: str, progress: OnProgress) -> TableDiff:
    table = pair.catalog.tables.get(name)
    found = TableDiff(name if table is None else table.name)
    try:
        problem = _not_alike(pair, name, table)
        if problem:
            found.detail = problem
            return found
        assert table is not None
        with pair.target.cursor() as cursor:
            cursor.execute("SAVEPOINT shadow_table")  # an error must not cost the snapshot
        found = diff_table(
            pair.origin, pair.target, pair.catalog, table, progress=lambda rows: progress(table.name, rows)
        )
        if name in pair.dirty:
            found.detail = "dirty: waits for repair"
    except (sqlite3.Error, psycopg2.Error, ShadowError, ValueError) as error:
        found.detail = f"not compared: {without_values(error)}"
        _keep_snapshot(pair)
    return found


def _not_alike(pair: FencedPair, name: str, table: Table | None) -> str:
    """Why the table cannot be compared as it is."""
    origin = inspect(pair.origin, pg_schema=pair.catalog.pg_schema).tables.get(name)
    if origin is None:
        return "the table is not in SQLite"
    if table is None:
        return "the table is not in PostgreSQL"
    ours, theirs = ([fold(c.name) for c in t.stored_columns] for t in (origin, table))
    if sorted(ours) != sorted(theirs):
        return f"other columns: SQLite has {', '.join(ours)}; PostgreSQL has {', '.join(theirs)}"
    return ""


def _keep_snapshot(pair: FencedPair) -> None:
    try:
        with pair.target.cursor() as cursor:
            cursor.execute("ROLLBACK TO shadow_table")
    except psycopg2.Error:
        pass  # the connection is lost: every later table fails as well, and says so


def _store(store: psycopg2.extensions.connection, pair_name: str, pair: FencedPair, report: VerifyReport) -> None:
    with store, store.cursor() as cursor:
        if report.whole:
            cursor.execute("DELETE FROM shadow.verified WHERE pair = %s", (pair_name,))
        for table in report.tables:
            cursor.execute(
                "INSERT INTO shadow.verified (pair, table_name, position, proof_epoch, rows_compared, rows_different,"
                " rows_missing, rows_extra, complete, detail) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
                " ON CONFLICT (pair, table_name) DO UPDATE SET position = excluded.position,"
                " proof_epoch = excluded.proof_epoch, rows_compared = excluded.rows_compared,"
                " rows_different = excluded.rows_different, rows_missing = excluded.rows_missing,"
                " rows_extra = excluded.rows_extra, complete = excluded.complete, detail = excluded.detail,"
                " at = clock_timestamp()",
                (
                    pair_name,
                    fold(table.table),
                    report.position,
                    pair.proof_epoch,
                    table.rows_compared,
                    table.different,
                    table.missing,
                    table.extra,
                    table.complete,
                    table.detail,
                ),
            )
