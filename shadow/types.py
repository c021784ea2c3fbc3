"""Small types that cross layers."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

#: A value as Python's sqlite3 gives and takes it.
SqliteValue: TypeAlias = "int | float | str | bytes | None"
#: One row of them.
SqliteRow: TypeAlias = "tuple[SqliteValue, ...]"


class Side(StrEnum):
    """One of the two databases. Origin is SQLite, target is PostgreSQL; they never change."""

    SQLITE = "sqlite"
    POSTGRES = "postgres"

    @property
    def other(self) -> Side:
        return Side.POSTGRES if self is Side.SQLITE else Side.SQLITE


class DatabaseType(StrEnum):
    """What an app process was told to do (`DATABASE_TYPE`); see docs/reference/configuration.md."""

    SQLITE = "sqlite"
    SHADOW = "shadow"
    POSTGRES = "postgres"


class PgMode(StrEnum):
    """How app transactions behave while PostgreSQL is primary (`SHADOW_PG_MODE`)."""

    CONCURRENT = "concurrent"
    SERIAL = "serial"
