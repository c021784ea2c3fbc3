"""Names and literals as each engine wants them in a statement's text."""

from __future__ import annotations

from ..translate.catalog import ROWID_COLUMN, Catalog, Column, PgType, Table, fold, pg_name
from ..types import SqliteValue
from ..values import codec

_ROWID_NAMES = ("rowid", "_rowid_", "oid")


def quote(name: str) -> str:
    """An identifier, exactly as it is; both engines quote alike."""
    return '"' + name.replace('"', '""') + '"'


def pg_quote(name: str) -> str:
    """A name of the app as it stands in PostgreSQL."""
    return quote(pg_name(name))


def pg_table(catalog: Catalog, table: Table) -> str:
    return f"{quote(catalog.pg_schema)}.{pg_quote(table.name)}"


def pg_rowid(table: Table) -> str | None:
    """The quoted PostgreSQL column of the rowid; None for WITHOUT ROWID."""
    return None if table.rowid_column is None else pg_quote(table.rowid_column)


def origin_rowid(table: Table) -> str | None:
    """How SQLite names a rowid table's rowid; None when the app's columns hide all three names, or WITHOUT ROWID."""
    if table.without_rowid:
        return None
    if table.rowid_alias is not None:
        return quote(table.rowid_alias)
    taken = {fold(c.name) for c in table.columns}
    return next((name for name in _ROWID_NAMES if name not in taken), None)


def carried_columns(table: Table) -> tuple[tuple[str, Column | None], ...]:
    """(PostgreSQL name, column) of all that is copied and compared; first, if there is one, a hidden rowid (None)."""
    columns: list[tuple[str, Column | None]] = [(pg_name(c.name), c) for c in table.stored_columns]
    if table.rowid_column == ROWID_COLUMN:
        columns.insert(0, (ROWID_COLUMN, None))
    return tuple(columns)


def text_literal(text: str) -> str:
    """A PostgreSQL string literal whatever `standard_conforming_strings` says."""
    quoted = text.replace("'", "''")
    return " E'" + quoted.replace("\\", "\\\\") + "'" if "\\" in quoted else "'" + quoted + "'"


def pg_literal(value: SqliteValue, pg_type: PgType) -> str:
    """A stored value as a PostgreSQL constant of the column's type. Raises `codec.DoesNotFit`."""
    if value is None:
        return "NULL"
    codec.check(value, pg_type)
    match pg_type:
        case PgType.BOOLEAN:
            return "true" if value else "false"
        case PgType.BYTEA:
            assert isinstance(value, bytes)
            return f"'\\x{value.hex()}'::bytea"
        case PgType.VALUE:
            return text_literal(codec.value_text(value)) + "::shadow.value"
        case PgType.TEXT:
            return text_literal(str(value))
        case PgType.DOUBLE:
            return f"'{value!r}'::double precision"
        case PgType.BIGINT:
            return str(value)
