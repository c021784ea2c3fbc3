"""The judge: what it must notice, and what it must let pass."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from shadow.demo import judge, ledger

Books = list[Path]


@pytest.fixture
def app_db(tmp_path: Path) -> sqlite3.Connection:
    conn = sqlite3.connect(tmp_path / "app.db", isolation_level=None)
    conn.executescript(
        "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT, n INTEGER DEFAULT 0, log TEXT, owner TEXT);"
        "CREATE TABLE _shadow_journal (x); INSERT INTO _shadow_journal VALUES (1)"
    )
    return conn


def book(tmp_path: Path, name: str, *writes: list[ledger.Check]) -> Path:
    """A client's book in which every write was acknowledged."""
    path = tmp_path / f"{name}.jsonl"
    kept = ledger.Ledger(path)
    for checks in writes:
        with kept.write("op", *checks):
            pass
    kept.close()
    return path


def judged(tmp_path: Path, *books: Path) -> dict[str, Any]:
    return judge.judge(tmp_path / "app.db", None, "public", list(books))


def test_a_token_that_is_there_once_with_the_id_that_was_told_is_right(
    tmp_path: Path, app_db: sqlite3.Connection
) -> None:
    app_db.execute("INSERT INTO note (id, body) VALUES (7, 'a')")
    assert judged(tmp_path, book(tmp_path, "c", [ledger.present("note", "body", "a", 7)]))["ok"]


@pytest.mark.parametrize(
    ("rows", "found"),
    [([], "lost"), ([(1, "a"), (2, "a")], "doubled"), ([(8, "a")], "wrong")],
    ids=["missing", "twice", "another id"],
)
def test_a_token_that_is_not_there_exactly_so_is_found(
    tmp_path: Path, app_db: sqlite3.Connection, rows: list[tuple[int, str]], found: str
) -> None:
    app_db.executemany("INSERT INTO note (id, body) VALUES (?, ?)", rows)
    verdict = judged(tmp_path, book(tmp_path, "c", [ledger.present("note", "body", "a", 7)]))
    assert (verdict["ok"], verdict[found]) == (False, 1)


def test_what_was_deleted_or_rolled_back_must_not_be_there(tmp_path: Path, app_db: sqlite3.Connection) -> None:
    gone = book(tmp_path, "c", [ledger.absent("note", "body", "a")])
    assert judged(tmp_path, gone)["ok"]
    app_db.execute("INSERT INTO note (body) VALUES ('a')")
    assert judged(tmp_path, gone)["wrong"] == 1


@pytest.mark.parametrize(("value", "found"), [(3, ""), (2, "lost"), (4, "doubled"), ("3", "lost")])
def test_a_counter_is_the_sum_of_what_all_clients_were_told(
    tmp_path: Path, app_db: sqlite3.Connection, value: object, found: str
) -> None:
    app_db.execute("CREATE TABLE c (id, n)")
    app_db.execute("INSERT INTO c VALUES (1, ?)", (value,))
    one = book(tmp_path, "one", [ledger.added("c", 1, "n")], [ledger.added("c", 1, "n")])
    two = book(tmp_path, "two", [ledger.added("c", 1, "n")])
    verdict = judged(tmp_path, one, two)
    assert verdict["ok"] is (found == "")
    assert not found or verdict[found] == 1


def test_a_write_whose_client_died_may_have_happened_or_not(tmp_path: Path, app_db: sqlite3.Connection) -> None:
    path = book(tmp_path, "c", [ledger.added("note", 1, "n")])
    doubtful = {"n": 9, "t": 0, "op": "op", "try": [ledger.added("note", 1, "n"), ledger.present("note", "body", "z")]}
    path.write_text(path.read_text() + json.dumps(doubtful) + "\n" + '{"n": 10, "op": "cut off by ki')
    for count, right in ((0, False), (1, True), (2, True), (3, False)):
        app_db.execute("INSERT OR REPLACE INTO note (id, n) VALUES (1, ?)", (count,))
        assert judged(tmp_path, path)["ok"] is right
    assert judged(tmp_path, path)["writes_in_doubt"] == 1


@pytest.mark.parametrize(
    ("log", "found"),
    [("a1;b1;a2;", ""), ("a2;b1;a1;", "wrong"), ("a1;b1;", "lost"), ("a1;a1;b1;a2;", "doubled")],
)
def test_a_list_has_every_item_once_and_each_clients_in_order(
    tmp_path: Path, app_db: sqlite3.Connection, log: str, found: str
) -> None:
    app_db.execute("INSERT INTO note (id, log) VALUES (1, ?)", (log,))
    one = book(tmp_path, "a", [ledger.appended("note", 1, "log", "a1")], [ledger.appended("note", 1, "log", "a2")])
    two = book(tmp_path, "b", [ledger.appended("note", 1, "log", "b1")])
    verdict = judged(tmp_path, one, two)
    assert verdict["ok"] is (found == "")
    assert not found or verdict[found] == 1


