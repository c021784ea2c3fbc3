"""Verdicts in PostgreSQL: shapes and their coverage, mismatches with both results, counters.

A mismatch is one row per (shape, reason), however often it is seen. It stays open until its tables have been repaired
or verified, or a person resolves it; equal results afterwards do not resolve it by themselves, because the reason for
the difference may still be there. Seen again, it is open again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from psycopg2.extensions import cursor as PgCursor
from psycopg2.extras import execute_values

from ..translate import Purpose, translate
from ..translate.catalog import Catalog, fold
from ..types import SqliteRow
from . import jsonable
from .judge import first_difference, only_in
from .samples import SURPLUS, Seen
from .verdict import Comparison, Reason, Result, Verdict

_ROWS_SHOWN = 20
_ROWS_BEFORE_DIFFERENCE = 3
_SQL_CHARS_MAX = 20_000

_SHAPES = """
INSERT INTO shadow.shape AS s
    (pair, fingerprint, sql, seen, compared, mismatched, not_comparable, unsupported, last_compared_at, proof_epoch)
VALUES %s
ON CONFLICT (pair, fingerprint) DO UPDATE SET
    seen = s.seen + excluded.seen,
    compared = s.compared + excluded.compared,
    mismatched = s.mismatched + excluded.mismatched,
    not_comparable = s.not_comparable + excluded.not_comparable,
    -- A verdict shows that the shape is supported now.
    unsupported = CASE WHEN excluded.compared > 0 THEN NULL ELSE coalesce(excluded.unsupported, s.unsupported) END,
    last_compared_at = coalesce(excluded.last_compared_at, s.last_compared_at),
    proof_epoch = greatest(s.proof_epoch, excluded.proof_epoch)
"""
_SHAPE_ROW = "(%s, %s, %s, %s, %s, %s, %s, %s, CASE WHEN %s THEN now() END, %s)"

_MISMATCH = """
INSERT INTO shadow.mismatch AS m
    (pair, fingerprint, reason, sql, params, position, origin_result, target_result, seen)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (pair, fingerprint, reason) DO UPDATE SET
    sql = excluded.sql, params = excluded.params, position = excluded.position,
    origin_result = excluded.origin_result, target_result = excluded.target_result,
    seen = m.seen + excluded.seen, last_at = now(), resolved_at = NULL
"""

_COUNTERS = """
INSERT INTO shadow.counter AS c (pair, name, value) VALUES %s
ON CONFLICT (pair, name) DO UPDATE SET value = c.value + excluded.value
"""


@dataclass(slots=True)
class _Shape:
    sql: str
    seen: int = 0
    compared: int = 0
    mismatched: int = 0
    not_comparable: int = 0
    unsupported: str | None = None
    matched: bool = False


def record(
    cursor: PgCursor,
    pair: str,
    comparisons: Sequence[Comparison],
    *,
    seen: Mapping[str, Seen],
    dropped: Mapping[str, int],
    proof_epoch: int,
) -> None:
    """Store one round, in the caller's transaction."""
    _record_shapes(cursor, pair, comparisons, seen, proof_epoch)
    _record_mismatches(cursor, pair, comparisons)
    counters: Counter[str] = Counter()
    counters["seen"] += sum(shape.count for shape in seen.values())
    for reason, count in dropped.items():
        counters[reason if reason == SURPLUS else f"dropped.{storable(reason)[:100]}"] += count
    for comparison in comparisons:
        if comparison.verdict is Verdict.NOT_COMPARABLE:
            counters[f"not_comparable.{comparison.reason}"] += 1
        else:
            counters[f"compared.{comparison.verdict}"] += 1
    rows = sorted((pair, name, value) for name, value in counters.items() if value)
    if rows:
        execute_values(cursor, _COUNTERS, rows)


def resolve(cursor: PgCursor, pair: str, ids: Iterable[int]) -> int:
    """A person says these mismatches are settled; gives how many were open."""
    cursor.execute(
        "UPDATE shadow.mismatch SET resolved_at = now() WHERE pair = %s AND id = ANY(%s) AND resolved_at IS NULL",
        (pair, list(ids)),
    )
    return cursor.rowcount


