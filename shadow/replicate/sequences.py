"""Keep PostgreSQL's sequences ahead of the ids that SQLite chose, so that a switch has nothing left to set.

`setval` is not undone by a rollback; a sequence that is ahead is right all the same, because a rolled-back group is
applied again with the same ids.
"""

from __future__ import annotations

import sqlite3

from psycopg2.extensions import cursor as PgCursor
from psycopg2.extensions import quote_ident

from ..translate.catalog import Catalog, Table, fold

_NAME = "SELECT pg_get_serial_sequence(%s, %s)"


class Sequences:
    """The sequences of one pair, seen from one PostgreSQL session."""

    __slots__ = ("_names", "_reached", "_seen")

    def __init__(self) -> None:
        #: Table -> its sequence, None when it has none.
        self._names: dict[str, str | None] = {}
        #: Table -> what its sequence is known to have reached; nobody sets it back while SQLite is primary.
        self._reached: dict[str, int] = {}
        #: Table -> the highest id of this group.
        self._seen: dict[str, int] = {}

    def forget(self) -> None:
        """The schema changed, or the session is new."""
        self._names.clear()
        self._reached.clear()

    def observe(self, table: str, rowid: int) -> None:
        """SQLite gave `rowid` to a row of `table` (a folded name)."""
        if rowid > self._seen.get(table, 0):
            self._seen[table] = rowid

    def observe_high_water(self, origin: sqlite3.Connection) -> None:
        """Take over the AUTOINCREMENT marks of SQLite."""
        marks = "SELECT name, seq FROM sqlite_sequence WHERE typeof(seq) = 'integer'"
        if sqlite3.Cursor(origin).execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'").fetchone():
            for name, seq in sqlite3.Cursor(origin).execute(marks):
                self.observe(fold(name), seq)

    def flush_sql(self, cursor: PgCursor, catalog: Catalog) -> list[bytes]:
        """Statements that bring the sequences past the ids seen since the last flush."""
        statements: list[bytes] = []
        for table, rowid in self._seen.items():
            if rowid <= self._reached.get(table, 0):
                continue
            name = self._name(cursor, catalog, table)
            if name is not None:
                statements.append(
                    cursor.mogrify(
                        f"SELECT setval(%s::regclass, greatest(%s, (SELECT last_value FROM {name})))", (name, rowid)
                    )
                )
            self._reached[table] = rowid
        self._seen.clear()
        return statements

    def _name(self, cursor: PgCursor, catalog: Catalog, folded: str) -> str | None:
        if folded not in self._names:
            table = catalog.tables.get(folded)
            self._names[folded] = None if table is None else _sequence_of(cursor, catalog.pg_schema, table)
        return self._names[folded]


def _sequence_of(cursor: PgCursor, schema: str, table: Table) -> str | None:
    if table.rowid_column is None or table.virtual:
        return None
    scope = cursor.connection
    relation = f"{quote_ident(schema, scope)}.{quote_ident(table.name, scope)}"
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (relation,))
    row = cursor.fetchone()
    if row is None or not row[0]:
        return None
    cursor.execute(_NAME, (relation, table.rowid_column))
    row = cursor.fetchone()
    return None if row is None else row[0]
