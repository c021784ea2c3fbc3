"""What became of a switch: everything a person, the API and the audit trail want to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..types import Side


class Direction(StrEnum):
    CUTOVER = "cutover"
    ROLLBACK = "rollback"


class Result(StrEnum):
    DONE = "done"
    #: A dry run that would have gone through.
    REHEARSED = "rehearsed"
    #: A gate is closed, or there is nothing to switch; the app noticed nothing.
    REFUSED = "refused"
    #: Tried, given up before the commit point; the app goes on where it was.
    CALLED_OFF = "called_off"
    #: The connection was lost in the very commit; `reconcile` finds out and finishes or undoes it.
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who kept a fence from being taken."""

    #: Process id: of the operating system (SQLite) or of the PostgreSQL backend.
    pid: int
    #: Command line (SQLite) or application name (PostgreSQL).
    who: str
    #: Its last statement, where that is known.
    statement: str = ""
    #: How long its transaction has been open, where that is known.
    age_seconds: float | None = None

    def __str__(self) -> str:
        parts = [f"pid {self.pid}", self.who, self.statement]
        if self.age_seconds is not None:
            parts.append(f"open for {self.age_seconds:.1f} s")
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Step:
    """One named phase and how long it took."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """One cutover or rollback, however it ended."""

    direction: Direction
    result: Result
    #: One line: why it was refused or called off; empty when done.
    why: str
    attempt: str
    #: The primary afterwards, as far as this process knows.
    primary: Side
    #: The epoch afterwards.
    epoch: int
    #: How long new transactions were held: from the announcement to the hint that says where to go.
    wait_seconds: float = 0.0
    #: How long the fence itself was held: write lock (cutover) or table lock (rollback).
    fence_seconds: float = 0.0
    #: Journal position of the switch.
    position: int = 0
    #: Journal records (cutover) or captured changes (rollback) that were brought over inside the fence.
    drained: int = 0
    forced_gates: tuple[str, ...] = ()
    closed_gates: tuple[str, ...] = ()
    reason: str = ""
    who: str = ""
    holders: tuple[Holder, ...] = ()
    terminated: tuple[Holder, ...] = ()
    warnings: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()

    @property
    def ok(self) -> bool:
        return self.result in (Result.DONE, Result.REHEARSED)

    @property
    def exit_code(self) -> int:
        """0 done; 1 refused or called off, the app goes on; 2 not known."""
        return 0 if self.ok else 2 if self.result is Result.UNCERTAIN else 1
