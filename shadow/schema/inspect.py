"""The app's schema as SQLite has it, read into a `Catalog`.

PRAGMAs first; what they do not tell is read from the CREATE texts (`schema.ddl`). Works on any sqlite3 connection,
whatever row factory it has; the shim's hidden tables and SQLite's own are left out.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping

from ..translate.catalog import (
    Affinity,
    Catalog,
    Column,
    ForeignKey,
    Index,
    PgType,
    Table,
    Trigger,
    View,
    fold,
    pg_name,
)
from . import ddl

#: (type, name, tbl_name, sql) of every object of the app, in the order of sqlite_master.
Objects = list[tuple[str, str, str, "str | None"]]
#: (folded table, folded column) -> type; what is not in it gets the type of its declaration.
Types = Mapping[tuple[str, str], PgType]

_HIDDEN_PREFIXES = ("_shadow_", "sqlite_")


def is_hidden(name: str) -> bool:
    """Whether an object is ours or SQLite's own, and so no part of the app's schema."""
    return fold(name).startswith(_HIDDEN_PREFIXES)


def objects(conn: sqlite3.Connection) -> Objects:
    """sqlite_master without ours and without sqlite_*, in order."""
    found = _rows(conn, "SELECT type, name, tbl_name, sql FROM main.sqlite_master ORDER BY rowid")
    return [
        (str(kind), str(name), str(table), None if sql is None else str(sql))
        for kind, name, table, sql in found
        if not is_hidden(str(name)) and not is_hidden(str(table))
    ]


def inspect(conn: sqlite3.Connection, *, pg_schema: str = "public", types: Types | None = None) -> Catalog:
    """The catalog of the app's schema. Columns not named in `types` get the type of their declaration."""
    found = objects(conn)
    types = types or {}
    kinds = _table_kinds(conn)
    tables = {
        fold(name): _table(conn, name, sql or "", kinds.get(fold(name), ("table", False, False)), types)
        for kind, name, _, sql in found
        if kind == "table"
    }
    return Catalog(
        tables=tables,
        views={fold(name): View(name, sql or "") for kind, name, _, sql in found if kind == "view"},
        triggers={fold(n): Trigger(n, table, sql or "") for kind, n, table, sql in found if kind == "trigger"},
        pg_schema=pg_schema,
        version=_version(found, tables, pg_schema),
    )


def column_types(catalog: Catalog) -> dict[tuple[str, str], PgType]:
    """The types a catalog gives its columns; `inspect(..., types=...)` takes them back."""
    return {(key, fold(c.name)): c.pg_type for key, table in catalog.tables.items() for c in table.columns}


def affinity(declared: str, *, strict: bool = False) -> Affinity:
    """SQLite's rules, in SQLite's order."""
    upper = declared.upper()
    if strict and upper == "ANY":
        return Affinity.BLOB
    if "INT" in upper:
        return Affinity.INTEGER
    if any(word in upper for word in ("CHAR", "CLOB", "TEXT")):
        return Affinity.TEXT
    if not upper or "BLOB" in upper:
        return Affinity.BLOB
    if any(word in upper for word in ("REAL", "FLOA", "DOUB")):
        return Affinity.REAL
    return Affinity.NUMERIC


def declared_type(declared: str, kind: Affinity) -> PgType:
    """The type of a column of which nothing is known but its declaration."""
    upper = declared.upper()
    match kind:
        case Affinity.INTEGER:
            return PgType.BIGINT
        case Affinity.REAL:
            return PgType.DOUBLE
        case Affinity.TEXT:
            return PgType.TEXT
        case Affinity.BLOB:
            return PgType.BYTEA if upper and upper != "ANY" else PgType.VALUE
        case Affinity.NUMERIC:
            if upper in ("BOOL", "BOOLEAN"):
                return PgType.BOOLEAN
            return PgType.TEXT if "DATE" in upper or "TIME" in upper else PgType.VALUE


