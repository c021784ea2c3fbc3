"""Kill -9 at each step of a switch, under load: afterwards there is one primary, and nothing is lost or doubled.

SHADOW_SIMULATION_SEED=n chooses another number of writers and another order of switches before the one that is killed.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from appload import App
from flagging import FORCED, SCHEMA, FlagPair, apply_all, cut_over, start
from switching import CUTOVER_COMMITTED, CUTOVER_STEPS, ROLLBACK_COMMITTED, ROLLBACK_STEPS, agree, run_switch

from shadow.config import configure
from shadow.cutover.outcome import Result
from shadow.cutover.reconcile import reconcile
from shadow.cutover.rollback import rollback
from shadow.types import Side

SEED = int(os.environ.get("SHADOW_SIMULATION_SEED", "1"))


@pytest.fixture
def pair(sqlite_path: Path, pg_dsn: str) -> FlagPair:
    settings = configure(sqlite_path=sqlite_path, database_url=pg_dsn)
    with closing(sqlite3.connect(sqlite_path)) as conn:
        conn.executescript(SCHEMA)
    return start(settings)


def settle_and_check(pair: FlagPair, app: App) -> None:
    """The app goes on; then everything is brought to SQLite, and both sides are compared with what was acknowledged."""
    app.wait_for_more()
    for writer in app.writers:
        writer.end()
    if pair.origin("SELECT primary_side FROM _shadow_control") == [("postgres",)]:
        outcome = rollback(pair.settings)
        assert outcome.result is Result.DONE, outcome.why
    apply_all(pair)
    app.check()


@pytest.mark.parametrize("step", CUTOVER_STEPS)
def test_cutover_killed_at(step: str, pair: FlagPair) -> None:
    """Before the commit point the app stays on SQLite, from it on it is on PostgreSQL; reconcile finishes the rest."""
    assert set(FORCED) == {"verify", "coverage"}
    with App(pair, writers=random.Random(f"{SEED}{step}").randint(2, 4)) as app:
        ended = run_switch(pair, "cutover", f"{step}=kill")
        if not step.startswith("holder."):
            assert ended.returncode == -signal.SIGKILL, ended.stderr
        app.wait_for_more()
        settled = reconcile(pair.settings)
        assert settled is not None
        assert settled.primary is agree(pair)
        assert settled.primary is (Side.POSTGRES if step in CUTOVER_COMMITTED else Side.SQLITE)
        settle_and_check(pair, app)
    assert app.errors == []


@pytest.mark.parametrize("step", ROLLBACK_STEPS)
def test_rollback_killed_at(step: str, pair: FlagPair) -> None:
    """The mirror image."""
    with App(pair, writers=random.Random(f"{SEED}{step}").randint(2, 4)) as app:
        assert cut_over(pair).result is Result.DONE
        app.wait_for_more()
        ended = run_switch(pair, "rollback", f"{step}=kill")
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        app.wait_for_more()
        settled = reconcile(pair.settings)
        assert settled is not None
        assert settled.primary is agree(pair)
        assert settled.primary is (Side.SQLITE if step in ROLLBACK_COMMITTED else Side.POSTGRES)
        settle_and_check(pair, app)


@pytest.mark.parametrize(
    ("verb", "step"),
    [
        ("cutover", "cutover.prepare_target"),
        ("cutover", "holder.committed"),
        ("rollback", "rollback.drain_and_prepare"),
        ("rollback", "rollback.commit_target"),
    ],
)
def test_the_next_command_settles_what_a_dead_one_left(verb: str, step: str, pair: FlagPair) -> None:
    """Without the agent's help, and then does its own work."""
    with App(pair, writers=2) as app:
        if verb == "rollback":
            assert cut_over(pair).result is Result.DONE
        run_switch(pair, verb, f"{step}=kill")
        there, back = cut_over(pair), rollback(pair.settings)
        assert Result.DONE in (there.result, back.result), (there.why, back.why)
        assert agree(pair) is Side.SQLITE
        settle_and_check(pair, app)
