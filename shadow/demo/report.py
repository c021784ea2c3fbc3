"""What the demo shows: a line for each step with its figures, and the closing table of promise against measured."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TextIO


@dataclass
class Figures:
    """What `shadow demo --json` prints; the keys are an interface."""

    ok: bool = False
    seconds: float = 0.0
    writes: int = 0
    reads: int = 0
    reads_compared: int = 0
    not_comparable_percent: float = 100.0
    shapes: int = 0
    shapes_not_compared: int = -1
    false_mismatches: int = -1
    injected_divergences: int = 0
    found_divergences: int = 0
    found_by_reads: int = 0
    repaired_rows: int = 0
    backfilled_rows: int = 0
    catch_up_after_agent_kill_seconds: float = -1.0
    catch_up_after_postgres_stop_seconds: float = -1.0
    cutovers: int = 0
    rollbacks: int = 0
    cutover_pause_ms: float = -1.0
    rollback_pause_ms: float = -1.0
    #: The longest call without any switch: just before, or on SQLite before there was a shadow, whichever was longer.
    cutover_usual_ms: float = -1.0
    rollback_usual_ms: float = -1.0
    cutover_fence_ms: float = -1.0
    rollback_fence_ms: float = -1.0
    longest_call_before_ms: float = -1.0
    app_errors: int = -1
    app_error_texts: dict[str, int] = field(default_factory=dict)
    lost_writes: int = -1
    doubled_writes: int = -1
    writes_in_doubt: int = 0
    rows_compared_at_end: int = 0
    rows_different_at_end: int = -1
    judge_complaints: list[str] = field(default_factory=list)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Promise:
    """One row of the closing table."""

    what: str
    promised: str
    measured: str
    kept: bool


#: The longest call that any client may have seen while the flag was switched, in ms; two busy cores, five clients, a
#: command that has to start. SQLite's own busy handler makes up to 180 ms of a lock held for 30. On a machine that
#: makes calls wait longer than that without any switch, twice as long as without.
PAUSE_MS_MAX = 2000.0
READS_COMPARED_MIN = 5000
NOT_COMPARABLE_PERCENT_MAX = 5.0


def promises(f: Figures, reads_compared_min: int = READS_COMPARED_MIN) -> list[Promise]:
    """What was promised, what was measured. A figure that was never taken keeps no promise."""
    share = NOT_COMPARABLE_PERCENT_MAX
    compared = f"{f.reads_compared:,}"
    rows = f"{_known(f.rows_different_at_end)} of {f.rows_compared_at_end:,}"
    writes = f"{_known(f.lost_writes)} of {f.writes:,}"
    lost, shapes = f"{f.not_comparable_percent:.1f} %", f"{_known(f.shapes_not_compared)} of {f.shapes}"
    found = f"{f.found_divergences} of {f.injected_divergences}"
    all_found = f.found_divergences == f.injected_divergences > 0
    cutover = f"{_known(f.cutover_pause_ms)} ms (without: {_known(f.cutover_usual_ms)})"
    rollback = f"{_known(f.rollback_pause_ms)} ms (without: {_known(f.rollback_usual_ms)})"
    cutovers_short = f.cutovers == 2 and _short(f.cutover_pause_ms, f.cutover_usual_ms)
    rollback_short = f.rollbacks == 1 and _short(f.rollback_pause_ms, f.rollback_usual_ms)
    return [
        Promise("errors the app saw", "0", _known(f.app_errors), f.app_errors == 0),
        Promise("acknowledged writes lost", "0", writes, f.lost_writes == 0 < f.writes),
        Promise("writes done twice", "0", _known(f.doubled_writes), f.doubled_writes == 0),
        Promise("rows different at the end", "0", rows, f.rows_different_at_end == 0 < f.rows_compared_at_end),
        Promise("reads compared", f"≥ {reads_compared_min:,}", compared, f.reads_compared >= reads_compared_min),
        Promise("reads not comparable", f"≤ {share:.0f} %", lost, f.not_comparable_percent <= share),
        Promise("statement shapes never compared", "0", shapes, f.shapes_not_compared == 0 < f.shapes),
        Promise("false mismatches", "0", _known(f.false_mismatches), f.false_mismatches == 0),
        Promise("injected divergences found", "all", found, all_found),
        Promise("rows repaired", "all", str(f.repaired_rows), all_found and f.repaired_rows == f.injected_divergences),
        Promise("longest call, cutovers", _limit(f.cutover_usual_ms), cutover, cutovers_short),
        Promise("longest call, rollback", _limit(f.rollback_usual_ms), rollback, rollback_short),
    ]


def _known(value: float) -> str:
    """-1 stands for a figure that was never taken."""
    return "?" if value < 0 else f"{value:.0f}"


def _short(pause_ms: float, usual_ms: float) -> bool:
    return 0 <= pause_ms < max(PAUSE_MS_MAX, 2 * usual_ms)


def _limit(usual_ms: float) -> str:
    return f"< {max(PAUSE_MS_MAX, 2 * usual_ms):.0f} ms"


class Reporter:
    """Lines as the demo goes; on a terminal with rich, else plain. With `--json` they go to stderr."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._started = time.monotonic()
        self._step = ""

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def begin(self, step: str) -> None:
        self._step = step
        if self._stream.isatty():
            self._write(f"\r{self.seconds:6.1f} s  {step} ...", end="")

    def end(self, figures: str) -> None:
        start = "\r\033[2K" if self._stream.isatty() else ""
        self._write(f"{start}{self.seconds:6.1f} s  {self._step:<22} {figures}")

    def note(self, text: str) -> None:
        for line in text.splitlines():
            self._write(f"{'':10}  {line}")

    def table(self, figures: Figures, reads_compared_min: int) -> None:
        rows = [
            (p.what, p.promised, p.measured, "kept" if p.kept else "BROKEN")
            for p in promises(figures, reads_compared_min)
        ]
        if self._stream.isatty():
            from rich.console import Console
            from rich.table import Table

            table = Table(title="promise and measurement")
            for name in ("", "promised", "measured", ""):
                table.add_column(name, justify="left")
            for what, promised, shown, kept in rows:
                colour = "green" if kept == "kept" else "bold red"
                table.add_row(what, promised, shown, f"[{colour}]{kept}[/]")
            Console(file=self._stream).print(table)
            return
        self._write("")
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        for row in rows:
            self._write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def _write(self, text: str, end: str = "\n") -> None:
        encoding = self._stream.encoding or "utf-8"
        print(text.encode(encoding, "replace").decode(encoding), end=end, file=self._stream, flush=True)


def conclude(figures: Figures, reads_compared_min: int) -> None:
    """Set `ok`: everything as promised and no step failed."""
    figures.ok = not figures.failure and all(p.kept for p in promises(figures, reads_compared_min))


def print_json(figures: Figures) -> None:
    """One object, on one line, the last of stdout."""
    order = [f.name for f in fields(figures)]
    values: dict[str, Any] = asdict(figures)
    sys.stdout.write(json.dumps({name: _rounded(values[name]) for name in order}) + "\n")
    sys.stdout.flush()


def _rounded(value: Any) -> Any:
    return round(value, 2) if isinstance(value, float) else value
