"""Tables that do not hold what SQLite holds, and how that spreads.

A divergence marks the tables its statement writes. A statement that writes a dirty table is skipped: replay on wrong
rows adds to the damage. One that reads a dirty table is skipped as well, and what it writes becomes dirty in turn.
Repair takes a table out again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from psycopg2.extensions import cursor as PgCursor

from ..flag import proof


class DivergenceKind(StrEnum):
    """Why a write's effect on PostgreSQL is not what SQLite did (`shadow.divergence.kind`)."""

    ERROR = "error"
    ROWCOUNT = "rowcount"
    UNSUPPORTED = "unsupported"
    VALUE = "value"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True)
class Divergence:
    """One write that had, or would have had, another effect on PostgreSQL."""

    position: int
    kind: DivergenceKind
    tables: tuple[str, ...]
    sql: str
    detail: str
    #: Nobody knows which tables it touched: `tables` are all of them.
    any_table: bool = False


class Dirt:
    """The dirty tables as one group sees them: read in its transaction, and written with it."""

    __slots__ = ("_added", "_divergences", "tables")

    def __init__(self, tables: Iterable[str]) -> None:
        self.tables: set[str] = set(tables)
        self._added: dict[str, tuple[int, str]] = {}
        self._divergences: list[Divergence] = []

    @property
    def divergences(self) -> int:
        return len(self._divergences)

    @property
    def changed(self) -> bool:
        """Whether there is anything to store."""
        return bool(self._added or self._divergences)

    def mark(self, tables: Iterable[str], position: int, reason: str) -> None:
        for table in tables:
            if table not in self.tables:
                self.tables.add(table)
                self._added[table] = (position, reason)

    def diverged(self, divergence: Divergence) -> None:
        """Note it and mark its tables."""
        self._divergences.append(divergence)
        self.mark(divergence.tables, divergence.position, f"{divergence.kind} at position {divergence.position}")

    def touches(self, tables: Iterable[str]) -> str | None:
        """One of `tables` that is dirty, or None."""
        return next((table for table in tables if table in self.tables), None)

    def flush(self, cursor: PgCursor, pair: str) -> None:
        """Store what is new, in the group's transaction, and void earlier proof if there is any."""
        for table, (position, reason) in self._added.items():
            cursor.execute(
                "INSERT INTO shadow.dirty (pair, table_name, position, reason) VALUES (%s, %s, %s, %s)"
                " ON CONFLICT (pair, table_name) DO NOTHING",
                (pair, table, position, reason),
            )
        for found in self._divergences:
            # A row per table, so that a repair of one table settles its own; no table: any may be affected.
            for named in (None,) if found.any_table else found.tables or (None,):
                cursor.execute(
                    "INSERT INTO shadow.divergence (pair, position, table_name, kind, sql, detail)"
                    " VALUES (%s, %s, %s, %s, %s, %s)",
                    (pair, found.position, named, found.kind.value, storable(found.sql), found.detail),
                )
        if self.changed:
            first = self._divergences[0] if self._divergences else None
            reason = f"{first.kind} at position {first.position}" if first else "dirt spread to another table"
            proof.void(cursor, pair, f"apply: {reason}")


def read_dirty(cursor: PgCursor, pair: str) -> Dirt:
    cursor.execute("SELECT table_name FROM shadow.dirty WHERE pair = %s", (pair,))
    return Dirt(row[0] for row in cursor.fetchall())


def storable(text: str) -> str:
    """Text as PostgreSQL can hold it: SQLite's may have NUL characters and lone surrogates."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")
