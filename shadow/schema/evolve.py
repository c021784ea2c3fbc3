"""What an app's DDL changes in PostgreSQL: the difference of two catalogs, with renames read from the statement.

SQLite has run the statement already (on the app's file, or on a `Replica`), so both catalogs are certain; the
statement's text only tells a rename from a drop and an add.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..translate.catalog import ROWID_COLUMN, Catalog, Column, PgType, Table, fold, pg_name
from . import convert, ddl
from .convert import Plan, Statement
from .inspect import column_types
from .names import pg_quote, pg_table, quote
from .profile import Finding


@dataclass(frozen=True, slots=True)
class Rename:
    """ALTER TABLE ... RENAME; `column` is None when the table itself gets the new name."""

    table: str
    column: str | None
    to: str


def evolve(old: Catalog, new: Catalog, ddl_text: str) -> list[str]:
    """The statements that take PostgreSQL from `old` to `new`; what cannot be carried over is left out."""
    return [s.sql for s in plan_evolve(old, new, ddl_text).statements]


def types_after(old: Catalog, ddl_text: str) -> dict[tuple[str, str], PgType]:
    """The column types that outlive a DDL statement: those of a renamed table or column go with it."""
    types = column_types(old)
    rename = parse_rename(ddl_text)
    if rename is None:
        return types
    table, to = fold(rename.table), fold(rename.to)
    if rename.column is None:
        return {(to if key[0] == table else key[0], key[1]): value for key, value in types.items()}
    column = fold(rename.column)
    return {(key[0], to if key == (table, column) else key[1]): value for key, value in types.items()}


def plan_evolve(old: Catalog, new: Catalog, ddl_text: str) -> Plan:
    """As `evolve`, with what is left out and why; `convert.build` runs it."""
    parts: list[Statement | Finding] = []
    rename = parse_rename(ddl_text)
    before = dict(old.tables)
    if rename is not None and fold(rename.table) in before:
        parts += _rename(old, new, rename, before)
    for key, table in before.items():
        if key not in new.tables and not table.virtual:
            parts.append(Statement(f"DROP TABLE {pg_table(old, table)} CASCADE", table.name))
    for key, table in new.tables.items():
        if table.virtual:
            continue
        known = before.get(key)
        if known is None:
            for plan in (convert.plan_tables(new, [table]), convert.plan_indexes(new, [table])):
                parts += [*plan.statements, *plan.findings]
        elif known != table:
            parts += _alter(new, known, table, renamed=rename is not None)
    if old.views != new.views:
        parts += (found for found in convert.views_and_triggers(new) if found.kind == "view")
    statements = tuple(p for p in parts if isinstance(p, Statement))
    return Plan(statements, tuple(p for p in parts if isinstance(p, Finding)))


def parse_rename(ddl_text: str) -> Rename | None:
    """The rename that a statement makes, if it is ALTER TABLE ... RENAME."""
    stream = [t for t in ddl.tokens(ddl_text) if not t.is_mark(";")]
    if len(stream) < 6 or not (stream[0].is_word("alter") and stream[1].is_word("table")):
        return None
    at = 2
    if stream[3].is_mark("."):
        at = 4
    rest = stream[at + 1 :]
    if not rest or not rest[0].is_word("rename"):
        return None
    table = _name(ddl_text, stream[at])
    if rest[1].is_word("to") and len(rest) == 3:
        return Rename(table, None, _name(ddl_text, rest[2]))
    names = [t for t in rest[1:] if not t.is_word("column")] if len(rest) == 5 else rest[1:]
    return Rename(table, _name(ddl_text, names[0]), _name(ddl_text, names[-1]))


def _name(text: str, token: ddl.Token) -> str:
    return token.text if token.kind is ddl.Kind.QUOTED else text[token.start : token.end]


def _rename(old: Catalog, new: Catalog, rename: Rename, before: dict[str, Table]) -> Iterator[Statement]:
    """The rename itself; `before` then shows the table as if it had always had the new names."""
    table = before.pop(fold(rename.table))
    if rename.column is None:
        yield Statement(f"ALTER TABLE {pg_table(old, table)} RENAME TO {pg_quote(rename.to)}", table.name)
        moved = replace(table, name=rename.to)
        before[fold(rename.to)] = moved
        yield from _rename_constraints(old, new, table, moved)
        return
    change = f"RENAME COLUMN {pg_quote(rename.column)} TO {pg_quote(rename.to)}"
    yield Statement(f"ALTER TABLE {pg_table(old, table)} {change}", table.name, rename.column)
    columns = tuple(replace(c, name=rename.to) if fold(c.name) == fold(rename.column) else c for c in table.columns)
    before[fold(rename.table)] = replace(table, columns=columns)


def _rename_constraints(old: Catalog, new: Catalog, table: Table, moved: Table) -> Iterator[Statement]:
    """Constraints are named after their table."""
    pairs = [
        (i.pg_name, after.pg_name)
        for i, after in zip(table.indexes, (new.table(moved.name) or moved).indexes, strict=False)
    ]
    if table.rowid_column == ROWID_COLUMN:
        names = (f"sqlite_autoindex_{table.name}_rowid", f"sqlite_autoindex_{moved.name}_rowid")
        pairs.append((pg_name(names[0]), pg_name(names[1])))
    for was, becomes in pairs:
        if was != becomes:
            index = f"{quote(old.pg_schema)}.{quote(was)}"
            yield Statement(f"ALTER INDEX IF EXISTS {index} RENAME TO {quote(becomes)}", moved.name, kind="index")
    for ordinal in range(len(table.checks)):
        names = (quote(table.check_name(ordinal)), quote(moved.check_name(ordinal)))
        change = f"ALTER TABLE {pg_table(old, moved)} RENAME CONSTRAINT {names[0]} TO {names[1]}"
        yield Statement(change, moved.name, kind="check", required=False)


def _alter(catalog: Catalog, old: Table, new: Table, *, renamed: bool) -> Iterator[Statement | Finding]:
    target = pg_table(catalog, new)
    kept = {fold(c.name) for c in new.columns}
    if not renamed:  # a rename rewrites texts and columns of indexes and checks; PostgreSQL has followed
        yield from _drop_indexes(catalog, old, new)
    for column in old.columns:
        if fold(column.name) not in kept:
            drop = f"ALTER TABLE {target} DROP COLUMN {pg_quote(column.name)} CASCADE"
            yield Statement(drop, new.name, column.name)
    for column in new.columns:
        if old.column(column.name) is None:
            yield _add_column(catalog, new, column)
    if not renamed:
        yield from _checks(catalog, old, new)
    if not renamed:
        for index in new.indexes:
            if index not in old.indexes:
                yield convert.plan_index(catalog, new, index)


def _add_column(catalog: Catalog, table: Table, column: Column) -> Statement | Finding:
    """The default stands in the same statement: rows that are there get it, on both sides."""
    if column.generated is not None:
        return convert.plan_generated(catalog, table, column)
    default = convert.default_sql(catalog, table, column)
    if isinstance(default, Finding):
        return default
    definition = convert.column_definition(table, column) + (f" DEFAULT {default}" if default is not None else "")
    add = f"ALTER TABLE {pg_table(catalog, table)} ADD COLUMN {pg_quote(column.name)} {definition}"
    return Statement(add, table.name, column.name)


def _drop_indexes(catalog: Catalog, old: Table, new: Table) -> Iterator[Statement]:
    for index in old.indexes:
        if index in new.indexes:
            continue
        name = f"{quote(catalog.pg_schema)}.{quote(index.pg_name)}"
        if index.origin == "c":
            yield Statement(f"DROP INDEX IF EXISTS {name}", new.name, kind="index")
        else:
            drop = f"ALTER TABLE {pg_table(catalog, new)} DROP CONSTRAINT IF EXISTS {quote(index.pg_name)}"
            yield Statement(drop, new.name, kind="unique")


def _checks(catalog: Catalog, old: Table, new: Table) -> Iterator[Statement | Finding]:
    start = len(old.checks)
    if new.checks[:start] != old.checks:
        for ordinal in range(start):
            drop = f"DROP CONSTRAINT IF EXISTS {quote(old.check_name(ordinal))}"
            yield Statement(f"ALTER TABLE {pg_table(catalog, new)} {drop}", new.name, kind="check")
        start = 0
    for ordinal in range(start, len(new.checks)):
        yield from convert.plan_check(catalog, new, ordinal)
