"""`shadow translate`: what comes in by each way, what is shown, and where a refused statement is wrong."""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from shadow.cli import main

SCHEMA = "CREATE TABLE kpis (id INTEGER PRIMARY KEY, name TEXT);"


@pytest.fixture
def catalog_db(tmp_path: Path) -> str:
    path = tmp_path / "catalog.db"
    with closing(sqlite3.connect(path)) as conn:
        conn.executescript(SCHEMA)
    return str(path)


def test_a_statement_with_the_schema_of_a_file(catalog_db: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", "--sqlite", catalog_db, "SELECT id FROM kpis WHERE name = ? OR name = :n"]) == 0
    out = capsys.readouterr().out
    assert "FROM public.kpis" in out
    assert "-- %s: param 1, :n" in out


def test_with_the_classes_of_the_values_the_text_is_simpler(
    catalog_db: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["translate", "--sqlite", catalog_db, "SELECT abs(?) FROM kpis"]
    assert main(given) == 0
    any_value = capsys.readouterr().out
    assert main([*given, "--types", "int"]) == 0
    assert len(capsys.readouterr().out) < len(any_value)
    assert main([*given, "--types", "int,money"]) == 2
    assert "'money'" in capsys.readouterr().err


def test_the_schema_from_the_environment(
    catalog_db: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SQLITE_PATH", catalog_db)
    assert main(["translate", "SELECT name FROM kpis"]) == 0


def test_ddl_in_the_text_is_known_to_what_follows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "sys.stdin", io.StringIO(f"{SCHEMA}\nALTER TABLE kpis ADD COLUMN unit TEXT; SELECT unit FROM kpis")
    )
    assert main(["translate", "-"]) == 0
    out = capsys.readouterr().out
    assert 'CREATE TABLE "public"."kpis"' in out
    assert 'ADD COLUMN "unit"' in out
    assert "kpis.unit" in out


def test_a_file_of_statements_as_json(catalog_db: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    queries = tmp_path / "queries.sql"
    queries.write_text("SELECT 1;\n-- the next one\nDELETE FROM kpis WHERE name = ?;\n")
    assert main(["translate", "--json", "--sqlite", catalog_db, str(queries)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is True
    assert [one["kind"] for one in said["statements"]] == ["query", "delete"]
    assert said["statements"][1]["parameters"] == [["param 1"]]


def test_a_refused_statement_is_underlined_where_it_is_wrong(
    catalog_db: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sql = "SELECT id,\n  app_function(name)\nFROM kpis"
    assert main(["translate", "--sqlite", catalog_db, sql]) == 1
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("  app_function(name)")
    assert lines[at + 1].strip(" ") == "^" * len("app_function(name)")
    assert lines[at + 1].index("^") == 2
    assert lines[-1].startswith("-- not supported: ")


def test_what_sqlite_itself_refuses_is_said_in_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", "SELEC 1"]) == 1
    assert 'SQLite says: near "SELEC": syntax error' in capsys.readouterr().out


def test_without_a_schema_it_says_how_to_give_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", "SELECT a FROM t"]) == 1
    assert "no such table: t; give the schema with --sqlite PATH" in capsys.readouterr().out


def test_nothing_to_translate_and_a_file_that_is_no_database(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["translate", " ; "]) == 2
    path = tmp_path / "x.db"
    path.write_text("certainly not a database file, whatever its name says")
    assert main(["translate", "--sqlite", str(path), "SELECT 1"]) == 2
    err = capsys.readouterr().err
    assert "no SQL" in err
    assert str(path) in err
