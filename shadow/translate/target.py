"""The table of an INSERT, and the columns it is given."""

from __future__ import annotations

from dataclasses import dataclass

from .catalog import ROWID_COLUMN, Affinity, Column, PgType, Table, fold
from .compiler import Compiler, Refusal
from .names import qualified
from .scope import ROWID_NAMES
from .syntax import Insert, Node, Write

ROWID = Column(ROWID_COLUMN, "INTEGER", Affinity.INTEGER, PgType.BIGINT)


@dataclass(slots=True)
class Target:
    """The table of an INSERT and the columns it is given."""

    table: Table
    name: str
    columns: list[Column]
    #: Place of the row id among the columns; None: the statement does not give it.
    rowid_at: int | None


def check_width(target: Target, given: int, node: Node) -> None:
    if given != len(target.columns):
        raise Refusal(f"{given} values for {len(target.columns)} columns", node)


def target_of(c: Compiler, node: Insert, table: Table) -> Target:
    if node.query is None:
        columns: list[Column] = []
    elif node.columns is None:
        columns = list(table.stored_columns)
    else:
        columns = [given_column(table, name, node) for name in node.columns]
    rowid = table.rowid_column
    rowid_at = next((i for i, col in enumerate(columns) if rowid is not None and fold(col.name) == fold(rowid)), None)
    return Target(table, qualified(c.catalog.pg_schema, table.name), columns, rowid_at)


def given_column(table: Table, name: str, node: Node) -> Column:
    found = table.column(name)
    if found is not None:
        if found.generated is not None:
            raise Refusal(f"cannot INSERT into generated column {name}", node)
        return found
    if fold(name) in ROWID_NAMES and not table.without_rowid:
        alias = table.column(table.rowid_alias) if table.rowid_alias is not None else None
        return alias or ROWID
    raise Refusal(f"table {table.name} has no column named {name}", node)


def note_defaults(c: Compiler, target: Target) -> None:
    """A default that asks for the time or for chance makes the statement do so."""
    given = {fold(col.name) for col in target.columns}
    for column in target.table.stored_columns:
        text = (column.default or "").lower()
        if fold(column.name) in given or not text:
            continue
        if "current_" in text or "'now'" in text or "julianday" in text or "datetime" in text or "unixepoch" in text:
            c.uses_now = True
        if "random" in text:
            c.nondeterministic.add("random")


def called(node: Write) -> str:
    return node.table.alias or node.table.name
