"""`shadow translate`: SQL in, PostgreSQL out, with why."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError, OriginError
from .output import print_json, say
from .settings import Json, SqlitePath, require_file

if TYPE_CHECKING:
    from ..schema import Objects
    from ..translate import Unsupported


def register(app: typer.Typer) -> None:
    app.command()(translate)


def translate(
    sql: Annotated[
        str | None, typer.Argument(metavar="[SQL | - | FILE]", help="Statements; '-' or nothing reads standard input.")
    ] = None,
    types: Annotated[
        str | None,
        typer.Option(
            "--types",
            metavar="int,str,...",
            help="Classes of the bound values in order (int, float, str, bytes, None), as the app binds them;"
            " without them the text has to work for any.",
        ),
    ] = None,
    sqlite: SqlitePath = None,
    as_json: Json = False,
) -> int:
    """Show what a SQLite statement becomes on PostgreSQL, which rules applied, or why it cannot be translated.

    The schema must be at hand: from the file of --sqlite (or $SQLITE_PATH), or from CREATE TABLE statements in the text
    itself; types, keys and collations decide what a statement means. Exit code 1: a statement is not supported.

    \b
    shadow translate "SELECT strftime('%Y-%m', 'now'), date('now', '-7 days')"
    shadow translate --sqlite catalog.db "INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)"
    shadow translate --sqlite catalog.db --types int "SELECT * FROM kpis WHERE id = ?"
    shadow translate --sqlite catalog.db queries.sql
    cat schema.sql queries.sql | shadow translate
    """
    from ..translate import split

    reader = _Reader(sqlite or os.environ.get("SQLITE_PATH"), _classes(types))
    shown = [reader.read(text) for text in split(_read(sql)) if text.strip()]
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


class _Reader:
    """Statements in order: DDL among them is known to those that follow."""

    def __init__(self, path: str | None, types: tuple[type, ...] | None) -> None:
        from ..schema import Replica

        self._types = types
        self._has_file = bool(path)
        self._replica = Replica(_objects(path) if path else [])
        self._catalog = self._replica.catalog()

    def read(self, text: str) -> Shown:
        import sqlite3

        from ..translate import Kind, translate

        one = translate(text, self._catalog, param_types=self._types)
        reason = None if one.unsupported is None else self._reason(one.unsupported)
        postgres, parameters = (
            tuple(s.sql for s in one.steps),
            tuple(tuple(map(_parameter, s.params)) for s in one.steps),
        )
        try:
            if one.kind is Kind.DDL:
                postgres, parameters = self._evolve(text), ()
            elif one.kind is Kind.OTHER and reason is None:
                self._replica.describe(text)
        except sqlite3.Error as error:  # SQLite itself refuses it
            reason = (f"SQLite says: {error}", 0, len(text.rstrip()))
        return Shown(one.source, str(one.kind), postgres, parameters, one.rules, one.warnings, reason)

    def _evolve(self, ddl: str) -> tuple[str, ...]:
        from ..schema import evolve

        before, self._replica = self._catalog, self._replica.evolve(ddl)
        self._catalog = self._replica.catalog()
        return tuple(evolve(before, self._catalog, ddl))

    def _reason(self, why: Unsupported) -> tuple[str, int, int]:
        hint = "" if self._has_file or not why.reason.startswith("no such") else "; give the schema with --sqlite PATH"
        return why.reason + hint, why.start, why.end


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
        for text, parameters in itertools.zip_longest(one.postgres, one.parameters, fillvalue=()):
            yield str(text).rstrip(";") + ";"
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


def _classes(types: str | None) -> tuple[type, ...] | None:
    if types is None:
        return None
    known = {kind.__name__: kind for kind in (int, float, str, bytes)} | {"None": type(None)}
    try:
        return tuple(known[name.strip()] for name in types.split(","))
    except KeyError as error:
        raise ConfigError(f"--types has {error.args[0]!r}; the classes are {', '.join(known)}") from None


def _read(sql: str | None) -> str:
    if sql is None or sql == "-":
        return sys.stdin.read()
    try:
        is_file = Path(sql).is_file()
    except OSError:  # a statement longer than a file name may be
        is_file = False
    return Path(sql).read_text("utf-8") if is_file else sql


def _objects(path: str) -> Objects:
    import sqlite3

    from ..schema import objects

    require_file(path)
    conn = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)
    try:
        return objects(conn)
    except sqlite3.DatabaseError as error:
        raise OriginError(f"{path} cannot be read as a SQLite database: {error}") from error
    finally:
        conn.close()
