"""`detect_types` with PostgreSQL primary; the reference is sqlite3 with the same statements and converters."""

from __future__ import annotations

import sqlite3 as plain
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

import shadow
from shadow import sqlite3
from shadow.config import Settings

SCHEMA = (
    "CREATE TABLE event (id INTEGER PRIMARY KEY, day test_day, mark test_mark(3) NOT NULL DEFAULT 1,"
    " odd 'test_day thing', seen TIMESTAMP, share test_mark, plain TEXT)",
    "INSERT INTO event VALUES (1, '2020-01-02', '5', 'a', '2020-01-01 00:00:00', 1.5, 'p')",
    "INSERT INTO event VALUES (2, NULL, x'00ff', 'b', NULL, NULL, 'q')",
)
QUERIES = (
    "SELECT * FROM event ORDER BY id",
    'SELECT id AS "id [test_mark]", day AS "x [TEST_MARK]", 1 AS "c [test_day]", day AS "y [unknown]" FROM event',
    "SELECT upper(day), (SELECT max(id) FROM event), e.day AS z FROM event e WHERE id = ?",
    "SELECT q FROM (SELECT day AS q FROM event WHERE id < 9) ORDER BY 1",
    "WITH a AS (SELECT day, share FROM event) SELECT day, count(*), share FROM a GROUP BY day",
    "SELECT plain, day FROM event ORDER BY id LIMIT 1",
    "UPDATE event SET plain = 'r' WHERE id = 1 RETURNING day, plain",
)


@pytest.fixture(autouse=True)
def _converters() -> Iterator[None]:
    sqlite3.register_converter("test_day", lambda raw: ("day", raw))
    sqlite3.register_converter("test_mark", lambda raw: ("mark", raw))
    yield
    for name in ("TEST_DAY", "TEST_MARK"):
        plain.converters.pop(name, None)


@pytest.mark.parametrize(
    "detect", [0, plain.PARSE_DECLTYPES, plain.PARSE_COLNAMES, plain.PARSE_DECLTYPES | plain.PARSE_COLNAMES]
)
@pytest.mark.parametrize("text", [str, bytes])
@pytest.mark.filterwarnings("ignore:The default timestamp converter:DeprecationWarning")
def test_converters_get_what_sqlite3_gives_them(settings: Settings, detect: int, text: Any) -> None:
    shadow.configure(
        sqlite_path=settings.sqlite_path,
        database_url=settings.database_url,
        database_type="postgres",
        pg_schema=settings.pg_schema,
        pg_mode=settings.pg_mode,
    )
    with (
        closing(plain.connect(":memory:", detect_types=detect)) as origin,
        closing(sqlite3.connect(settings.sqlite_path, detect_types=detect)) as ours,
    ):
        for sql in SCHEMA:
            origin.execute(sql)
            ours.execute(sql)
        origin.text_factory = ours.text_factory = text
        for sql in QUERIES:
            params = (1,) * sql.count("?")
            expected, found = origin.execute(sql, params), ours.execute(sql, params)
            assert found.description == expected.description
            assert found.fetchall() == expected.fetchall(), sql
        origin.row_factory = ours.row_factory = sqlite3.Row
        row = ours.execute(QUERIES[1]).fetchone()
        assert row.keys() == origin.execute(QUERIES[1]).fetchone().keys()
