"""docs/reference/ is what the code says now."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from shadow.agent.settings import AgentSettings
from shadow.cli import reference
from shadow.config import Settings


def test_the_pages_are_not_stale(capsys: pytest.CaptureFixture[str]) -> None:
    stale = reference.main(["--check"])
    assert (stale, capsys.readouterr().err) == (0, "")


def test_a_stale_page_is_named_with_the_command_that_mends_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reference.main([str(tmp_path)]) == 0
    (tmp_path / "metrics.md").write_text("old")
    assert reference.main(["--check", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "docs/reference/metrics.md is stale; run `python -m shadow.cli.reference`\n"


def test_every_setting_is_described() -> None:
    assert set(reference.VARIABLES) == {field.name for field in dataclasses.fields(Settings)}
    comments = {**reference.field_comments(Settings), **reference.field_comments(AgentSettings)}
    names = [*reference.VARIABLES, *AgentSettings.model_fields]
    assert [name for name in names if not comments[name]] == []


def test_every_variable_named_is_the_one_that_is_read() -> None:
    page = reference.configuration_page()
    for variable in reference.VARIABLES.values():
        assert f"| `{variable}` |" in page
    values = {
        "SQLITE_PATH": "a.db",
        "DATABASE_URL": "postgresql://h/d",
        "SHADOW_PG_SCHEMA": "x",
        "SHADOW_POOL_MAX": "3",
    }
    from shadow.config import from_environment

    found = from_environment(values)
    assert found is not None
    assert (found.pg_schema, found.pool_max, found.database_url) == ("x", 3, "postgresql://h/d")
