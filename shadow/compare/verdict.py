"""What came of one compared read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..types import SqliteRow
from .samples import Sample


class Verdict(StrEnum):
    MATCH = "match"
    MISMATCH = "mismatch"
    NOT_COMPARABLE = "not_comparable"


class Reason(StrEnum):
    """Why a read has no verdict, or what differs. Stored and shown; names are part of the interface."""

    # not comparable
    NOT_A_READ = "not_a_read"
    UNSUPPORTED = "unsupported"
    NONDETERMINISTIC = "nondeterministic"
    DIRTY = "dirty"
    TOO_MANY_ROWS = "too_many_rows"
    TIMEOUT = "timeout"
    #: Needs something that only the app's connection has: a Python function, a temporary or attached table.
    NEEDS_APP_CONNECTION = "needs_app_connection"
    #: SQLite does not fix which rows a LIMIT without total order gives.
    ORDER_NOT_FIXED = "order_not_fixed"
    #: The switch was quicker than the comparison.
    POSTGRES_PRIMARY = "postgres_is_primary"
    #: An error of ours; the agent's log has it.
    FAILED = "failed"
    # mismatches
    COLUMNS = "columns"
    ROW_COUNT = "row_count"
    ROWS = "rows"
    ORDER = "order"
    TARGET_ERROR = "error_on_postgres"
    ORIGIN_ERROR = "error_on_sqlite"
    OTHER_ERROR = "different_errors"


@dataclass(frozen=True, slots=True)
class Result:
    """What one side answered."""

    columns: tuple[str, ...] = ()
    rows: tuple[SqliteRow, ...] = ()
    #: Name of sqlite3's exception class and its message, when the statement failed.
    error: str | None = None
    message: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """One read on both sides at one position."""

    sample: Sample
    position: int
    verdict: Verdict
    reason: Reason | None = None
    #: For people: what is unsupported, which table is dirty, which function is not deterministic.
    detail: str = ""
    origin: Result | None = None
    target: Result | None = None
