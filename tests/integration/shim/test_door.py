"""The drop-in module: what it exports, whom it shadows, what it leaves alone."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import shadow
from shadow import sqlite3 as door
from shadow.shim.connection import Connection, file_path

from .conftest import NO_SERVER, File


def test_everything_the_standard_module_exports_is_there() -> None:
    missing = [n for n in dir(sqlite3) if not n.startswith("_") and not hasattr(door, n)]
    assert missing == []
    for name in ("Row", "Error", "IntegrityError", "OperationalError", "PARSE_DECLTYPES", "register_adapter", "Blob"):
        assert getattr(door, name) is getattr(sqlite3, name)


def test_a_shadowed_connection_is_an_instance_of_both_modules_classes(conn: Any) -> None:
    cursor = conn.cursor()
    for module in (sqlite3, door):
        assert isinstance(conn, module.Connection)
        assert isinstance(cursor, module.Cursor)
    plain = door.connect(":memory:")
    assert type(plain) is sqlite3.Connection
    for module in (sqlite3, door):
        assert isinstance(plain, module.Connection)
        assert issubclass(type(plain), module.Connection)


@pytest.mark.parametrize("form", ["str", "path", "bytes", "relative", "symlink", "uri"])
def test_the_file_is_shadowed_by_whatever_name_it_is_opened(
    file: File, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.path.parent)
    link = tmp_path / "a link"
    link.symlink_to(file.path)
    names: dict[str, Any] = {
        "str": str(file.path),
        "path": file.path,
        "bytes": bytes(file.path),
        "relative": "./" + file.path.name,
        "symlink": link,
        "uri": "file://" + str(link).replace(" ", "%20") + "?mode=rw#part",
    }
    conn = door.connect(names[form], uri=form == "uri")
    assert isinstance(conn, Connection)
    assert type.__instancecheck__(Connection, conn)
    conn.execute("INSERT INTO plain VALUES (1, 1)")
    conn.commit()
    assert len(file.records()) == 1
    conn.close()


def test_other_files_and_memory_pass_through_untouched(file: File, tmp_path: Path) -> None:
    for name in (":memory:", "", tmp_path / "other.db"):
        conn = door.connect(name)
        assert type(conn) is sqlite3.Connection
        assert type(conn.execute("SELECT 1")) is sqlite3.Cursor
        conn.close()
    assert file_path("file::memory:?cache=shared", uri=True) in (None, ":memory:", None)
    assert file_path("file:x?mode=memory", uri=True) is None
    with pytest.raises(TypeError):
        door.connect(5.5)


def test_an_uninitialised_file_is_plain_sqlite_until_init(sqlite_path: Path) -> None:
    shadow.configure(sqlite_path=sqlite_path, database_url=NO_SERVER)
    conn = door.connect(sqlite_path)
    conn.execute("CREATE TABLE t (a)")
    conn.execute("INSERT INTO t VALUES (1)")
    conn.commit()
    with conn:
        conn.execute("UPDATE t SET a = 2")
    conn.executescript("BEGIN; INSERT INTO t VALUES (3); COMMIT; CREATE TABLE u (b)")
    conn.execute("SAVEPOINT s")
    conn.execute("INSERT INTO t SELECT 4")
    conn.execute("RELEASE s")
    assert conn.execute("SELECT a FROM t").fetchall() == [(2,), (3,), (4,)]
    assert conn.execute("SELECT name FROM sqlite_master").fetchall() == [("t",), ("u",)]
    from .conftest import initialise

    initialise(sqlite_path)
    conn.execute("INSERT INTO t VALUES (5)")
    conn.commit()
    assert len(File(sqlite_path).records()) == 1
    conn.close()


def test_the_environment_names_the_file_at_the_first_connect(
    sqlite_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQLITE_PATH", str(sqlite_path))
    monkeypatch.setenv("DATABASE_URL", NO_SERVER)
    conn = door.connect(sqlite_path)
    assert type.__instancecheck__(Connection, conn)
    conn.close()


@pytest.fixture
def _installed() -> Iterator[None]:
    door.install()
    yield
    door.uninstall()


@pytest.mark.usefixtures("_installed")
def test_installed_it_stands_in_for_sqlite3_and_dbapi2(file: File, tmp_path: Path) -> None:
    from sqlite3 import dbapi2

    for module in (sqlite3, dbapi2):

        class Own(module.Cursor):  # type: ignore[name-defined, misc]
            def execute(self, *args: Any, parent: Any = module) -> Any:
                return parent.Cursor.execute(self, *args)

        conn = module.connect(file.path)
        conn.cursor(Own).execute("INSERT INTO plain VALUES (random(), 1)")
        conn.execute("CREATE TABLE IF NOT EXISTS made (a)")
        conn.commit()
        assert isinstance(conn, module.Connection)
        conn.close()
        other = module.connect(tmp_path / "other.db")
        other.cursor(Own).execute("CREATE TABLE IF NOT EXISTS t (a)")
        other.close()
    assert len(file.records()) >= 2


def test_iterdump_and_inspection_do_not_show_what_is_ours(conn: Any, file: File) -> None:
    conn.execute("INSERT INTO plain SELECT 1, 2")
    conn.commit()
    assert not any("_shadow" in line for line in conn.iterdump())
    for sql in (
        "SELECT * FROM sqlite_master",
        "SELECT m.name FROM main.sqlite_schema AS m WHERE m.type = 'table'",
        'SELECT sqlite_master.name FROM "sqlite_master"',
        "SELECT name FROM [sqlite_master] UNION ALL SELECT name FROM sqlite_temp_master",
        "SELECT m.name, p.name FROM sqlite_master m JOIN pragma_table_info(m.name) p",
        "PRAGMA table_list",
        "PRAGMA main . table_list",
        "SELECT name FROM pragma_table_list",
        "WITH x AS (SELECT name FROM sqlite_master) SELECT * FROM x",
    ):
        rows = conn.execute(sql).fetchall()
        assert rows, sql
        assert "_shadow" not in repr(rows), sql
    assert conn.execute("SELECT 'sqlite_master' AS sqlite_master").description[0][0] == "sqlite_master"
    before = [r[0] for r in file.rows("SELECT name FROM sqlite_master") if "_shadow" not in r[0]]
    assert [r[0] for r in conn.execute("SELECT name FROM sqlite_master")] == before
    conn.execute("BEGIN")
    conn.execute("SELECT name FROM sqlite_master").fetchall()
    conn.rollback()
    assert conn.execute("SELECT count(*) FROM sqlite_master").fetchone() == (len(before),)


def test_row_factory_text_factory_and_converters_work_as_ever(file: File) -> None:
    conn = door.connect(file.path, detect_types=door.PARSE_DECLTYPES)
    conn.row_factory = door.Row
    conn.text_factory = bytes
    conn.execute("INSERT INTO t (a) VALUES ('x')")
    conn.execute("INSERT INTO t (a) SELECT 'y'")
    conn.execute("CREATE TABLE IF NOT EXISTS t (a)")
    conn.execute("DROP TABLE IF EXISTS keyed")
    conn.commit()
    row = conn.execute("SELECT id, a FROM t WHERE a = 'x'").fetchone()
    assert (row["ID"], row["a"], row.keys()) == (1, b"x", ["id", "a"])
    assert b"_shadow" not in b"".join(r[0] for r in conn.execute("SELECT name FROM sqlite_master"))
    assert [type(i).__name__ for i in file.records()[0]] == ["Executed", "RowImages", "SchemaChanged"]
    conn.close()


def test_an_error_of_ours_never_reaches_the_app(conn: Any, file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of ours that fails makes the record say that the effect is not known."""
    from shadow.journal.record import Undetermined
    from shadow.shim import carry

    def broken(*_: object, **__: object) -> bytes:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(carry, "encode_executed", broken)
    conn.execute("INSERT INTO plain VALUES (1, 2)")
    conn.commit()
    ((item,),) = file.records()
    assert isinstance(item, Undetermined)
    assert item.tables == ()


