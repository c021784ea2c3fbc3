"""What the translator knows of the app's schema: frozen, built by `schema.inspect`, no I/O here.

Identifiers compare as in SQLite: ASCII case does not matter. PostgreSQL carries the names as declared, quoted where
needed; `pg_name` is what stands there (the same, but for names over 63 bytes).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

#: The column that carries SQLite's rowid in PostgreSQL for rowid tables that have no INTEGER PRIMARY KEY.
ROWID_COLUMN = "_shadow_rowid"


class Affinity(StrEnum):
    """https://www.sqlite.org/datatype3.html#determination_of_column_affinity"""

    INTEGER = "integer"
    REAL = "real"
    NUMERIC = "numeric"
    TEXT = "text"
    BLOB = "blob"  # also called NONE


class PgType(StrEnum):
    """The PostgreSQL types an app's column may get; each holds SQLite values so that they come back unchanged."""

    BIGINT = "bigint"  # integers
    DOUBLE = "double precision"  # reals
    TEXT = "text"  # text without NUL; COLLATE "C"
    BYTEA = "bytea"  # blobs
    BOOLEAN = "boolean"  # the integers 0 and 1
    VALUE = "shadow.value"  # any SQLite value: the compat type for columns of mixed content


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    #: The type as declared, '' if none.
    declared: str
    affinity: Affinity
    pg_type: PgType
    not_null: bool = False
    #: The DEFAULT clause's expression as SQLite reports it (`PRAGMA table_xinfo`), or None.
    default: str | None = None
    #: 1-based place in the primary key; 0: not part of it.
    pk: int = 0
    #: Text of a generated column's expression, or None. `stored` tells VIRTUAL from STORED.
    generated: str | None = None
    stored: bool = False
    collation: str = "BINARY"


@dataclass(frozen=True, slots=True)
class Index:
    name: str
    pg_name: str
    #: Column names; None where an expression is indexed.
    columns: tuple[str | None, ...]
    unique: bool
    #: 'c' CREATE INDEX, 'u' UNIQUE constraint, 'pk' primary key.
    origin: str
    partial: bool = False
    #: CREATE INDEX text; None for constraints.
    sql: str | None = None


@dataclass(frozen=True, slots=True)
class ForeignKey:
    columns: tuple[str, ...]
    parent: str
    #: Empty: the parent's primary key.
    parent_columns: tuple[str, ...]
    on_update: str = "NO ACTION"
    on_delete: str = "NO ACTION"


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    columns: tuple[Column, ...]
    sql: str
    #: The INTEGER PRIMARY KEY column that is the rowid, or None.
    rowid_alias: str | None = None
    autoincrement: bool = False
    without_rowid: bool = False
    strict: bool = False
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    #: CHECK expressions as written, with their constraint names ('' if none).
    checks: tuple[tuple[str, str], ...] = ()
    #: Virtual tables have no rows in PostgreSQL.
    virtual: bool = False

    def column(self, name: str) -> Column | None:
        folded = fold(name)
        return next((c for c in self.columns if fold(c.name) == folded), None)

    @property
    def stored_columns(self) -> tuple[Column, ...]:
        """Columns that hold data of their own: no generated ones."""
        return tuple(c for c in self.columns if c.generated is None)

    @property
    def rowid_column(self) -> str | None:
        """The PostgreSQL column that holds SQLite's rowid; None for WITHOUT ROWID tables."""
        if self.without_rowid:
            return None
        return self.rowid_alias or ROWID_COLUMN

    def check_name(self, ordinal: int) -> str:
        """The PostgreSQL constraint name of `checks[ordinal]`; errors name it."""
        return pg_name(f"sqlite_check_{self.name}_{ordinal + 1}")

    @property
    def key(self) -> tuple[str, ...]:
        """The PostgreSQL columns that identify a row: the rowid, else the primary key."""
        if self.rowid_column is not None:
            return (self.rowid_column,)
        return tuple(c.name for c in sorted((c for c in self.columns if c.pk), key=lambda c: c.pk))


@dataclass(frozen=True, slots=True)
class View:
    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class Trigger:
    name: str
    table: str
    sql: str


@dataclass(frozen=True, slots=True)
class Catalog:
    """One state of the app's schema. Keys of the mappings are folded names (`fold`)."""

    tables: Mapping[str, Table] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)
    triggers: Mapping[str, Trigger] = field(default_factory=dict)
    #: PostgreSQL schema of the app's tables; also the pair's name.
    pg_schema: str = "public"
    #: Changes whenever anything above changes; part of every cache key.
    version: str = ""

    def table(self, name: str) -> Table | None:
        return self.tables.get(fold(name))


def fold(name: str) -> str:
    """ASCII lower case, as SQLite compares identifiers."""
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in name)


_PG_NAME_BYTES_MAX = 63


def pg_name(name: str) -> str:
    """What stands in PostgreSQL for a name: the same, but shortened with a hash when over PostgreSQL's 63 bytes."""
    raw = name.encode("utf-8", "surrogatepass")
    if len(raw) <= _PG_NAME_BYTES_MAX:
        return name
    digest = hashlib.sha256(fold(name).encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return raw[: _PG_NAME_BYTES_MAX - 11].decode("utf-8", "ignore") + "_" + digest
