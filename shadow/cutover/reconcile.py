"""Finish or undo a half switch: helping. Anyone may, any number of times; the agent does, every second.

A switch has one commit point, so what holds is always to be read off the two records:

    SQLite              PostgreSQL            what holds                  what is done
    active e, sqlite    active e              SQLite                      -
    active e, sqlite    prepared e+1          SQLite: never committed     PostgreSQL's record goes back to e
    active e+1, pg      prepared e+1          PostgreSQL: committed       PostgreSQL's record turns active
    prepared e+2        active e+2, sqlite    SQLite: committed           SQLite's record turns active
    prepared e+2        active e+1, pg        PostgreSQL: not committed   with the fence in hand (no rollback can
                                                                          commit now): SQLite's goes back to e+1
    active e+2, sqlite  active e+1, pg        SQLite, by force            PostgreSQL adopts it and must be filled again
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

import psycopg2
from psycopg2.extensions import connection as PgConnection

from ..config import Settings
from ..errors import FenceTimeout, TargetError
from ..flag import control, guards
from ..flag.control import ControlRecord, State
from ..flag.hint import Hint, HintState
from ..postgres.connect import connect
from ..types import Side
from . import force
from .attempt import (
    CalledOff,
    audit_origin,
    audit_target,
    default_who,
    describe,
    dsn_of,
    open_origin,
    read_both,
    settle_hint,
    take_switch_lock,
)

_FENCE_WAIT_MS = 1_000
_LOCK_WAIT_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Settled:
    """What was found, and what was done about it."""

    primary: Side
    epoch: int
    #: Empty: nothing was to be done.
    action: str = ""


def reconcile(settings: Settings, *, who: str | None = None) -> Settled | None:
    """Settle a half switch if no coordinator is at work; None when one is, or when PostgreSQL must be asked and cannot.

    Cheap when there is nothing to do: two reads. Raises `TargetError` when the records contradict each other.
    """
    origin = open_origin(settings)
    try:
        target = connect(dsn_of(settings), purpose="reconcile", autocommit=True)
        try:
            ours, theirs = read_both(origin, target, settings.pg_schema)
            if ours == theirs and ours.state is State.ACTIVE and _hint_is_right(settings, ours):
                return Settled(ours.primary, ours.epoch)
            try:
                take_switch_lock(target, settings.pg_schema, _LOCK_WAIT_SECONDS)
            except CalledOff:
                return None
            settled = settle_records(settings, origin, target, who=who or default_who())
            settle_hint(settings, origin)
            return settled
        finally:
            target.close()
    finally:
        origin.close()


def settle_records(settings: Settings, origin: sqlite3.Connection, target: PgConnection, *, who: str) -> Settled:
    """The table above. The caller holds the lock of the switch, and no switch of its own is under way."""
    pair = settings.pg_schema
    ours, theirs = read_both(origin, target, pair)
    if ours == theirs and ours.state is State.ACTIVE:
        return Settled(ours.primary, ours.epoch)
    if ours.accepts_writes(Side.SQLITE) and theirs.state is State.PREPARED and theirs.epoch == ours.epoch + 1:
        with target.cursor() as cursor:
            _put_target_back(cursor, pair, ours, theirs)
        return _say(target, origin, pair, who, ours, "a cutover that was not committed was undone")
    if ours.accepts_writes(Side.POSTGRES) and theirs.state is State.PREPARED and theirs.attempt == ours.attempt:
        with target.cursor() as cursor:
            control.activate_target(cursor, pair, ours.attempt)
        return _say(target, origin, pair, who, ours, "a committed cutover was finished")
    if ours.state is State.PREPARED and theirs.accepts_writes(Side.SQLITE) and theirs.attempt == ours.attempt:
        control.activate_origin(origin, ours.attempt)
        return _say(target, origin, pair, who, theirs, "a committed rollback was finished")
    if ours.state is State.PREPARED and theirs.accepts_writes(Side.POSTGRES) and theirs.epoch == ours.epoch - 1:
        return _undo_rollback(origin, target, pair, who, ours)
    if ours.accepts_writes(Side.SQLITE) and ours.attempt.startswith(force.PREFIX) and ours.epoch > theirs.epoch:
        force.adopt(settings, origin, target, ours, theirs)
        return _say(target, origin, pair, who, ours, "PostgreSQL is back after a forced rollback: it takes no writes")
    raise TargetError(
        f"the control records contradict each other (SQLite: {describe(ours)}; PostgreSQL: {describe(theirs)}):"
        " one of the databases is an older copy. Put the newer one back; shadow does not guess which writes to keep"
    )


def _put_target_back(cursor: control.TargetCursor, pair: str, ours: ControlRecord, theirs: ControlRecord) -> None:
    cursor.execute(
        "UPDATE shadow.control SET epoch = %s, attempt = %s, primary_side = 'sqlite', state = 'active',"
        " changed_at = now() WHERE pair = %s AND attempt = %s AND state = 'prepared'",
        (ours.epoch, ours.attempt, pair, theirs.attempt),
    )


def _undo_rollback(
    origin: sqlite3.Connection, target: PgConnection, pair: str, who: str, ours: ControlRecord
) -> Settled:
    """A rollback died before its commit point. Holding the fence proves that none can commit any more."""
    with target.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            cursor.execute(f"SET LOCAL lock_timeout = {_FENCE_WAIT_MS}")
            try:
                cursor.execute(f"LOCK TABLE {control.fence_table(pair)} IN EXCLUSIVE MODE")
            except psycopg2.errors.LockNotAvailable as error:
                raise FenceTimeout(
                    "a rollback that died cannot be undone while write transactions are open in PostgreSQL; try again"
                ) from error
            theirs = control.read_target(cursor, pair)
            if theirs is not None and theirs.accepts_writes(Side.POSTGRES) and theirs.epoch == ours.epoch - 1:
                _put_origin_back(origin, ours, theirs)
        finally:
            cursor.execute("ROLLBACK")
    if theirs is None or theirs.epoch >= ours.epoch:  # it committed after all while we waited for the fence
        control.activate_origin(origin, ours.attempt)
        found = control.read_origin(origin)
        assert found is not None
        return _say(target, origin, pair, who, found.record, "a committed rollback was finished")
    return _say(target, origin, pair, who, theirs, "a rollback that was not committed was undone")


def _put_origin_back(origin: sqlite3.Connection, ours: ControlRecord, theirs: ControlRecord) -> None:
    origin.execute("BEGIN IMMEDIATE")
    try:
        found = control.read_origin(origin)
        if found is not None and found.record == ours:
            control.write_origin(origin, theirs, guard=True)
            guards.park_triggers(origin)
            guards.install(origin)
        origin.execute("COMMIT")
    finally:
        if origin.in_transaction:
            origin.execute("ROLLBACK")


def _hint_is_right(settings: Settings, record: ControlRecord) -> bool:
    hint = Hint.open(settings.hint_path)
    if hint is None:
        return False
    wanted = HintState.SQLITE if record.primary is Side.SQLITE else HintState.POSTGRES
    # While a switch is announced its coordinator, if alive, holds the lock that we then fail to get.
    return hint.state is wanted and hint.draining_until < time.time()


def _say(
    target: PgConnection, origin: sqlite3.Connection, pair: str, who: str, record: ControlRecord, action: str
) -> Settled:
    detail: dict[str, object] = {"epoch": record.epoch, "attempt": record.attempt, "primary": record.primary.value}
    with target.cursor() as cursor:
        audit_target(cursor, pair, who, f"reconcile: {action}", detail)
    audit_origin(origin, who, f"reconcile: {action}", detail)
    return Settled(record.primary, record.epoch, action)
