"""One statement of the app as it is to be run on PostgreSQL: what to send and what SQLite said came of it."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg2.extensions import cursor as PgCursor

from ..journal.record import Executed
from .statements import Plan, PlanStep, Statements

#: A step and its parameters.
Command = tuple[PlanStep, Sequence[object]]


class Change:
    """The commands of one journalled statement."""

    __slots__ = ("now", "rows", "rows_each", "sets")

    def __init__(self, sets: list[list[Command]], rows: int | None, rows_each: int | None, now: str | None) -> None:
        #: The commands of each parameter set.
        self.sets = sets
        #: Rows SQLite changed, over all sets; None: it gave no number.
        self.rows = rows
        #: Rows each counted command must write; None: only the sum is known.
        self.rows_each = rows_each
        self.now = now


class Untranslatable(Exception):
    """The translator gives no PostgreSQL form; the message is its reason."""


def bind(cursor: PgCursor, item: Executed, first: Plan, statements: Statements) -> Change:
    """Bind every parameter set. Raises `Untranslatable`, before anything is sent."""
    rowids = item.rowids
    # OR IGNORE: a set that inserted nothing has no row id, and nothing to do here. (Where more rows changed than have
    # ids, some set took the DO UPDATE way: then all are run.)
    idle = rowids is not None and item.rowcount == len(rowids) - rowids.count(None)
    sets: list[list[Command]] = []
    counted = 0
    for number, params in enumerate(item.param_sets):
        rowid = rowids[number] if rowids is not None and number < len(rowids) else None
        if idle and rowid is None:
            continue
        plan = first if number == 0 else statements.plan(cursor, item.sql, params)
        if plan.translation.unsupported is not None:
            raise Untranslatable(plan.translation.unsupported.reason)
        try:
            bound = plan.bind(params, rowid)
        except LookupError as error:
            raise Untranslatable(f"a value that only the app's connection knows is needed ({error})") from error
        sets.append(list(zip(plan.steps, bound, strict=True)))
        for step in plan.steps:
            counted += step.counted
    rows = item.rowcount if item.rowcount >= 0 else None
    rows_each = rows if counted == 1 else 1 if rows == counted and idle else None
    return Change(sets, rows, rows_each, item.now)
