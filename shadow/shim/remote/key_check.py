"""PRAGMA foreign_key_check in PostgreSQL mode: rows whose parent is not there, found by one query over all keys.

The query is SQLite's SQL and goes through the translator like the app's own, so that keys compare as SQLite compares
them. What SQLite refuses (a missing table, a key that does not match its parent) the replica refuses first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...translate.catalog import Catalog, ForeignKey, Table
from ...types import SqliteRow
from ..tokens import T, tokenize
from .result import RemoteResult

if TYPE_CHECKING:
    from .session import RemoteSession

_COLUMNS = ("table", "rowid", "parent", "fkid")


def foreign_key_check(session: RemoteSession, sql: str) -> RemoteResult:
    """All tables, or the one that is named, in SQLite's order."""
    session.ask_replica(sql)
    catalog = session.state.catalog
    checks: list[tuple[Table, ForeignKey, int]] = []
    parts: list[str] = []
    for place, table in enumerate(_tables(session, _named(sql))):
        # SQLite numbers a table's keys from the last one declared.
        for number, key in enumerate(reversed(table.foreign_keys)):
            parts.append(f"SELECT {place} AS t, {len(checks)} AS n, {_orphans(catalog, table, key)}")
            checks.append((table, key, number))
    if not checks:
        return RemoteResult(_COLUMNS)
    found = session.execute(f"SELECT n, r FROM ({' UNION ALL '.join(parts)}) ORDER BY t, r, n", ())

    def rows() -> Iterator[SqliteRow]:
        for n, rowid in found.rows:
            assert isinstance(n, int)
            table, key, number = checks[n]
            yield table.name, rowid, key.parent, number

    return RemoteResult(_COLUMNS, rows())


def _named(sql: str) -> str | None:
    """The table in `PRAGMA foreign_key_check(t)` or `... = t`."""
    tokens = tokenize(sql)
    place = next((i for i, t in enumerate(tokens) if t.kind is T.OPERATOR and t.value in ("=", "(")), None)
    if place is None or place + 1 >= len(tokens):
        return None
    token = tokens[place + 1]
    return sql[token.start : token.end] if token.kind is T.WORD else token.value


def _tables(session: RemoteSession, named: str | None) -> list[Table]:
    catalog = session.state.catalog
    if named is not None:
        table = catalog.table(named)
        return [] if table is None else [table]
    names = [str(row[1]) for row in session.ask_replica("PRAGMA main.table_list").rows]
    return [t for t in map(catalog.table, names) if t is not None and t.foreign_keys]


def _orphans(catalog: Catalog, child: Table, key: ForeignKey) -> str:
    """`rowid AS r FROM ...` of the rows whose key is complete and has no parent. `+` lets the parent's type decide."""
    from ...schema.names import origin_rowid, quote

    rowid = origin_rowid(child)
    filled = " AND ".join(f"c.{quote(name)} IS NOT NULL" for name in key.columns)
    text = f"{f'c.{rowid}' if rowid else 'NULL'} AS r FROM {quote(child.name)} AS c WHERE {filled}"
    parent = catalog.table(key.parent)
    if parent is None:
        return text
    targets = key.parent_columns or tuple(c.name for c in sorted(parent.columns, key=lambda c: c.pk) if c.pk)
    same = " AND ".join(f"p.{quote(t)} = +c.{quote(name)}" for name, t in zip(key.columns, targets, strict=True))
    return f"{text} AND NOT EXISTS (SELECT 1 FROM {quote(parent.name)} AS p WHERE {same})"
