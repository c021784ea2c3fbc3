"""`shadow translate`: SQL in, PostgreSQL out, with why."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError
from .output import print_json, say
from .settings import Json, SqlitePath, require_file

if TYPE_CHECKING:
    from ..translate import Translation
    from ..translate.catalog import Catalog


def register(app: typer.Typer) -> None:
    app.command()(translate)


def translate(
    sql: Annotated[
        str | None, typer.Argument(metavar="[SQL | - | FILE]", help="Statements; '-' or nothing reads standard input.")
    ] = None,
    sqlite: SqlitePath = None,
    as_json: Json = False,
) -> int:
    """Show what a SQLite statement becomes on PostgreSQL, which rules applied, or why it cannot be translated.

    With --sqlite (or $SQLITE_PATH) the file's schema is at hand: types, keys, collations. Without it tables are taken as they come, and
    the output can be more careful than needed. Exit code 1: a statement is not supported.

    \b
    shadow translate "SELECT * FROM kpis WHERE created_at > datetime('now', '-7 days')"
    shadow translate --sqlite catalog.db "INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)"
    shadow translate --sqlite catalog.db queries.sql
    """
    from ..translate import split
    from ..translate import translate as translated

    catalog = _catalog(sqlite or os.environ.get("SQLITE_PATH"))
    shown = [Shown.of(translated(text, catalog)) for text in split(_read(sql)) if text.strip()]
    if not shown:
        raise ConfigError("there is no SQL to translate; give a statement, a file, or standard input")
    if as_json:
        print_json({"ok": not any(one.unsupported for one in shown), "statements": shown})
    else:
        for line in _lines(shown):
            say(line)
    return 1 if any(one.unsupported for one in shown) else 0


@dataclass(frozen=True, slots=True)
class Shown:
    """One statement and what became of it, as printed."""

    source: str
    kind: str
    postgres: tuple[str, ...]
    #: For each PostgreSQL statement what its %s take, in order: 'param 1', ':name', 'row id'.
    parameters: tuple[tuple[str, ...], ...]
    rules: tuple[str, ...]
    warnings: tuple[str, ...]
    #: Reason and place (offsets in `source`).
    unsupported: tuple[str, int, int] | None

    @classmethod
    def of(cls, one: Translation) -> Shown:
        reason = one.unsupported
        return cls(
            one.source.strip(),
            str(one.kind),
            tuple(step.sql for step in one.steps),
            tuple(tuple(_parameter(p) for p in step.params) for step in one.steps),
            one.rules,
            one.warnings,
            None if reason is None else (reason.reason, reason.start, reason.end),
        )


def _parameter(param: object) -> str:
    if isinstance(param, str) and type(param) is str:
        return f":{param}"
    return f"param {param + 1}" if isinstance(param, int) and type(param) is int else "row id"


def _lines(shown: list[Shown]) -> Iterator[str]:
    for number, one in enumerate(shown):
        if number:
            yield ""
        if one.unsupported is not None:
            yield from _underlined(one)
            continue
        if not one.postgres:
            yield f"-- {one.kind}: handled without a PostgreSQL statement"
        for text, parameters in zip(one.postgres, one.parameters, strict=True):
            yield text.rstrip(";") + ";"
            if parameters:
                yield "-- %s: " + ", ".join(parameters)
        if one.rules:
            yield "-- rules: " + ", ".join(one.rules)
        yield from (f"-- warning: {warning}" for warning in one.warnings)


def _underlined(one: Shown) -> Iterator[str]:
    """The source with the offending place underlined, and the reason below."""
    assert one.unsupported is not None
    reason, start, end = one.unsupported
    at = 0
    for line in one.source.splitlines():
        yield line
        left, right = max(start - at, 0), min(end - at, len(line))
        if left < right or (start == end and at <= start <= at + len(line)):
            yield " " * left + "^" * max(right - left, 1)
        at += len(line) + 1
    yield f"-- not supported: {reason}"


def _read(sql: str | None) -> str:
    if sql is None or sql == "-":
        return sys.stdin.read()
    try:
        is_file = Path(sql).is_file()
    except OSError:  # a statement longer than a file name may be
        is_file = False
    return Path(sql).read_text("utf-8") if is_file else sql


def _catalog(path: str | None) -> Catalog:
    from ..translate.catalog import Catalog

    if not path:
        return Catalog()
    import sqlite3

    from ..schema import inspect

    require_file(path)
    conn = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)
    try:
        return inspect(conn)
    finally:
        conn.close()