def test_importing_the_door_loads_nothing_heavy() -> None:
    code = (
        "import sys; import shadow; from shadow import sqlite3;"
        "heavy = {'sqlglot', 'psycopg2', 'fastapi', 'typer', 'rich', 'pydantic', 'structlog', 'prometheus_client'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    root = str(Path(__file__).parents[3])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"


def test_traces_show_the_apps_statements_only(conn: Any) -> None:
    seen: list[str] = []
    conn.set_trace_callback(seen.append)
    conn.execute("INSERT INTO plain VALUES (1, 2)")
    conn.commit()
    assert not any("_shadow" in text for text in seen)
    assert any(text.startswith("INSERT INTO plain") for text in seen)


def test_a_factory_that_is_no_class_gives_a_shadowed_connection_or_is_refused(file: File) -> None:
    """A connection of the standard module would write past the journal, and nobody would know."""
    conn = door.connect(file.path, factory=lambda *args, **kwargs: door.Connection(*args, **kwargs))
    conn.execute("INSERT INTO plain VALUES (1, 2)")
    conn.commit()
    conn.close()
    assert len(file.records()) == 1
    with pytest.raises(sqlite3.NotSupportedError, match="does not see"):
        door.connect(file.path, factory=lambda *args, **kwargs: sqlite3.Connection(*args, **kwargs))
    with pytest.raises(TypeError):
        door.connect(file.path, factory=7)
