"""Cutover: SQLite -> PostgreSQL, as phases in order (docs/decisions/0001-flag-and-commit-points.md).

    check_gates → prepare → catch_up → announce → take_write_lock → drain → prepare_target
    → commit_origin (the commit point) → activate_target → settle

Everything slow comes before the announcement. Whatever fails before the commit point ends with the app on SQLite, as
it was; whatever fails after it ends on PostgreSQL, and anyone finishes what is missing (`reconcile`).
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import psycopg2
from psycopg2.extensions import cursor as PgCursor

from .. import journal
from ..config import Settings
from ..errors import FenceTimeout, GateClosed
from ..flag import control, guards, proof
from ..flag.control import ControlRecord, State
from ..reverse import capture, changes
from ..schema.inspect import inspect
from ..types import Side
from . import gates
from .attempt import (
    FENCE_SECONDS_MAX,
    ORIGIN_BUSY_SECONDS,
    WORLD,
    Attempt,
    CalledOff,
    audit_target,
    one_line,
    open_attempt,
    read_both,
    utc_now,
)
from .holder import Commit
from .holding import LockHolder, write_lock_holders
from .outcome import Direction, Outcome, Result
from .status import collect

#: So many journal records may be left when the switch is announced; the fence waits for them.
LAG_RECORDS_MAX = 50
CATCH_UP_SECONDS_MAX = 60.0
_ROUND_SECONDS = 1.0
_APPLIER_WAIT_SECONDS = 30.0


class ForwardApplier(Protocol):
    """The part of `replicate.Applier` used here."""

    def exclusive(self, wait_seconds: float | None = None) -> AbstractContextManager[object]: ...
    def apply_to(self, position: int | None = None, *, budget_seconds: float | None = None) -> object: ...
    def applied(self) -> tuple[int, bytes]: ...


def cutover(
    settings: Settings,
    *,
    applier: ForwardApplier | None = None,
    drain_timeout: float = 2.0,
    dry_run: bool = False,
    no_fence: bool = False,
    force_gates: Sequence[str] = (),
    reason: str = "",
    who: str | None = None,
) -> Outcome:
    """Make PostgreSQL primary. Never raises for what called it off: the outcome says why and who was in the way.

    Raises `ShadowError` (exit code 2) when it cannot even begin: a side out of reach, a half switch to settle first.
    `dry_run` does everything but the commit point, fence included; `no_fence` leaves the fence out as well.
    """
    own = None
    if applier is None:
        from ..replicate.applier import Applier  # loads the translator; the agent hands its own applier in

        applier = own = Applier(settings.sqlite_path, str(settings.database_url), settings.pg_schema)
    try:
        with open_attempt(Direction.CUTOVER, settings, reason=reason, who=who) as attempt:
            if attempt.before.primary is Side.POSTGRES:
                attempt.note(result=Result.REFUSED, why="PostgreSQL is primary already")
                return attempt.finished()
            rehearsal = dry_run or no_fence
            try:
                shown = check_gates(attempt, force_gates)
                prepare(attempt)
                _switch(attempt, applier, drain_timeout, shown, rehearsal=rehearsal, fence=not no_fence)
            except GateClosed as error:
                attempt.note(result=Result.REFUSED, why=one_line(error))
            except CalledOff as error:
                attempt.note(result=error.result, why=one_line(error), holders=error.holders)
            except WORLD as error:
                if attempt.outcome.result is Result.DONE:  # behind the commit point nothing is undone any more
                    attempt.warn(one_line(error))
                else:
                    attempt.note(result=Result.CALLED_OFF, why=one_line(error))
            _settle(attempt, rehearsal=rehearsal)
            return attempt.finished()
    finally:
        if own is not None:
            own.close()


def _switch(
    attempt: Attempt, applier: ForwardApplier, drain_timeout: float, shown: Shown, *, rehearsal: bool, fence: bool
) -> None:
    with LockHolder(attempt.settings.sqlite_path) as holder:
        holder.ready()
        with applier.exclusive(_APPLIER_WAIT_SECONDS):
            catch_up(attempt, applier)
            if not fence:
                attempt.note(result=Result.REHEARSED)
                return
            try:
                announce(attempt, drain_timeout)
                deadline = take_write_lock(attempt, holder, drain_timeout)
                locked_at = time.monotonic()
                drain(attempt, applier, deadline)
                snapshot = prepare_target(attempt, shown, deadline, rehearsal=rehearsal)
                if rehearsal:
                    holder.release()
                    attempt.note(result=Result.REHEARSED)
                else:
                    commit_origin(attempt, holder, snapshot, deadline)
                attempt.note(fence_seconds=time.monotonic() - locked_at)
                if not rehearsal:
                    activate_target(attempt)
            finally:
                holder.kill()  # first nobody holds the lock any more, then the app is told where to go
                attempt.settle()


@dataclass(frozen=True, slots=True)
class Shown:
    """What the gates were asked about, to be held against what is there when the app waits."""

    #: None: a gate that rests on proof was forced.
    proof_epoch: int | None
    #: No table was dirty, and none may become so.
    clean: bool


def check_gates(attempt: Attempt, force: Sequence[str]) -> Shown:
    """Refuse unless every gate is open or forced, with a reason."""
    with attempt.step("cutover.check_gates"):
        if force and not attempt.reason:
            raise GateClosed("--force needs --reason TEXT: the audit trail keeps why")
        status = collect(attempt.settings)
        found = gates.evaluate(status)
        unknown = set(force) - {gate.name for gate in found}
        if unknown:
            raise GateClosed(f"there is no gate {', '.join(sorted(unknown))}; `shadow status` lists them")
        closed = [gate for gate in found if not gate.open]
        attempt.note(
            closed_gates=tuple(gate.name for gate in closed),
            forced_gates=tuple(gate.name for gate in closed if gate.name in force),
        )
        barred = [gate for gate in closed if gate.name not in force]
        if barred:
            more = f" (and {len(barred) - 1} more; see `shadow status`)" if len(barred) > 1 else ""
            raise GateClosed(f"gate {barred[0].name} is closed: {barred[0].reason}{more}")
    proven = not {"verify", "coverage"} & set(attempt.outcome.forced_gates)
    return Shown(status.proof_epoch if proven else None, "divergences" not in attempt.outcome.forced_gates)


def prepare(attempt: Attempt) -> None:
    """Reverse capture on every table, guards in the file: while the app writes on, and cheap to repeat."""
    with attempt.step("cutover.prepare"):
        catalog = inspect(attempt.origin, pg_schema=attempt.pair)
        with attempt.target.cursor() as cursor:
            capture.install(cursor, catalog)
            missing = capture.captured(cursor, catalog).missing
        if missing:
            raise CalledOff(f"reverse capture is missing on {', '.join(sorted(missing))}; is each table in PostgreSQL?")
        if guards.unguarded(attempt.origin):
            try:
                _in_transaction(attempt.origin, guards.install)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
                raise _write_locked(attempt, ORIGIN_BUSY_SECONDS) from error


def catch_up(attempt: Attempt, applier: ForwardApplier) -> None:
    """Apply until little is left, outside the fence."""
    with attempt.step("cutover.catch_up"):
        until = time.monotonic() + CATCH_UP_SECONDS_MAX
        while True:
            applier.apply_to(None, budget_seconds=_ROUND_SECONDS)
            lag = journal.head(attempt.origin)[0] - applier.applied()[0]
            if lag <= LAG_RECORDS_MAX:
                return
            if time.monotonic() > until:
                raise CalledOff(
                    f"PostgreSQL stays {lag} records behind after {CATCH_UP_SECONDS_MAX:.0f} s; try at a quieter hour"
                )


def announce(attempt: Attempt, drain_timeout: float) -> None:
    """New transactions wait in the shim from here on; open ones go on."""
    with attempt.step("cutover.announce"):
        attempt.announce(drain_timeout + FENCE_SECONDS_MAX)


def take_write_lock(attempt: Attempt, holder: LockHolder, drain_timeout: float) -> float:
    """Wait for open write transactions, then be the only writer; gives the time at which the lock is given up."""
    with attempt.step("cutover.take_write_lock"):
        if not holder.lock(attempt.drain_seconds_left(drain_timeout), FENCE_SECONDS_MAX):
            raise _write_locked(attempt, drain_timeout)
        return time.monotonic() + FENCE_SECONDS_MAX


def drain(attempt: Attempt, applier: ForwardApplier, deadline: float) -> None:
    """The rest of the journal; nothing can be added to it now."""
    with attempt.step("cutover.drain"):
        before, _ = applier.applied()
        applier.apply_to(None, budget_seconds=deadline - time.monotonic())
        head, applied = journal.head(attempt.origin), applier.applied()
        if applied != head:
            raise FenceTimeout(f"the journal (position {head[0]}) was not applied in time (position {applied[0]})")
        attempt.note(position=head[0], drained=head[0] - before)


def prepare_target(attempt: Attempt, shown: Shown, deadline: float, *, rehearsal: bool) -> str:
    """PostgreSQL's half of the flag, prepared; gives the snapshot at which the way back starts.

    A prepared record takes no writes. Compare-and-set: nobody else switched, and this is the journal that was applied,
    and it was applied without a divergence since the gates were asked.
    """
    with attempt.step("cutover.prepare_target"), attempt.target.cursor() as cursor:
        milliseconds = max(1, int((deadline - time.monotonic()) * 1000))
        cursor.execute("BEGIN")
        try:
            cursor.execute(f"SET LOCAL synchronous_commit = on; SET LOCAL statement_timeout = {milliseconds}")
            cursor.execute(
                "SELECT c.primary_side, c.epoch - (c.state = 'prepared')::int, a.position"
                " FROM shadow.control c JOIN shadow.applied a USING (pair) WHERE c.pair = %s FOR UPDATE",
                (attempt.pair,),
            )
            row = cursor.fetchone()
            if row is None or row[1] != attempt.before.epoch or row[2] != attempt.outcome.position:
                raise CalledOff(f"PostgreSQL's control record changed meanwhile ({row}); see `shadow status`")
            _still_shown(attempt, cursor, shown)
            record = ControlRecord(attempt.before.epoch + 1, attempt.id, Side.POSTGRES, State.PREPARED)
            control.write_target(cursor, attempt.pair, record)
            snapshot = changes.current_snapshot(cursor)
            cursor.execute("ROLLBACK" if rehearsal else "COMMIT")
        except WORLD:
            if not attempt.target.closed:
                cursor.execute("ROLLBACK")
            raise
    return snapshot


def _still_shown(attempt: Attempt, cursor: PgCursor, shown: Shown) -> None:
    """What was applied since the gates were asked may have diverged, or have been DDL."""
    if shown.clean:
        cursor.execute("SELECT min(table_name), min(reason) FROM shadow.dirty WHERE pair = %s", (attempt.pair,))
        table, why = cursor.fetchone() or (None, None)
        if table is not None:
            raise CalledOff(f"table {table} has become dirty since the gates were asked ({why}); it is repaired first")
    ours = control.read_origin(attempt.origin)
    if shown.proof_epoch is None or ours is None:
        return
    if proof.combined(ours.proof_epoch, proof.target_count(cursor, attempt.pair)) != shown.proof_epoch:
        cursor.execute("SELECT max(reason) FROM shadow.proof WHERE pair = %s", (attempt.pair,))
        (why,) = cursor.fetchone() or ("",)
        raise CalledOff(f"what the gates rest on was voided since they were asked ({why}); run `shadow verify`")


def commit_origin(attempt: Attempt, holder: LockHolder, snapshot: str, deadline: float) -> None:
    """The commit point: SQLite's record of the new epoch, active, in the transaction that has held the lock."""
    with attempt.step("cutover.commit_origin"):
        epoch = attempt.before.epoch + 1
        attempt.note(result=Result.DONE, primary=Side.POSTGRES, epoch=epoch)
        detail = json.dumps(attempt.detail())
        said = False
        try:
            said = holder.commit(
                Commit(attempt.before.epoch, epoch, attempt.id, snapshot, utc_now(), attempt.who, detail), deadline
            )
        finally:
            holder.kill()
            if not said and not _committed(attempt):
                attempt.note(result=Result.CALLED_OFF, primary=Side.SQLITE, epoch=attempt.before.epoch)
        if attempt.outcome.result is not Result.DONE:
            raise CalledOff("the process that held SQLite's write lock let go at its deadline; nothing was changed")


