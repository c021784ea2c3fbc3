"""The converted schema stands in PostgreSQL and gives values back as SQLite would."""

from __future__ import annotations

import sqlite3

import psycopg2
import pytest
from psycopg2.extensions import connection as PgConnection

from shadow.postgres.casters import register_value_type
from shadow.postgres.connect import connect
from shadow.postgres.install import install_housekeeping
from shadow.schema import (
    Finding,
    build,
    inspect,
    load_catalog,
    plan_evolve,
    plan_indexes,
    plan_tables,
    save_catalog,
    types_after,
)
from shadow.translate import compat_sql

ODD = """
CREATE TABLE "order" (id INTEGER PRIMARY KEY AUTOINCREMENT, "group" TEXT NOT NULL DEFAULT 'x''y', "values" REAL
    DEFAULT 1.5, flag BOOLEAN DEFAULT TRUE, made TIMESTAMP DEFAULT CURRENT_TIMESTAMP, any_,
    moment DEFAULT CURRENT_TIMESTAMP, year INT DEFAULT (strftime('%Y', 'now')), n INT DEFAULT '7',
    t VARCHAR(10) DEFAULT 5, d DECIMAL(10, 2) DEFAULT 2, b BLOB DEFAULT x'00ff', status TEXT
    CHECK (status IN ('a', 'b')), UNIQUE ("group", n));
CREATE TABLE keyless (a TEXT, b TEXT COLLATE NOCASE UNIQUE);
CREATE TABLE textkey (k TEXT PRIMARY KEY, v);
CREATE TABLE pair (a TEXT, b INT, v TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE checked (a INT, CHECK (a > 0), CONSTRAINT named CHECK (a < 9));
CREATE TABLE self (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES self (id), other INTEGER REFERENCES gone (id));
CREATE INDEX order_made ON "order" (made DESC, "group") WHERE flag IS NOT NULL;
CREATE UNIQUE INDEX keyless_a ON keyless (a COLLATE NOCASE);
"""


@pytest.fixture
def origin() -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:")
    conn.executescript(ODD)
    return conn


@pytest.fixture
def target(pg_dsn: str) -> PgConnection:
    conn = connect(pg_dsn, purpose="test")
    with conn.cursor() as cursor:
        install_housekeeping(cursor)
        cursor.execute(compat_sql())
        register_value_type(conn)
        cursor.execute("INSERT INTO shadow.pair (pair, pair_id, format, sqlite_path) VALUES ('public', 'x', 1, '')")
    conn.commit()
    yield conn
    conn.close()


def made(target: PgConnection, origin: sqlite3.Connection) -> list[Finding]:
    catalog = inspect(origin)
    plans = plan_tables(catalog), plan_indexes(catalog)
    with target.cursor() as cursor:
        found = [*plans[0].findings, *plans[1].findings]
        for plan in plans:
            found += build(cursor, plan.statements)
        save_catalog(cursor, "public", origin, catalog)
    target.commit()
    return found


def test_odd_names_types_and_defaults_all_convert(target: PgConnection, origin: sqlite3.Connection) -> None:
    assert made(target, origin) == []


def test_defaults_give_what_sqlite_gives(target: PgConnection, origin: sqlite3.Connection) -> None:
    made(target, origin)
    ask = 'SELECT id, "group", "values", flag, any_, n, t, d, b, status FROM "order"'
    origin.execute('INSERT INTO "order" DEFAULT VALUES')
    with target.cursor() as cursor:
        cursor.execute('INSERT INTO "order" DEFAULT VALUES')
        cursor.execute(ask)
        row = cursor.fetchone()
        cursor.execute('SELECT length(made), (moment).cls, year > 2000 FROM "order"')
        assert cursor.fetchone() == (19, 2, 1)
    assert repr(row) == repr(origin.execute(ask).fetchone())


