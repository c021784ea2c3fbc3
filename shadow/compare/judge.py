"""Are two results the same to the app? Pure: rows in, reason out.

Rows are compared with type and value. Their order counts only where the query fixes it: entirely with a total order,
else only that the same rows are there. A LIMIT without total order does not fix which rows come, only how many.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Sequence

from ..translate import Order
from ..types import SqliteRow, SqliteValue
from ..values.compare import same_rows
from .verdict import Reason

_DOUBLE = struct.Struct("<d")
#: Relative; a double has about 16 digits, adding a million of them in another order touches the last few.
_SUM_TOLERANCE = 1e-10


def judge(
    origin: Sequence[SqliteRow],
    target: Sequence[SqliteRow],
    order: Order,
    *,
    limited: bool,
    keys: tuple[int, ...] = (),
) -> Reason | None:
    """None: the same. `Reason.ORDER_NOT_FIXED`: they differ, and SQLite would not have promised either.

    `keys`: the result columns that the rows are sorted by, as far as they are known.
    """
    if len(origin) != len(target):
        return Reason.ROW_COUNT
    if all(map(same_rows, origin, target)):
        return None
    same_set = Counter(map(row_key, origin)) == Counter(map(row_key, target))
    if order is Order.TOTAL:
        return Reason.ORDER if same_set else Reason.ROWS
    if not same_set:
        return Reason.ORDER_NOT_FIXED if limited else Reason.ROWS
    # Rows that tie may change places, their keys may not. (Compared as SQL compares: 1 and 1.0 tie.)
    in_order = all(a[key] == b[key] for a, b in zip(origin, target, strict=True) for key in keys)
    return None if in_order else Reason.ORDER


def settle_sums(origin: Sequence[SqliteRow], target: Sequence[SqliteRow]) -> list[SqliteRow]:
    """`target` with every row that differs from one of `origin` only in the last digits of reals replaced by that one.

    For queries that add up reals: SQLite adds in the order of its scan, and with another index or after ANALYZE it
    would give other last digits itself.
    """
    left: dict[tuple[object, ...], list[SqliteRow]] = {}
    for row in origin:
        left.setdefault(_without_reals(row), []).append(row)
    settled: list[SqliteRow] = []
    for row in target:
        candidates = left.get(_without_reals(row), [])
        found = next((i for i, other in enumerate(candidates) if _close(row, other)), None)
        settled.append(row if found is None else candidates.pop(found))
    return settled


def _without_reals(row: SqliteRow) -> tuple[object, ...]:
    return tuple((type(value), None if isinstance(value, float) else value) for value in row)


def _close(a: SqliteRow, b: SqliteRow) -> bool:
    pairs = zip(a, b, strict=True)
    return all(
        math.isclose(x, y, rel_tol=_SUM_TOLERANCE) for x, y in pairs if isinstance(x, float) and isinstance(y, float)
    )


def first_difference(origin: Sequence[SqliteRow], target: Sequence[SqliteRow]) -> int:
    """Index of the first row that differs, for showing."""
    for index, (a, b) in enumerate(zip(origin, target, strict=False)):
        if not same_rows(a, b):
            return index
    return min(len(origin), len(target))


def only_in(rows: Sequence[SqliteRow], others: Sequence[SqliteRow], most: int) -> list[SqliteRow]:
    """Rows that the other side does not have (as often)."""
    left = Counter(map(row_key, others))
    found: list[SqliteRow] = []
    for row in rows:
        key = row_key(row)
        if left[key] > 0:
            left[key] -= 1
        else:
            found.append(row)
            if len(found) == most:
                break
    return found


def row_key(row: SqliteRow) -> tuple[object, ...]:
    """Equal exactly for rows that are the same; hashable."""
    return tuple(map(_value_key, row))


def _value_key(value: SqliteValue) -> object:
    if isinstance(value, float):
        return (float, _DOUBLE.pack(value))
    return (type(value), value)
