"""What the first statement on PostgreSQL needs is loaded before it comes, once, and never at the app's cost."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from shadow.config import Settings
from shadow.flag.hint import HintState, write_hint
from shadow.postgres.pool import pool_for
from shadow.shim import warm
from shadow.shim.remote.schema import store_for
from shadow.shim.remote.session import RemoteSession
from shadow.shim.routing import Router
from shadow.types import DatabaseType, PgMode


@pytest.fixture
def mode() -> PgMode:
    return PgMode.CONCURRENT


@pytest.fixture
def shadowing(settings: Settings) -> Settings:
    return replace(settings, database_type=DatabaseType.SHADOW)


def assert_warm(settings: Settings) -> None:
    warm.wait(settings)
    assert store_for(settings).current is not None
    assert pool_for(settings).free == 1


def test_it_opens_one_connection_and_loads_the_schema_however_often_it_is_asked(shadowing: Settings) -> None:
    for _ in range(3):
        warm.start(shadowing)
    assert_warm(shadowing)


def test_the_first_statement_uses_what_is_there(shadowing: Settings) -> None:
    warm.start(shadowing)
    session = RemoteSession(shadowing)
    assert list(session.execute("SELECT 1", ()).rows) == [(1,)]
    assert pool_for(shadowing).free == 1
    session.close()


def test_an_announced_switch_starts_it(shadowing: Settings) -> None:
    write_hint(shadowing.hint_path, HintState.ASK, draining_until=time.time() + 0.2)
    Router(shadowing).wait_for_switch()
    assert_warm(shadowing)


def test_a_hint_that_only_asks_does_not(shadowing: Settings) -> None:
    write_hint(shadowing.hint_path, HintState.ASK)
    Router(shadowing).wait_for_switch()
    warm.wait(shadowing)
    assert store_for(shadowing).current is None


def test_a_process_that_only_connects_starts_it_when_an_agent_has_been_there(
    shadowing: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "_YOUNG_SECONDS", 0.0)
    monkeypatch.setattr(warm, "_AGAIN_SECONDS", 0.0)
    warm.connected(shadowing)
    warm.connected(shadowing)
    assert store_for(shadowing).current is None
    Path(shadowing.socket_path).touch()
    warm.connected(shadowing)
    assert_warm(shadowing)
    Path(shadowing.socket_path).unlink()


def test_postgres_being_away_is_nobodys_business(shadowing: Settings) -> None:
    away = replace(shadowing, database_url="postgresql://127.0.0.1:1/nowhere")
    warm.start(away)
    warm.wait(away)
    assert store_for(away).current is None
