"""Run sampled reads on both sides of a fenced pair and judge them.

Both sides stand at one position, so a difference is a difference; "now" is the moment at which the app read, on both.
On SQLite the app's own text runs; on PostgreSQL the translation that PostgreSQL mode would run. Result column names
are those of the replica, as in PostgreSQL mode. Everything that ends without a verdict says why.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import psycopg2
from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import cursor as PgCursor

from .. import log
from ..errors import ShadowError, TargetUnavailable
from ..postgres.errors import to_sqlite_error
from ..schema.inspect import objects
from ..schema.replica import Replica
from ..schema.store import catalog_version, load_objects, load_types
from ..translate import Kind, Order, Purpose, Translation, Unsupported, translate
from ..translate.catalog import Catalog
from ..types import SqliteRow
from ..values.clock import freeze_functions, freeze_keywords
from .judge import judge, settle_sums
from .samples import Sample
from .sorting import sort_keys
from .verdict import Comparison, Reason, Result, Verdict

_log = log.get(__name__)

ROWS_MAX = 5_000
STATEMENT_SECONDS_MAX = 5.0
_PROGRESS_STEPS = 20_000
_NOT_OF_THE_STATEMENT = frozenset({"08", "40", "53", "55", "58"})
_QUERY_CANCELED = "57014"
#: What SQLite says about things that live in the app's connection only.
_APP_CONNECTION = ("no such function", "no such collation", "no such table", "unknown database", "no such module")


class Pair(Protocol):
    """A fenced pair (`verify.pair.FencedPair`): both sides in a snapshot at `position`."""

    @property
    def position(self) -> int: ...
    @property
    def origin(self) -> sqlite3.Connection: ...
    @property
    def target(self) -> PgConnection: ...
    @property
    def dirty(self) -> frozenset[str]: ...
    @property
    def proof_epoch(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Round:
    """What one fenced pair gave."""

    done: tuple[Comparison, ...]
    #: No time was left for these.
    left: tuple[Sample, ...]
    #: The proof epoch inside the snapshots: verdicts count as proof of this epoch and no later one.
    proof_epoch: int


class Comparer:
    """Keeps what outlives a pair: the catalog by version, and the replica."""

    def __init__(self, pair_name: str) -> None:
        self._pair = pair_name
        self._version = -1
        self._replica = Replica([])
        self._catalog = Catalog()

    def compare(self, pair: Pair, samples: Sequence[Sample], *, budget_seconds: float = 1.0) -> Round:
        """Verdicts, and the samples for which there was no time any more."""
        cursor = pair.target.cursor()
        self._refresh(cursor)
        session = _Session(pair, self._catalog, self._replica)
        translated = [(sample, self._translate(sample)) for sample in samples]
        # A frozen clock slows date functions down and cannot be taken off the connection again: it comes last.
        translated.sort(key=lambda found: found[1].uses_now)
        deadline = time.monotonic() + budget_seconds
        done: list[Comparison] = []
        for sample, translation in translated:
            if done and time.monotonic() > deadline:
                break
            done.append(session.compare_safely(sample, translation))
        left = [sample for sample, _ in translated[len(done) :]]
        return Round(tuple(done), tuple(left), pair.proof_epoch)

    def _refresh(self, cursor: PgCursor) -> None:
        version = catalog_version(cursor, self._pair)
        if version != self._version:
            self._replica = Replica(load_objects(cursor, self._pair))
            self._catalog = self._replica.catalog(self._pair, load_types(cursor, self._pair))
            self._version = version

    def _translate(self, sample: Sample) -> Translation:
        """Not understood is not supported, also where it is our own fault."""
        try:
            return self._translated(sample)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is about this sample
            _log.exception("sample.failed", fingerprint=sample.fingerprint)
            reason = f"the translator failed ({type(error).__name__})"
            return Translation(sample.sql, Kind.OTHER, unsupported=Unsupported(reason, 0, len(sample.sql)))

    def _translated(self, sample: Sample) -> Translation:
        return translate(sample.sql, self._catalog, param_types=_types(sample), purpose=Purpose.APP)


class _Session:
    """One pair while samples run on it."""

    def __init__(self, pair: Pair, catalog: Catalog, replica: Replica) -> None:
        self._pair = pair
        self._catalog = catalog
        self._replica = replica
        self._now = ""
        self._clock_frozen = False
        self._prepared = False
        self._origin_replica: Replica | None = None

    def compare_safely(self, sample: Sample, translation: Translation) -> Comparison:
        """One sample that trips over an error of ours must not cost the others their verdict."""
        try:
            return self.compare(sample, translation)
        except (psycopg2.Error, ShadowError):
            raise  # the pair is lost, not the sample
        except Exception:  # noqa: BLE001 - whatever it is, it is about this sample
            _log.exception("sample.failed", fingerprint=sample.fingerprint)
            return self._outcome(sample, Verdict.NOT_COMPARABLE, Reason.FAILED)

    def compare(self, sample: Sample, translation: Translation) -> Comparison:
        refused = self._refusal(translation)
        if refused is not None:
            reason, detail = refused
            return self._outcome(sample, Verdict.NOT_COMPARABLE, reason, detail)
        self._set_now(sample, translation)
        origin = self._on_origin(sample, translation)
        if isinstance(origin, Reason):
            return self._outcome(sample, Verdict.NOT_COMPARABLE, origin)
        target = self._on_target(sample, translation, len(origin.rows))
        if isinstance(target, Reason):
            return self._outcome(sample, Verdict.NOT_COMPARABLE, target, origin=origin)
        keys: tuple[int, ...] = ()
        if translation.order is Order.PARTIAL:
            keys = sort_keys(sample.sql, origin.columns, self._catalog, translation.reads)
        differs = _difference(origin, target, translation, keys)
        if differs is None:
            return self._outcome(sample, Verdict.MATCH, origin=origin, target=target)
        verdict = Verdict.NOT_COMPARABLE if differs is Reason.ORDER_NOT_FIXED else Verdict.MISMATCH
        return self._outcome(sample, verdict, differs, origin=origin, target=target)

    def _outcome(
        self,
        sample: Sample,
        verdict: Verdict,
        reason: Reason | None = None,
        detail: str = "",
        *,
        origin: Result | None = None,
        target: Result | None = None,
    ) -> Comparison:
        return Comparison(sample, self._pair.position, verdict, reason, detail, origin, target)

    def _refusal(self, translation: Translation) -> tuple[Reason, str] | None:
        if translation.unsupported is not None:
            return Reason.UNSUPPORTED, translation.unsupported.reason
        if translation.catalog_only:
            return None
        if translation.kind is not Kind.QUERY or translation.writes:
            return Reason.NOT_A_READ, str(translation.kind)
        if translation.nondeterministic:
            return Reason.NONDETERMINISTIC, ", ".join(sorted(translation.nondeterministic))
        dirty = translation.reads & self._pair.dirty
        if dirty:
            return Reason.DIRTY, ", ".join(sorted(dirty))
        return None

    def _set_now(self, sample: Sample, translation: Translation) -> None:
        moment = datetime.fromtimestamp(sample.unix_time, UTC)
        self._now = moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}"
        if translation.uses_now and not self._clock_frozen:
            freeze_keywords(self._pair.origin, lambda: self._now)
            freeze_functions(self._pair.origin, lambda: self._now)
            self._clock_frozen = True

    # --- SQLite

    def _on_origin(self, sample: Sample, translation: Translation) -> Result | Reason:
        started = time.monotonic()
        deadline = started + STATEMENT_SECONDS_MAX
        if translation.catalog_only:
            if self._origin_replica is None:
                self._origin_replica = Replica(objects(self._pair.origin))
            return _from_replica(self._origin_replica, sample)
        conn = self._pair.origin
        conn.set_progress_handler(lambda: int(time.monotonic() > deadline), _PROGRESS_STEPS)
        cursor = sqlite3.Cursor(conn)
        try:
            cursor.execute(sample.sql, sample.params)
            columns = tuple(column[0] for column in cursor.description or ())
            rows = tuple(cursor.fetchmany(ROWS_MAX + 1))
        except sqlite3.Error as error:
            message = str(error)
            if message == "interrupted":
                return Reason.TIMEOUT
            if message.startswith(_APP_CONNECTION):
                return Reason.NEEDS_APP_CONNECTION
            return Result(error=type(error).__name__, message=message, seconds=time.monotonic() - started)
        finally:
            cursor.close()
            conn.set_progress_handler(None, 0)
        if len(rows) > ROWS_MAX:
            return Reason.TOO_MANY_ROWS
        return Result(columns, rows, seconds=time.monotonic() - started)

    # --- PostgreSQL

    def _on_target(self, sample: Sample, translation: Translation, rows_expected: int) -> Result | Reason:
        started = time.monotonic()
        if translation.catalog_only:
            return _from_replica(self._replica, sample)
        cursor = self._pair.target.cursor()
        try:
            rows = self._fetch(cursor, sample, translation, max(rows_expected * 2, 100))
            columns = self._replica.describe(sample.sql)
        except psycopg2.Error as error:
            return self._target_error(cursor, error, time.monotonic() - started)
        except sqlite3.Error as error:  # the replica: SQLite itself, with the schema that PostgreSQL mode would have
            return Result(error=type(error).__name__, message=str(error), seconds=time.monotonic() - started)
        return Result(columns or (), rows, seconds=time.monotonic() - started)

    def _fetch(self, cursor: PgCursor, sample: Sample, translation: Translation, most: int) -> tuple[SqliteRow, ...]:
        """Through a cursor of the server, so that a translation that gives far too many rows costs nothing here.

        One round trip: the cursor of the sample before is closed in the same string.
        """
        if not self._prepared:
            # Errors go back to this savepoint; the snapshot is the transaction's and stays.
            cursor.execute(f"SET LOCAL statement_timeout TO {int(STATEMENT_SECONDS_MAX * 1000)}; SAVEPOINT shadow_pair")
            self._prepared = True
        *before, (sql, params) = translation.bind(sample.params)
        parts = [b"CLOSE ALL", cursor.mogrify("SET LOCAL shadow.now TO %s", (self._now,))]
        parts += [cursor.mogrify(step, step_params) for step, step_params in before]
        parts.append(b"DECLARE shadow_rows NO SCROLL CURSOR FOR " + cursor.mogrify(sql, params))
        parts.append(b"FETCH FORWARD %d FROM shadow_rows" % most)
        cursor.execute(b"; ".join(parts))
        return tuple(cursor.fetchall())

    def _target_error(self, cursor: PgCursor, error: psycopg2.Error, seconds: float) -> Result | Reason:
        code = error.pgcode
        if code is None or code[:2] in _NOT_OF_THE_STATEMENT or (code[:2] == "57" and code != _QUERY_CANCELED):
            raise TargetUnavailable(f"PostgreSQL failed during a comparison ({code}); it is tried again") from error
        cursor.execute("ROLLBACK TO shadow_pair")
        if code == _QUERY_CANCELED:
            return Reason.TIMEOUT
        said = to_sqlite_error(error, self._catalog)
        primary = " ".join((error.diag.message_primary or "").split())
        return Result(error=type(said).__name__, message=f"{code}: {primary}", seconds=seconds)


def _from_replica(replica: Replica, sample: Sample) -> Result:
    started = time.monotonic()
    try:
        answer = replica.execute(sample.sql, sample.params)
    except sqlite3.Error as error:
        return Result(error=type(error).__name__, message=str(error))
    return Result(answer.columns or (), tuple(answer.rows), seconds=time.monotonic() - started)


def _difference(origin: Result, target: Result, translation: Translation, keys: tuple[int, ...]) -> Reason | None:
    if origin.error is not None or target.error is not None:
        if origin.error == target.error:
            return None
        if origin.error is None:
            return Reason.TARGET_ERROR
        return Reason.ORIGIN_ERROR if target.error is None else Reason.OTHER_ERROR
    if origin.columns != target.columns:
        return Reason.COLUMNS
    rows = settle_sums(origin.rows, target.rows) if translation.sums_reals else target.rows
    return judge(origin.rows, rows, translation.order, limited=translation.limited, keys=keys)


def _types(sample: Sample) -> tuple[type, ...] | dict[str, type]:
    if isinstance(sample.params, dict):
        return {name: type(value) for name, value in sample.params.items()}
    return tuple(map(type, sample.params))
