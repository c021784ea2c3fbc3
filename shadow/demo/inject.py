"""Three divergences put into PostgreSQL by hand, one of each kind, in rows that the load reads and does not write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg2 import sql as pgsql
from psycopg2.extensions import cursor as PgCursor


@dataclass(frozen=True, slots=True)
class Injection:
    """One thing that somebody did to PostgreSQL behind our back."""

    kind: str
    table: str
    #: Run in PostgreSQL; `{table}` is the qualified table.
    statement: str
    params: tuple[Any, ...]
    what: str


INJECTIONS = (
    Injection("changed value", "columns", "UPDATE {table} SET data_type = %s WHERE id = %s", ("tampered", 38), "id 38"),
    Injection("missing row", "settings", "DELETE FROM {table} WHERE key = %s", ("max_rows",), "key max_rows"),
    Injection(
        "extra row",
        "datasets",
        "INSERT INTO {table} (id, datasource_id, name, table_ids, is_default) VALUES (%s, %s, %s, '[]', false)",
        (900_001, 2, "from nowhere"),
        "id 900001",
    ),
)
TABLES = frozenset(injection.table for injection in INJECTIONS)


def inject(cursor: PgCursor, schema: str) -> None:
    """Make all three; each must touch exactly one row."""
    for injection in INJECTIONS:
        table = pgsql.Identifier(schema, injection.table)
        cursor.execute(pgsql.SQL(injection.statement).format(table=table), injection.params)
        if cursor.rowcount != 1:
            raise AssertionError(f"{injection.kind}: {cursor.rowcount} rows of {injection.table} instead of one")


def reads_an_injected_table(statement: str) -> bool:
    """Whether a mismatch on this statement is explained by the injections: it reads one of their tables."""
    words = "".join(c if c.isalnum() or c == "_" else " " for c in statement.lower()).split()
    return not TABLES.isdisjoint(words)
