"""The reference app cannot tell: every call of its data layer answers as on the standard sqlite3, in all modes."""

from __future__ import annotations

import sqlite3 as standard_sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from shadow import config
from shadow import sqlite3 as shadow_sqlite3
from shadow.demo import judge
from shadow.demo.app import database
from shadow.flag.setup import init_pair
from shadow.replicate.applier import Applier
from shadow.types import PgMode

from .lockstep import ALL_ACTIONS, Lockstep, dump, lockstep


@pytest.fixture(autouse=True)
def _app_as_it_was() -> Iterator[None]:
    module, path = database.sqlite3, database.CATALOG_PATH
    yield
    database.sqlite3, database.CATALOG_PATH = module, path


def pair(monkeypatch: pytest.MonkeyPatch, path: Path, dsn: str, kind: str) -> config.Settings:
    """The environment of an app process, and the settings it means."""
    monkeypatch.setenv("SQLITE_PATH", str(path))
    monkeypatch.setenv("DATABASE_URL", dsn)
    monkeypatch.setenv("DATABASE_TYPE", kind)
    monkeypatch.setenv("SHADOW_PG_MODE", PgMode.SERIAL)
    config.reset_for_tests()
    settings = config.from_environment()
    assert settings is not None
    return settings


def assert_no_difference(both: Lockstep) -> None:
    lines = [f"{d.action}:\n    sqlite3 {d.standard[:600]}\n    shadow  {d.ours[:600]}" for d in both.differences]
    assert not lines, f"{len(lines)} of {both.calls} calls differ\n" + "\n".join(lines[:8])


def test_the_standard_module_agrees_with_itself(tmp_path: Path) -> None:
    """The yardstick first: what is compared is determined."""
    both = lockstep(tmp_path, standard_sqlite3, tmp_path / "app.db")
    both.open()
    both.run(ALL_ACTIONS, 2)
    assert both.calls == 2 * len(ALL_ACTIONS)
    assert_no_difference(both)
    assert dump(both.standard.path) == dump(both.ours.path)


def test_with_database_type_sqlite_every_call_answers_as_sqlite3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQLITE_PATH", str(tmp_path / "app.db"))
    monkeypatch.setenv("DATABASE_TYPE", "sqlite")
    both = lockstep(tmp_path, shadow_sqlite3, tmp_path / "app.db")
    both.open()
    both.run(ALL_ACTIONS, 2)
    assert_no_difference(both)
    assert dump(both.standard.path) == dump(both.ours.path)


def test_while_shadowed_every_call_answers_as_sqlite3_and_postgres_gets_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pg_dsn: str
) -> None:
    from shadow.backfill.backfill import backfill

    both = lockstep(tmp_path, shadow_sqlite3, tmp_path / "app.db")
    settings = pair(monkeypatch, tmp_path / "app.db", pg_dsn, "shadow")
    init_pair(settings)
    applier = Applier(settings.sqlite_path, pg_dsn, settings.pg_schema)
    backfill(settings)
    both.open()
    both.run(ALL_ACTIONS, 1)
    both.migrate()
    both.run(ALL_ACTIONS, 2, shuffle=1)
    assert_no_difference(both)
    assert dump(both.standard.path) == dump(both.ours.path)
    with applier.exclusive():
        applier.apply_to()
    assert divergences(pg_dsn) == []
    verdict = judge.judge(Path(settings.sqlite_path), pg_dsn, settings.pg_schema, [tmp_path / "ours.jsonl"])
    assert verdict["ok"], verdict


def test_with_postgres_primary_every_call_answers_as_sqlite3_and_sqlite_gets_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pg_dsn: str
) -> None:
    from shadow.backfill.backfill import backfill
    from shadow.cutover.switch import cutover
    from shadow.reverse.applier import ReverseApplier

    both = lockstep(tmp_path, shadow_sqlite3, tmp_path / "app.db")
    settings = pair(monkeypatch, tmp_path / "app.db", pg_dsn, "shadow")
    init_pair(settings)
    backfill(settings)
    gates = ("coverage", "verify", "lag")
    outcome = cutover(settings, force_gates=gates, reason="nothing has read yet")
    assert outcome.ok, outcome
    monkeypatch.setenv("DATABASE_TYPE", "postgres")
    config.reset_for_tests()
    both.open()
    both.run(ALL_ACTIONS, 1)
    both.migrate()
    both.run(ALL_ACTIONS, 2, shuffle=1)
    assert_no_difference(both)
    reverse = ReverseApplier(settings.sqlite_path, pg_dsn, settings.pg_schema)
    while reverse.run_once():
        pass
    assert dump(both.standard.path) == dump(both.ours.path)
    verdict = judge.judge(Path(settings.sqlite_path), pg_dsn, settings.pg_schema, [tmp_path / "ours.jsonl"])
    assert verdict["ok"], verdict


def divergences(dsn: str) -> list[tuple[object, ...]]:
    conn = psycopg2.connect(dsn)
    try:
        with conn.cursor() as cursor:
            cursor.execute("SELECT kind, table_name, sql, detail FROM shadow.divergence")
            return list(cursor.fetchall())
    finally:
        conn.close()
