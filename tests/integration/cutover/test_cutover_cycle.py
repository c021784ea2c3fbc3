"""There and back again: what a switch leaves behind on both sides."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from flagging import FlagPair, app_write, cut_over

from shadow.cutover.outcome import Result
from shadow.cutover.reconcile import reconcile
from shadow.cutover.rollback import rollback
from shadow.cutover.status import collect
from shadow.errors import NotPrimary
from shadow.flag.hint import Hint, HintState
from shadow.types import Side


def hint(pair: FlagPair) -> HintState:
    found = Hint.open(pair.settings.hint_path)
    assert found is not None
    assert found.draining_until == 0.0
    return found.state


def test_a_full_cycle_keeps_every_write(pair: FlagPair) -> None:
    """SQLite, PostgreSQL, SQLite, PostgreSQL, SQLite: each write once, on both sides."""
    with closing(sqlite3.connect(pair.path, isolation_level=None)) as app:
        for n in range(1, 3):
            app_write(app, ("INSERT INTO place (country, city, note) VALUES ('at', ?, 'x')", (f"sqlite {n}",)))
            outcome = cut_over(pair)
            assert (outcome.result, outcome.why, outcome.primary) == (Result.DONE, "", Side.POSTGRES)
            assert hint(pair) is HintState.POSTGRES
            with pytest.raises(NotPrimary):
                app_write(app, ("DELETE FROM place", ()))
            with pytest.raises(sqlite3.IntegrityError, match="PostgreSQL is primary"):
                app.execute("DELETE FROM place")
            assert pair.origin("SELECT count(*) FROM _shadow_app_trigger") == [(1,)]
            pair.write(f"INSERT INTO place (country, city, note) VALUES ('de', 'postgres {n}', 'y')")
            back = rollback(pair.settings)
            assert (back.result, back.why, back.primary, back.warnings) == (Result.DONE, "", Side.SQLITE, ())
            assert back.epoch == outcome.epoch + 1
            assert hint(pair) is HintState.SQLITE
            triggers = pair.origin("SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY 1")
            assert triggers == [("_shadow_append_row",), ("kind_log",)]
            assert pair.target("SELECT count(*) FROM pg_trigger WHERE tgname LIKE '!_shadow!_%' ESCAPE '!'") == [(0,)]
        app_write(app, ("UPDATE place SET note = 'end'", ()))
    cut_over(pair)
    assert [row[1] for row in pair.same("place", "country, city, note", "2")] == [
        "postgres 1",
        "postgres 2",
        "sqlite 1",
        "sqlite 2",
    ]
    assert reconcile(pair.settings).action == ""  # type: ignore[union-attr]


def test_a_dry_run_changes_nothing_and_says_the_wait(pair: FlagPair) -> None:
    """Everything but the commit point, in both directions."""
    rehearsed = cut_over(pair, dry_run=True)
    assert (rehearsed.result, rehearsed.primary) == (Result.REHEARSED, Side.SQLITE)
    assert rehearsed.wait_seconds > 0
    assert hint(pair) is HintState.SQLITE
    assert pair.origin("SELECT epoch, state FROM _shadow_control") == [(1, "active")]
    assert pair.target("SELECT epoch, state FROM shadow.control") == [(1, "active")]
    assert cut_over(pair, no_fence=True).wait_seconds == 0.0
    cut_over(pair)
    back = rollback(pair.settings, dry_run=True)
    assert (back.result, back.primary) == (Result.REHEARSED, Side.POSTGRES)
    assert hint(pair) is HintState.POSTGRES
    assert pair.origin("SELECT epoch, state, guard FROM _shadow_control") == [(2, "active", 1)]
    pair.write("INSERT INTO place VALUES ('at', 'wien', 'x')")


def test_a_closed_gate_refuses_and_a_forced_one_is_kept_in_the_trail(pair: FlagPair) -> None:
    """Refused with the gate's own reason; forced only with a reason, and audited on both sides."""
    from shadow.cutover.switch import cutover

    refused = cutover(pair.settings)
    assert refused.result is Result.REFUSED
    assert "gate verify is closed" in refused.why
    assert cutover(pair.settings, force_gates=("verify", "coverage")).result is Result.REFUSED
    assert cutover(pair.settings, force_gates=("nosuch",), reason="x").result is Result.REFUSED
    done = cut_over(pair)
    assert set(done.forced_gates) == {"verify", "coverage"}
    for rows in (
        pair.target(
            "SELECT detail->>'reason', detail->>'result' FROM shadow.audit WHERE action = 'cutover' ORDER BY id"
        ),
        pair.origin(
            "SELECT json_extract(detail, '$.reason'), json_extract(detail, '$.result') FROM _shadow_audit"
            " WHERE action = 'cutover' ORDER BY id"
        ),
    ):
        assert rows[-1] == ("test", "done")
        assert rows[0] == ("", "refused")


def test_switching_to_where_one_is_is_refused(pair: FlagPair) -> None:
    """No epoch is used up for nothing."""
    assert rollback(pair.settings).why == "SQLite is primary already"
    cut_over(pair)
    assert cut_over(pair).why == "PostgreSQL is primary already"
    assert pair.origin("SELECT epoch FROM _shadow_control") == [(2,)]


def test_status_tells_both_sides(pair: FlagPair) -> None:
    """Primary, epoch, lag, capture, before and after."""
    before = collect(pair.settings)
    assert (before.primary, before.epoch, before.origin.lag_records) == (Side.SQLITE, 1, 0)
    assert before.target.drift == ()
    cut_over(pair)
    pair.write("INSERT INTO place VALUES ('at', 'wien', 'x')")
    after = collect(pair.settings)
    assert (after.primary, after.epoch, after.target.reverse_pending) == (Side.POSTGRES, 2, 1)
    assert after.target.capture_missing == ()
    assert after.origin.unguarded_tables == ()
    assert after.target.drift == ()
