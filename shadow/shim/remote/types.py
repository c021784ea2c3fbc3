"""`detect_types` on rows from PostgreSQL: sqlite3's converters, by column names ([type]) and by declared types.

What type a result column was declared with is SQLite's to say: the replica makes a view of the query and tells. A
converter gets the bytes that SQLite's text of the value has, and neither NULL nor `text_factory` comes near it.
"""

from __future__ import annotations

import itertools
import sqlite3
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

from ...types import SqliteRow
from ..plain import plain_connect
from ..tokens import T, tokenize
from .plan import Plan
from .result import RemoteResult

Converter: TypeAlias = Callable[[bytes], Any]

_views = itertools.count(1)
_lock = threading.Lock()  # guards the connection that writes floats as text
#: SQLite 3.41 and later give an expression in a view one of these; a column declared so cannot be told from it.
_MADE_UP = frozenset(("INT", "NUM", "REAL", "TEXT", "BLOB")) if sqlite3.sqlite_version_info >= (3, 41) else frozenset()


def shown_name(column: str, detect: int) -> str:
    """The name in `description`: with PARSE_COLNAMES it ends before ` [`."""
    if not detect & sqlite3.PARSE_COLNAMES or "[" not in column:
        return column
    name, _, _ = column.partition("[")
    return name[:-1] if name.endswith(" ") else name


def converters(result: RemoteResult, detect: int) -> tuple[Converter | None, ...] | None:
    """One for each column, or None when there is none at all."""
    columns = result.columns or ()
    known = sqlite3.converters
    declared = _declared(result.plan) if detect & sqlite3.PARSE_DECLTYPES and result.plan is not None else ()
    found: list[Converter | None] = []
    for place, column in enumerate(columns):
        one = None
        if detect & sqlite3.PARSE_COLNAMES and "]" in column.partition("[")[2]:
            one = known.get(column.partition("[")[2].partition("]")[0].upper())
        if one is None and len(declared) == len(columns):
            one = known.get(declared[place].replace("(", " ").partition(" ")[0].upper())
        found.append(one)
    return tuple(found) if any(found) else None


def converted(
    row: SqliteRow, found: tuple[Converter | None, ...], text: Callable[[bytes], Any] | None
) -> tuple[Any, ...]:
    """A row through its converters; what has none through `text`, the connection's text_factory."""
    out: list[Any] = []
    for value, one in zip(row, found, strict=True):
        if one is not None:
            out.append(None if value is None else one(_raw(value)))
        elif text is not None and type(value) is str:
            out.append(text(value.encode()))
        else:
            out.append(value)
    return tuple(out)


def _raw(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, float):
        with _lock:
            (value,) = _floats().execute("SELECT CAST(? AS TEXT)", (value,)).fetchone()
    return str(value).encode()


@cache
def _floats() -> sqlite3.Connection:
    return plain_connect(":memory:", check_same_thread=False)


def _declared(plan: Plan) -> tuple[str, ...]:
    """Declared types of the result columns, '' for none; empty: not known."""
    if plan.declared is None:
        plan.declared = _ask(plan)
    return plan.declared


def _ask(plan: Plan) -> tuple[str, ...]:
    replica = plan.replica
    if replica is None:
        return ()
    view = f"shadow_types_{next(_views)}"
    try:
        replica.execute(f"CREATE TEMP VIEW {view} AS {_query(plan)}")
    except sqlite3.Error:
        return ()
    try:
        types = [str(row[2]) for row in replica.execute(f"PRAGMA temp.table_info({view})").rows]
    finally:
        replica.execute(f"DROP VIEW temp.{view}")
    return tuple("" if t in _MADE_UP else t for t in types)


def _query(plan: Plan) -> str:
    """The text as a view can have it: no parameters, and what RETURNING names as a SELECT."""
    sql = plan.sql
    tokens = tokenize(sql)
    start = next((t.end for t in reversed(tokens) if t.kind is T.WORD and t.value == "RETURNING"), 0)
    out, at = [], start if plan.statement.returning else 0
    for token in tokens:
        if token.start >= at and token.kind in (T.VARIABLE, T.SEMICOLON):
            out.append(sql[at : token.start] + ("NULL" if token.kind is T.VARIABLE else ""))
            at = token.end
    text = "".join(out) + sql[at:]
    if not plan.statement.returning:
        return text
    quoted = plan.statement.name.replace('"', '""')
    return f'SELECT {text} FROM "{quoted}"'