def resolve_tables(cursor: PgCursor, pair: str, catalog: Catalog, tables: Iterable[str], upto_position: int) -> int:
    """The tables were repaired or found equal at `upto_position`: mismatches seen before it, on reads
    of nothing but these tables, are settled. One whose cause is not in the rows comes back with the next sample."""
    settled = frozenset(map(fold, tables))
    cursor.execute(
        "SELECT id, sql FROM shadow.mismatch WHERE pair = %s AND resolved_at IS NULL AND position <= %s",
        (pair, upto_position),
    )
    ids = []
    for identity, sql in cursor.fetchall():
        reads = translate(sql, catalog, purpose=Purpose.APP).reads
        if reads and reads <= settled:
            ids.append(identity)
    return resolve(cursor, pair, ids)


def storable(text: str) -> str:
    """Text as PostgreSQL can hold it: SQLite's may have NUL characters and lone surrogates."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")


def _record_shapes(
    cursor: PgCursor, pair: str, comparisons: Sequence[Comparison], seen: Mapping[str, Seen], proof_epoch: int
) -> None:
    shapes = {fingerprint: _Shape(found.sql, seen=found.count) for fingerprint, found in seen.items()}
    for comparison in comparisons:
        shape = shapes.setdefault(comparison.sample.fingerprint, _Shape(comparison.sample.sql))
        if comparison.verdict is Verdict.NOT_COMPARABLE:
            shape.not_comparable += 1
            if comparison.reason is Reason.UNSUPPORTED:
                shape.unsupported = comparison.detail
        else:
            shape.compared += 1
            shape.mismatched += comparison.verdict is Verdict.MISMATCH
            shape.matched |= comparison.verdict is Verdict.MATCH
    rows = [
        (
            pair,
            fingerprint,
            storable(shape.sql[:_SQL_CHARS_MAX]),
            shape.seen,
            shape.compared,
            shape.mismatched,
            shape.not_comparable,
            shape.unsupported,
            shape.compared > 0,
            proof_epoch if shape.matched and not shape.mismatched else 0,
        )
        for fingerprint, shape in sorted(shapes.items())  # one order for all, so that two agents cannot deadlock
    ]
    if rows:
        execute_values(cursor, _SHAPES, rows, template=_SHAPE_ROW)


def _record_mismatches(cursor: PgCursor, pair: str, comparisons: Sequence[Comparison]) -> None:
    latest: dict[tuple[str, str], tuple[Comparison, int]] = {}
    for comparison in comparisons:
        if comparison.verdict is Verdict.MISMATCH:
            key = (comparison.sample.fingerprint, str(comparison.reason))
            latest[key] = (comparison, latest[key][1] + 1 if key in latest else 1)
    for (fingerprint, reason), (comparison, count) in sorted(latest.items(), key=lambda found: found[0]):
        origin, target = both_results(comparison)
        cursor.execute(
            _MISMATCH,
            (
                pair,
                fingerprint,
                reason,
                storable(comparison.sample.sql[:_SQL_CHARS_MAX]),
                json.dumps(jsonable.params(comparison.sample.params)),
                comparison.position,
                json.dumps(origin, allow_nan=False),
                json.dumps(target, allow_nan=False),
                count,
            ),
        )


def both_results(comparison: Comparison) -> tuple[dict[str, jsonable.Json], dict[str, jsonable.Json]]:
    """Both sides for people: the rows around the first difference, and the rows that only one side has."""
    origin, target = comparison.origin or Result(), comparison.target or Result()
    start = max(0, first_difference(origin.rows, target.rows) - _ROWS_BEFORE_DIFFERENCE)
    return _shown(origin, target.rows, start), _shown(target, origin.rows, start)


def _shown(result: Result, others: Sequence[SqliteRow], start: int) -> dict[str, jsonable.Json]:
    if result.error is not None:
        return {"error": result.error, "message": storable(result.message or "")}
    return {
        "columns": [jsonable.value(name) for name in result.columns],
        "row_count": len(result.rows),
        "first_row": start,
        "rows": [jsonable.row(row) for row in result.rows[start : start + _ROWS_SHOWN]],
        "only_here": [jsonable.row(row) for row in only_in(result.rows, others, _ROWS_SHOWN)],
    }
