"""The public functions: `translate` with its cache, `expression` for DDL, `compat_sql`."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from .assign import stored
from .catalog import Catalog, Column, Table
from .compiler import Compiler, Refusal
from .insert import insert
from .parser import ParseError, parse, parse_expression
from .scope import Scope, table_source
from .select import compile_query
from .syntax import Delete, Insert, Other, Query, Statement, Update
from .translation import Kind, Order, Purpose, Special, Step, Translation, Unsupported
from .typed import E, render
from .typed import condition as condition_text
from .update import delete, update
from .written import Written

#: In this order: the type first, then what is made of it.
_SQL_FILES = ("compat.sql", "datetime.sql", "aggregates.sql", "json.sql")
_CACHE_MAX = 4096
_cache: dict[tuple[object, ...], Translation] = {}
_lock = threading.Lock()  # guards eviction only; a dictionary's look-up and store are atomic

_KINDS = {Query: Kind.QUERY, Insert: Kind.INSERT, Update: Kind.UPDATE, Delete: Kind.DELETE}
_OTHER = {
    "CREATE": Kind.DDL,
    "ALTER": Kind.DDL,
    "DROP": Kind.DDL,
    "REINDEX": Kind.DDL,
    "BEGIN": Kind.TRANSACTION,
    "COMMIT": Kind.TRANSACTION,
    "END": Kind.TRANSACTION,
    "ROLLBACK": Kind.TRANSACTION,
    "SAVEPOINT": Kind.TRANSACTION,
    "RELEASE": Kind.TRANSACTION,
    "PRAGMA": Kind.PRAGMA,
}


class Untranslatable(ValueError):
    """An expression of the app's DDL has no faithful form."""


