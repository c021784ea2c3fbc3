"""Every pair of records that a crash can leave has one meaning, and anyone can bring it about."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing

import pytest
from flagging import FlagPair, cut_over

from shadow.cutover.reconcile import Settled, reconcile
from shadow.errors import FenceTimeout, TargetError
from shadow.flag import control
from shadow.flag.control import ControlRecord, State
from shadow.flag.hint import Hint, HintState, write_hint
from shadow.postgres.connect import connect
from shadow.types import Side


def set_origin(pair: FlagPair, record: ControlRecord) -> None:
    with closing(sqlite3.connect(pair.path)) as conn, conn:
        control.write_origin(conn, record, guard=record.epoch > 1)


def set_target(pair: FlagPair, record: ControlRecord) -> None:
    with closing(connect(pair.dsn, purpose="test", autocommit=True)) as conn, conn.cursor() as cursor:
        control.write_target(cursor, "public", record)


def settled(pair: FlagPair) -> Settled:
    found = reconcile(pair.settings)
    assert found is not None
    again = reconcile(pair.settings)
    assert again == Settled(found.primary, found.epoch, ""), "there is nothing left to do"
    hint = Hint.open(pair.settings.hint_path)
    assert hint is not None
    assert hint.state is (HintState.SQLITE if found.primary is Side.SQLITE else HintState.POSTGRES)
    return found


def test_a_prepared_cutover_that_never_was_is_taken_back(pair: FlagPair) -> None:
    """PostgreSQL prepared e+1, SQLite active e: SQLite is primary."""
    set_target(pair, ControlRecord(2, "dead", Side.POSTGRES, State.PREPARED))
    assert settled(pair).primary is Side.SQLITE
    assert pair.target("SELECT epoch, state FROM shadow.control") == [(1, "active")]


def test_a_committed_cutover_is_finished(pair: FlagPair) -> None:
    """SQLite active e+1, PostgreSQL prepared e+1: PostgreSQL is primary."""
    set_target(pair, ControlRecord(2, "dead", Side.POSTGRES, State.PREPARED))
    set_origin(pair, ControlRecord(2, "dead", Side.POSTGRES, State.ACTIVE))
    assert settled(pair) == Settled(Side.POSTGRES, 2, "a committed cutover was finished")


def test_a_committed_rollback_is_finished(pair: FlagPair) -> None:
    """SQLite prepared e+2, PostgreSQL active e+2 for SQLite: SQLite is primary, and its guards let go."""
    cut_over(pair)
    set_origin(pair, ControlRecord(3, "dead", Side.SQLITE, State.PREPARED))
    set_target(pair, ControlRecord(3, "dead", Side.SQLITE, State.ACTIVE))
    assert settled(pair).primary is Side.SQLITE
    assert pair.origin("SELECT guard FROM _shadow_control") == [(0,)]


def test_an_uncommitted_rollback_is_undone_only_with_the_fence_in_hand(pair: FlagPair) -> None:
    """While somebody holds the fence a rollback might still commit, so nothing is done; afterwards it is put back."""
    cut_over(pair)
    (attempt,) = pair.origin("SELECT attempt FROM _shadow_control")[0]
    set_origin(pair, ControlRecord(3, "dead", Side.SQLITE, State.PREPARED))
    app = pair.connect()
    pair.enter(app)
    with pytest.raises(FenceTimeout):
        reconcile(pair.settings)
    app.rollback()
    app.close()
    assert settled(pair) == Settled(Side.POSTGRES, 2, "a rollback that was not committed was undone")
    assert pair.origin("SELECT epoch, attempt, state, guard FROM _shadow_control") == [(2, attempt, "active", 1)]


def test_a_hint_left_by_a_dead_coordinator_is_set_right(pair: FlagPair) -> None:
    """The records agree, only the hint says ask."""
    write_hint(pair.settings.hint_path, HintState.ASK, draining_until=1.0)
    assert settled(pair).primary is Side.SQLITE


def test_while_a_coordinator_is_at_work_nothing_is_touched(pair: FlagPair) -> None:
    """Its lock says that it lives."""
    from shadow.cutover.attempt import take_switch_lock

    set_target(pair, ControlRecord(2, "alive", Side.POSTGRES, State.PREPARED))
    with closing(connect(pair.dsn, purpose="test", autocommit=True)) as conn:
        take_switch_lock(conn, "public")
        assert reconcile(pair.settings) is None
    assert pair.target("SELECT state FROM shadow.control") == [("prepared",)]


def test_records_that_no_crash_can_leave_are_named_and_left_alone(pair: FlagPair) -> None:
    """An older copy of one of the databases: nobody may guess."""
    set_target(pair, ControlRecord(5, "x", Side.POSTGRES, State.ACTIVE))
    with pytest.raises(TargetError, match="older copy"):
        reconcile(pair.settings)
    assert pair.target("SELECT epoch FROM shadow.control") == [(5,)]


def test_many_helpers_at_once_do_it_once(pair: FlagPair) -> None:
    """All of them may try; the trail has one entry."""
    set_target(pair, ControlRecord(2, "dead", Side.POSTGRES, State.PREPARED))
    set_origin(pair, ControlRecord(2, "dead", Side.POSTGRES, State.ACTIVE))
    found: list[Settled | None] = []
    threads = [threading.Thread(target=lambda: found.append(reconcile(pair.settings))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 5
    assert settled(pair).primary is Side.POSTGRES
    assert pair.target("SELECT count(*) FROM shadow.audit WHERE action LIKE 'reconcile%'") == [(1,)]
