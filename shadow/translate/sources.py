"""FROM: tables, views, CTEs, subqueries and joins as sources of a scope, and their PostgreSQL text."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .catalog import fold
from .compiler import CATALOG_TABLES, Compiler, Refusal
from .names import ident, qualified
from .parser import ParseError, parse
from .rules import comparison
from .scope import Out, Scope, Src, table_source
from .syntax import Join, Query, Source, SubQuery, TableCall, TableRef
from .typed import Cls, E, condition, to_text


@dataclass(slots=True)
class From:
    """A source's text, and the sources it brings in their order."""

    sql: str
    sources: list[Src]


def compile_source(c: Compiler, node: Source, scope: Scope, *, ordered: bool = False) -> From:
    """`ordered`: the rows' order will be seen, so a subquery keeps SQLite's."""
    match node:
        case TableRef():
            return _table(c, node, scope, ordered)
        case SubQuery():
            return _subquery(c, node.query, node.alias, scope, ordered)
        case TableCall():
            return _call(c, node, scope)
        case Join():
            return _join(c, node, scope)
    raise Refusal("no translation of this source", node)


def _table(c: Compiler, node: TableRef, scope: Scope, ordered: bool) -> From:
    folded = fold(node.name)
    called = node.alias or node.name
    if node.schema is None:
        for level in reversed(c.ctes):
            if folded in level:
                pg, columns = level[folded]
                return _named(pg, called, columns)
    if node.schema is not None and fold(node.schema) != "main":
        raise Refusal(f"database {node.schema} is not shadowed", node)
    if folded in CATALOG_TABLES or folded.startswith("sqlite_"):
        if folded not in CATALOG_TABLES:
            raise Refusal(f"{node.name} has no counterpart in PostgreSQL", node)
        c.catalog_sources += 1
        names = ("type", "name", "tbl_name", "rootpage", "sql")
        return _named("sqlite_master", called, [Out(n, E(n, Cls.TEXT)) for n in names])
    view = c.catalog.views.get(folded)
    if view is not None:
        return _view(c, folded, view.sql, called, scope, ordered, node)
    table = c.table(node.name, node)
    c.reads.add(fold(table.name))
    source = table_source(table, called)
    text = qualified(c.catalog.pg_schema, table.name)
    if ident(called) != ident(table.name):
        text += f" AS {ident(called)}"
    return From(text, [source])


def _named(text: str, called: str, columns: list[Out]) -> From:
    """Something that is there under a name already: a CTE."""
    alias = ident(called)
    shown = [Out(o.name, replace(o.e, sql=f"{alias}.{o.e.sql}")) for o in columns]
    return From(text if text == alias else f"{text} AS {alias}", [Src(fold(called), shown, alias=alias)])


def _view(c: Compiler, folded: str, sql: str, called: str, scope: Scope, ordered: bool, node: TableRef) -> From:
    """A view is written out where it stands; PostgreSQL needs none of its own."""
    if folded in c.views:
        raise Refusal(f"view {node.name} is circularly defined", node)
    c.views.append(folded)
    try:
        names, query = view_query(sql)
        ctes, c.ctes = c.ctes, []
        try:
            return _subquery(c, query, called, Scope(), ordered, names or None)
        finally:
            c.ctes = ctes
    finally:
        c.views.pop()


def view_query(sql: str) -> tuple[list[str], Query]:
    """The column names and the query of a CREATE VIEW."""
    from .lexer import T, lex

    tokens = lex(sql).tokens
    at = next(i for i, t in enumerate(tokens) if t.kind is T.WORD and t.text == "AS" and i > 1)
    names: list[str] = []
    opening = next((i for i in range(at) if tokens[i].text == "(" and tokens[i].kind is T.OP), None)
    if opening is not None:
        names = [t.extra if t.kind is T.WORD else t.text for t in tokens[opening + 1 : at - 1] if t.kind is not T.OP]
    try:
        tree, _ = parse(sql[tokens[at].end :])
    except ParseError as error:
        raise Refusal(f"a view's query is not understood: {error}") from None
    if not isinstance(tree, Query):
        raise Refusal("a view without a query")
    return names, tree


def _subquery(
    c: Compiler, query: Query, alias: str | None, scope: Scope, ordered: bool, names: list[str] | None = None
) -> From:
    from .select import compile_query

    found = compile_query(c, query, Scope(parent=scope.parent), named=True, ordered=ordered, names=names)
    called = ident(alias) if alias is not None else c.fresh("q")
    shown = [Out(o.name, derived(o.e, f"{called}.{ident(o.pg_name)}")) for o in found.columns]
    return From(f"({found.sql}) AS {called}", [Src(fold(alias or ""), shown, alias=called)])


