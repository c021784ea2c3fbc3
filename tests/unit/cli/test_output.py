"""What people see: tables, values, two results side by side, lengths of time."""

from __future__ import annotations

import io

import pytest

from shadow.cli import output
from shadow.cli.backfill import _Lines
from shadow.cli.mismatches import shown_params, shown_value, side_by_side


def test_numbers_stand_to_the_right_and_text_to_the_left() -> None:
    lines = output.table(("name", "rows"), [("kpis", "1,200"), ("m", 7)])
    assert lines == ["name   rows", "----  -----", "kpis  1,200", "m         7"]


def test_an_empty_table_is_its_head() -> None:
    assert output.table(("a", "b"), []) == ["a  b", "-  -"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "never"), (-1.0, "never"), (0.0123, "12 ms"), (1.25, "1.2 s"), (600, "10 min"), (9000, "2.5 h")],
)
def test_a_length_of_time(seconds: float | None, words: str) -> None:
    assert output.duration(seconds) == words


def test_a_terminal_that_lacks_a_character_gets_it_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
    output.say("é \ud800")
    assert raw.getvalue() == b"\\xe9 \\ud800\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "NULL"),
        (1, "1"),
        (1.5, "1.5"),
        ("a", "'a'"),
        ({"float": "1.0"}, "1.0"),
        ({"int": "9007199254740993"}, "9007199254740993"),
        ({"b64": "AQ=="}, "blob AQ=="),
        ({"text": "x\\0", "escaped": True}, "'x\\\\0'"),
    ],
)
def test_a_stored_value_as_sql_would_write_it(value: object, text: str) -> None:
    assert shown_value(value) == text


def test_parameters_by_place_and_by_name() -> None:
    assert shown_params([1, "a"]) == "1, 'a'"
    assert shown_params({"n": None}) == ":n = NULL"


def test_two_results_stand_side_by_side_and_what_differs_is_marked() -> None:
    origin = {"columns": ["id"], "row_count": 9, "first_row": 1, "rows": [[1], [2]], "only_here": []}
    lines = list(side_by_side(origin, {"error": "OperationalError", "message": "no such function: f"}, width=120))
    assert lines[0].split() == ["SQLite", "PostgreSQL"]
    assert "≠ OperationalError: no such function: f" in lines[1]
    assert [line.split()[0] for line in lines[2:5]] == ["...", "1", "2"]
    same = list(side_by_side(origin, origin))
    assert not any("≠" in line for line in same)
    assert "6 rows more" in same[-1]


def test_progress_without_a_terminal_is_one_line_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    progress = _Lines()
    for done in (0, 10, 20):
        progress.update("kpis", done, 20)
    progress.update("empty", 0, 0)
    err = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in err] == ["backfill kpis: 20 of 20 rows", "backfill empty: 0 of 0 rows"]
