"""Statements that write rows as they are, for apply by row image, repair and backfill.

Placeholders take what `values.codec.to_target` gives: one per stored column in order, the row id first when the table
keeps it in a column of its own (`ROWID_COLUMN`).
"""

from __future__ import annotations

from .catalog import ROWID_COLUMN, Catalog, PgType, Table
from .names import ident, qualified


def columns(table: Table) -> list[tuple[str, PgType]]:
    """The columns of an image, in the order of its values."""
    found = [(c.name, c.pg_type) for c in table.stored_columns]
    if table.rowid_column == ROWID_COLUMN:
        found.insert(0, (ROWID_COLUMN, PgType.BIGINT))
    return found


def upsert(table: Table, catalog: Catalog) -> str:
    """Delete what conflicts with the row on any unique key, insert the row."""
    names = columns(table)
    listed = ", ".join(_ident(name) for name, _ in names)
    values = ", ".join(f"{_place(pg_type)} AS {_ident(name)}" for name, pg_type in names)
    target = _target(table, catalog)
    tests = " OR ".join(f"({test})" for test in _conflicts(table))
    # The INSERT reads the DELETE's count, so that the DELETE runs first.
    return (
        f"WITH image AS MATERIALIZED (SELECT {values}), gone AS (DELETE FROM {target} AS t USING image AS i "
        f"WHERE {tests} RETURNING 1) INSERT INTO {target} ({listed}) SELECT {listed} FROM image "
        "WHERE (SELECT count(*) FROM gone) IS NOT NULL"
    )


def delete(table: Table, catalog: Catalog) -> str:
    """Delete the row with this key (`Table.key`)."""
    types = dict(columns(table))
    tests = " AND ".join(f"{_ident(name)} = {_place(types[name])}" for name in table.key)
    return f"DELETE FROM {_target(table, catalog)} WHERE {tests}"


def unique_keys(table: Table) -> list[tuple[str, ...]]:
    """The columns of every key that tells rows apart: the row's own first, then UNIQUE constraints and indexes."""
    keys: dict[tuple[str, ...], None] = {table.key: None}
    for index in table.indexes:
        names = tuple(name for name in index.columns if name is not None)
        if index.unique and not index.partial and len(names) == len(index.columns):
            keys.setdefault(names)
    return [key for key in keys if key]


def _conflicts(table: Table) -> list[str]:
    """One test per unique key; `t` is the table, `i` the image."""
    found = []
    for key in unique_keys(table):
        parts = []
        for name in key:
            column = table.column(name)
            collation = "BINARY" if column is None else column.collation
            parts.append(f"{_compared('t', name, collation)} = {_compared('i', name, collation)}")
        found.append(" AND ".join(parts))
    return found


def _compared(alias: str, name: str, collation: str) -> str:
    text = f"{alias}.{_ident(name)}"
    if collation == "NOCASE":
        return f'lower({text} COLLATE "C")'
    if collation == "RTRIM":
        return f"rtrim({text}, ' ')"
    return text


def _ident(name: str) -> str:
    return ident(name).replace("%", "%%")


def _target(table: Table, catalog: Catalog) -> str:
    return qualified(catalog.pg_schema, table.name).replace("%", "%%")


def _place(pg_type: PgType) -> str:
    return f"(%s)::{pg_type.value}"
