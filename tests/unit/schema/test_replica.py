"""The replica answers as SQLite does on the app's schema."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from shadow.schema.inspect import inspect, objects
from shadow.schema.replica import Replica

SCHEMA = """
CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL COLLATE NOCASE,
    n INT CHECK (n > 5), UNIQUE (name));
CREATE INDEX t_n ON t (n DESC) WHERE n IS NOT NULL;
CREATE VIEW v AS SELECT id, upper(name) AS loud FROM t;
CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET n = 6 WHERE id = new.id; END;
CREATE TABLE w (a TEXT, b TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE VIRTUAL TABLE f USING fts5(body);
CREATE TABLE _shadow_journal (position INTEGER PRIMARY KEY);
"""


@pytest.fixture
def origin() -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:")
    conn.executescript(SCHEMA)
    return conn


@pytest.fixture
def replica(origin: sqlite3.Connection) -> Replica:
    return Replica(objects(origin))


def test_the_catalog_of_a_replica_is_that_of_the_original(origin: sqlite3.Connection, replica: Replica) -> None:
    assert replica.catalog() == inspect(origin)


def test_sqlite_master_is_the_same_but_for_what_is_ours(origin: sqlite3.Connection, replica: Replica) -> None:
    ask = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE '\\_shadow\\_%' ESCAPE '\\'"
    assert replica.execute(ask).rows == origin.execute(ask).fetchall()
    assert replica.execute("SELECT count(*) FROM sqlite_master WHERE name LIKE '%shadow%'").rows == [(0,)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT *, COUNT(*), n+1, name AS x FROM t WHERE id = ? GROUP BY n",
        "SELECT t.id, id, t.* FROM t LIMIT ? OFFSET ?",
        "SELECT :a, json_extract(:b, :c), -1, 'x'",
        "INSERT INTO t (name, n) VALUES (?, 7) RETURNING id, n * 2",
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 5) SELECT count(*) FROM c",
        "UPDATE t SET n = ? WHERE id = ?",
        "SELECT * FROM v JOIN w ON v.id = w.a",
        "PRAGMA table_info(t)",
    ],
)
def test_result_columns_have_sqlites_own_names(origin: sqlite3.Connection, replica: Replica, sql: str) -> None:
    names = {"a": 1, "b": "{}", "c": "$"}
    params: object = names if ":a" in sql else (1,) * sql.count("?")
    description = origin.execute(sql, params).description  # type: ignore[arg-type]
    assert replica.describe(sql) == (None if description is None else tuple(c[0] for c in description))


@pytest.mark.parametrize(
    "sql", ["SELECT nope FROM t", "SELECT * FROM nope WHERE a = ?", "SELEC 1", "INSERT INTO t (x) VALUES (1)"]
)
def test_bad_sql_gets_sqlites_own_error(origin: sqlite3.Connection, replica: Replica, sql: str) -> None:
    with pytest.raises(sqlite3.OperationalError) as expected:
        origin.execute(sql, (1,) * sql.count("?"))
    with pytest.raises(sqlite3.OperationalError) as got:
        replica.describe(sql)
    assert str(got.value) == str(expected.value)


def test_an_endless_statement_still_gets_its_names(replica: Replica) -> None:
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) AS top FROM c"
    assert replica.describe(endless) == ("top",)


def test_describing_a_write_leaves_no_row(replica: Replica) -> None:
    replica.describe("INSERT INTO t (name, n) VALUES ('a', 9) RETURNING id")
    assert replica.execute("SELECT count(*) FROM t").rows == [(0,)]


def test_functions_and_collations_of_the_app_do_not_stop_it() -> None:
    found = [
        ("table", "a", "a", "CREATE TABLE a (x TEXT COLLATE app_order, y AS (app_half(x)), UNIQUE (x))"),
        ("index", "a_x", "a", "CREATE INDEX a_x ON a (app_key(x))"),
    ]
    assert Replica(list(found)).catalog().tables["a"].columns[0].collation == "APP_ORDER"


def test_ddl_makes_a_new_replica_and_leaves_the_old_one(replica: Replica) -> None:
    after = replica.evolve("ALTER TABLE t ADD COLUMN extra TEXT DEFAULT 'x'")
    assert after.catalog().tables["t"].column("EXTRA") is not None
    assert replica.catalog().tables["t"].column("extra") is None
    with pytest.raises(sqlite3.OperationalError, match="table t already exists"):
        replica.evolve("CREATE TABLE t (id)")


def test_threads_that_check_and_describe_at_once_do_not_meet_each_others_open_statements() -> None:
    replica = Replica([("table", "t", "t", "CREATE TABLE t (id INTEGER PRIMARY KEY, a)")])
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(200):
                replica.check("UPDATE t SET a = a + 1 WHERE id = ?", (i,))
                replica.describe(f"SELECT a + {number * 1000 + i} FROM t")
        except sqlite3.Error as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
