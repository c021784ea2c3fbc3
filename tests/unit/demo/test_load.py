"""The load on the standard sqlite3 module: it must be right without shadow before it can judge shadow."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from shadow.demo import judge
from shadow.demo.app import database, seed
from shadow.demo.load import Load, Role, failures, longest_call

ROLES = (Role("reader", 1, 150.0), Role("writer", 2, 150.0), Role("worker", 1, 60.0))


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The app's file with old data."""
    import sqlite3

    monkeypatch.setattr(database, "sqlite3", sqlite3)
    monkeypatch.setattr(database, "CATALOG_PATH", tmp_path / "catalog.db")
    database.init_database()
    assert len(database.run_migrations()) == 4
    assert seed.seed() > 3000
    return tmp_path / "catalog.db"


def test_several_clients_on_plain_sqlite_make_no_error_and_the_judge_agrees_with_their_books(
    catalogue: Path, tmp_path: Path
) -> None:
    environment = {"SQLITE_PATH": str(catalogue), "DEMO_SQLITE_MODULE": "stdlib"}
    with Load(tmp_path / "logs", environment, ROLES) as load:
        load.wait_started()
        since = time.time()
        load.run()
        load.wait_until(lambda totals: totals["writes"] > 400 and totals["reads"] > 200, seconds=60)
        assert load.deploy() == ["005_conversation_rating"]
        load.pause()
        totals = load.totals()
        assert longest_call(load.logs, since, time.time()).ms > 0
    assert totals["errors"] == 0, failures(load.logs)
    verdict = judge.judge(catalogue, None, "public", load.logs)
    assert verdict["ok"], verdict["complaints"]
    assert verdict["writes_acknowledged"] == totals["writes"]


def test_a_client_ends_when_its_parent_is_gone(catalogue: Path, tmp_path: Path) -> None:
    environment = {"SQLITE_PATH": str(catalogue), "DEMO_SQLITE_MODULE": "stdlib"}
    load = Load(tmp_path / "logs", environment, (Role("reader", 1, 50.0),))
    load.wait_started()
    load.run()
    started = time.monotonic()
    load.__exit__()  # closes stdin, as the end of our process would
    assert time.monotonic() - started < 5


def test_a_call_that_a_switch_made_long_does_not_count_as_usual(tmp_path: Path) -> None:
    """It began before the switch and ended after it."""
    log = tmp_path / "reader1.jsonl"
    log.write_text('{"op": "quick", "t": 99.0, "ms": 50.0}\n{"op": "held", "t": 100.9, "ms": 950.0}\n')
    assert longest_call([log], 100.0, 102.0).ms == 950.0
    assert longest_call([log], 98.0, 100.0, ended=True).ms == 50.0