def translate(
    sql: str,
    catalog: Catalog,
    *,
    param_types: tuple[type, ...] | Mapping[str, type] | None = None,
    purpose: Purpose = Purpose.APP,
    rowid_order: bool = True,
) -> Translation:
    """The PostgreSQL form of one statement; never raises for what SQL it is given.

    `param_types`: the classes of the bound values; they decide affinities. `rowid_order`: rows that no ORDER BY puts
    in order come in rowid order where that is cheap.
    """
    types: object = tuple(sorted(param_types.items())) if isinstance(param_types, Mapping) else param_types
    version: object = catalog.version or id(catalog)
    key = (sql, version, catalog.pg_schema, types, purpose, rowid_order)
    found = _cache.get(key)
    if found is None:
        found = _translate(sql, catalog, param_types, purpose, rowid_order)
        if catalog.version:  # without a version there is nothing to tell catalogs apart by
            if len(_cache) >= _CACHE_MAX:
                with _lock:
                    for old in list(_cache)[: _CACHE_MAX // 4]:
                        _cache.pop(old, None)
            _cache[key] = found
    return found


def _translate(
    sql: str,
    catalog: Catalog,
    param_types: tuple[type, ...] | Mapping[str, type] | None,
    purpose: Purpose,
    rowid_order: bool,
) -> Translation:
    try:
        tree, lexed = parse(sql)
    except ParseError as error:
        return Translation(sql, _guess_kind(sql), unsupported=Unsupported(str(error), error.start, error.end))
    except RecursionError:
        return Translation(sql, _guess_kind(sql), unsupported=Unsupported("nested too deeply", 0, len(sql)))
    if isinstance(tree, Other):
        kind = _OTHER.get(tree.words[0], Kind.OTHER) if tree.words else Kind.OTHER
        return Translation(sql, kind)
    c = Compiler(
        catalog, param_types=param_types, parameters=lexed.parameters, purpose=purpose, rowid_order=rowid_order
    )
    try:
        done = _compile(c, tree)
        if purpose is Purpose.APPLY and c.nondeterministic:
            raise Refusal(
                f"replay does not determine {', '.join(sorted(c.nondeterministic))}: row images are needed", tree
            )
    except Refusal as refusal:
        place = refusal.node if refusal.node is not None and refusal.node.end else tree
        return _finished(c, sql, tree, None, Unsupported(refusal.reason, place.start, place.end), lexed.parameters)
    except RecursionError:
        return _finished(c, sql, tree, None, Unsupported("nested too deeply", 0, len(sql)), lexed.parameters)
    return _finished(c, sql, tree, done, None, lexed.parameters)


def _compile(c: Compiler, tree: Statement) -> Written | str:
    if isinstance(tree, Insert):
        return insert(c, tree)
    if isinstance(tree, Update):
        return update(c, tree)
    if isinstance(tree, Delete):
        return delete(c, tree)
    assert isinstance(tree, Query)
    rel = compile_query(c, tree, Scope(), ordered=True)
    c.order = rel.order
    if c.catalog_sources and c.reads:
        raise Refusal("SQLite's catalog together with tables of the app", tree)
    return rel.sql


def _finished(
    c: Compiler,
    sql: str,
    tree: Statement,
    done: Written | str | None,
    unsupported: Unsupported | None,
    parameters: tuple[str | None, ...],
) -> Translation:
    catalog_only = bool(c.catalog_sources) and not c.reads and not c.writes
    steps: tuple[Step, ...] = ()
    if done is not None and not catalog_only:
        written = [(done, True)] if isinstance(done, str) else done.steps
        steps = tuple(_step(text, counted, parameters) for text, counted in written)
    is_query = isinstance(tree, Query)
    return Translation(
        source=sql,
        kind=_KINDS[type(tree)],
        steps=steps,
        returns_rows=is_query or (isinstance(done, Written) and done.returns_rows),
        rowid_appended=isinstance(done, Written) and done.rowid_appended,
        reads=frozenset(c.reads),
        writes=frozenset(c.writes),
        catalog_only=catalog_only,
        order=c.order if is_query else Order.NONE,
        limited=isinstance(tree, Query) and tree.limit is not None and c.order is not Order.TOTAL,
        uses_now=c.uses_now,
        nondeterministic=frozenset(c.nondeterministic),
        sums_reals=c.sums_reals,
        rules=tuple(c.rules),
        warnings=tuple(c.warnings),
        unsupported=None if catalog_only else unsupported,
        parameters=parameters,
    )


def _step(text: str, counted: bool, parameters: tuple[str | None, ...]) -> Step:
    rendered, marks = render(text)
    places: list[int | str | Special] = []
    for name in marks:
        if name.isdigit():
            number = int(name)
            places.append(parameters[number - 1] or number - 1)
        else:
            places.append(Special[name])
    return Step(rendered, tuple(places), counted)


def _guess_kind(sql: str) -> Kind:
    """What a text that cannot be parsed seems to be."""
    words = sql.split(None, 1)
    first = words[0].upper() if words else ""
    known = {"SELECT": Kind.QUERY, "WITH": Kind.QUERY, "VALUES": Kind.QUERY, "INSERT": Kind.INSERT,
             "REPLACE": Kind.INSERT, "UPDATE": Kind.UPDATE, "DELETE": Kind.DELETE}  # fmt: skip
    return known.get(first, _OTHER.get(first, Kind.OTHER))


def expression(sql: str, table: Table, catalog: Catalog) -> str:
    """An expression of the app's DDL (DEFAULT, generated column, index term) over a table's own columns.

    Plain text for PostgreSQL's DDL, not psycopg2's format. Raises `Untranslatable`, a ValueError.
    """
    return _of_table(sql, table, catalog).sql


def stored_expression(sql: str, column: Column, table: Table, catalog: Catalog) -> str:
    """The same for a DEFAULT or a generated column: converted as SQLite converts what it stores in `column`."""
    try:
        return stored(Compiler(catalog), _of_table(sql, table, catalog), column, None)
    except Refusal as error:
        raise Untranslatable(str(error)) from None


def condition(sql: str, table: Table, catalog: Catalog) -> str:
    """The same for a CHECK or the WHERE of a partial index: a boolean."""
    return condition_text(_of_table(sql, table, catalog))


def _of_table(sql: str, table: Table, catalog: Catalog) -> E:
    try:
        tree = parse_expression(sql)
        scope = Scope(sources=[table_source(table, table.name, qualifier="")])
        compiler = Compiler(catalog)
        compiler.hoists = False  # neither DEFAULT nor CHECK nor an index may have a subquery
        found = compiler.expr(tree, scope)
    except (ParseError, Refusal) as error:
        raise Untranslatable(str(error)) from None
    from .rules.comparison import collate

    if found.explicit:
        return E(collate(found, found.collation or "BINARY"), found.cls)
    return found


def compat_sql() -> str:
    """Schema shadow's types and functions; can be run again."""
    folder = Path(__file__).parent / "sql"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in _SQL_FILES)