def activate_target(attempt: Attempt) -> None:
    """Behind the commit point: anyone may do this, so a failure is only said."""
    with attempt.step("cutover.activate_target"):
        try:
            with attempt.target.cursor() as cursor:
                control.activate_target(cursor, attempt.pair, attempt.id)
                audit_target(cursor, attempt.pair, attempt.who, "cutover.commit", attempt.detail())
        except psycopg2.Error as error:
            attempt.warn(f"PostgreSQL's record is still prepared ({one_line(error)}); the next to see it activates it")


def _write_locked(attempt: Attempt, seconds: float) -> CalledOff:
    holders = write_lock_holders(attempt.settings.sqlite_path)
    by = f" (held by {'; '.join(str(holder) for holder in holders)})" if holders else ""
    return CalledOff(f"SQLite's write lock was not free within {seconds:g} s{by}", holders=holders)


def _committed(attempt: Attempt) -> bool:
    found = control.read_origin(attempt.origin)
    return found is not None and found.record.attempt == attempt.id


def _settle(attempt: Attempt, *, rehearsal: bool) -> None:
    """What can wait until the app runs again: the audit, and taking back what a called-off attempt left."""
    result = attempt.outcome.result
    with attempt.step("cutover.settle"):
        if result not in (Result.DONE, Result.REFUSED):
            _undo_preparation(attempt)
        attempt.audit("cutover")


def _undo_preparation(attempt: Attempt) -> None:
    """Best effort: what stays behind is harmless, and the next attempt replaces it."""
    try:
        _, theirs = read_both(attempt.origin, attempt.target, attempt.pair)
        with attempt.target.cursor() as cursor:
            if theirs.attempt == attempt.id and theirs.state is State.PREPARED:
                control.write_target(cursor, attempt.pair, attempt.before)
        if len(guards.unguarded(attempt.origin)) < len(guards.tables(attempt.origin)):
            _in_transaction(attempt.origin, guards.remove)
    except WORLD as error:
        attempt.warn(f"preparations are still in place ({one_line(error)}); the next attempt takes them over")


def _in_transaction(conn: sqlite3.Connection, work: object) -> None:
    assert callable(work)
    conn.execute("BEGIN IMMEDIATE")
    try:
        work(conn)
        conn.execute("COMMIT")
    finally:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
