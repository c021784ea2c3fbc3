"""What the world gets wrong: one clear line that says what and what to do, exit code 2, nothing changed anywhere."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from shadow.cli import main

SCHEMA = "CREATE TABLE kpis (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO kpis (name) VALUES ('a');"


@pytest.fixture
def app_db(sqlite_path: Path) -> Path:
    with closing(sqlite3.connect(sqlite_path)) as conn:
        conn.executescript(SCHEMA)
    return sqlite_path


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as conn:
        return list(conn.iterdump())


def target_objects(dsn: str) -> list[tuple[object, ...]]:
    """Every schema and table that a command could leave behind."""
    with closing(psycopg2.connect(dsn)) as conn, conn.cursor() as cursor:
        cursor.execute(
            "SELECT n.nspname, c.relname FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid"
            " WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' ORDER BY 1, 2"
        )
        return cursor.fetchall()


@contextmanager
def nothing_changes(path: Path, dsn: str) -> Iterator[None]:
    before = dump(path), target_objects(dsn)
    yield
    assert (dump(path), target_objects(dsn)) == before


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The one line of a command that could not run."""
    assert main(list(argv)) == 2
    out, err = capsys.readouterr()
    assert err.startswith("shadow: ")
    assert (out, err.count("\n")) == ("", 1), err
    assert "unexpected" not in err
    return err


@pytest.mark.parametrize(
    ("dsn", "words"),
    [
        ("postgresql://127.0.0.1:1/nothing", "127.0.0.1"),
        ("postgresql://no-such-host.invalid/x", "no-such-host.invalid"),
        ("not a dsn", "DATABASE_URL"),
    ],
)
@pytest.mark.parametrize("verb", ["init", "backfill", "mismatches", "verify", "cutover", "remove"])
def test_a_wrong_dsn(app_db: Path, verb: str, dsn: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = dump(app_db)
    line = refused(capsys, verb, "--sqlite", str(app_db), "--database-url", dsn)
    assert words in line or "not initialised" in line
    assert dump(app_db) == before


def test_a_password_is_never_in_the_line(app_db: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "init", "--sqlite", str(app_db), "--database-url", "postgresql://u:hunter2@127.0.0.1:1/x")
    assert "hunter2" not in line


def test_a_database_that_is_not_there(app_db: Path, pg_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    dsn = make_dsn(pg_dsn, dbname="no_such_database")
    assert "no_such_database" in refused(capsys, "init", "--sqlite", str(app_db), "--database-url", dsn)


def test_a_file_that_is_not_sqlite(tmp_path: Path, pg_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to have a header of sixteen bytes and more")
    before = target_objects(pg_dsn)
    assert str(path) in refused(capsys, "init", "--sqlite", str(path), "--database-url", pg_dsn)
    assert path.read_text().startswith("not a database")
    assert target_objects(pg_dsn) == before


def test_a_file_that_is_not_in_wal_mode(tmp_path: Path, pg_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as conn:
        conn.executescript(SCHEMA)
    with nothing_changes(path, pg_dsn):
        line = refused(capsys, "init", "--sqlite", str(path), "--database-url", pg_dsn)
    assert "journal_mode" in line or "WAL" in line


def test_target_tables_that_are_there_with_rows(app_db: Path, pg_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(psycopg2.connect(pg_dsn)) as conn, conn, conn.cursor() as cursor:
        cursor.execute("CREATE TABLE kpis (id int); INSERT INTO kpis VALUES (1)")
    with nothing_changes(app_db, pg_dsn):
        assert "kpis" in refused(capsys, "init", "--sqlite", str(app_db), "--database-url", pg_dsn)


def test_a_user_who_may_not_create_a_schema(app_db: Path, pg_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = parse_dsn(pg_dsn)["dbname"]
    role = f"r_{name}"
    with closing(psycopg2.connect(pg_dsn)) as conn:
        conn.autocommit = True
        cursor = conn.cursor()
        cursor.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
        try:
            with nothing_changes(app_db, pg_dsn):
                line = refused(
                    capsys, "init", "--sqlite", str(app_db), "--database-url", make_dsn(pg_dsn, user=role, password="x")
                )
            assert "CREATE" in line
        finally:
            cursor.execute(f"DROP ROLE {role}")


@pytest.mark.parametrize("verb", ["backfill", "status", "mismatches", "verify", "cutover", "rollback", "remove"])
def test_before_init_every_verb_says_so(
    app_db: Path, pg_dsn: str, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with nothing_changes(app_db, pg_dsn):
        line = refused(capsys, verb, "--sqlite", str(app_db), "--database-url", pg_dsn)
    assert "shadow init" in line or "nothing to remove" in line


def test_the_same_in_json(app_db: Path, pg_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--json", "--sqlite", str(app_db), "--database-url", pg_dsn]) == 2
    said = json.loads(capsys.readouterr().out)
    assert (said["ok"], said["exit_code"]) == (False, 2)


def test_the_whole_way_and_back_out_leaves_nothing(
    app_db: Path, pg_dsn: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """init, backfill, verify, status, remove: both sides are as they were."""
    given = ("--json", "--sqlite", str(app_db), "--database-url", pg_dsn)

    def run(*argv: str) -> dict[str, object]:
        assert main([*argv, *given]) == 0
        found: dict[str, object] = json.loads(capsys.readouterr().out)
        assert found["ok"] is True
        return found

    with nothing_changes(app_db, pg_dsn):
        run("init")
        assert run("backfill")["rows"] == 1
        assert run("verify")["rows_compared"] == 1
        assert run("status")["primary"] == "sqlite"
        assert run("mismatches")["mismatches"] == []
        assert main(["cutover", *given]) == 1
        assert json.loads(capsys.readouterr().out)["closed_gates"] == ["coverage"]
        run("remove")


def test_status_works_while_postgres_is_away(app_db: Path, pg_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--sqlite", str(app_db), "--database-url", pg_dsn]) == 0
    capsys.readouterr()
    away = ("--sqlite", str(app_db), "--database-url", "postgresql://127.0.0.1:1/away")
    assert main(["status", *away, "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["primary"], said["origin"]["up"], said["target"]["up"]) == ("sqlite", True, False)
    assert "127.0.0.1" in said["troubles"][0]
    assert not any(gate["open"] for gate in said["gates"] if gate["name"] != "initialised")
    assert main(["status", *away]) == 1
    assert "DOWN" in capsys.readouterr().out
    for verb in ("cutover", "rollback", "verify"):
        assert "127.0.0.1" in refused(capsys, verb, *away)
