"""Printing: one JSON object on stdout, or lines for people; progress only where it cannot disturb either."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence


def print_json(value: object) -> None:
    """The command's one JSON object."""
    from ..control.jsonable import dumps

    sys.stdout.write(dumps(value, indent=2) + "\n")
    sys.stdout.flush()


def say(line: str = "") -> None:
    """A line of the answer. Characters that the terminal's encoding lacks are escaped, never an error."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    sys.stdout.flush()


def note(line: str) -> None:
    """A line beside the answer (progress, warnings): on stderr, so that stdout stays clean."""
    encoding = sys.stderr.encoding or "utf-8"
    sys.stderr.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    sys.stderr.flush()


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A plain table: columns as wide as needed, numbers to the right."""
    body = [["" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(headers), *body]) for i in range(len(headers))]
    right = [bool(body) and all(_is_number(line[i]) for line in body) for i in range(len(headers))]

    def render(cells: Sequence[str]) -> str:
        parts = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True))
        return "  ".join(parts).rstrip()

    return [render(list(headers)), render(["-" * w for w in widths]), *(render(line) for line in body)]


def duration(seconds: float | None) -> str:
    """A length of time as people say it."""
    if seconds is None or seconds < 0:
        return "never"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").replace("-", "").replace("%", "").strip().isdigit()
