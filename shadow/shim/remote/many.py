"""executemany in PostgreSQL mode: many runs of one statement in few round trips.

Runs whose row count is certain (an INSERT of one VALUES row that nothing can skip) share a string; the others cost a
round trip each, because a string answers with its last statement's count only. SQLite keeps the rows that were done
before an error: a string that fails is undone and its runs are made again one by one, up to the one that fails.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from ...errors import NotPrimary
from ...postgres.errors import locked
from ..classify import Kind, classify
from .result import RemoteResult

if TYPE_CHECKING:
    from .session import RemoteSession

#: Runs that share one string.
BATCH_RUNS_MAX = 200


def run_many(
    session: RemoteSession, sql: str, param_sets: Iterable[object], implicit_begin: str | None
) -> RemoteResult:
    """All sets, in order; the result's count is the sum. `lastrowid` stays as it is."""
    if classify(sql).kind is not Kind.WRITE:
        raise sqlite3.ProgrammingError("executemany() can only execute DML statements.")
    sets = iter(param_sets)
    count, started = 0, False
    while batch := list(islice(sets, BATCH_RUNS_MAX)):
        try:
            count += _batch(session, sql, batch, implicit_begin)
        except NotPrimary as error:
            if started:  # earlier sets are committed there: they must not run again elsewhere
                raise locked() from error
            raise
        started = True
    return RemoteResult(rowcount=count, is_dml=True)


def _batch(session: RemoteSession, sql: str, batch: list[object], implicit_begin: str | None) -> int:
    if len(batch) > 1:
        done = session.execute_batch(sql, batch, implicit_begin=implicit_begin)
        if done is not None:
            return done
    return sum(_counts(session, sql, batch, implicit_begin))


def _counts(session: RemoteSession, sql: str, batch: list[object], implicit_begin: str | None) -> Iterator[int]:
    for place, params in enumerate(batch):
        try:
            yield session.execute(sql, params, implicit_begin=implicit_begin).rowcount
        except NotPrimary as error:
            if place:
                raise locked() from error
            raise
