"""Rollback: PostgreSQL -> SQLite, the mirror image of cutover (docs/decisions/0001-flag-and-commit-points.md).

    catch_up → announce → take_fence → drain_and_prepare → commit_target (the commit point) → activate_origin → settle

The fence is a table lock that every write transaction of the app holds in share mode. It belongs to a PostgreSQL
session that the server itself ends when this process stalls, so the app never waits longer than the deadline.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing, suppress

import psycopg2
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from psycopg2.extensions import connection as PgConnection

from .. import journal
from ..config import Settings
from ..flag import control, guards, proof
from ..flag.control import ControlRecord, State
from ..journal.record import EpochChanged
from ..postgres.connect import connect
from ..reverse import capture, changes
from ..reverse.applier import Drained, ReverseApplier, drain, open_origin
from ..reverse.tables import origin_tables
from ..types import Side
from . import force, reconcile
from .attempt import (
    FENCE_SECONDS_MAX,
    WORLD,
    Attempt,
    CalledOff,
    audit_origin,
    audit_target,
    is_unreachable,
    one_line,
    open_attempt,
)
from .outcome import Direction, Holder, Outcome, Result

#: So many changes may be left when the switch is announced; the fence waits for them.
LAG_CHANGES_MAX = 200
CATCH_UP_SECONDS_MAX = 60.0
#: With --terminate-holders: how long their sessions may take to be gone after being told.
TERMINATE_SECONDS_MAX = 2.0

_HOLDERS = (
    "SELECT a.pid, coalesce(a.application_name, ''), coalesce(a.query, ''),"
    " extract(epoch FROM clock_timestamp() - a.xact_start)::float8"
    " FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
    " WHERE l.locktype = 'relation' AND l.relation = %s::regclass AND l.granted AND a.pid <> pg_backend_pid()"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY a.xact_start"
)


def rollback(
    settings: Settings,
    *,
    drain_timeout: float = 2.0,
    terminate_holders: bool = False,
    dry_run: bool = False,
    force_unreachable: bool = False,
    reason: str = "",
    who: str | None = None,
) -> Outcome:
    """Make SQLite primary again, with everything PostgreSQL has. The outcome says what became of it.

    Raises `ShadowError` (exit code 2) when it cannot begin; with PostgreSQL out of reach `force_unreachable`
    (`rollback --force`) goes on with what had flowed back, and says what may be missing.
    """
    try:
        with open_attempt(Direction.ROLLBACK, settings, reason=reason, who=who) as attempt:
            if attempt.before.primary is Side.SQLITE:
                attempt.note(result=Result.REFUSED, why="SQLite is primary already")
                return attempt.finished()
            try:
                _switch(attempt, drain_timeout, terminate=terminate_holders, rehearsal=dry_run)
            except CalledOff as error:
                attempt.note(result=error.result, why=one_line(error), holders=error.holders)
            except WORLD as error:
                if attempt.outcome.result is Result.DONE:
                    attempt.warn(one_line(error))
                elif attempt.outcome.result is not Result.UNCERTAIN:
                    attempt.note(result=Result.CALLED_OFF, why=one_line(error))
            _settle(attempt)
            return attempt.finished()
    except WORLD as error:
        if force_unreachable and is_unreachable(error):
            return force.rollback_without_target(settings, why=one_line(error), reason=reason, who=who)
        raise


def _switch(attempt: Attempt, drain_timeout: float, *, terminate: bool, rehearsal: bool) -> None:
    fence = fence_session(attempt, drain_timeout + (TERMINATE_SECONDS_MAX if terminate else 0.0))
    origin = open_origin(attempt.settings.sqlite_path)
    try:
        catch_up(attempt)
        origin_tables(origin)  # read now, kept for the drain
        try:
            announce(attempt, drain_timeout)
            take_fence(attempt, fence, drain_timeout, terminate=terminate)
            fenced_at = time.monotonic()
            drained, position, nonce = drain_and_prepare(attempt, fence, origin, rehearsal=rehearsal)
            if rehearsal:
                fence.rollback()
                attempt.note(result=Result.REHEARSED)
            else:
                commit_target(attempt, fence, position, nonce)
            attempt.note(fence_seconds=time.monotonic() - fenced_at)
            if not rehearsal:
                activate_origin(attempt)
        finally:
            fence.close()  # first the fence is free, then the app is told where to go
            if attempt.outcome.result not in (Result.DONE, Result.REHEARSED):
                _mend(attempt)
            attempt.settle()
        if not rehearsal:
            _look_for_stragglers(attempt, drained)
    finally:
        fence.close()
        origin.close()


def fence_session(attempt: Attempt, wait_seconds: float) -> PgConnection:
    """The session that will hold the fence. PostgreSQL ends it by itself when we stall inside the fence."""
    stall_ms = str(int(FENCE_SECONDS_MAX * 1000))
    conn = connect(
        attempt.dsn,
        purpose="rollback fence",
        session={
            "lock_timeout": str(max(1, int(wait_seconds * 1000))),
            "idle_in_transaction_session_timeout": stall_ms,
            "synchronous_commit": "on",
        },
    )
    conn.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ)
    return conn


def catch_up(attempt: Attempt) -> None:
    """Bring changes in until few are left, outside the fence."""
    with attempt.step("rollback.catch_up"):
        until = time.monotonic() + CATCH_UP_SECONDS_MAX
        with ReverseApplier(attempt.settings.sqlite_path, attempt.dsn, attempt.pair) as reverse:
            while True:
                reverse.run_once()
                lag = reverse.pending()
                if lag <= LAG_CHANGES_MAX:
                    return
                if time.monotonic() > until:
                    raise CalledOff(
                        f"SQLite stays {lag} changes behind after {CATCH_UP_SECONDS_MAX:.0f} s; try at a quieter hour"
                    )


def announce(attempt: Attempt, drain_timeout: float) -> None:
    """New transactions wait in the shim from here on; open ones go on."""
    with attempt.step("rollback.announce"):
        attempt.announce(drain_timeout + FENCE_SECONDS_MAX)


def take_fence(attempt: Attempt, fence: PgConnection, drain_timeout: float, *, terminate: bool) -> None:
    """Wait for open write transactions. LOCK takes no snapshot: what the transaction sees begins after the wait.

    Whoever comes while it waits stands behind it, so the holders at the deadline are all there are to end.
    """
    with attempt.step("rollback.take_fence"):
        name = control.fence_table(attempt.pair)
        timer = threading.Timer(attempt.drain_seconds_left(drain_timeout), _terminate_holders, (attempt, name))
        if terminate:
            timer.start()
        try:
            with fence.cursor() as cursor:
                cursor.execute(f"LOCK TABLE {name} IN EXCLUSIVE MODE")
                # Neither statement takes a snapshot. From here on no single one may keep the app waiting for long.
                cursor.execute(f"SET LOCAL statement_timeout = {int(FENCE_SECONDS_MAX * 1000)}")
        except psycopg2.errors.LockNotAvailable as error:
            holders = fence_holders(attempt, name)
            raise CalledOff(_held(drain_timeout, holders), holders=holders) from error
        finally:
            timer.cancel()
            if terminate:
                timer.join()


def drain_and_prepare(
    attempt: Attempt, fence: PgConnection, origin: sqlite3.Connection, *, rehearsal: bool
) -> tuple[Drained, int, bytes]:
    """One SQLite transaction: the last changes, the prepared record, the journal's mark, the app's triggers.

    The guard stays on until the record is active: nobody may slip a write in before PostgreSQL has let go.
    """
    with attempt.step("rollback.drain_and_prepare"):
        # A checkpoint inside the fence would make the app wait for the disk.
        origin.execute("PRAGMA wal_autocheckpoint=0")
        origin.execute("BEGIN IMMEDIATE")
        try:
            drained = drain(origin, fence, attempt.pair)
            epoch = attempt.before.epoch + 1
            record = ControlRecord(epoch, attempt.id, Side.SQLITE, State.PREPARED)
            control.write_origin(origin, record, guard=True)
            guards.restore_triggers(origin)
            journal.append(origin, [EpochChanged(epoch, attempt.id)])
            position, nonce = journal.head(origin)
            attempt.note(position=position, drained=drained.changes)
            audit_origin(origin, attempt.who, "rollback.commit", attempt.detail())
            origin.execute("ROLLBACK" if rehearsal else "COMMIT")
        finally:
            if origin.in_transaction:
                origin.execute("ROLLBACK")
        return drained, position, nonce


def commit_target(attempt: Attempt, fence: PgConnection, position: int, nonce: bytes) -> None:
    """The commit point: PostgreSQL's record of the new epoch, in the transaction that has held the fence all along."""
    with attempt.step("rollback.commit_target"):
        epoch = attempt.before.epoch + 1
        with fence.cursor() as cursor:
            if control.read_target(cursor, attempt.pair) != attempt.before:
                raise CalledOff("PostgreSQL's control record changed meanwhile; see `shadow status`")
            control.write_target(cursor, attempt.pair, ControlRecord(epoch, attempt.id, Side.SQLITE, State.ACTIVE))
            cursor.execute(
                "INSERT INTO shadow.applied (pair, position, nonce, epoch) VALUES (%s, %s, %s, %s)"
                " ON CONFLICT (pair) DO UPDATE SET position = excluded.position, nonce = excluded.nonce,"
                " epoch = excluded.epoch, applied_at = now()",
                (attempt.pair, position, nonce, epoch),
            )
            attempt.note(result=Result.DONE, primary=Side.SQLITE, epoch=epoch)
            detail = attempt.detail()
            attempt.note(result=Result.CALLED_OFF, primary=Side.POSTGRES, epoch=attempt.before.epoch)
            audit_target(cursor, attempt.pair, attempt.who, "rollback.commit", detail)
        attempt.note(result=Result.UNCERTAIN)
        try:
            fence.commit()
        except psycopg2.Error as error:
            attempt.note(why=f"PostgreSQL went away while committing the switch: {one_line(error)}")
            raise
        attempt.note(result=Result.DONE, primary=Side.SQLITE, epoch=epoch)


