"""Which names a query sees: sources in FROM, their columns, result aliases, the queries around it.

SQLite's rules: ASCII case does not matter; the innermost query that knows a name wins; a column wins over a result
alias except in ORDER BY; `rowid`, `oid` and `_rowid_` are the row id unless a column has that name.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .catalog import ROWID_COLUMN, PgType, Table, fold
from .names import ident
from .syntax import Column, Expr
from .typed import CLS_OF, Cls, E

ROWID_NAMES = frozenset({"rowid", "oid", "_rowid_"})


@dataclass(slots=True)
class Out:
    """A column that a source offers."""

    name: str
    e: E
    #: Not part of `*` (the hidden row id; the right side's column after USING).
    hidden: bool = False
    #: In a query's result: its name in PostgreSQL, unique there.
    pg_name: str = ""


@dataclass(slots=True)
class Src:
    """One source of FROM."""

    #: Folded name by which it is called; '' when it has none.
    name: str
    columns: list[Out]
    rowid: E | None = None
    #: The app's table, if it is one.
    table: Table | None = None
    #: PostgreSQL's name for it.
    alias: str = ""
    by_name: dict[str, Out] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for out in self.columns:
            self.by_name.setdefault(fold(out.name), out)


class Ready(Column):
    """A column of `*`, resolved already."""

    __slots__ = ("e",)

    def __init__(self, e: E) -> None:
        super().__init__(None, "")
        self.e = e


@dataclass(slots=True)
class Scope:
    """One query's names."""

    parent: Scope | None = None
    sources: list[Src] = field(default_factory=list)
    #: Result aliases, folded, to what they stand for.
    aliases: dict[str, Expr] = field(default_factory=dict)
    #: Aliases being looked into just now, so that none explains itself.
    busy: set[str] = field(default_factory=set)
    #: Aggregated query: columns outside of aggregates and GROUP BY take the first row's value.
    aggregated: bool = False
    in_aggregate: bool = False
    #: Texts of the GROUP BY expressions, in their order.
    groups: dict[str, None] = field(default_factory=dict)
    #: ORDER BY for bare columns' `array_agg`; '' if nothing is known.
    first_row: str = ""
    #: Named windows, folded.
    windows: dict[str, object] = field(default_factory=dict)
    #: Columns named in USING or NATURAL: folded name to the merged column.
    merged: dict[str, E] = field(default_factory=dict)


class Ambiguous(LookupError):
    """More than one source has the column."""


def find(scope: Scope, table: str | None, name: str) -> E | None:
    """A column of this very scope, or None."""
    folded = fold(name)
    if table is None:
        if folded in scope.merged:
            return scope.merged[folded]
        found = [s.by_name[folded] for s in scope.sources if folded in s.by_name]
        shown = [out for out in found if not out.hidden] or found
        if len(shown) > 1:
            raise Ambiguous(name)
        if shown:
            return shown[0].e
        if folded in ROWID_NAMES:
            rows = [s.rowid for s in scope.sources if s.rowid is not None]
            return rows[0] if len(rows) == 1 else None
        return None
    for source in scope.sources:
        if source.name == fold(table):
            if folded in source.by_name:
                return source.by_name[folded].e
            if folded in ROWID_NAMES and source.rowid is not None:
                return source.rowid
    return None


def table_source(table: Table, name: str, *, qualifier: str | None = None) -> Src:
    """A base table as a source; `qualifier` is what stands before its columns (default: the name)."""
    alias = ident(name) if qualifier is None else qualifier
    prefix = f"{alias}." if alias else ""
    columns = []
    for column in table.columns:
        is_rowid = table.rowid_alias is not None and fold(column.name) == fold(table.rowid_alias)
        columns.append(
            Out(
                column.name,
                E(
                    prefix + ident(column.name),
                    CLS_OF[column.pg_type],
                    affinity=column.affinity.value,
                    collation=column.collation,
                    plain=column.pg_type is PgType.TEXT,
                    nullable=not (column.not_null or is_rowid or (table.without_rowid and column.pk > 0)),
                ),
            )
        )
    rowid = None
    if not table.without_rowid and not table.virtual:
        rowid = E(prefix + ident(table.rowid_column or ROWID_COLUMN), Cls.INT, affinity="integer", nullable=False)
    return Src(fold(name), columns, rowid, table, alias)
