"""backend_patch/db.py in a backend: three DATABASE_TYPEs, several processes, first starts, the flag, patched names."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from fakebackend import Backend, finish

TYPES = ("sqlite", "shadow", "postgres")
ALL = {"datasources": 12, "tables": 12, "catalog_jobs": 12, "_migrations": 1}


@pytest.fixture
def backend(tmp_path: Path, pg_dsn: str) -> Backend:
    path = tmp_path / "volume" / "catalog.db"
    return Backend.write(tmp_path / "backend", SQLITE_PATH=str(path), DATABASE_URL=pg_dsn)


def sqlite_tables(backend: Backend) -> set[str]:
    with closing(sqlite3.connect(backend.env["SQLITE_PATH"])) as conn:
        names = {row[0] for row in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return {name for name in names if not name.startswith(("_shadow", "sqlite_"))}


def postgres_count(backend: Backend, table: str) -> int | None:
    with closing(psycopg2.connect(backend.env["DATABASE_URL"])) as conn, conn.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (f"public.{table}",))
        if not (cursor.fetchone() or (False,))[0]:
            return None
        cursor.execute(f"SELECT count(*) FROM public.{table}")
        return int((cursor.fetchone() or (0,))[0])


@pytest.mark.parametrize("kind", TYPES)
def test_processes_that_start_together_on_nothing_make_one_catalog_and_work(backend: Backend, kind: str) -> None:
    app = backend.having(DATABASE_TYPE=kind)
    running = [app.start(f"import services; print(json.dumps(services.work('p{n}', 3)))") for n in range(4)]
    ids = [i for process in running for i in finish(process)]
    assert len(set(ids)) == 12
    assert app.run("import services; print(json.dumps(services.counts()))") == ALL
    assert postgres_count(backend, "datasources") == (12 if kind == "postgres" else None)


@pytest.mark.parametrize("kind", TYPES)
def test_the_app_gets_what_sqlite3_gives(backend: Backend, kind: str) -> None:
    app = backend.having(DATABASE_TYPE=kind)
    first, again, rows = app.run(
        "import services as s; print(json.dumps([s.add_datasource('a'), s.add_datasource('a'), s.listed()]))"
    )
    assert (first, again) == (1, "taken")
    assert [(r["id"], r["name"], r["is_active"], r["tables"]) for r in rows] == [(1, "a", 1, 0)]
    assert isinstance(rows[0]["created_at"], str)
    assert len(rows[0]["created_at"]) == len("2026-01-01 00:00:00")


@pytest.mark.parametrize("kind", TYPES)
def test_children_forked_after_the_import_work_by_themselves(backend: Backend, kind: str) -> None:
    """Celery prefork: the parent imports `db`, the children use it."""
    code = """
import os, services
services.add_datasource("parent")
children = []
for n in range(3):
    pid = os.fork()
    if not pid:
        try:
            services.work(f"child{n}", 2)
            os._exit(0)
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(1)
    children.append(pid)
