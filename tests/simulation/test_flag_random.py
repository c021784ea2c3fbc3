"""Random switches, failures and kills under load, from a seed: whatever happened, one primary, nothing lost or doubled.

SHADOW_SIMULATION_SEEDS=17 python -m pytest tests/simulation/test_flag_random.py     repeats seed 17
SHADOW_SIMULATION_SEEDS=0-99 ...                                                     runs a hundred
"""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from appload import App
from flagging import SCHEMA, FlagPair, apply_all, start
from switching import CUTOVER_STEPS, ROLLBACK_STEPS, agree, run_switch

from shadow.config import configure
from shadow.cutover.outcome import Result
from shadow.cutover.reconcile import reconcile
from shadow.cutover.rollback import rollback
from shadow.postgres.connect import connect
from shadow.reverse.applier import ReverseApplier
from shadow.types import Side

ROUNDS = 4


def seeds() -> list[int]:
    first, _, last = os.environ.get("SHADOW_SIMULATION_SEEDS", "1-2").partition("-")
    return list(range(int(first), int(last or first) + 1))


def end_sessions(pair: FlagPair) -> None:
    """What the clients see of a PostgreSQL that restarts: every session ends, whatever it was doing."""
    with closing(connect(pair.dsn, purpose="test", autocommit=True)) as conn, conn.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.mark.parametrize("seed", seeds())
def test_whatever_happens(seed: int, sqlite_path: Path, pg_dsn: str) -> None:
    """Each round: the switch that is due, with a failure somewhere, or none; then everybody helps."""
    chance = random.Random(seed)
    settings = configure(sqlite_path=sqlite_path, database_url=pg_dsn)
    with closing(sqlite3.connect(sqlite_path)) as conn:
        conn.executescript(SCHEMA)
    pair = start(settings)
    story = []
    with App(pair, writers=chance.randint(2, 4)) as app:
        primary = Side.SQLITE
        for _ in range(ROUNDS):
            verb, steps = ("cutover", CUTOVER_STEPS) if primary is Side.SQLITE else ("rollback", ROLLBACK_STEPS)
            failpoint = chance.choice(["", *(f"{step}={how}" for step in steps for how in ("kill", "fail"))])
            if chance.random() < 0.2:
                end_sessions(pair)
                story.append("sessions ended")
            run_switch(pair, verb, failpoint)
            if chance.random() < 0.5 and primary is Side.POSTGRES:
                with ReverseApplier(pair.path, pair.dsn, "public") as reverse:
                    reverse.run_once()
            app.wait_for_more()
            settled = reconcile(settings)
            assert settled is not None, story
            primary = settled.primary
            story.append(f"{verb} {failpoint or 'undisturbed'} -> {primary}")
            assert primary is agree(pair), story
            app.wait_for_more()
    if primary is Side.POSTGRES:
        outcome = rollback(settings)
        assert outcome.result is Result.DONE, (outcome.why, story)
    apply_all(pair)
    app.check()
