"""Stalls and holders: the app never waits longer than the deadline, and whoever is in the way is named."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from appload import App
from flagging import FlagPair, app_write, apply_all, cut_over

from shadow.config import Settings
from shadow.cutover.attempt import FENCE_SECONDS_MAX
from shadow.cutover.force import export_path
from shadow.cutover.outcome import Result
from shadow.cutover.reconcile import reconcile
from shadow.cutover.rollback import rollback
from shadow.errors import TargetUnavailable
from shadow.flag.hint import Hint, HintState
from shadow.types import Side


def start_switch(pair: FlagPair, verb: str, failpoint: str) -> subprocess.Popen[str]:
    here = Path(__file__).resolve().parents[2]
    path = os.pathsep.join(p for p in (str(here.parent), os.environ.get("PYTHONPATH")) if p)
    return subprocess.Popen(
        [sys.executable, str(here / "switchcommand.py"), verb, pair.path, pair.dsn, "1.0"],
        env={**os.environ, "SHADOW_FAILPOINT": failpoint, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_until_stopped(process: subprocess.Popen[str]) -> None:
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), status


def finish(process: subprocess.Popen[str]) -> dict[str, object]:
    process.send_signal(signal.SIGCONT)
    out, _ = process.communicate(timeout=60)
    return dict(json.loads(out))


@pytest.mark.parametrize("step", ["cutover.announce", "cutover.take_write_lock", "cutover.prepare_target"])
def test_a_stopped_cutover_blocks_the_app_no_longer_than_the_deadline(step: str, pair: FlagPair) -> None:
    """The child lets go of SQLite's lock by itself; when the coordinator wakes up, it finds that it was called off."""
    with App(pair) as app:
        process = start_switch(pair, "cutover", f"{step}=stop")
        try:
            wait_until_stopped(process)
            app.wait_for_more()
            outcome = finish(process)
        finally:
            process.kill()
        assert (outcome["result"], outcome["primary"]) == ("called_off", "sqlite")
        app.wait_for_more()
        assert reconcile(pair.settings) is not None
    assert app.longest_seconds < 1.0 + FENCE_SECONDS_MAX + 1.0
    assert app.errors == []
    apply_all(pair)
    app.check()


@pytest.mark.parametrize("step", ["rollback.announce", "rollback.take_fence", "rollback.drain_and_prepare"])
def test_a_stopped_rollback_blocks_the_app_no_longer_than_the_deadline(step: str, pair: FlagPair) -> None:
    """PostgreSQL ends the session that holds the fence; SQLite's prepared record is put back."""
    with App(pair) as app:
        assert cut_over(pair).result is Result.DONE
        process = start_switch(pair, "rollback", f"{step}=stop")
        try:
            wait_until_stopped(process)
            app.wait_for_more()
            outcome = finish(process)
        finally:
            process.kill()
        assert (outcome["result"], outcome["primary"]) == ("called_off", "postgres"), outcome
        app.wait_for_more()
        assert reconcile(pair.settings) is not None
        assert rollback(pair.settings).result is Result.DONE
    assert app.longest_seconds < 1.0 + FENCE_SECONDS_MAX + 1.0
    apply_all(pair)
    app.check()


def test_an_open_write_transaction_on_sqlite_calls_cutover_off(pair: FlagPair) -> None:
    """It is named, unharmed, and the app goes on; the next attempt succeeds."""
    with closing(sqlite3.connect(pair.path, isolation_level=None)) as app:
        app.execute("BEGIN IMMEDIATE")
        app.execute("INSERT INTO place VALUES ('at', 'wien', 'x')")
        outcome = cut_over(pair, drain_timeout=0.2)
        assert outcome.result is Result.CALLED_OFF
        assert [holder.pid for holder in outcome.holders] == [os.getpid()]
        assert str(os.getpid()) in outcome.why
        assert outcome.wait_seconds < 0.5
        app.execute("ROLLBACK")
        app_write(app, ("INSERT INTO place VALUES ('at', 'graz', 'x')", ()))
    assert cut_over(pair).result is Result.DONE


