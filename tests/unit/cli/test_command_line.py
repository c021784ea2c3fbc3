"""The frame of the command line: exit codes, one line for what went wrong, one JSON object with --json."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from shadow.cli import app as frame
from shadow.cli import main
from shadow.errors import ConfigError, GateClosed


@pytest.fixture
def run_verb(monkeypatch: pytest.MonkeyPatch) -> object:
    """Run `shadow probe`, a verb whose body is given."""

    def run(body: object, *args: str) -> int:
        def build() -> typer.Typer:
            app = typer.Typer(rich_markup_mode=None)
            app.callback()(lambda: None)

            def probe(as_json: bool = typer.Option(False, "--json")) -> object:
                return body()  # type: ignore[operator]

            app.command("probe")(probe)
            return app

        monkeypatch.setattr(frame, "build", build)
        return main(["probe", *args])

    return run


def fail(error: BaseException) -> object:
    def body() -> None:
        raise error

    return body


def test_a_verb_decides_its_exit_code(run_verb) -> None:  # type: ignore[no-untyped-def]
    assert run_verb(lambda: None) == 0
    assert run_verb(lambda: 1) == 1


def test_what_a_person_can_mend_is_one_line_on_stderr_and_exit_code_2(run_verb, capsys) -> None:  # type: ignore[no-untyped-def]
    assert run_verb(fail(ConfigError("SHADOW_POOL_MAX='x' is not\na number"))) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "shadow: SHADOW_POOL_MAX='x' is not a number\n")


def test_a_closed_gate_is_something_found_not_a_failure(run_verb) -> None:  # type: ignore[no-untyped-def]
    assert run_verb(fail(GateClosed("lag is 7 s"))) == 1


def test_with_json_an_error_is_the_one_object_on_stdout_too(run_verb, capsys) -> None:  # type: ignore[no-untyped-def]
    assert run_verb(fail(ConfigError("no")), "--json") == 2
    assert json.loads(capsys.readouterr().out) == {"ok": False, "error": "no", "exit_code": 2}


def test_an_unexpected_error_is_one_line_that_says_how_to_see_more(run_verb, capsys, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    assert run_verb(fail(ZeroDivisionError("oops\nmore"))) == 2
    assert capsys.readouterr().err == "shadow: unexpected ZeroDivisionError: oops; SHADOW_DEBUG=1 shows the traceback\n"
    monkeypatch.setenv("SHADOW_DEBUG", "1")
    assert run_verb(fail(ZeroDivisionError("oops"))) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["status", "--nonsense"], "No such option: --nonsense"),
        (["mismatches", "--resolve", "x"], "--resolve"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(argv, words, capsys) -> None:  # type: ignore[no-untyped-def]
    assert main(argv) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_without_arguments_it_prints_its_help(capsys) -> None:  # type: ignore[no-untyped-def]
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert all(verb in out + err for verb in frame.VERBS)


@pytest.mark.parametrize("verb", frame.VERBS)
def test_every_verb_has_help_with_examples_and_takes_json(verb, capsys) -> None:  # type: ignore[no-untyped-def]
    assert main([verb, "--help"]) == 0
    out = capsys.readouterr().out
    assert "--json" in out
    assert f"\n  shadow {verb}" in out, "no example"


@pytest.mark.parametrize(
    "verb", ["init", "backfill", "status", "verify", "mismatches", "cutover", "rollback", "remove"]
)
def test_a_pair_that_is_not_named_is_said_before_anything_is_opened(verb, capsys, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert main([verb]) == 2
    assert "SQLITE_PATH" in capsys.readouterr().err
    assert main([verb, "--sqlite", "x.db"]) == 2
    assert "DATABASE_URL" in capsys.readouterr().err


@pytest.mark.parametrize(
    "verb", ["init", "backfill", "status", "verify", "mismatches", "cutover", "rollback", "remove"]
)
def test_a_mistyped_path_does_not_become_a_database(verb, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "typo.db"
    assert main([verb, "--sqlite", str(path), "--database-url", "postgresql://localhost:1/x"]) == 2
    assert str(path) in capsys.readouterr().err
    assert not path.exists()


def test_help_starts_fast_because_verbs_load_what_they_need_later() -> None:
    code = (
        "import sys; from shadow.cli import main; main(['--help'])\n"
        "heavy = set('fastapi uvicorn pydantic sqlglot psycopg2 structlog jinja2 prometheus_client rich'.split())\n"
        "print('LOADED', sorted(heavy & {m.partition('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_python_dash_m_works_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "shadow.cli", "--version"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.startswith("shadow ")) == (0, True)
