"""What each worker of the agent does in one step.

The parts that do the work (applier, comparer, reverse applier, repair, reconcile) know nothing of each other; here one
is handed to the other, and what they did is counted.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress

import psycopg2
from psycopg2.extensions import connection as PgConnection

from .. import log
from ..compare import store
from ..compare.comparer import Comparer, Round
from ..compare.samples import SURPLUS, Queue, Sample, Seen
from ..compare.verdict import Comparison, Reason, Verdict
from ..cutover.reconcile import reconcile
from ..errors import FenceTimeout, NotPrimary
from ..flag.control import OriginControl, read_origin
from ..postgres.connect import connect
from ..replicate.applier import Applier, Progress
from ..replicate.trim import trim_journal
from ..reverse.applier import ReverseApplier
from ..types import Side
from ..verify.pair import open_pair
from .metrics import Metrics
from .settings import AgentSettings
from .worker import WORLD

_log = log.get(__name__)

#: Between looks at the flag while the other side is primary.
_OTHER_SIDE_SECONDS = 0.25
_APPLY_BUDGET_SECONDS = 0.5
#: Even without news the applied position is held against the journal so often.
_CHECK_SECONDS = 1.0
#: A worker must hear that it is to stop, however long somebody else holds the applier's lock.
_LOCK_SECONDS = 5.0
#: With more than this to be applied first, a pair would hold SQLite's snapshot, and its WAL, for long: samples wait.
_COMPARE_LAG_RECORDS_MAX = 5_000
_RECONCILE_SECONDS = 1.0
_REVERSE_SECONDS = 0.05
_TRIM_SECONDS = 5.0
_COUNTS_SECONDS = 2.0


def origin_control(sqlite_path: str) -> OriginControl | None:
    """SQLite's control row, on a connection of its own."""
    with closing(sqlite3.connect(sqlite_path, isolation_level=None, timeout=5.0)) as conn:
        return read_origin(conn)


def sqlite_is_primary(sqlite_path: str) -> bool:
    """As SQLite's own record says; also while a switch is only prepared."""
    control = origin_control(sqlite_path)
    return control is not None and control.record.accepts_writes(Side.SQLITE)


