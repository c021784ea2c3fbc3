"""`shadow verify`: every table, both sides, at one position; and repair."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError
from .output import duration, note, print_json, say, table
from .settings import DatabaseUrl, Json, PgSchema, SqlitePath, pair_settings

if TYPE_CHECKING:
    from ..verify.diff import RowDiff, TableDiff
    from ..verify.repair import RepairReport, TableRepair
    from ..verify.verify import VerifyReport

_EXAMPLES_SHOWN = 5
_LINE_SECONDS_MIN = 2.0


def register(app: typer.Typer) -> None:
    app.command()(verify)


def verify(
    repair: Annotated[
        bool, typer.Option("--repair", help="Make PostgreSQL's rows equal to SQLite's, then compare.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --repair: say what would be changed, change nothing.")
    ] = False,
    tables: Annotated[
        list[str] | None, typer.Option("--table", metavar="NAME", help="Only this table; may be repeated.")
    ] = None,
    sqlite: SqlitePath = None,
    database_url: DatabaseUrl = None,
    pg_schema: PgSchema = None,
    as_json: Json = False,
) -> int:
    """Compare every row of every table on both sides, at one position, while the app keeps working.

    Values are compared as the app would see them, type and value. A table that could not be compared to its end is "not
    verified", never equal. Exit code 1: rows differ, or a table is not verified.

    \b
    shadow verify
    shadow verify --table kpis --table messages
    shadow verify --repair --dry-run
    shadow verify --repair
    """
    from ..control.verification import repair_pair, verify_pair

    if dry_run and not repair:
        raise ConfigError("--dry-run says what --repair would do; give both")
    settings = pair_settings(sqlite, database_url, pg_schema)
    only = tuple(tables) if tables else None
    mended = repair_pair(settings, only, dry_run=dry_run) if repair else None
    progress = _Progress()
    report = None if mended and mended.dry_run else verify_pair(settings, only, progress=progress.update)
    found = _found(report, mended)
    if as_json:
        print_json(_as_json(report, mended, ok=not found))
    else:
        for line in _lines(report, mended):
            say(line)
    return 1 if found else 0


def _found(report: VerifyReport | None, mended: RepairReport | None) -> bool:
    """Something is wrong now: after a repair, what is still wrong; after a plan, what it would mend."""
    if report is not None:
        return not report.equal
    return mended is not None and bool(mended.rows)


def _as_json(report: VerifyReport | None, mended: RepairReport | None, *, ok: bool) -> dict[str, object]:
    shown: dict[str, object] = {"ok": ok, "repaired_rows": 0 if mended is None or mended.dry_run else mended.rows}
    if mended is not None:
        shown["repair"] = {
            "dry_run": mended.dry_run,
            "position": mended.position,
            "rows": mended.rows,
            "journal_replaced": mended.journal_replaced,
            "seconds": mended.seconds,
            "tables": [_repair_json(t) for t in mended.tables],
        }
    if report is not None:
        shown.update(
            verified=report.verified,
            equal=report.equal,
            position=report.position,
            seconds=report.seconds,
            rows_compared=report.rows_compared,
            rows_wrong=report.rows_wrong,
            tables=[_table_json(t) for t in report.tables],
        )
    return shown


def _table_json(t: TableDiff) -> dict[str, object]:
    return {
        "table": t.table,
        "rows_compared": t.rows_compared,
        "rows_different": t.different,
        "rows_missing": t.missing,
        "rows_extra": t.extra,
        "complete": t.complete,
        "detail": t.detail,
        "examples": [_example_json(e, t.columns) for e in t.examples],
    }


def _repair_json(t: TableRepair) -> dict[str, object]:
    return {
        "table": t.table,
        "rows_different": t.different,
        "rows_missing": t.missing,
        "rows_extra": t.extra,
        "widened": t.widened,
        "examples": [_example_json(e, t.columns) for e in t.examples],
    }


def _example_json(e: RowDiff, columns: tuple[str, ...]) -> dict[str, object]:
    from ..compare.jsonable import row

    return {
        "kind": e.kind,
        "key": row(e.key),
        "columns": columns,
        "origin": None if e.origin is None else row(e.origin),
        "target": None if e.target is None else row(e.target),
    }


def _lines(report: VerifyReport | None, mended: RepairReport | None) -> Iterator[str]:
    if mended is not None:
        yield from _repair_lines(mended)
    if report is None:
        return
    head = ("table", "rows", "different", "missing", "extra", "")
    rows = [
        (
            t.table,
            f"{t.rows_compared:,}",
            t.different,
            t.missing,
            t.extra,
            "" if t.complete else "NOT VERIFIED " + t.detail,
        )
        for t in report.tables
    ]
    yield from table(head, rows)
    for t in report.tables:
        yield from _examples(t.table, t.columns, t.examples)
    verdict = "equal" if report.equal else f"{report.rows_wrong} rows differ" if report.verified else "NOT VERIFIED"
    rate = report.rows_compared / report.seconds if report.seconds else 0.0
    yield (
        f"{verdict}: {report.rows_compared:,} rows compared at position {report.position}"
        f" in {duration(report.seconds)} ({rate:,.0f} rows/s)"
    )


def _repair_lines(mended: RepairReport) -> Iterator[str]:
    verb = "would be" if mended.dry_run else "were"
    for t in mended.tables:
        if t.rows or t.widened:
            yield f"{t.table}: {t.different} changed, {t.missing} added, {t.extra} deleted" + (
                f"; columns widened: {', '.join(t.widened)}" if t.widened else ""
            )
            yield from _examples(t.table, t.columns, t.examples)
    if mended.journal_replaced:
        yield "the journal did not fit any more: all tables were brought to the file's present state"
    yield f"{mended.rows} rows {verb} brought in line at position {mended.position}, in {duration(mended.seconds)}"


def _examples(name: str, columns: tuple[str, ...], examples: tuple[RowDiff, ...] | list[RowDiff]) -> Iterator[str]:
    from ..compare.jsonable import row
    from .mismatches import shown_value

    for e in examples[:_EXAMPLES_SHOWN]:
        yield f"  {name} {', '.join(shown_value(v) for v in row(e.key))}: {e.kind.value}"
        for side, values in (("SQLite", e.origin), ("PostgreSQL", e.target)):
            if values is not None:
                cells = (f"{c}={shown_value(v)}" for c, v in zip(columns, row(values), strict=False))
                yield f"    {side.ljust(10)}  {', '.join(cells)}"


class _Progress:
    """A line on stderr every two seconds, where somebody watches."""

    def __init__(self) -> None:
        self._said_at = time.monotonic()

    def update(self, name: str, rows: int) -> None:
        if sys.stderr.isatty() and time.monotonic() - self._said_at >= _LINE_SECONDS_MIN:
            self._said_at = time.monotonic()
            note(f"verify {name}: {rows:,} rows")
