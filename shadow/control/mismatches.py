"""Mismatches as people look at them: read from `shadow.mismatch`, resolved by a person. For the API and the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg2.extensions import cursor as PgCursor

from ..compare import store
from ..config import Settings
from ..cutover.attempt import dsn_of
from ..errors import TargetError
from ..postgres.connect import connect

LIST_MAX = 500

_KNOWN = "SELECT to_regclass('shadow.mismatch') IS NOT NULL"
# Times as ISO 8601 in UTC, to the second: what a browser and a person read.
_LIST = """
SELECT id, fingerprint, reason, sql, params, position, origin_result, target_result, seen,
       to_char(first_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), to_char(last_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       to_char(resolved_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
FROM shadow.mismatch
WHERE pair = %s AND (resolved_at IS NULL OR %s)
ORDER BY resolved_at IS NOT NULL, last_at DESC, id DESC
LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One shape of read that gave two answers, for one reason; the newest example of it."""

    id: int
    fingerprint: str
    reason: str
    sql: str
    #: Values here and in the results are in the form of `compare.jsonable`.
    params: object
    position: int
    origin_result: object
    target_result: object
    seen: int
    first_at: str
    last_at: str
    resolved_at: str | None


def listed(settings: Settings, *, resolved_too: bool = False, limit: int = LIST_MAX) -> list[Mismatch]:
    """Open mismatches, newest first; then, when asked for, the resolved ones. Raises `TargetError`."""
    with _store(settings) as cursor:
        cursor.execute(_LIST, (settings.pg_schema, resolved_too, max(1, min(limit, LIST_MAX))))
        return [_mismatch(row) for row in cursor.fetchall()]


def resolve(settings: Settings, ids: list[int]) -> int:
    """A person says these are settled; how many of them were open. Raises `TargetError`."""
    with _store(settings) as cursor:
        return store.resolve(cursor, settings.pg_schema, ids)


def _mismatch(row: tuple[object, ...]) -> Mismatch:
    values = list(row)
    for at in (4, 6, 7):  # jsonb comes as text on our connections
        values[at] = json.loads(str(values[at]))
    return Mismatch(*values)  # type: ignore[arg-type]


@contextmanager
def _store(settings: Settings) -> Iterator[PgCursor]:
    conn = connect(dsn_of(settings), purpose="mismatches", autocommit=True)
    try:
        with conn.cursor() as cursor:
            cursor.execute(_KNOWN)
            known = cursor.fetchone()
            if known is None or not known[0]:
                raise TargetError("PostgreSQL has no mismatch store yet; run `shadow init`")
            yield cursor
    finally:
        conn.close()