def test_an_open_transaction_on_postgres_calls_rollback_off(pair: FlagPair) -> None:
    """It is named with its statement and age, unharmed, and can commit; --terminate-holders gets through."""
    cut_over(pair)
    app = pair.connect()
    pair.enter(app)
    with app.cursor() as cursor:
        cursor.execute("INSERT INTO place VALUES ('at', 'wien', 'x')")
    outcome = rollback(pair.settings, drain_timeout=0.2)
    assert outcome.result is Result.CALLED_OFF
    assert [holder.pid for holder in outcome.holders] == [app.get_backend_pid()]
    assert "INSERT INTO place" in outcome.why
    app.commit()
    pair.enter(app)
    with app.cursor() as cursor:
        cursor.execute("INSERT INTO place VALUES ('at', 'graz', 'x')")
    outcome = rollback(pair.settings, drain_timeout=0.2, terminate_holders=True)
    assert outcome.result is Result.DONE, outcome.why
    assert [holder.pid for holder in outcome.terminated] == [app.get_backend_pid()]
    app.close()
    assert pair.same("place", "country, city, note") == [("at", "wien", "x")]


def test_two_switches_at_once_do_not_meet(pair: FlagPair) -> None:
    """The second one is refused and says why; the first, stopped before its announcement, goes on."""
    process = start_switch(pair, "cutover", "cutover.prepare=stop")
    try:
        wait_until_stopped(process)
        second = cut_over_refused(pair)
        assert "another switch" in second
        assert reconcile(pair.settings) is not None
        assert finish(process)["result"] == "done"
    finally:
        process.kill()


def cut_over_refused(pair: FlagPair) -> str:
    from shadow.cutover import attempt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attempt.take_switch_lock, "__defaults__", (0.2,))
        with pytest.raises(attempt.CalledOff) as caught:
            cut_over(pair)
    return str(caught.value)


def test_postgres_out_of_reach_is_said_in_one_line(pair: FlagPair) -> None:
    """Exit code 2, nothing changed."""
    away = Settings(pair.path, "postgresql://nobody@127.0.0.1:1/none?connect_timeout=1")
    with pytest.raises(TargetUnavailable, match="nobody answers"):
        rollback(away)
    cut_over(pair)
    with pytest.raises(TargetUnavailable):
        rollback(away)
    assert pair.origin("SELECT primary_side, state FROM _shadow_control") == [("postgres", "active")]


def test_a_forced_rollback_says_what_may_be_missing_and_exports_it_later(pair: FlagPair) -> None:
    """SQLite goes on with what had flowed back; a PostgreSQL that returns follows, and what was left is exported."""
    from shadow.reverse.applier import ReverseApplier

    cut_over(pair)
    pair.write("INSERT INTO place VALUES ('at', 'wien', 'flowed back')")
    with ReverseApplier(pair.path, pair.dsn, "public") as reverse:
        reverse.run_once()
    pair.write("INSERT INTO place VALUES ('at', 'graz', 'not yet')")
    away = Settings(pair.path, "postgresql://nobody@127.0.0.1:1/none?connect_timeout=1")
    outcome = rollback(away, force_unreachable=True, reason="the disk died")
    assert (outcome.result, outcome.primary, outcome.epoch) == (Result.DONE, Side.SQLITE, 3)
    assert "not in SQLite" in outcome.warnings[0]
    found = Hint.open(pair.settings.hint_path)
    assert found is not None
    assert found.state is HintState.SQLITE
    with closing(sqlite3.connect(pair.path, isolation_level=None)) as app:
        app_write(app, ("INSERT INTO place VALUES ('de', 'köln', 'after')", ()))
    settled = reconcile(pair.settings)
    assert settled is not None
    assert settled.primary is Side.SQLITE
    exported = [json.loads(line) for line in export_path(pair.settings, 2).read_text().splitlines()]
    assert [entry["new"]["city"] for entry in exported] == ["graz"]
    assert pair.target("SELECT primary_side, epoch FROM shadow.control") == [("sqlite", 3)]
    assert pair.target("SELECT count(*) FROM shadow.applied") == [(0,)], "it must be filled again"
    refused = cut_over(pair)
    assert refused.result is Result.REFUSED
    assert "shadow backfill" in refused.why


def test_waits_are_measured(pair: FlagPair) -> None:
    """What the app waited includes the fence; both are small when nobody is in the way."""
    started = time.monotonic()
    outcome = cut_over(pair)
    assert 0 < outcome.fence_seconds <= outcome.wait_seconds < time.monotonic() - started
    assert [step.name for step in outcome.steps][-1] == "cutover.settle"
    back = rollback(pair.settings)
    assert 0 < back.fence_seconds <= back.wait_seconds
