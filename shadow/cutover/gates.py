"""The gates: what must be shown, and shown currently, before PostgreSQL may become primary.

Pure: a status in, gates out. A check that did not run is a closed gate. Each says why it is closed, with a figure, and
what opens it; `shadow cutover --force GATE --reason TEXT` passes one, and the audit trail keeps that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..postgres.connect import SERVER_VERSION_MIN
from .status import Status

LAG_SECONDS_MAX = 5.0
#: Older proof of a table does not count, though no event voided it.
VERIFY_AGE_SECONDS_MAX = 24 * 3600.0
#: Free connections PostgreSQL must have for the app's pools.
CONNECTIONS_FREE_MIN = 10


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition."""

    name: str
    open: bool
    #: Why it is closed and what opens it; when open, what was shown.
    reason: str
    figure: float | None = None


def evaluate(status: Status) -> list[Gate]:
    """Every gate, in the order in which a person would look at them."""
    gates = []
    for name, check in _CHECKS:
        if name != "postgres" and not status.target.up:
            gates.append(Gate(name, False, "not known: PostgreSQL is out of reach"))
        elif name != "initialised" and not status.origin.up:
            gates.append(Gate(name, False, f"not known: {status.origin.error}"))
        else:
            is_open, reason, figure = check(status)
            gates.append(Gate(name, is_open, reason, figure))
    return gates


_Finding = tuple[bool, str, "float | None"]


def _initialised(s: Status) -> _Finding:
    if s.origin.record is None or s.target.record is None:
        return False, s.origin.error or s.target.error or "run `shadow init`", None
    if not s.origin.journaling:
        return False, "the app's writes are not journaled; run `shadow init`", None
    return True, f"epoch {s.origin.record.epoch}", None


def _postgres(s: Status) -> _Finding:
    if not s.target.up:
        return False, s.target.error or "PostgreSQL is out of reach", None
    if s.target.server_version < SERVER_VERSION_MIN:
        return False, f"PostgreSQL {s.target.server_version // 10000} is too old", s.target.server_version
    free = s.target.connections_max - s.target.connections
    if free < CONNECTIONS_FREE_MIN:
        return False, f"only {free} connections are free; raise max_connections", free
    return True, f"version {s.target.server_version // 10000}, {free} connections free", free


def _backfilled(s: Status) -> _Finding:
    if s.target.applied_position is None:
        return False, "existing rows are not in PostgreSQL; run `shadow backfill`", None
    if s.target.backfill_unfinished:
        return (
            False,
            f"{s.target.backfill_unfinished} tables are not copied; run `shadow backfill`",
            s.target.backfill_unfinished,
        )
    return True, f"applied up to position {s.target.applied_position}", None


def _journal(s: Status) -> _Finding:
    if s.origin.journal_fits is None:
        return False, "nothing has been applied yet; run `shadow backfill`", None
    if not s.origin.journal_fits:
        return False, "the journal is not the one PostgreSQL applied; run `shadow verify --repair`", None
    return True, f"{s.origin.journal_rows} records, {s.origin.journal_bytes} bytes", s.origin.journal_rows


def _lag(s: Status) -> _Finding:
    seconds = s.origin.lag_seconds
    if seconds is None:
        return False, "nothing has been applied yet; run `shadow backfill`, then `shadow agent`", None
    if seconds > LAG_SECONDS_MAX:
        return (
            False,
            f"PostgreSQL is {seconds:.1f} s behind ({s.origin.lag_records} records); is the agent running?",
            seconds,
        )
    return True, f"{s.origin.lag_records} records, {seconds:.1f} s", seconds


def _verify(s: Status) -> _Finding:
    found = {v.table.lower(): v for v in s.target.verified}
    missing = [t for t in s.origin.tables if t.lower() not in found]
    if missing:
        return False, f"{len(missing)} tables were never verified ({missing[0]}); run `shadow verify`", len(missing)
    relevant = [found[t.lower()] for t in s.origin.tables]
    for bad, why in (
        ([v for v in relevant if not v.complete], "verified only in part"),
        ([v for v in relevant if v.rows_different], "different; run `shadow verify --repair`"),
        (
            [v for v in relevant if v.proof_epoch < s.proof_epoch],
            f"verified before: {s.target.proof_reason or 'older proof'}; run `shadow verify`",
        ),
        ([v for v in relevant if v.age_seconds > VERIFY_AGE_SECONDS_MAX], "verified too long ago; run `shadow verify`"),
    ):
        if bad:
            return False, f"{len(bad)} tables ({bad[0].table}) {why}", len(bad)
    oldest = max((v.age_seconds for v in relevant), default=0.0)
    return True, f"{len(relevant)} tables equal, the oldest proof is {oldest:.0f} s old", oldest


def _mismatches(s: Status) -> _Finding:
    count = s.target.mismatches_unresolved
    if count:
        return (
            False,
            f"{count} statement shapes differ ({_short(s.target.mismatch_example)}); see `shadow mismatches`",
            count,
        )
    return True, "none", 0


def _divergences(s: Status) -> _Finding:
    if s.target.dirty:
        table, why = s.target.dirty[0]
        return (
            False,
            f"{len(s.target.dirty)} tables wait for repair ({table}: {why}); run `shadow verify --repair`",
            len(s.target.dirty),
        )
    count = s.target.divergences_unresolved
    if count:
        return (
            False,
            f"{count} writes had another effect ({_short(s.target.divergence_example)}); run `shadow verify --repair`",
            count,
        )
    return True, "none", 0


def _coverage(s: Status) -> _Finding:
    shapes = s.target.shapes
    if not shapes.seen:
        return False, "no read has been compared; is the agent running, and the app in DATABASE_TYPE=shadow?", 0
    if shapes.waiting:
        return (
            False,
            f"{shapes.waiting} of {shapes.seen} statement shapes were not compared under the current proof"
            f" ({_short(shapes.waiting_example)})",
            shapes.waiting,
        )
    return True, f"{shapes.compared} statement shapes compared", shapes.compared


def _unsupported(s: Status) -> _Finding:
    count = s.target.shapes.unsupported + s.target.unsupported_writes
    if count:
        return False, f"{count} statements have no translation ({_short(s.target.shapes.unsupported_example)})", count
    return True, "none", 0


def _schema(s: Status) -> _Finding:
    if s.target.drift:
        return (
            False,
            f"{len(s.target.drift)} objects differ between the catalogs ({s.target.drift[0]})",
            len(s.target.drift),
        )
    return True, "both catalogs are the same", 0


def _reverse(s: Status) -> _Finding:
    if s.target.capture_forbidden:
        return (
            False,
            f"no right to put triggers on {s.target.capture_forbidden[0]}; make shadow's user the owner",
            len(s.target.capture_forbidden),
        )
    count = len(s.target.captured)
    return (
        True,
        f"{count} of {len(s.origin.tables)} tables under capture; cutover installs the rest before the fence",
        count,
    )


_CHECKS: tuple[tuple[str, Callable[[Status], _Finding]], ...] = (
    ("initialised", _initialised),
    ("postgres", _postgres),
    ("backfilled", _backfilled),
    ("journal", _journal),
    ("lag", _lag),
    ("verify", _verify),
    ("mismatches", _mismatches),
    ("divergences", _divergences),
    ("coverage", _coverage),
    ("unsupported", _unsupported),
    ("schema", _schema),
    ("reverse", _reverse),
)


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 80 else flat[:79] + "…"
