"""One attempt to switch, in either direction: its connections, its lock, its clock, its trail.

Only one coordinator of a pair is at work at a time: it holds a session lock in PostgreSQL from the first check to the
last clean-up. The lock keeps two commands from disturbing each other; that there is one primary does not rest on it
but on the control records (docs/decisions/0001-flag-and-commit-points.md).
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as PgConnection

from ..config import Settings
from ..errors import ConfigError, OriginError, ShadowError, TargetError, TargetUnavailable
from ..flag import control
from ..flag.control import ControlRecord
from ..flag.hint import HintState, write_hint
from ..postgres.connect import connect
from ..types import Side
from .failpoint import reach
from .outcome import Direction, Holder, Outcome, Result, Step

#: From having the fence to the commit point; the holder of a fence gives it up by itself then.
FENCE_SECONDS_MAX = 2.0
_OTHER_SWITCH_WAIT_SECONDS = 5.0
#: For what a coordinator writes outside the fence: guards, audit.
ORIGIN_BUSY_SECONDS = 2.0

#: What the world can throw at a switch; each becomes one line in the outcome.
WORLD = (ShadowError, psycopg2.Error, sqlite3.Error, OSError)


class CalledOff(ShadowError):
    """The switch was given up before its commit point."""

    exit_code = 1

    def __init__(self, why: str, *, result: Result = Result.CALLED_OFF, holders: tuple[Holder, ...] = ()) -> None:
        super().__init__(why)
        self.result = result
        self.holders = holders


@dataclass(slots=True)
class Attempt:
    """The state of one attempt; the phases fill it in."""

    direction: Direction
    settings: Settings
    id: str
    who: str
    reason: str
    #: Autocommit; holds the lock of the switch.
    target: PgConnection
    #: Reads outside transactions; never holds SQLite's write lock while a cutover's child has it.
    origin: sqlite3.Connection
    #: Both sides agreed on this when the attempt began.
    before: ControlRecord
    outcome: Outcome
    announced_at: float | None = None
    _steps: list[Step] = field(default_factory=list)

    @property
    def pair(self) -> str:
        return self.settings.pg_schema

    @property
    def dsn(self) -> str:
        return dsn_of(self.settings)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a phase; its end is a failpoint of the same name."""
        started = time.monotonic()
        try:
            yield
        finally:
            self._steps.append(Step(name, time.monotonic() - started))
        reach(name)

    def note(self, **changes: object) -> None:
        """Fill in the outcome."""
        self.outcome = replace(self.outcome, **changes)  # type: ignore[arg-type]

    def warn(self, text: str) -> None:
        self.note(warnings=(*self.outcome.warnings, text))

    def announce(self, seconds: float) -> None:
        """From here on new transactions wait in the shim, at most so long; reads ask the authority."""
        self.announced_at = time.monotonic()
        write_hint(self.settings.hint_path, HintState.ASK, draining_until=time.time() + seconds)

    def drain_seconds_left(self, drain_timeout: float) -> float:
        """What is left for open transactions to end. Raises `CalledOff` for one that was stopped meanwhile."""
        assert self.announced_at is not None
        left = self.announced_at + drain_timeout - time.monotonic()
        if left <= 0:
            raise CalledOff("this process was stopped after the announcement, which has expired; try again")
        return left

    def settle(self) -> None:
        """End the announcement: the hint says what SQLite's record says, or `ask` where that is not settled."""
        settle_hint(self.settings, self.origin)
        if self.announced_at is not None:
            self.note(wait_seconds=time.monotonic() - self.announced_at)
            self.announced_at = None

    def finished(self) -> Outcome:
        return replace(self.outcome, steps=tuple(self._steps))

    def detail(self) -> dict[str, object]:
        """The audit entry."""
        outcome = self.outcome
        return {
            "attempt": self.id,
            "epoch": outcome.epoch,
            "from": self.before.primary.value,
            "to": self.before.primary.other.value,
            "result": outcome.result.value,
            "why": outcome.why,
            "reason": self.reason,
            "forced_gates": list(outcome.forced_gates),
            "closed_gates": list(outcome.closed_gates),
            "position": outcome.position,
            "drained": outcome.drained,
            "wait_seconds": round(outcome.wait_seconds, 4),
            "fence_seconds": round(outcome.fence_seconds, 4),
            "holders": [str(holder) for holder in outcome.holders],
            "terminated": [str(holder) for holder in outcome.terminated],
            "warnings": list(outcome.warnings),
        }

    def audit(self, action: str) -> None:
        """The same entry on both sides; a side that cannot be written is a warning, not a failure."""
        detail = self.detail()
        try:
            with self.target.cursor() as cursor:
                audit_target(cursor, self.pair, self.who, action, detail)
        except psycopg2.Error as error:
            self.warn(f"no audit entry in PostgreSQL: {one_line(error)}")
        try:
            audit_origin(self.origin, self.who, action, detail)
        except sqlite3.Error as error:
            self.warn(f"no audit entry in SQLite: {error}")


