"""`init` checks both sides before it changes either, and says in one line what is wrong."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from shadow.config import Settings
from shadow.errors import ConfigError, OriginError, ShadowError, TargetError, TargetUnavailable
from shadow.flag import origin_setup, setup
from shadow.flag.control import State, read_origin, read_target
from shadow.flag.hint import Hint, HintState
from shadow.flag.setup import init_pair, remove_pair
from shadow.journal import head
from shadow.types import Side

APP = """
CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, age INTEGER);
CREATE TABLE notes (body TEXT);
CREATE INDEX notes_body ON notes (body);
CREATE TRIGGER users_note AFTER INSERT ON users BEGIN INSERT INTO notes VALUES (new.name); END;
INSERT INTO users (name, age) VALUES ('a', 1), ('b', 'n/a');
"""


@pytest.fixture
def settings(sqlite_path: Path, pg_dsn: str) -> Settings:
    conn = sqlite3.connect(sqlite_path)
    conn.executescript(APP)
    conn.close()
    return Settings(str(sqlite_path), pg_dsn)


def pg_dump(dsn: str) -> list[object]:
    """Everything that a schema dump would show."""
    conn = psycopg2.connect(dsn)
    try:
        with conn.cursor() as cursor:
            cursor.execute(
                "SELECT nspname, obj_description(oid, 'pg_namespace') FROM pg_namespace"
                " WHERE nspname !~ '^pg_(toast|temp)' ORDER BY 1"
            )
            found: list[object] = list(cursor.fetchall())
            cursor.execute(
                "SELECT n.nspname, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                " WHERE n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema') ORDER BY 1, 2"
            )
            return found + cursor.fetchall()
    finally:
        conn.close()


def lite_dump(path: str) -> tuple[list[str], list[object]]:
    conn = sqlite3.connect(path)
    try:
        return list(conn.iterdump()), conn.execute("SELECT * FROM sqlite_master WHERE name LIKE '%shadow%'").fetchall()
    finally:
        conn.close()


def test_init_makes_both_halves_of_the_flag_and_starts_the_journal(settings: Settings) -> None:
    report = init_pair(settings)
    origin = sqlite3.connect(settings.sqlite_path)
    target = psycopg2.connect(settings.database_url or "")
    control = read_origin(origin)
    with target.cursor() as cursor:
        record = read_target(cursor, "public")
        cursor.execute("SELECT count(*) FROM shadow.applied")
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT pg_typeof(age)::text FROM users UNION ALL SELECT '' LIMIT 0")
        assert cursor.description is not None
    assert control is not None
    assert (control.pair_id, control.journaling, control.guard) == (report.pair_id, True, False)
    assert record == control.record
    assert record is not None
    assert record.accepts_writes(Side.SQLITE)
    assert head(origin)[0] == 2
    hint = Hint.open(settings.hint_path)
    assert hint is not None
    assert hint.state is HintState.SQLITE
    assert [f.column for f in report.findings if f.kind == "type"] == ["age"]
    origin.close()
    target.close()


def test_remove_leaves_nothing_of_ours_on_either_side(settings: Settings) -> None:
    before = pg_dump(settings.database_url or ""), lite_dump(settings.sqlite_path)
    init_pair(settings)
    report = remove_pair(settings)
    assert report.schema_shadow_dropped
    assert (pg_dump(settings.database_url or ""), lite_dump(settings.sqlite_path)) == before
    left = {p.name for p in Path(settings.sqlite_path).parent.iterdir()}
    assert left <= {"app.db", "app.db-wal", "app.db-shm"}


def test_remove_of_one_pair_leaves_the_other(settings: Settings, tmp_path: Path) -> None:
    other = str(tmp_path / "other.db")
    conn = sqlite3.connect(other)
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute("CREATE TABLE users (id INTEGER PRIMARY KEY)")
    conn.close()
    second = Settings(other, settings.database_url, pg_schema="second")
    init_pair(settings)
    with_one = pg_dump(settings.database_url or "")
    init_pair(second)
    assert not remove_pair(second).schema_shadow_dropped
    assert pg_dump(settings.database_url or "") == with_one
    assert remove_pair(settings).schema_shadow_dropped


def _missing(settings: Settings) -> Settings:
    return Settings(settings.sqlite_path + ".not-there", settings.database_url)


def _not_sqlite(settings: Settings) -> Settings:
    path = Path(settings.sqlite_path + ".txt")
    path.write_text("this is a text file, long enough to be read as a header")
    return Settings(str(path), settings.database_url)


def _directory(settings: Settings) -> Settings:
    return Settings(str(Path(settings.sqlite_path).parent), settings.database_url)


def _damaged(settings: Settings) -> Settings:
    path = Path(settings.sqlite_path + ".bad")
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 4000)
    return Settings(str(path), settings.database_url)


def _not_wal(settings: Settings) -> Settings:
    conn = sqlite3.connect(settings.sqlite_path)
    conn.execute("PRAGMA journal_mode=DELETE")
    conn.close()
    return settings


def _nobody_answers(settings: Settings) -> Settings:
    return Settings(settings.sqlite_path, "postgresql://u@127.0.0.1:1/x")


def _not_a_dsn(settings: Settings) -> Settings:
    return Settings(settings.sqlite_path, "mysql://somewhere")


def _no_such_database(settings: Settings) -> Settings:
    return Settings(settings.sqlite_path, make_dsn(settings.database_url or "", dbname="nope_nope"))


def _no_dsn(settings: Settings) -> Settings:
    return Settings(settings.sqlite_path, None)


def _rows_are_there(settings: Settings) -> Settings:
    _sql(settings, "CREATE TABLE users (id int); INSERT INTO users VALUES (1)")
    return settings


def _no_right(settings: Settings) -> Settings:
    _sql(settings, "CREATE ROLE poor LOGIN")
    return Settings(settings.sqlite_path, make_dsn(settings.database_url or "", user="poor"))


def _no_right_on_schema(settings: Settings) -> Settings:
    _sql(settings, "CREATE ROLE poor LOGIN")
    with_grant = "DO $$ BEGIN EXECUTE 'GRANT CREATE ON DATABASE ' || current_database() || ' TO poor'; END $$"
    _sql(settings, with_grant + "; CREATE SCHEMA guarded")
    return Settings(settings.sqlite_path, make_dsn(settings.database_url or "", user="poor"), pg_schema="guarded")


def _nul(settings: Settings) -> Settings:
    conn = sqlite3.connect(settings.sqlite_path)
    conn.execute("INSERT INTO notes VALUES ('a' || char(0) || 'b')")
    conn.commit()
    conn.close()
    return settings


def _sql(settings: Settings, text: str) -> None:
    conn = psycopg2.connect(settings.database_url or "")
    with conn, conn.cursor() as cursor:
        cursor.execute(text)
    conn.close()


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (_missing, OriginError, "there is no SQLite file"),
        (_not_sqlite, OriginError, "is not an SQLite file"),
        (_directory, OriginError, "is not a file"),
        (_damaged, OriginError, "file is not a database"),
        (_not_wal, OriginError, "is not in WAL mode"),
        (_nul, OriginError, "NUL"),
        (_nobody_answers, TargetUnavailable, "nobody answers"),
        (_not_a_dsn, TargetError, "is not a PostgreSQL DSN"),
        (_no_such_database, TargetError, "does not exist"),
        (_no_dsn, ConfigError, "DATABASE_URL is not set"),
        (_rows_are_there, TargetError, "with rows in it"),
        (_no_right, TargetError, "may not create a schema"),
        (_no_right_on_schema, TargetError, "may not create tables in schema guarded"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_changed(
    settings: Settings, spoil: Callable[[Settings], Settings], error: type[ShadowError], words: str
) -> None:
    given = spoil(settings)
    files = {p: p.read_bytes() for p in Path(settings.sqlite_path).parent.iterdir() if p.is_file()}
    before = pg_dump(settings.database_url or ""), lite_dump(settings.sqlite_path)
    with pytest.raises(error) as refusal:
        init_pair(given)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert refusal.value.exit_code == 2
    assert (pg_dump(settings.database_url or ""), lite_dump(settings.sqlite_path)) == before
    assert set(files) >= {
        p for p in Path(settings.sqlite_path).parent.iterdir() if not p.name.endswith(("-wal", "-shm"))
    }
    _sql(settings, "DROP OWNED BY poor; DROP ROLE poor") if spoil in (_no_right, _no_right_on_schema) else None


def test_a_second_init_says_that_the_pair_is_there(settings: Settings) -> None:
    init_pair(settings)
    with pytest.raises(ConfigError, match="already initialised"):
        init_pair(settings)


def test_a_file_of_another_pair_is_refused(settings: Settings, tmp_path: Path) -> None:
    init_pair(settings)
    other = Settings(str(tmp_path / "other.db"), settings.database_url)
    sqlite3.connect(other.sqlite_path).execute("PRAGMA journal_mode=WAL").connection.close()
    with pytest.raises(ConfigError, match="another SQLite file"):
        init_pair(other)
    with pytest.raises(ConfigError, match="another pair"):
        init_pair(Settings(settings.sqlite_path, settings.database_url, pg_schema="elsewhere"))
    with pytest.raises(ConfigError, match="holds the pair of"):
        remove_pair(other)


def test_init_again_mends_a_crash_between_the_two_commits(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(origin_setup, "install", crash)
        with pytest.raises(KeyboardInterrupt):
            init_pair(settings)
    assert lite_dump(settings.sqlite_path)[1] == []
    report = init_pair(settings)
    conn = sqlite3.connect(settings.sqlite_path)
    control = read_origin(conn)
    assert control is not None
    assert control.pair_id == report.pair_id
    conn.close()


def test_remove_again_mends_a_crash_between_the_two_commits(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pg_dump(settings.database_url or "")
    init_pair(settings)
    real = setup._remove_origin

    def crash(*args: object) -> None:
        real(*args)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(setup, "_remove_origin", crash)
        with pytest.raises(KeyboardInterrupt):
            remove_pair(settings)
    remove_pair(settings)
    assert pg_dump(settings.database_url or "") == before


def test_a_file_that_refuses_the_write_leaves_postgresql_as_it_was(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    before = pg_dump(settings.database_url or ""), lite_dump(settings.sqlite_path)
    monkeypatch.setattr(origin_setup, "install", full)
    with pytest.raises(OriginError, match="disk is full; nothing was done"):
        init_pair(settings)
    assert (pg_dump(settings.database_url or ""), lite_dump(settings.sqlite_path)) == before


def test_a_schema_with_an_odd_name_is_made_and_goes_again(settings: Settings) -> None:
    odd = Settings(settings.sqlite_path, settings.database_url, pg_schema='My "App" %s')
    before = pg_dump(settings.database_url or "")
    init_pair(odd)
    remove_pair(odd)
    assert pg_dump(settings.database_url or "") == before


def test_ddl_that_comes_in_between_is_carried_along(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    real, runs = setup._install_origin, []

    def late(*args: object) -> object:
        conn = sqlite3.connect(settings.sqlite_path)
        conn.execute("CREATE TABLE late (id INTEGER PRIMARY KEY)")
        conn.close()
        runs.append(1)
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(setup, "_install_origin", late)
    assert init_pair(settings).tables == 3
    _sql(settings, "SELECT id FROM late")
    assert runs == [1]


def test_remove_is_refused_while_postgresql_is_primary(settings: Settings) -> None:
    init_pair(settings)
    conn = sqlite3.connect(settings.sqlite_path)
    conn.execute("UPDATE _shadow_control SET primary_side = 'postgres'")
    conn.commit()
    conn.close()
    with pytest.raises(ConfigError, match="roll back first"):
        remove_pair(settings)


def test_remove_puts_parked_triggers_back(settings: Settings) -> None:
    from shadow.flag import guards

    before = lite_dump(settings.sqlite_path)
    init_pair(settings)
    conn = sqlite3.connect(settings.sqlite_path, isolation_level=None)
    conn.execute("BEGIN IMMEDIATE")
    guards.install(conn)
    guards.park_triggers(conn)
    conn.execute("COMMIT")
    conn.close()
    remove_pair(settings)
    assert lite_dump(settings.sqlite_path) == before


def test_postgresql_can_be_primary_from_the_start_and_one_of_many_wins(tmp_path: Path, pg_dsn: str) -> None:
    settings = Settings(str(tmp_path / "new.db"), pg_dsn)
    reports, errors = [], []

    def start() -> None:
        try:
            reports.append(init_pair(settings, Side.POSTGRES))
        except ShadowError as error:
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [r.created for r in reports].count(True) == 1
    assert len({r.pair_id for r in reports}) == 1
    conn = sqlite3.connect(settings.sqlite_path)
    control = read_origin(conn)
    assert conn.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert conn.execute("SELECT count(*) FROM _shadow_reverse").fetchone() == (1,)
    conn.close()
    assert control is not None
    assert control.record.state is State.ACTIVE
    assert control.record.primary is Side.POSTGRES


def test_postgresql_cannot_start_as_primary_beside_a_file_with_rows(settings: Settings) -> None:
    before = pg_dump(settings.database_url or "")
    with pytest.raises(ConfigError, match="has rows"):
        init_pair(settings, Side.POSTGRES)
    assert pg_dump(settings.database_url or "") == before


def test_a_start_as_primary_that_crashed_is_finished_by_the_next(
    tmp_path: Path, pg_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(str(tmp_path / "new.db"), pg_dsn)

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(origin_setup, "install", crash)
        with pytest.raises(KeyboardInterrupt):
            init_pair(settings, Side.POSTGRES)
    report = init_pair(settings, Side.POSTGRES)
    conn = sqlite3.connect(settings.sqlite_path)
    target = psycopg2.connect(pg_dsn)
    with target.cursor() as cursor:
        cursor.execute("SELECT position, nonce FROM shadow.applied")
        position, nonce = cursor.fetchone() or (0, b"")
        cursor.execute("SELECT pair_id FROM shadow.pair")
        assert cursor.fetchone() == (report.pair_id,)
    assert head(conn) == (position, bytes(nonce))
    conn.close()
    target.close()