def test_two_clients_that_were_both_given_the_same_job_are_found(tmp_path: Path, app_db: sqlite3.Connection) -> None:
    app_db.execute("INSERT INTO note (id, owner) VALUES (1, 'two')")
    one = book(tmp_path, "one", [ledger.claimed("note", 1, "owner", "one")])
    two = book(tmp_path, "two", [ledger.claimed("note", 1, "owner", "two")])
    assert judged(tmp_path, two)["ok"]
    assert judged(tmp_path, one, two)["doubled"] == 1


def test_the_last_value_a_client_wrote_stands(tmp_path: Path, app_db: sqlite3.Connection) -> None:
    first, second = (ledger.was_set("note", "id", 1, "body", text) for text in ("old", "new"))
    path = book(tmp_path, "c", [first], [second])
    app_db.execute("INSERT INTO note (id, body) VALUES (1, 'new')")
    assert judged(tmp_path, path)["ok"]
    app_db.execute("UPDATE note SET body = 'old'")
    assert judged(tmp_path, path)["lost"] == 1


def test_an_error_the_app_did_not_expect_is_counted_with_its_text(tmp_path: Path, app_db: sqlite3.Connection) -> None:
    path = tmp_path / "c.jsonl"
    kept = ledger.Ledger(path)
    kept.failed("read", sqlite3.OperationalError("database is locked"))
    with kept.write("op"):
        pass
    kept.close()
    verdict = judged(tmp_path, path)
    assert (verdict["ok"], verdict["app_error_texts"]) == (False, {"read: OperationalError: database is locked": 1})


def test_no_acknowledged_write_at_all_is_no_proof(tmp_path: Path, app_db: sqlite3.Connection) -> None:
    assert not judged(tmp_path, book(tmp_path, "c"))["ok"]


def test_values_are_compared_with_their_types_in_both_databases(
    tmp_path: Path, app_db: sqlite3.Connection, pg_dsn: str
) -> None:
    app_db.executescript(
        "CREATE TABLE v (id INTEGER PRIMARY KEY, b BOOLEAN, r REAL, t TEXT, x BLOB, m);"
        "INSERT INTO v VALUES (1, 1, 0.1, 'é', x'00ff', 'n/a'), (2, 0, NULL, '1', NULL, 5),"
        " (3, NULL, 2.0, NULL, x'', 5.0);"
        "CREATE TABLE k (k TEXT PRIMARY KEY); INSERT INTO k VALUES ('only here')"
    )
    conn = psycopg2.connect(pg_dsn)
    with conn, conn.cursor() as cursor:
        cursor.execute(
            "CREATE SCHEMA shadow; CREATE TYPE shadow.value AS (cls smallint, num numeric, txt text, blob bytea);"
            "CREATE TABLE note (id bigint, body text, n bigint, log text, owner text);"
            "CREATE TABLE v (id bigint, b boolean, r double precision, t text, x bytea, m shadow.value);"
            "INSERT INTO v VALUES (1, true, 0.1, 'é', '\\x00ff', (2, NULL, 'n/a', NULL)),"
            " (2, false, NULL, '1', NULL, (1, 5, NULL, NULL)), (3, NULL, 2, NULL, '\\x', (1, 5.0, NULL, NULL));"
            "CREATE TABLE k (_shadow_rowid bigint, k text); INSERT INTO k VALUES (1, 'only here')"
        )
    path = book(tmp_path, "c", [])
    assert judge.judge(tmp_path / "app.db", pg_dsn, "public", [path])["rows_different"] == 0
    for change, table in (
        ("UPDATE v SET m = (1, 5, NULL, NULL) WHERE id = 3", "v"),  # 5 instead of 5.0
        ("UPDATE v SET b = NULL WHERE id = 2", "v"),
        ("DELETE FROM k", "k"),
    ):
        with conn.cursor() as cursor:
            cursor.execute(change)
            conn.commit()
        report = judge.judge(tmp_path / "app.db", pg_dsn, "public", [path])
        assert report["tables"][table]["only_sqlite"] > 0
    conn.close()


def test_the_judge_runs_as_a_program_that_cannot_import_shadow(tmp_path: Path, app_db: sqlite3.Connection) -> None:
    app_db.execute("INSERT INTO note (body) VALUES ('a')")
    path = book(tmp_path, "c", [ledger.present("note", "body", "a")])
    source = Path(judge.__file__)
    assert not [line for line in source.read_text().splitlines() if line.startswith(("import shadow", "from shadow"))]
    done = subprocess.run(
        [sys.executable, "-P", str(source), "--sqlite", str(tmp_path / "app.db"), str(path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=30,
    )
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (0, True)
