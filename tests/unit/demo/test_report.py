"""The closing table keeps no promise that was not measured."""

from __future__ import annotations

import dataclasses
import io
import json

import pytest

from shadow.demo import inject
from shadow.demo.report import Figures, Reporter, conclude, print_json, promises

KEPT = Figures(
    writes=10,
    reads_compared=6000,
    not_comparable_percent=1.0,
    shapes=50,
    shapes_not_compared=0,
    false_mismatches=0,
    injected_divergences=3,
    found_divergences=3,
    repaired_rows=3,
    cutovers=2,
    rollbacks=1,
    cutover_pause_ms=80.0,
    rollback_pause_ms=90.0,
    app_errors=0,
    lost_writes=0,
    doubled_writes=0,
    rows_compared_at_end=5000,
    rows_different_at_end=0,
)


def test_figures_that_were_never_taken_keep_no_promise() -> None:
    assert not any(promise.kept for promise in promises(Figures()))


def test_all_promises_kept_is_ok() -> None:
    figures = dataclasses.replace(KEPT)
    conclude(figures, 5000)
    assert figures.ok


@pytest.mark.parametrize(
    "broken",
    [
        {"app_errors": 1},
        {"lost_writes": 1},
        {"doubled_writes": 1},
        {"rows_different_at_end": 1},
        {"rows_compared_at_end": 0},
        {"reads_compared": 4999},
        {"not_comparable_percent": 5.1},
        {"shapes_not_compared": 1},
        {"false_mismatches": 1},
        {"found_divergences": 2},
        {"repaired_rows": 2},
        {"cutovers": 1},
        {"rollbacks": 0},
        {"cutover_pause_ms": 2000.0},
        {"failure": "a step failed"},
    ],
    ids=lambda broken: next(iter(broken)),
)
def test_one_broken_promise_is_not_ok(broken: dict[str, object]) -> None:
    figures = dataclasses.replace(KEPT, **broken)  # type: ignore[arg-type]
    conclude(figures, 5000)
    assert not figures.ok


def test_json_is_one_line_with_the_agreed_keys(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(KEPT)
    (line,) = capsys.readouterr().out.splitlines()
    agreed = (
        "ok seconds writes reads reads_compared false_mismatches injected_divergences found_divergences repaired_rows"
        " cutover_pause_ms rollback_pause_ms app_errors lost_writes rows_different_at_end"
    )
    assert set(agreed.split()) <= json.loads(line).keys()


def test_the_table_names_what_was_broken() -> None:
    out = io.StringIO()
    Reporter(out).table(dataclasses.replace(KEPT, app_errors=2), 5000)
    (line,) = [line for line in out.getvalue().splitlines() if "BROKEN" in line]
    assert line.startswith("errors the app saw")


def test_a_mismatch_is_explained_only_by_a_statement_on_an_injected_table() -> None:
    assert inject.reads_an_injected_table('SELECT key FROM "settings" WHERE key LIKE ?')
    assert not inject.reads_an_injected_table("SELECT all_settings, dataset FROM llm_models")


def test_a_pause_is_judged_by_what_calls_took_just_before_where_that_is_long() -> None:
    slow = dataclasses.replace(KEPT, cutover_pause_ms=2900.0, cutover_usual_ms=1500.0)
    conclude(slow, 5000)
    assert slow.ok
    slower = dataclasses.replace(KEPT, cutover_pause_ms=3100.0, cutover_usual_ms=1500.0)
    conclude(slower, 5000)
    assert not slower.ok