def _rows(conn: sqlite3.Connection, sql: str, params: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    # The base class's cursor: no row factory, and a shim's connection neither hides nor records what we ask.
    return sqlite3.Cursor(conn).execute(sql, params).fetchall()


def _table_kinds(conn: sqlite3.Connection) -> dict[str, tuple[str, bool, bool]]:
    rows = _rows(conn, "SELECT name, type, wr, strict FROM pragma_table_list WHERE schema = 'main'")
    return {fold(str(name)): (str(kind), bool(wr), bool(strict)) for name, kind, wr, strict in rows}


def _table(conn: sqlite3.Connection, name: str, sql: str, kind: tuple[str, bool, bool], types: Types) -> Table:
    table_kind, without_rowid, strict = kind
    if table_kind != "table":  # virtual, or a shadow table that keeps a virtual one's content
        return Table(name, (), sql, virtual=True)
    text = ddl.parse_table(sql)
    infos = _rows(
        conn,
        "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?, 'main') ORDER BY cid",
        (name,),
    )
    constraints = _rows(
        conn, "SELECT name, \"unique\", origin, partial FROM pragma_index_list(?, 'main') ORDER BY seq", (name,)
    )
    keys = [i for i in infos if i[4]]
    alias = None
    if len(keys) == 1 and not without_rowid and str(keys[0][1]).upper() == "INTEGER":
        # INTEGER PRIMARY KEY DESC is no alias, and then the key has an index of its own.
        alias = None if any(c[2] == "pk" for c in constraints) else str(keys[0][0])
    columns = tuple(
        _column(name, info, text.columns[i] if i < len(text.columns) else ddl.ColumnText(), strict, alias, types)
        for i, info in enumerate(infos)
    )
    return Table(
        name,
        columns,
        sql,
        rowid_alias=alias,
        autoincrement=text.autoincrement,
        without_rowid=without_rowid,
        strict=strict,
        indexes=_indexes(conn, name, alias, constraints),
        foreign_keys=_foreign_keys(conn, name),
        checks=tuple(text.checks),
    )


def _column(
    table: str, info: tuple[object, ...], text: ddl.ColumnText, strict: bool, alias: str | None, types: Types
) -> Column:
    name, declared, not_null, default, pk, hidden = info
    kind = affinity(str(declared), strict=strict)
    chosen = types.get((fold(table), fold(str(name))), declared_type(str(declared), kind))
    if alias is not None and str(name) == alias:
        chosen = PgType.BIGINT
    return Column(
        str(name),
        str(declared),
        kind,
        chosen,
        not_null=bool(not_null),
        default=None if default is None else str(default),
        pk=int(str(pk)),
        generated=text.generated if hidden in (2, 3) else None,
        stored=hidden == 3,
        collation=text.collation,
    )


def _indexes(
    conn: sqlite3.Connection, table: str, alias: str | None, listed: Iterable[tuple[object, ...]]
) -> tuple[Index, ...]:
    found = []
    if alias is not None:  # SQLite has no index for it, PostgreSQL has: errors name it
        found.append(Index("", pg_name(f"sqlite_autoindex_{table}_pk"), (alias,), True, "pk"))
    for name, unique, origin, partial in listed:
        terms = _rows(conn, "SELECT name FROM pragma_index_xinfo(?, 'main') WHERE key = 1 ORDER BY seqno", (str(name),))
        columns = tuple(None if term[0] is None else str(term[0]) for term in terms)
        # SQLite's own name for a constraint (sqlite_autoindex_t_1): no object of the app can have it.
        sql = None
        if origin == "c":
            master = "SELECT sql FROM main.sqlite_master WHERE type = 'index' AND name = ?"
            sql = str(_rows(conn, master, (str(name),))[0][0])
        index = Index(str(name), pg_name(str(name)), columns, bool(unique), str(origin), bool(partial), sql)
        found.append(index)
    return tuple(found)


def _foreign_keys(conn: sqlite3.Connection, table: str) -> tuple[ForeignKey, ...]:
    rows = _rows(
        conn,
        'SELECT id, "table", "from", "to", on_update, on_delete FROM pragma_foreign_key_list(?, \'main\')'
        " ORDER BY id DESC, seq",
        (table,),
    )
    grouped: dict[object, list[tuple[object, ...]]] = {}
    for row in rows:
        grouped.setdefault(row[0], []).append(row)
    return tuple(
        ForeignKey(
            tuple(str(r[2]) for r in key),
            str(key[0][1]),
            tuple(str(r[3]) for r in key if r[3] is not None),
            str(key[0][4]),
            str(key[0][5]),
        )
        for key in grouped.values()
    )


def _version(found: Objects, tables: Mapping[str, Table], pg_schema: str) -> str:
    types = [(key, [(c.name, c.pg_type.value) for c in table.columns]) for key, table in tables.items()]
    raw = repr((pg_schema, found, types)).encode("utf-8", "surrogatepass")
    return hashlib.sha256(raw).hexdigest()[:16]
