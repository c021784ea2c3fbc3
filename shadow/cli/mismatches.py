"""`shadow mismatches`: reads that gave two answers, both results side by side."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .output import print_json, say
from .settings import DatabaseUrl, Json, PgSchema, SqlitePath, pair_settings

if TYPE_CHECKING:
    from ..control.mismatches import Mismatch

_WIDTH_MIN, _WIDTH_MAX = 60, 200


def register(app: typer.Typer) -> None:
    app.command()(mismatches)


def mismatches(
    resolve: Annotated[
        list[int] | None, typer.Option("--resolve", metavar="ID", help="Mark this one as settled; may be repeated.")
    ] = None,
    resolved_too: Annotated[bool, typer.Option("--all", help="Show resolved ones as well.")] = False,
    sqlite: SqlitePath = None,
    database_url: DatabaseUrl = None,
    pg_schema: PgSchema = None,
    as_json: Json = False,
) -> int:
    """Show each shape of read that gave another result on PostgreSQL, with both results side by side.

    One entry per shape and reason, the newest example of it. A resolved one comes back by itself when it is seen
    again. Exit code 1: there are open ones.

    \b
    shadow mismatches
    shadow mismatches --resolve 7
    shadow mismatches --json | jq '.mismatches[].sql'
    """
    from ..control import mismatches as stored

    settings = pair_settings(sqlite, database_url, pg_schema)
    settled = stored.resolve(settings, resolve) if resolve else 0
    found = stored.listed(settings, resolved_too=resolved_too)
    still_open = sum(1 for one in found if one.resolved_at is None)
    if as_json:
        print_json({"ok": not still_open, "open": still_open, "resolved_now": settled, "mismatches": found})
        return 1 if still_open else 0
    if resolve:
        say(f"{settled} of {len(resolve)} marked as settled")
    for one in found:
        for line in _shown(one):
            say(line)
    say(f"{still_open} open" if still_open else "no open mismatches")
    return 1 if still_open else 0


def _shown(one: Mismatch) -> Iterator[str]:
    state = "" if one.resolved_at is None else f", resolved {one.resolved_at}"
    yield f"#{one.id}  {one.reason}, seen {one.seen} times, last {one.last_at} at position {one.position}{state}"
    yield "    " + " ".join(one.sql.split())
    if one.params:
        yield f"    with {shown_params(one.params)}"
    yield from side_by_side(one.origin_result, one.target_result)
    yield ""


def side_by_side(origin: object, target: object, *, width: int | None = None) -> Iterator[str]:
    """Two results in two columns, `width` characters in all (None: the terminal's); what differs is marked."""
    width = max(_WIDTH_MIN, min(width or shutil.get_terminal_size((120, 24)).columns, _WIDTH_MAX))
    half = (width - 9) // 2
    yield f"    {'SQLite'.ljust(half)}   PostgreSQL"
    for left, right in itertools.zip_longest(_result_lines(origin), _result_lines(target), fillvalue=""):
        mark = " " if left == right else "≠"
        yield f"    {_fit(left, half)} {mark} {_fit(right, half).rstrip()}"


def _result_lines(result: object) -> Iterator[str]:
    if not isinstance(result, Mapping):
        yield shown_value(result)
        return
    if "error" in result:
        yield f"{result['error']}: {result.get('message', '')}"
        return
    yield " | ".join(shown_value(name) for name in result.get("columns", ()))
    rows: Sequence[Sequence[object]] = result.get("rows", ())
    first = int(result.get("first_row", 0))
    if first:
        yield f"... {first} rows before"
    for row in rows:
        yield " | ".join(shown_value(value) for value in row)
    more = int(result.get("row_count", len(rows))) - first - len(rows)
    if more > 0:
        yield f"... {more} rows more"


def shown_params(params: object) -> str:
    if isinstance(params, Mapping):
        return ", ".join(f":{name} = {shown_value(value)}" for name, value in params.items())
    return ", ".join(shown_value(value) for value in params) if isinstance(params, list) else shown_value(params)


def shown_value(value: Any) -> str:
    """A value in the form of `compare.jsonable`, as SQL would write it."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, Mapping):
        if "b64" in value:
            return f"blob {value['b64']}"
        return str(value.get("int") or value.get("float") or repr(value.get("text", "")))
    return str(value)


def _fit(text: str, width: int) -> str:
    clean = "".join(c if c.isprintable() else "�" for c in text)
    return clean.ljust(width) if len(clean) <= width else clean[: width - 1] + "…"