@pytest.mark.parametrize(
    ("sql", "constraint"),
    [
        ("INSERT INTO \"order\" (\"group\", n) VALUES ('g', 1), ('g', 1)", "sqlite_autoindex_order_1"),
        ("INSERT INTO \"order\" (status) VALUES ('c')", "sqlite_check_order_1"),
        ('INSERT INTO "order" (id) VALUES (1), (1)', "sqlite_autoindex_order_pk"),
        ("INSERT INTO keyless (b) VALUES ('Ab'), ('aB')", "sqlite_autoindex_keyless_1"),
        ("INSERT INTO keyless (a) VALUES ('Ab'), ('aB')", "keyless_a"),
    ],
)
def test_constraints_hold_and_carry_the_catalogs_names(
    target: PgConnection, origin: sqlite3.Connection, sql: str, constraint: str
) -> None:
    made(target, origin)
    with pytest.raises(sqlite3.IntegrityError):
        origin.execute(sql)
    with target.cursor() as cursor, pytest.raises(psycopg2.IntegrityError) as error:
        cursor.execute(sql)
    assert error.value.diag.constraint_name == constraint


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO textkey (k) VALUES (NULL), (NULL)",
        "INSERT INTO keyless (b) VALUES (NULL), (NULL), ('ä'), ('Ä')",
        "INSERT INTO self (id, parent, other) VALUES (1, 99, 98)",
    ],
)
def test_what_sqlite_lets_in_postgresql_lets_in(target: PgConnection, origin: sqlite3.Connection, sql: str) -> None:
    made(target, origin)
    origin.execute(sql)
    with target.cursor() as cursor:
        cursor.execute(sql)


def test_the_stored_catalog_is_the_one_that_was_saved(target: PgConnection, origin: sqlite3.Connection) -> None:
    made(target, origin)
    with target.cursor() as cursor:
        assert load_catalog(cursor, "public") == inspect(origin)


@pytest.mark.parametrize(
    "ddl",
    [
        'ALTER TABLE "order" RENAME TO orders',
        'ALTER TABLE "order" RENAME COLUMN "group" TO grp',
        "ALTER TABLE keyless RENAME b TO bb",
        "ALTER TABLE keyless ADD COLUMN extra TEXT NOT NULL DEFAULT 'e' CHECK (extra <> '')",
        "ALTER TABLE textkey DROP COLUMN v",
        "ALTER TABLE checked ADD COLUMN extra INT CHECK (extra > 1)",
        "ALTER TABLE checked RENAME TO examined",
        "ALTER TABLE checked RENAME COLUMN a TO b",
        "DROP TABLE pair",
        "CREATE TABLE fresh (id INTEGER PRIMARY KEY, v TEXT UNIQUE CHECK (length(v) > 1))",
        "DROP INDEX order_made",
        "CREATE INDEX self_parent ON self (parent)",
        "CREATE VIEW loud AS SELECT k FROM textkey WHERE k > 'a'",
    ],
)
def test_ddl_of_the_app_takes_postgresql_where_a_fresh_conversion_would_be(
    target: PgConnection, origin: sqlite3.Connection, ddl: str
) -> None:
    """Columns, constraints and indexes after the change are those of a schema made from scratch."""
    made(target, origin)
    before = inspect(origin)
    origin.execute(ddl)
    after = inspect(origin, types=types_after(before, ddl))
    plan = plan_evolve(before, after, ddl)
    with target.cursor() as cursor:
        assert [*plan.findings, *build(cursor, plan.statements)] == []
        evolved = described(target)
        cursor.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        build(cursor, [*plan_tables(after).statements, *plan_indexes(after).statements])
        assert evolved == described(target)


def described(target: PgConnection) -> list[object]:
    found: list[object] = []
    with target.cursor() as cursor:
        for sql in (
            "SELECT table_name, column_name, data_type, column_default, is_nullable FROM information_schema.columns"
            " WHERE table_schema = 'public' ORDER BY 1, 2",
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace AND contype <> 'n' ORDER BY 1",
        ):
            cursor.execute(sql)
            found += cursor.fetchall()
    return found