@contextmanager
def open_attempt(direction: Direction, settings: Settings, *, reason: str, who: str | None) -> Iterator[Attempt]:
    """Connect, become the only coordinator, read both records. Raises `ShadowError` (exit code 2) where it cannot."""
    origin = open_origin(settings)
    try:
        target = connect(dsn_of(settings), purpose=direction.value, autocommit=True)
        try:
            take_switch_lock(target, settings.pg_schema)
            who = who or default_who()
            before = _settled_record(settings, origin, target, who)
            attempt_id = f"{direction.value}-{secrets.token_hex(6)}"
            outcome = Outcome(
                direction, Result.CALLED_OFF, "", attempt_id, before.primary, before.epoch, reason=reason, who=who
            )
            yield Attempt(direction, settings, attempt_id, who, reason, target, origin, before, outcome)
        finally:
            target.close()  # and with it the lock
    finally:
        origin.close()


def open_origin(settings: Settings) -> sqlite3.Connection:
    """A plain connection to the file, which must exist; commits are synced."""
    if not Path(settings.sqlite_path).is_file():
        raise OriginError(f"there is no SQLite file at {settings.sqlite_path}; check SQLITE_PATH")
    conn = sqlite3.connect(settings.sqlite_path, isolation_level=None, timeout=ORIGIN_BUSY_SECONDS)
    conn.execute("PRAGMA synchronous=FULL")
    return conn


def dsn_of(settings: Settings) -> str:
    if settings.database_url is None:
        raise ConfigError("no PostgreSQL database is named; set DATABASE_URL")
    return settings.database_url


def take_switch_lock(target: PgConnection, pair: str, wait_seconds: float = _OTHER_SWITCH_WAIT_SECONDS) -> None:
    """Be the only coordinator of the pair, for as long as the session lasts."""
    with target.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", (f"{int(wait_seconds * 1000)}ms",))
        try:
            cursor.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (f"shadow.switch:{pair}",))
        except psycopg2.errors.LockNotAvailable as error:
            raise CalledOff(
                "another switch of this pair is at work; wait for it, then see `shadow status`", result=Result.REFUSED
            ) from error
        cursor.execute("SELECT set_config('lock_timeout', '0', false)")


def _settled_record(settings: Settings, origin: sqlite3.Connection, target: PgConnection, who: str) -> ControlRecord:
    """The record that holds on both sides; what an attempt before this one left half done is settled first."""
    from .reconcile import settle_records  # it stands on this module

    try:
        settle_records(settings, origin, target, who=who)
    except psycopg2.Error as error:
        raise TargetError(f"a half switch cannot be settled: {one_line(error)}; try again") from error
    settle_hint(settings, origin)
    ours, theirs = read_both(origin, target, settings.pg_schema)
    if ours != theirs:
        raise TargetError(
            f"the two sides do not agree who is primary (SQLite: {describe(ours)}; PostgreSQL: {describe(theirs)});"
            " see `shadow status`"
        )
    return ours


def read_both(origin: sqlite3.Connection, target: PgConnection, pair: str) -> tuple[ControlRecord, ControlRecord]:
    ours = control.read_origin(origin)
    if ours is None:
        raise OriginError("the SQLite file is not initialised; run `shadow init`")
    with target.cursor() as cursor:
        cursor.execute("SELECT to_regclass('shadow.control') IS NOT NULL")
        present = cursor.fetchone()
        theirs = control.read_target(cursor, pair) if present is not None and present[0] else None
    if theirs is None:
        raise TargetError(f"PostgreSQL knows no pair {pair!r}; run `shadow init`")
    return ours.record, theirs


def describe(record: ControlRecord) -> str:
    return f"{record.primary}, epoch {record.epoch}, {record.state}"


def settle_hint(settings: Settings, origin: sqlite3.Connection) -> HintState:
    """Write the hint that SQLite's record allows. An active record there is the truth: see `flag.control`."""
    found = control.read_origin(origin)
    state = HintState.ASK
    if found is not None and found.record.state is control.State.ACTIVE:
        state = HintState.SQLITE if found.record.primary is Side.SQLITE else HintState.POSTGRES
    write_hint(settings.hint_path, state)
    return state


def audit_target(cursor: control.TargetCursor, pair: str, who: str, action: str, detail: dict[str, object]) -> None:
    cursor.execute(
        "INSERT INTO shadow.audit (pair, who, action, detail) VALUES (%s, %s, %s, %s)",
        (pair, who, action, json.dumps(detail)),
    )


def audit_origin(conn: sqlite3.Connection, who: str, action: str, detail: dict[str, object]) -> None:
    conn.execute(
        "INSERT INTO main._shadow_audit (at, who, action, detail) VALUES (?, ?, ?, ?)",
        (utc_now(), who, action, json.dumps(detail)),
    )


def utc_now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def default_who() -> str:
    """user@host of this process, for the audit trail."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def is_unreachable(error: BaseException) -> bool:
    return isinstance(error, (TargetUnavailable, psycopg2.OperationalError, psycopg2.InterfaceError))
