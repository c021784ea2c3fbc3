"""One look at a pair for people: status, gates with reasons, reads compared. For `shadow status`, API and page."""

from __future__ import annotations

from dataclasses import dataclass, field

import psycopg2

from ..config import Settings
from ..cutover.attempt import dsn_of
from ..cutover.gates import Gate, evaluate
from ..cutover.status import Status, collect
from ..errors import ShadowError
from ..postgres.connect import connect
from ..types import Side

_COUNTERS = "SELECT name, value FROM shadow.counter WHERE pair = %s ORDER BY value DESC, name"


@dataclass(frozen=True, slots=True)
class Reads:
    """Reads offered to the comparer since `init`, and what became of them."""

    seen: int = 0
    matched: int = 0
    mismatched: int = 0
    not_comparable: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def compared(self) -> int:
        return self.matched + self.mismatched


@dataclass(frozen=True, slots=True)
class Overview:
    """What a person wants to see first."""

    status: Status
    gates: tuple[Gate, ...]
    reads: Reads

    @property
    def ready(self) -> bool:
        """Whether `shadow cutover` would be let through."""
        return all(gate.open for gate in self.gates)

    @property
    def troubles(self) -> tuple[str, ...]:
        """What needs a person, one line each. A gate that only waits for more proof is none."""
        return tuple(_troubles(self.status))

    def as_json(self) -> dict[str, object]:
        """The status's fields with everything else beside them."""
        from .jsonable import jsonable

        fields = jsonable(self.status)
        assert isinstance(fields, dict)
        return {
            "ok": not self.troubles,
            "troubles": self.troubles,
            "ready": self.ready,
            **fields,
            "gates": jsonable(self.gates),
            "reads": {"compared": self.reads.compared, **jsonable(self.reads)},  # type: ignore[dict-item]
        }


def look(settings: Settings) -> Overview:
    """Never raises for a side that is away: that side says so."""
    status = collect(settings)
    return Overview(status, tuple(evaluate(status)), _reads(settings) if status.target.up else Reads())


def _reads(settings: Settings) -> Reads:
    try:
        conn = connect(dsn_of(settings), purpose="status", autocommit=True, session={"statement_timeout": "5000"})
        try:
            with conn.cursor() as cursor:
                cursor.execute(_COUNTERS, (settings.pg_schema,))
                counters = {str(name): int(value) for name, value in cursor.fetchall()}
        finally:
            conn.close()
    except (ShadowError, psycopg2.Error):  # gone since `collect`: the next look says so
        return Reads()
    return Reads(
        seen=counters.get("seen", 0),
        matched=counters.get("compared.match", 0),
        mismatched=counters.get("compared.mismatch", 0),
        not_comparable=_under(counters, "not_comparable."),
        dropped=_under(counters, "dropped."),
    )


def _under(counters: dict[str, int], prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): value for name, value in counters.items() if name.startswith(prefix)}


def _troubles(s: Status) -> list[str]:
    if not s.origin.up or not s.target.up:
        return [line for line in (s.origin.error, s.target.error) if line]
    t = s.target
    different = sum(v.rows_different for v in t.verified)
    found = (
        (s.primary is None, "a switch is not settled: no side accepts writes until somebody finishes it"),
        (s.origin.journal_fits is False, "the journal is not the one PostgreSQL applied; run `shadow verify --repair`"),
        (t.mismatches_unresolved, f"{t.mismatches_unresolved} statement shapes differ; see `shadow mismatches`"),
        (t.divergences_unresolved, f"{t.divergences_unresolved} writes had another effect on PostgreSQL"),
        (t.dirty, f"{len(t.dirty)} tables wait for repair"),
        (different, f"{different} rows differed in the last verify; run `shadow verify --repair`"),
        (t.drift, f"{len(t.drift)} objects differ between the catalogs"),
        (
            s.origin.unguarded_tables if s.primary is Side.POSTGRES else (),
            f"{len(s.origin.unguarded_tables)} tables in SQLite are not guarded against stray writes",
        ),
    )
    return [line for is_so, line in found if is_so]
