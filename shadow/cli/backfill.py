"""`shadow backfill`: existing rows, while the app keeps writing."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from .output import duration, note, print_json, say, table
from .settings import DatabaseUrl, Json, PgSchema, SqlitePath, pair_settings

if TYPE_CHECKING:
    from rich.progress import TaskID

_LINE_SECONDS_MIN = 2.0


def register(app: typer.Typer) -> None:
    app.command()(backfill)


def backfill(
    again: Annotated[
        bool, typer.Option("--again", help="Copy everything anew, also when it was copied before.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    sqlite: SqlitePath = None,
    database_url: DatabaseUrl = None,
    pg_schema: PgSchema = None,
    as_json: Json = False,
) -> int:
    """Copy the existing rows into PostgreSQL, from one snapshot at a known position. The app keeps writing.

    What is written meanwhile is in the journal; the agent applies it from that position on. Interrupted, it is simply
    run again. Progress goes to stderr: a bar on a terminal, lines otherwise.

    \b
    shadow backfill
    shadow backfill --again --json
    """
    from ..backfill.backfill import backfill as copy

    settings = pair_settings(sqlite, database_url, pg_schema)
    with _progress(quiet) as progress:
        report = copy(settings, progress=progress.update, again=again)
    if as_json:
        print_json({"ok": True, "rows": report.rows, "report": report})
        return 0
    rows = sorted(report.tables, key=lambda t: -t.rows)
    for line in table(("table", "rows", "time"), [(t.name, f"{t.rows:,}", duration(t.seconds)) for t in rows]):
        say(line)
    rate = report.rows / report.seconds if report.seconds else 0.0
    say(f"{report.rows:,} rows in {duration(report.seconds)} ({rate:,.0f} rows/s), at position {report.position}")
    for finding in report.findings:
        say(f"note: {finding.message}")
    say("next: `shadow agent`")
    return 0


class _Progress(Protocol):
    def __enter__(self) -> _Progress: ...
    def __exit__(self, *exc: object) -> None: ...
    def update(self, name: str, done: int, total: int) -> None: ...


def _progress(quiet: bool) -> _Progress:
    if quiet:
        return _Silent()
    return _Bars() if sys.stderr.isatty() else _Lines()


class _Silent:
    def __enter__(self) -> _Silent:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def update(self, name: str, done: int, total: int) -> None:
        return None


class _Lines(_Silent):
    """For logs: each table when it is finished, and big ones every two seconds."""

    def __init__(self) -> None:
        self._started = self._said_at = time.monotonic()
        self._table = ""

    def update(self, name: str, done: int, total: int) -> None:
        now = time.monotonic()
        if name != self._table:
            self._table, self._started, self._said_at = name, now, now
        finished = done >= total
        if not finished and now - self._said_at < _LINE_SECONDS_MIN:
            return
        self._said_at = now
        seconds = now - self._started
        rate = f", {done / seconds:,.0f} rows/s" if seconds > 0.1 and done else ""
        left = f", {duration((total - done) * seconds / done)} left" if done and not finished and seconds > 0 else ""
        note(f"backfill {name}: {done:,} of {total:,} rows{rate}{left}")


class _Bars(_Silent):
    """For a terminal: one bar a table."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Bars:
        self._bars.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bars.stop()

    def update(self, name: str, done: int, total: int) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total)
        self._bars.update(self._tasks[name], completed=done, total=max(total, done))
