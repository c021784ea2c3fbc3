"""What became of a cutover or rollback, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .output import duration, print_json, say

if TYPE_CHECKING:
    from ..cutover.outcome import Outcome


def report(outcome: Outcome, *, as_json: bool) -> int:
    """Print it; the exit code: 0 done, 1 refused or called off (the app goes on where it was), 2 not known."""
    if as_json:
        from ..control.jsonable import jsonable

        fields = jsonable(outcome)
        assert isinstance(fields, dict)
        print_json({"ok": outcome.ok, **fields})
    else:
        for line in _lines(outcome):
            say(line)
    return outcome.exit_code


def _lines(outcome: Outcome) -> Iterator[str]:
    words = outcome.result.value.replace("_", " ")
    yield f"{outcome.direction.value}: {words}" + (f": {outcome.why}" if outcome.why else "")
    at = f", position {outcome.position}" if outcome.position else ""
    yield f"primary is {outcome.primary.value}, epoch {outcome.epoch}{at}"
    if outcome.ok:
        yield (
            f"the app waited at most {duration(outcome.wait_seconds)}, the fence was held"
            f" {duration(outcome.fence_seconds)}, {outcome.drained} drained inside it"
        )
    if outcome.closed_gates:
        yield "closed gates: " + ", ".join(outcome.closed_gates)
    if outcome.forced_gates:
        yield f"forced gates: {', '.join(outcome.forced_gates)} ({outcome.reason})"
    yield from (f"in the way: {holder}" for holder in outcome.holders)
    yield from (f"terminated: {holder}" for holder in outcome.terminated)
    yield from (f"warning: {warning}" for warning in outcome.warnings)
    if outcome.steps:
        yield "steps: " + ", ".join(
            f"{step.name.partition('.')[2] or step.name} {duration(step.seconds)}" for step in outcome.steps
        )