def activate_origin(attempt: Attempt) -> None:
    """Behind the commit point: SQLite takes writes again, guards let them through. Anyone may do this."""
    with attempt.step("rollback.activate_origin"):
        control.activate_origin(attempt.origin, attempt.id)


def fence_holders(attempt: Attempt, fence_name: str) -> tuple[Holder, ...]:
    """Sessions whose transactions hold the fence now."""
    with attempt.target.cursor() as cursor:
        cursor.execute(_HOLDERS, (fence_name,))
        return tuple(Holder(pid, who, query[:500], age) for pid, who, query, age in cursor.fetchall())


def _terminate_holders(attempt: Attempt, fence_name: str) -> None:
    try:
        holders = fence_holders(attempt, fence_name)
        with attempt.target.cursor() as cursor:
            for holder in holders:
                cursor.execute("SELECT pg_terminate_backend(%s)", (holder.pid,))
        attempt.note(terminated=holders)
    except psycopg2.Error as error:
        attempt.warn(f"holders could not be ended: {one_line(error)}")


def _held(drain_timeout: float, holders: tuple[Holder, ...]) -> str:
    by = f" (held by {'; '.join(str(holder) for holder in holders)})" if holders else ""
    return f"open write transactions did not end within {drain_timeout:g} s{by}; --terminate-holders ends them"