class ApplyStep:
    """Journal to PostgreSQL, as soon as there is something."""

    def __init__(self, settings: AgentSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._applier = Applier(
            settings.pair.sqlite_path,
            settings.dsn,
            settings.pair.pg_schema,
            on_group=lambda seconds: metrics.observe("shadow_apply_seconds", seconds),
        )
        self._done: tuple[int, bytes] | None = None
        self._checked_at = 0.0

    def once(self) -> float:
        head = self._applier.head()
        if head == self._done and time.monotonic() - self._checked_at < _CHECK_SECONDS:
            return self._settings.apply_interval_seconds
        try:
            with self._applier.exclusive(wait_seconds=_LOCK_SECONDS):
                progress = self._applier.apply_to(budget_seconds=_APPLY_BUDGET_SECONDS)
        except NotPrimary:
            return _OTHER_SIDE_SECONDS
        except FenceTimeout:
            return 0.0  # verify, repair or a switch is at work; whoever holds the lock applies meanwhile
        self._count(progress)
        self._checked_at = time.monotonic()
        self._done = head if progress.complete and progress.position == head[0] else None
        return 0.0 if not progress.complete else self._settings.apply_interval_seconds

    def reset(self) -> None:
        self._applier.close()
        self._done = None

    def _count(self, progress: Progress) -> None:
        count = self._metrics.count
        count("shadow_apply_transactions_total", progress.records)
        count("shadow_apply_statements_total", progress.statements)
        count("shadow_apply_skipped_total", progress.skipped_dirty, reason="dirty")
        count("shadow_apply_skipped_total", progress.skipped_diverged, reason="diverged")
        count("shadow_apply_retries_total", progress.groups_redone, reason="statement_failed")


class CompareStep:
    """Waiting samples on one fenced pair."""

    def __init__(self, settings: AgentSettings, metrics: Metrics, queue: Queue) -> None:
        self._settings = settings
        self._metrics = metrics
        self._queue = queue
        pair = settings.pair
        self._applier = Applier(pair.sqlite_path, settings.dsn, pair.pg_schema)
        self._comparer = Comparer(pair.pg_schema)
        self._target: PgConnection | None = None
        self._counted_at = 0.0

    def once(self) -> float:
        if not self._settings.compare_interval_seconds:
            return _OTHER_SIDE_SECONDS
        samples = self._queue.take(self._settings.compare_samples_max, wait_seconds=0.2)
        if not samples:
            if time.monotonic() - self._counted_at >= _COUNTS_SECONDS:
                self._store(Round((), (), 0))
            return 0.0
        found = self._compare(samples)
        self._queue.give_back(list(found.left))
        self._store(found)
        return self._settings.compare_interval_seconds

    def reset(self) -> None:
        self._applier.close()
        if self._target is not None:
            self._target.close()
            self._target = None

    def _compare(self, samples: list[Sample]) -> Round:
        """The verdicts, or the samples back where this is not the moment for them."""
        pair = self._settings.pair
        try:
            if not sqlite_is_primary(pair.sqlite_path):
                return self._too_late(samples)
            if self._applier.head()[0] - self._applier.applied()[0] > _COMPARE_LAG_RECORDS_MAX:
                return Round((), tuple(samples), 0)
            with open_pair(
                pair.sqlite_path, self._settings.dsn, pair.pg_schema, self._applier, wait_seconds=_LOCK_SECONDS
            ) as fenced:
                return self._comparer.compare(fenced, samples, budget_seconds=self._settings.compare_budget_seconds)
        except (FenceTimeout, NotPrimary):
            return Round((), tuple(samples), 0)
        except WORLD:
            self._queue.give_back(samples)  # the world's fault: they are compared when it is over
            raise
        except BaseException:
            self._queue.drop("compare_failed", len(samples))
            raise

    def _too_late(self, samples: list[Sample]) -> Round:
        """The switch was quicker than the comparison: what waits is told once for each shape, the rest was surplus."""
        waiting = [*samples, *self._queue.take(len(self._queue))]
        shapes = {sample.fingerprint: sample for sample in waiting}
        self._queue.drop(SURPLUS, len(waiting) - len(shapes))
        late = Verdict.NOT_COMPARABLE, Reason.POSTGRES_PRIMARY
        return Round(tuple(Comparison(sample, 0, *late) for sample in shapes.values()), (), 0)

    def _store(self, found: Round) -> None:
        seen, dropped = self._queue.counts()
        self._counted_at = time.monotonic()
        if not (found.done or seen or dropped):
            return
        try:
            self._record(found, seen, dropped)
        except WORLD:
            self._queue.restore(seen, dropped)  # nothing may be lost uncounted
            self._queue.give_back([comparison.sample for comparison in found.done])
            raise
        self._show(found.done, sum(shape.count for shape in seen.values()), dropped)

    def _record(self, found: Round, seen: dict[str, Seen], dropped: Counter[str]) -> None:
        if self._target is None or self._target.closed:
            self._target = connect(self._settings.dsn, purpose="compare store")
        pair = self._settings.pair.pg_schema
        with self._target, self._target.cursor() as cursor:
            store.record(cursor, pair, found.done, seen=seen, dropped=dropped, proof_epoch=found.proof_epoch)

    def _show(self, done: tuple[Comparison, ...], seen: int, dropped: Counter[str]) -> None:
        metrics = self._metrics
        metrics.count("shadow_reads_seen_total", seen)
        for reason, count in dropped.items():
            if reason == SURPLUS:
                continue  # more of a shape that waits to be compared anyway: nothing is lost
            metrics.count("shadow_samples_dropped_total", count, reason=reason)
        for comparison in done:
            if comparison.verdict is Verdict.NOT_COMPARABLE:
                metrics.count("shadow_reads_not_comparable_total", reason=str(comparison.reason))
                continue
            metrics.count("shadow_reads_compared_total", verdict=comparison.verdict.value)
            if comparison.verdict is Verdict.MISMATCH:
                _log.warning(
                    "read.mismatched",
                    fingerprint=comparison.sample.fingerprint,
                    reason=str(comparison.reason),
                    position=comparison.position,
                )
            for side, result in (("sqlite", comparison.origin), ("postgres", comparison.target)):
                if result is not None:
                    metrics.observe("shadow_compare_seconds", result.seconds, side=side)


class ReverseStep:
    """PostgreSQL's changes back to SQLite, while PostgreSQL is primary."""

    def __init__(self, settings: AgentSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._reverse: ReverseApplier | None = None

    def once(self) -> float:
        pair = self._settings.pair
        control = origin_control(pair.sqlite_path)
        if control is None or not control.record.accepts_writes(Side.POSTGRES):
            self._metrics.gauge("shadow_reverse_lag_changes", 0)
            return _OTHER_SIDE_SECONDS
        if self._reverse is None:
            self._reverse = ReverseApplier(pair.sqlite_path, self._settings.dsn, pair.pg_schema)
        try:
            changes = self._reverse.run_once()
        except NotPrimary:
            return _OTHER_SIDE_SECONDS
        self._metrics.count("shadow_reverse_applied_total", changes)
        self._metrics.gauge("shadow_reverse_lag_changes", self._reverse.pending())
        return _REVERSE_SECONDS

    def reset(self) -> None:
        if self._reverse is not None:
            with suppress(psycopg2.Error, sqlite3.Error):
                self._reverse.close()
            self._reverse = None


class ReconcileStep:
    """Finish or undo a half switch that a coordinator left behind."""

    def __init__(self, settings: AgentSettings, metrics: Metrics) -> None:
        self._settings = settings

    def once(self) -> float:
        settled = reconcile(self._settings.pair)
        if settled is not None and settled.action:
            _log.warning("switch.settled", action=settled.action, primary=settled.primary.value, epoch=settled.epoch)
        return _RECONCILE_SECONDS

    def reset(self) -> None:
        """Keeps nothing."""


class TrimStep:
    """Forget journal records that PostgreSQL has durably."""

    def __init__(self, settings: AgentSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._target: PgConnection | None = None

    def once(self) -> float:
        pair = self._settings.pair
        if not sqlite_is_primary(pair.sqlite_path):
            return _TRIM_SECONDS
        if self._target is None or self._target.closed:
            self._target = connect(self._settings.dsn, purpose="trim", autocommit=True)
        with self._target.cursor() as cursor:
            cursor.execute("SELECT position FROM shadow.applied WHERE pair = %s", (pair.pg_schema,))
            row = cursor.fetchone()
        if row is not None:
            trim_journal(pair.sqlite_path, row[0], keep_rows=self._settings.journal_keep_rows)
        return _TRIM_SECONDS

    def reset(self) -> None:
        if self._target is not None:
            self._target.close()
            self._target = None
