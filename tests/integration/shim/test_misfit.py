"""DDL past the shim changes a table under the triggers that capture its rows: the app's writes must not notice."""

from __future__ import annotations

from typing import Any

import pytest

from shadow.journal.record import Undetermined

from .conftest import File

CAPTURED = "INSERT INTO t (a) SELECT 'first' || count(*) FROM t"


@pytest.mark.parametrize("ddl", ["ALTER TABLE t DROP COLUMN n", "ALTER TABLE t RENAME COLUMN n TO m"])
@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("execute", ("INSERT INTO t (a) VALUES ('x')",)),
        ("execute", (CAPTURED,)),
        ("execute", ("UPDATE t SET a = 'y'",)),
        ("execute", ("INSERT INTO t (a) VALUES ('x') RETURNING a",)),
        ("executemany", ("INSERT INTO t (a) VALUES (?)", [("x",), ("y",)])),
        ("executemany", ("INSERT INTO t (a) SELECT ?", [("x",), ("y",)])),
        ("executescript", ("INSERT INTO t (a) VALUES ('x');",)),
    ],
)
@pytest.mark.parametrize("level", ["", None])
def test_a_write_after_ddl_past_the_shim_succeeds_and_is_marked(
    conn: Any, file: File, ddl: str, method: str, arguments: tuple[Any, ...], level: str | None
) -> None:
    """The statement is run again without capture, its table is marked, and the next one is captured as ever."""
    conn.execute(CAPTURED)
    conn.commit()
    conn.isolation_level = level
    raw = file.raw()
    raw.execute(ddl)
    file.records()
    getattr(conn, method)(*arguments)
    conn.commit()
    items = [item for record in file.records() for item in record]
    assert [(type(i), i.tables) for i in items] == [(Undetermined, ("t",))]
    conn.execute(CAPTURED)
    conn.commit()
    (record,) = file.records()
    assert [type(i).__name__ for i in record] == ["RowImages"]
    columns = len(raw.execute("PRAGMA table_info(t)").fetchall())
    assert [len(i.rows[0].row) for i in record] == [columns]
    raw.close()


def test_an_error_of_the_apps_own_text_stays_its_own(conn: Any, file: File) -> None:
    """And leaves no record."""
    conn.execute(CAPTURED)
    conn.commit()
    file.records()
    for sql in ("INSERT INTO t (absent) VALUES (1)", "INSERT INTO t (absent) SELECT 1"):
        with pytest.raises(conn.OperationalError, match="no column named absent"):
            conn.execute(sql)
        with pytest.raises(conn.OperationalError, match="no column named absent"):
            conn.executemany(sql + " WHERE ?" if "SELECT" in sql else sql, [(1,)])
    conn.commit()
    assert file.records() == []