def _mend(attempt: Attempt) -> None:
    """Undo what a called-off attempt left in SQLite, or finish what PostgreSQL had committed after all.

    Over a new connection: the old one may be what failed. If nothing can be known now, the agent's reconcile does it.
    """
    try:
        with closing(connect(attempt.dsn, purpose="rollback", autocommit=True)) as target:
            settled = reconcile.settle_records(attempt.settings, attempt.origin, target, who=attempt.who)
    except WORLD as error:
        attempt.warn(f"not settled yet ({one_line(error)}); the agent settles it")
        return
    if settled.primary is Side.SQLITE:
        attempt.note(result=Result.DONE, primary=Side.SQLITE, epoch=attempt.before.epoch + 1, why="")
    elif attempt.outcome.result is Result.UNCERTAIN:
        attempt.note(result=Result.CALLED_OFF)


def _look_for_stragglers(attempt: Attempt, drained: Drained) -> None:
    """Changes by sessions that do not take the fence (psql) and committed past the drain: said, kept, not merged."""
    with attempt.step("rollback.look_for_stragglers"), attempt.target.cursor() as cursor:
        changes.prune(cursor, attempt.pair, drained.snapshot)
        left = changes.pending(cursor, attempt.pair, drained.snapshot)
        if left:
            proof.void(cursor, attempt.pair, "changes past the fence of a rollback")
            attempt.warn(
                f"{left} changes were made in PostgreSQL by sessions that do not take the fence; they are in"
                " shadow.change and not in SQLite: run `shadow verify --repair`"
            )


def _settle(attempt: Attempt) -> None:
    """What can wait until the app runs again: the audit, guards and capture removed."""
    result = attempt.outcome.result
    with attempt.step("rollback.settle"):
        if result is Result.DONE:
            _remove_guards_and_capture(attempt)
        attempt.audit("rollback")


def _remove_guards_and_capture(attempt: Attempt) -> None:
    try:
        attempt.origin.execute("BEGIN IMMEDIATE")
        guards.remove(attempt.origin)
        attempt.origin.execute("COMMIT")
        with attempt.target.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {capture.LOCK_TIMEOUT_MS}")
            capture.remove(cursor, attempt.pair)
    except WORLD as error:
        attempt.warn(
            f"guards or capture triggers are still there ({one_line(error)}); they do nothing but cost a little"
        )
    finally:
        if attempt.origin.in_transaction:
            with suppress(*WORLD):
                attempt.origin.execute("ROLLBACK")
