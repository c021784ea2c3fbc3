"""Bring dirty tables back in line as they appear.

A divergence makes its table dirty: apply then skips it and reads of it are not comparable, so nothing is shown about it
until it is repaired. The divergence does not vanish: it stays in `shadow.divergence`, resolved.
"""

from __future__ import annotations

from psycopg2.extensions import connection as PgConnection

from .. import log
from ..compare import store
from ..postgres.connect import connect
from ..replicate.applier import Applier
from ..schema import load_catalog
from ..verify.repair import repair
from .metrics import Metrics
from .settings import AgentSettings
from .steps import sqlite_is_primary

_log = log.get(__name__)

_DIRTY = "SELECT table_name FROM shadow.dirty WHERE pair = %s ORDER BY 1"
#: A write that may have touched any table: nobody can say that repairing some of them settles it.
_ANY_TABLE = (
    "SELECT EXISTS (SELECT FROM shadow.divergence WHERE pair = %s AND resolved_at IS NULL AND table_name IS NULL)"
)


class RepairStep:
    """Looks for dirty tables, and repairs them all at one position."""

    def __init__(self, settings: AgentSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        pair = settings.pair
        self._pair = pair.pg_schema
        self._applier = Applier(pair.sqlite_path, settings.dsn, pair.pg_schema)
        self._target: PgConnection | None = None

    def once(self) -> float:
        pause = self._settings.repair_interval_seconds
        if not self._settings.auto_repair or not sqlite_is_primary(self._settings.pair.sqlite_path):
            return pause
        dirty, any_table = self._dirty()
        if not dirty and not any_table:
            return pause
        report = repair(self._settings.pair, self._applier, None if any_table else dirty)
        self._metrics.count("shadow_repaired_rows_total", report.rows)
        self._resolve_mismatches([found.table for found in report.tables], report.position)
        return pause

    def reset(self) -> None:
        self._applier.close()
        if self._target is not None:
            self._target.close()
            self._target = None

    def _connection(self) -> PgConnection:
        if self._target is None or self._target.closed:
            self._target = connect(self._settings.dsn, purpose="repair watch")
        return self._target

    def _dirty(self) -> tuple[list[str], bool]:
        conn = self._connection()
        with conn, conn.cursor() as cursor:
            cursor.execute(_DIRTY, (self._pair,))
            dirty = [row[0] for row in cursor.fetchall()]
            cursor.execute(_ANY_TABLE, (self._pair,))
            row = cursor.fetchone()
            return dirty, bool(row and row[0])

    def _resolve_mismatches(self, tables: list[str], position: int) -> None:
        conn = self._connection()
        with conn, conn.cursor() as cursor:
            catalog = load_catalog(cursor, self._pair)
            resolved = store.resolve_tables(cursor, self._pair, catalog, tables, position)
        if resolved:
            _log.info("mismatch.resolved", count=resolved, by="repair")