def derived(e: E, sql: str) -> E:
    """A column of a subquery: what was known of the expression, under its new name."""
    return E(
        sql, Cls.TEXT if e.cls is Cls.NULL else e.cls, affinity=e.affinity, collation=e.collation, nullable=e.nullable
    )


_EACH = (
    ("key", Cls.VALUE), ("value", Cls.VALUE), ("type", Cls.TEXT), ("atom", Cls.VALUE), ("id", Cls.INT),
    ("parent", Cls.INT), ("fullkey", Cls.TEXT), ("path", Cls.TEXT),
)  # fmt: skip


def _call(c: Compiler, node: TableCall, scope: Scope) -> From:
    if node.name.startswith("pragma_"):
        c.catalog_sources += 1
        return From(node.name, [Src(fold(node.alias or node.name), [], alias=node.name)])
    if node.name not in ("json_each", "json_tree") or not 1 <= len(node.args) <= 2:
        raise Refusal(f"no translation of table function {node.name}()", node)
    args = [to_text(c.expr(a, scope)).sql for a in node.args]
    called = ident(node.alias or node.name)
    columns = [Out(name, E(f"{called}.{ident(name)}", cls)) for name, cls in _EACH]
    source = Src(fold(node.alias or node.name), columns, alias=called)
    return From(f"LATERAL shadow.{node.name}({', '.join(args)}) AS {called}", [source])


def _join(c: Compiler, node: Join, scope: Scope) -> From:
    left = compile_source(c, node.left, scope)
    _add(scope, left)
    right = compile_source(c, node.right, scope)
    kind = "INNER" if node.kind in (",", "CROSS") else node.kind
    using = _common(left, right) if node.natural else node.using
    conditions = [_merge(c, name, left, right, kind, scope, node) for name in using]
    _add(scope, right)
    if kind in ("LEFT", "FULL"):
        _nullable(right)
    if kind in ("RIGHT", "FULL"):
        _nullable(left)
    if node.on is not None:
        conditions.append(condition(c.expr(node.on, scope)))
    inner = f"({right.sql})" if isinstance(node.right, Join) else right.sql
    if not conditions and kind == "INNER":
        text = f"{left.sql} CROSS JOIN {inner}"
    else:
        word = "JOIN" if kind == "INNER" else f"{kind} JOIN"
        text = f"{left.sql} {word} {inner} ON {' AND '.join(_bracketed(conditions)) or 'TRUE'}"
    return From(text, left.sources + right.sources)


def _bracketed(conditions: list[str]) -> list[str]:
    return conditions if len(conditions) < 2 else [f"({text})" for text in conditions]


def _add(scope: Scope, found: From) -> None:
    """Names on the left are seen by ON and by table functions on the right."""
    for source in found.sources:
        if not any(source is s for s in scope.sources):
            scope.sources.append(source)


def _common(left: From, right: From) -> list[str]:
    theirs = {fold(o.name) for s in right.sources for o in s.columns if not o.hidden}
    names = [o.name for s in left.sources for o in s.columns if not o.hidden]
    return [n for n in dict.fromkeys(names) if fold(n) in theirs]


def _merge(c: Compiler, name: str, left: From, right: From, kind: str, scope: Scope, node: Join) -> str:
    """One column of USING: the condition, and the column both become."""
    folded = fold(name)
    a = next((s.by_name[folded] for s in left.sources if folded in s.by_name and not s.by_name[folded].hidden), None)
    b = next((s.by_name[folded] for s in right.sources if folded in s.by_name), None)
    if a is None or b is None:
        raise Refusal(f"cannot join using column {name} - column not present in both tables", node)
    before = scope.merged.get(folded, a.e)
    text = condition(comparison.compare(c, "=", before, b.e, node))
    b.hidden = True
    merged = before
    if kind in ("RIGHT", "FULL"):
        if before.cls is not b.e.cls:
            raise Refusal(f"USING ({name}) over columns of different types in an outer join", node)
        merged = replace(before, sql=f"COALESCE({before.sql}, {b.e.sql})", plain=False, nullable=True)
        a.e = merged
    scope.merged[folded] = merged
    return text


def _nullable(found: From) -> None:
    for source in found.sources:
        for out in source.columns:
            out.e = replace(out.e, nullable=True)
        if source.rowid is not None:
            source.rowid = replace(source.rowid, nullable=True)
