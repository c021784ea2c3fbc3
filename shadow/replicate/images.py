"""Row images, bound: what one changed row becomes in PostgreSQL."""

from __future__ import annotations

from ..journal.record import RowImage
from ..translate import rowimage
from ..translate.catalog import ROWID_COLUMN, Catalog, PgType, Table
from ..types import SqliteRow
from ..values.codec import to_target

Command = tuple[str, tuple[object, ...]]


def commands_for(image: RowImage, table: Table, catalog: Catalog) -> list[Command]:
    """Delete by the key before, insert the row afterwards. Raises `DoesNotFit`."""
    key = _bound(image.key, _key_types(table))
    if image.row is None:
        return [(rowimage.delete(table, catalog), key)]
    row = _bound(image.row, _row_types(table))
    upsert = (rowimage.upsert(table, catalog), row)
    # The upsert removes the row with the new key and whatever else conflicts; a row that moved leaves its old key.
    if image.op == "U" and image.key != _key_of(image.row, table):
        return [(rowimage.delete(table, catalog), key), upsert]
    return [upsert]


def _bound(values: SqliteRow, types: tuple[PgType, ...]) -> tuple[object, ...]:
    return tuple(to_target(value, pg_type) for value, pg_type in zip(values, types, strict=True))


def _row_types(table: Table) -> tuple[PgType, ...]:
    types = tuple(column.pg_type for column in table.stored_columns)
    return (PgType.BIGINT, *types) if table.rowid_column == ROWID_COLUMN else types


def _key_types(table: Table) -> tuple[PgType, ...]:
    if table.rowid_column is not None:
        return (PgType.BIGINT,)
    columns = (table.column(name) for name in table.key)
    return tuple(column.pg_type for column in columns if column is not None)


def _key_of(row: SqliteRow, table: Table) -> SqliteRow:
    if table.rowid_column == ROWID_COLUMN:
        return row[:1]
    names = [column.name for column in table.stored_columns]
    return tuple(row[names.index(name)] for name in table.key)
