"""A value that does not fit its column's PostgreSQL type, while PostgreSQL is primary: SQLite would store it.

The column's type was chosen by what was stored; `'n/a'` in an INTEGER column needs `shadow.value`, which holds any
SQLite value. The table is rewritten once, in a transaction that excludes other DDL, and the statement runs again. The
way back to SQLite learns of the new type by a change row whose text does nothing there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ... import log
from ...translate.catalog import Column, PgType, Table, fold, pg_name
from ...values import codec
from ..adapt import Params
from ..classify import Statement
from ..tokens import T, tokenize
from .ddl import build_plan
from .schema import SchemaState

if TYPE_CHECKING:
    from ...schema import Plan
    from .session import RemoteSession

#: What `shadow.misfit` says: 'shadow: <kind> does not fit a column of type <type>'.
MISFIT_STATE = "22P02"
_MISFIT_PREFIX = "shadow: "


def is_misfit(state: str | None, message: str) -> bool:
    return state == MISFIT_STATE and message.startswith(_MISFIT_PREFIX)


def misfit_columns(state: SchemaState, statement: Statement, params: Params, message: str) -> list[Column]:
    """The columns to widen; empty: the value is wrong for SQLite too (a row id that is no integer).

    Raises what SQLite says of the statement where it refuses it as well (STRICT tables).
    """
    table = state.catalog.table(statement.name)
    if table is None:
        return []
    wanted = message.rpartition(" ")[2]
    fitting = [
        c
        for c in table.stored_columns
        if c.pg_type.value.endswith(wanted) and c.pg_type is not PgType.VALUE and c.name != table.rowid_alias
    ]
    if statement.verb == "UPDATE":
        named = {t.value.lower() for t in tokenize(statement.sql) if t.kind in (T.WORD, T.QUOTED)}
        return [c for c in fitting if fold(c.name) in named]
    return _tried(state, table, statement, params, fitting)


def _tried(
    state: SchemaState, table: Table, statement: Statement, params: Params, fitting: list[Column]
) -> list[Column]:
    """Insert the row into an SQLite of its own and look; what needs rows to insert gives none, then all are meant."""
    scratch = state.replica.evolve("CREATE TABLE IF NOT EXISTS _scratch (x)")
    scratch.execute(statement.sql, params)
    names = ", ".join('"' + c.name.replace('"', '""') + '"' for c in fitting)
    rows = scratch.execute(f'SELECT {names} FROM "{table.name.replace(chr(34), chr(34) * 2)}"').rows
    if not rows:
        return fitting
    return [c for place, c in enumerate(fitting) if any(not _fits(row[place], c) for row in rows)]


def _fits(value: object, column: Column) -> bool:
    if value is None:
        return True
    try:
        codec.check(value, column.pg_type.value)  # type: ignore[arg-type]
    except codec.DoesNotFit:
        return False
    return True


def widen(session: RemoteSession, table_name: str, columns: Sequence[Column]) -> None:
    """Give the columns the type that holds any value, inside `session.schema_change()`."""
    from ...schema import column_types, convert, save_catalog
    from ...schema.names import pg_quote, pg_table, quote

    state = session.state
    old = state.catalog.table(table_name)
    assert old is not None
    key, names = fold(old.name), {fold(c.name) for c in columns}
    types = {**column_types(state.catalog), **{(key, name): PgType.VALUE for name in names}}
    catalog = state.replica.catalog(state.catalog.pg_schema, types)
    new = catalog.tables[key]
    target = pg_table(catalog, new)
    # What stands on an expression is dropped and made again for the new type; plain indexes follow by themselves.
    remade = [
        i for i in new.indexes if i.origin == "c" and (i.partial or None in i.columns or not _plain(new, i.columns))
    ]
    drops = [f"DROP INDEX IF EXISTS {quote(catalog.pg_schema)}.{quote(i.pg_name)}" for i in remade]
    drops += [
        f"ALTER TABLE {target} DROP CONSTRAINT IF EXISTS {quote(new.check_name(n))}" for n in range(len(new.checks))
    ]
    changes = []
    for column in columns:
        name = pg_quote(column.name)
        source = f"{name}::integer::bigint" if column.pg_type is PgType.BOOLEAN else name
        changes += [
            f"ALTER COLUMN {name} DROP DEFAULT",
            f"ALTER COLUMN {name} TYPE shadow.value USING shadow.v({source})",
        ]
    cursor = session.cursor()
    for sql in [*drops, f"ALTER TABLE {target} {', '.join(changes)}"]:
        cursor.execute(sql)
    parts: list[object] = [convert.plan_default(catalog, new, c) for c in new.columns if fold(c.name) in names]
    parts += [convert.plan_index(catalog, new, i) for i in remade]
    for ordinal in range(len(new.checks)):
        parts += convert.plan_check(catalog, new, ordinal)
    build_plan(session, cursor, _plan(parts))
    save_catalog(cursor, catalog.pg_schema, state.replica.objects, catalog)
    session.note_change(f"SELECT 1 -- shadow: {pg_name(new.name)} widened in PostgreSQL")
    session.adopt(replace(state, version=state.version + 1, catalog=catalog, plans={}))
    log.get("shadow.remote").warning("column.widened", table=new.name, columns=sorted(names))


def _plain(table: Table, columns: tuple[str | None, ...]) -> bool:
    return all((c := table.column(name or "")) is not None and c.collation == "BINARY" for name in columns)


def _plan(parts: Sequence[object]) -> Plan:
    from ...schema import Finding, Plan, Statement

    return Plan(tuple(p for p in parts if isinstance(p, Statement)), tuple(p for p in parts if isinstance(p, Finding)))
