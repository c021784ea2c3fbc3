"""The same statements on both engines: SQLite is asked now, not when the cases were written."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from shadow.translate import Purpose, rowimage, split, translate
from tests.integration.translate import runner

_HERE = Path(__file__).parent


def _statements(name: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    params: Any = ()
    for line in (_HERE / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("-- params "):
            decoded = runner.decode(json.loads(line.removeprefix("-- params ")))
            params = decoded if isinstance(decoded, dict) else tuple(decoded)
        elif not line.startswith("--"):
            found.append((line.removesuffix(";"), params))
            params = ()
    return found


def _target(dsn: str, schema: str, writes: list[tuple[str, Any]]) -> runner.Target:
    runner.prepare(dsn)
    setup = split((_HERE / schema).read_text(encoding="utf-8"))
    target = runner.Target(dsn, "differential")
    target.types = runner.choose_types({"setup": setup, "writes": writes})
    for sql in setup:
        target.origin.execute(sql)
    target.build()
    return target


@pytest.fixture
def reader(pg_dsn: str) -> Iterator[runner.Target]:
    target = _target(pg_dsn, "schema.sql", [])
    yield target
    target.close()


def test_queries_give_sqlites_rows_in_sqlites_order(reader: runner.Target) -> None:
    wrong = []
    queries = _statements("queries.sql")
    assert len(queries) > 600
    for sql, params in queries:
        expected = reader.origin.execute(sql, runner.adapted(params)).fetchall()
        try:
            got = reader.execute(sql, params)[0] or []
        except (sqlite3.Error, runner.Refused) as error:
            wrong.append(f"{sql} {params}\n    {error}")
            continue
        if not runner.same_rows(expected, got, ordered=True):
            wrong.append(f"{sql} {params}\n    sqlite   {expected}\n    postgres {got}\n    {reader.ran[-1]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("purpose", list(Purpose))
def test_writes_leave_the_same_rows(pg_dsn: str, purpose: Purpose) -> None:
    """Purpose.APPLY: with the row id SQLite chose. What replay does not determine is left to row images: built anew."""
    writes = _statements("writes.sql")
    target = _target(pg_dsn, "schema_writes.sql", [[sql, params] for sql, params in writes])
    try:
        wrong = [found for sql, params in writes if (found := _write(target, sql, params, purpose))]
    finally:
        target.close()
    assert not wrong, "\n".join(wrong)


def _write(target: runner.Target, sql: str, params: Any, purpose: Purpose) -> str | None:
    values = runner.adapted(params)
    now = target.origin.execute("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')").fetchone()[0]
    target.cursor.execute("SELECT set_config('shadow.now', %s, false)", (now,))
    cursor = target.origin.cursor()
    error = None
    try:
        cursor.execute(sql, values).fetchall()
    except sqlite3.Error as caught:
        error = caught
    types = {k: type(v) for k, v in values.items()} if isinstance(values, dict) else tuple(type(v) for v in values)
    found = translate(sql, target.catalog, param_types=types, purpose=purpose)
    if found.unsupported is not None:
        target.build()
        return None if purpose is Purpose.APPLY else f"{sql}: {found.unsupported.reason}"
    refused = None
    target.cursor.execute("BEGIN")
    try:
        for text, bound in found.bind(values, rowid=cursor.lastrowid or 1):
            target.cursor.execute(text, bound)
        target.cursor.execute("COMMIT")
    except psycopg2.Error as caught_too:
        target.cursor.execute("ROLLBACK")
        refused = caught_too
    if (error is None) != (refused is None):
        return f"{sql} {params}: sqlite {error}, postgres {refused}"
    for name in found.writes:
        target.keep_sequence(target.catalog.tables[name])
    return _difference(target, sql, purpose)


def _difference(target: runner.Target, sql: str, purpose: Purpose) -> str | None:
    for table in target.catalog.tables.values():
        names = [name for name, _ in rowimage.columns(table)]
        if table.name == "log":
            names.remove("created")  # the two clocks are not read in the same millisecond
        ours = ", ".join("rowid" if n == "_shadow_rowid" else f'"{n}"' for n in names)
        theirs = ", ".join(f'"{n}"' for n in names)
        expected = target.origin.execute(f'SELECT {ours} FROM "{table.name}"').fetchall()
        target.cursor.execute(f'SELECT {theirs} FROM "{target.pg_schema}"."{table.name}"')
        got = target.cursor.fetchall()
        if not runner.same_rows(expected, got, ordered=False):
            target.build()
            return f"{purpose} {sql}\n    {table.name}: sqlite {expected}\n    postgres {got}"
    return None
