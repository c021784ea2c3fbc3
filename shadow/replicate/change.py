"""One statement of the app as it is to be run on PostgreSQL: what to send and what SQLite said came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..journal.record import Executed, Params
from ..translate import Translation
from .command import Command
from .statements import Statements


@dataclass(frozen=True, slots=True)
class Change:
    """The commands of one journalled statement."""

    #: The commands of each parameter set.
    sets: Sequence[Sequence[Command]]
    #: Rows SQLite changed, over all sets; None: it gave no number.
    rows: int | None
    #: Rows each single command must write; None: only the sum is known.
    rows_each: int | None
    now: str | None


class Untranslatable(Exception):
    """The translator gives no PostgreSQL form; the message is its reason."""


def bind(item: Executed, first: Translation, statements: Statements) -> Change:
    """Bind every parameter set. Raises `Untranslatable`, before anything is sent."""
    rowids = item.rowids
    # OR IGNORE: a set that inserted nothing has no row id, and nothing to do here. (Where more rows changed than have
    # ids, some set took the DO UPDATE way: then all are run.)
    inserted = None if rowids is None else len(rowids) - rowids.count(None)
    idle = rowids is not None and item.rowcount == inserted
    sets: list[list[Command]] = []
    for number, params in enumerate(item.param_sets):
        if idle and rowids is not None and number < len(rowids) and rowids[number] is None:
            continue
        translation = first if number == 0 else statements.translation(item.sql, params)
        if translation.unsupported is not None:
            raise Untranslatable(translation.unsupported.reason)
        rowid = rowids[number] if rowids is not None and number < len(rowids) else None
        sets.append(_commands(translation, params, rowid))
    rows = item.rowcount if item.rowcount >= 0 else None
    counted = sum(command.counted for commands in sets for command in commands)
    rows_each = rows if counted == 1 else 1 if rows == counted and idle else None
    return Change(sets, rows, rows_each, item.now)


def _commands(translation: Translation, params: Params, rowid: int | None) -> list[Command]:
    try:
        bound = translation.bind(params, rowid)
    except LookupError as error:
        raise Untranslatable(f"a value that only the app's connection knows is needed ({error})") from error
    last = len(bound) - 1
    return [
        Command(sql, values, step.counted, number == last and translation.returns_rows)
        for number, ((sql, values), step) in enumerate(zip(bound, translation.steps, strict=True))
    ]
