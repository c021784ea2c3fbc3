"""`shadow status`: primary, positions, lag, parity, gates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from ..errors import OriginError, TargetError
from .output import duration, print_json, say, table
from .settings import DatabaseUrl, Json, PgSchema, SqlitePath, pair_settings

if TYPE_CHECKING:
    from ..control.overview import Overview


def register(app: typer.Typer) -> None:
    app.command()(status)


def status(
    sqlite: SqlitePath = None,
    database_url: DatabaseUrl = None,
    pg_schema: PgSchema = None,
    as_json: Json = False,
) -> int:
    """Say who is primary, how far PostgreSQL is, what was compared, and what each gate waits for.

    Works with either database out of reach. Exit code 1: something needs a person; a gate that only waits for more
    proof does not.

    \b
    shadow status
    shadow status --json | jq '.gates[] | select(.open | not)'
    """
    from ..control.overview import look

    overview = look(pair_settings(sqlite, database_url, pg_schema))
    seen = overview.status
    if seen.origin.record is None and seen.target.record is None:
        raise OriginError(seen.origin.error) if seen.origin.error else TargetError(seen.target.error)
    if as_json:
        print_json(overview.as_json())
    else:
        for line in _lines(overview):
            say(line)
    return 1 if overview.troubles else 0


def _lines(o: Overview) -> Iterator[str]:
    from ..types import Side

    s = o.status
    primary = s.primary.value if s.primary else "not settled"
    yield f"primary      {primary}, epoch {s.epoch if s.epoch is not None else '?'}"
    yield f"pair         {s.sqlite_path}  <->  schema {s.pair}"
    side = _side(s.origin.up, s.origin.error)
    yield f"SQLite       {side}journal at {s.origin.journal_position}, {s.origin.journal_rows} rows kept"
    yield f"PostgreSQL   {_side(s.target.up, s.target.error)}applied {_known(s.target.applied_position)}"
    if s.primary is Side.POSTGRES:
        yield f"way back     {_known(s.target.reverse_pending)} changes not yet in SQLite"
    else:
        yield f"lag          {_known(s.origin.lag_records)} records, {duration(s.origin.lag_seconds or 0.0)}"
    t, shapes = s.target, s.target.shapes
    yield f"reads        {o.reads.compared} compared, {o.reads.mismatched} differed, {_not_comparable(o)}"
    yield (
        f"coverage     {shapes.compared} of {shapes.seen} statement shapes,"
        f" {shapes.waiting} waiting, {shapes.unsupported} unsupported"
    )
    yield (
        f"open         {t.mismatches_unresolved} mismatches, {t.divergences_unresolved} divergences,"
        f" {len(t.dirty)} dirty tables"
    )
    yield ""
    if s.primary is not Side.POSTGRES:
        yield from table(("gate", "", "why"), [(g.name, "open" if g.open else "CLOSED", g.reason) for g in o.gates])
        yield ""
        yield "every gate is open: `shadow cutover --dry-run`" if o.ready else "not ready for a cutover"
    yield from (f"! {line}" for line in o.troubles)


def _side(up: bool, error: str) -> str:
    return "" if up else f"DOWN ({error}), "


def _known(value: int | None) -> str:
    return "?" if value is None else str(value)


def _not_comparable(o: Overview) -> str:
    total = sum(o.reads.not_comparable.values())
    reasons = ", ".join(f"{name} {count}" for name, count in list(o.reads.not_comparable.items())[:3])
    return f"{total} not comparable ({reasons})" if total else "0 not comparable"