codes = [os.waitpid(pid, 0)[1] for pid in children]
services.add_datasource("parent again")
print(json.dumps([codes, services.counts()["datasources"]]))
"""
    assert backend.having(DATABASE_TYPE=kind).run(code) == [[0, 0, 0], 8]


def test_a_file_that_is_there_does_not_keep_postgres_empty(backend: Backend) -> None:
    """DATABASE_TYPE=postgres, and something (a volume's first mount) made an empty file."""
    path = Path(backend.env["SQLITE_PATH"])
    path.parent.mkdir(parents=True)
    path.touch()
    app = backend.having(DATABASE_TYPE="postgres")
    assert app.run("import services; print(json.dumps(services.counts()))")["_migrations"] == 1
    assert postgres_count(backend, "datasources") == 0


def test_postgres_refuses_a_file_with_rows_and_says_which_commands_to_run(backend: Backend) -> None:
    backend.having(DATABASE_TYPE="sqlite").run("import services; print(json.dumps(services.work('old', 1)))")
    err = backend.having(DATABASE_TYPE="postgres").fails("import db")
    assert "shadow init" in err or "shadow cutover" in err
    assert postgres_count(backend, "datasources") is None


def test_without_a_database_url_the_patch_changes_nothing(backend: Backend) -> None:
    app = backend.without("DATABASE_URL")
    assert len(app.run("import services; print(json.dumps(services.work('p', 2)))")) == 2
    assert sqlite_tables(backend) == {"datasources", "tables", "catalog_jobs", "_migrations"}


def test_the_path_may_come_from_config_alone(backend: Backend) -> None:
    """SQLITE_PATH is not in the environment: config.py has a default of its own, and that file is shadowed."""
    app = backend.having(DATABASE_TYPE="shadow").without("SQLITE_PATH")
    app.run("import services; print(json.dumps(services.work('before', 1)))")
    path = backend.folder / "data" / "catalog.db"
    named = app.having(SQLITE_PATH=str(path))
    named.shadow("init")
    named.shadow("backfill")
    app.run("import services; print(json.dumps(services.work('after', 2)))")
    named.shadow("verify")
    assert postgres_count(backend, "datasources") == 3


def test_a_running_process_follows_the_flag_there_and_back(backend: Backend) -> None:
    """One process lives through init, backfill, cutover and rollback; it never notices."""
    app = backend.having(DATABASE_TYPE="shadow")
    code = """
import sys, services
for line in sys.stdin:
    print(json.dumps(services.work(line.strip(), 2)), flush=True)
print(json.dumps(services.counts()))
"""
    process = app.start(code)
    assert process.stdin is not None
    assert process.stdout is not None

    def work(name: str) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{name}\n")
        process.stdin.flush()
        line = process.stdout.readline()
        assert line, process.communicate(timeout=30)[1]

    work("plain")
    app.shadow("init")
    app.shadow("backfill")
    work("shadowed")
    app.shadow("verify")
    force = [part for gate in ("coverage", "lag") for part in ("--force", gate)]
    app.shadow("cutover", *force, "--reason", "test without an agent")
    work("on postgres")
    assert postgres_count(backend, "datasources") == 6
    err = backend.having(DATABASE_TYPE="sqlite").fails("import services; services.add_datasource('stray')")
    assert "PostgreSQL is primary" in err or "shadow" in err
    app.having(DATABASE_TYPE="postgres").run("import services; print(json.dumps(services.work('postgres type', 1)))")
    app.shadow("rollback", "--reason", "test")
    work("back")
    process.stdin.close()
    counts = finish_rest(process)
    assert counts["datasources"] == 9
    with closing(sqlite3.connect(backend.env["SQLITE_PATH"])) as conn:
        assert conn.execute("SELECT COUNT(*) FROM datasources").fetchone()[0] == 9
    err = backend.having(DATABASE_TYPE="postgres").fails("import db")
    assert "shadow cutover" in err


def finish_rest(process: object) -> dict[str, int]:
    import json
    import subprocess

    assert isinstance(process, subprocess.Popen)
    out, err = process.stdout.read(), process.stderr.read()
    assert process.wait(60) == 0, err
    found: dict[str, int] = json.loads(out.splitlines()[-1])
    return found


PATCHES = """
import pathlib, db, services

class Found:
    def __init__(self, path): pass
    def exists(self): return True

real_path, real_sqlite3 = db.Path, db.sqlite3

# db.Path: "the file exists" means nothing is created.
class NoConnect:
    def connect(self, *a, **k): raise AssertionError("connected")
db.Path, db.sqlite3 = Found, NoConnect()
db.init_database()
db.Path, db.sqlite3 = real_path, real_sqlite3

# db.Path: "there is no file" means that the schema is run, on what db.sqlite3 gives.
class Missing(Found):
    def exists(self): return False
class Script:
    def __init__(self): self.done = []
    def connect(self, *a, **k): return self
    def __getattr__(self, name): return lambda *a: self.done.append((name, *a))
home = db.CATALOG_PATH
db.CATALOG_PATH, db.Path, db.sqlite3 = home + ".missing", Missing, Script()
db.init_database()
assert db.sqlite3.done == [("executescript", open(db.SCHEMA_PATH).read()), ("commit",), ("close",)], db.sqlite3.done
db.CATALOG_PATH, db.Path, db.sqlite3 = home, real_path, real_sqlite3

# db.sqlite3: looked up at each call.
calls = []
class Recorder:
    Row = real_sqlite3.Row
    def connect(self, *a, **k):
        calls.append((a, k))
        return real_sqlite3.connect(":memory:")
db.sqlite3 = Recorder()
db.get_connection().close()
assert calls == [((db.CATALOG_PATH,), {"timeout": 30})], calls
db.sqlite3 = real_sqlite3

# db.CATALOG_PATH and db.SCHEMA_PATH: a catalog of the test's own.
home = db.CATALOG_PATH
other = pathlib.Path(home).parent / "test.db"
schema = pathlib.Path(home).parent / "test.sql"
schema.write_text("CREATE TABLE only_here (a INTEGER);")
for path in (str(other), other.with_name("as_path.db")):
    db.CATALOG_PATH, db.SCHEMA_PATH = path, schema
    db.init_database()
    db.init_database()
    with db.get_db() as conn:
        conn.execute("INSERT INTO only_here VALUES (1)")
        assert conn.execute("SELECT COUNT(*) FROM only_here").fetchone()[0] == 1
        names = [r[0] for r in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert names == ["only_here"], names
db.CATALOG_PATH = home

# db.get_connection, db.run_migrations, db.logger
import db_migrations
seen, real_get = [], db.get_connection
class Log:
    def __getattr__(self, level): return lambda *a, **k: seen.append(level)
class Conn:
    closed = 0
    def commit(self): pass
    def rollback(self): pass
    def close(self): Conn.closed += 1
def fails(conn):
    raise db_migrations.MigrationError("no")
db.get_connection, db.run_migrations, db.logger = Conn, fails, Log()
try:
    db._run_migrations_safe()
except db_migrations.MigrationError:
    seen.append("raised")
assert seen == ["error", "raised"] and Conn.closed == 1, seen
db.run_migrations = lambda conn: seen.append(type(conn).__name__)
db._run_migrations_safe()
assert seen[-1] == "Conn" and Conn.closed == 2
with db.get_db() as conn:
    assert type(conn) is Conn
db.get_connection = real_get
print(json.dumps(services.counts()["datasources"]))
"""


@pytest.mark.parametrize("kind", TYPES)
def test_the_names_that_tests_patch_are_looked_up_at_each_call(backend: Backend, kind: str) -> None:
    assert backend.having(DATABASE_TYPE=kind).run(PATCHES) == 0


@pytest.mark.parametrize("kind", TYPES)
def test_a_migration_that_fails_stops_the_start(backend: Backend, kind: str) -> None:
    (backend.folder / "schema.sql").write_text("CREATE TABLE nothing_else (a);")
    err = backend.having(DATABASE_TYPE=kind).fails("import db")
    assert "MigrationError: the catalog has no table catalog_jobs" in err


def test_an_error_rolls_back_and_closes(backend: Backend) -> None:
    code = """
import db, services
try:
    with db.get_db() as conn:
        conn.execute("INSERT INTO datasources (name) VALUES ('x')")
        raise KeyError("app")
except KeyError:
    pass
try:
    conn.execute("SELECT 1")
except db.sqlite3.ProgrammingError:
    print(json.dumps(services.counts()["datasources"]))
"""
    for kind in TYPES:
        own = backend.having(DATABASE_TYPE=kind, SQLITE_PATH=backend.env["SQLITE_PATH"] + kind)
        assert own.run(code) == 0
