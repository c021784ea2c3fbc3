"""SELECT: from syntax to text. CTEs, compounds and the order of rows have modules of their own.

Inside an aggregated query a column that is neither grouped nor aggregated has the value of the group's first row.
"""

from __future__ import annotations

from .catalog import fold
from .compiler import Compiler, Refusal, has_aggregate, is_aggregate, walk
from .compound import compound, ordered_compound, values, wanted
from .ctes import with_clause
from .names import ident
from .ordering import first_seen, limit_text, one_row, order_terms
from .relation import How, Rel
from .rules.comparison import collate
from .scope import Out, Ready, Scope
from .sources import compile_source
from .syntax import Column, Compound, Core, Expr, Item, Literal, Query, Star
from .typed import Cls, condition, typed_text


def query(c: Compiler, node: Query, scope: Scope, *, first_row_only: bool = False) -> Rel:
    """A query inside an expression."""
    return compile_query(c, node, Scope(parent=scope), first_row_only=first_row_only)


def compile_query(
    c: Compiler,
    node: Query,
    scope: Scope,
    *,
    named: bool = False,
    ordered: bool = False,
    first_row_only: bool = False,
    names: list[str] | None = None,
    want: list[Cls] | None = None,
) -> Rel:
    """A query with all its clauses; `scope` is new and knows only its parent."""
    how = How(named, ordered, first_row_only, names, want)
    prefix = with_clause(c, node.ctes, node.recursive, scope)
    try:
        found = _body(c, node, scope, how)
    finally:
        if prefix is not None:
            c.ctes.pop()
    if prefix:
        found.sql = f"{prefix} {found.sql}"
    return found


def _body(c: Compiler, node: Query, scope: Scope, how: How) -> Rel:
    if isinstance(node.body, Core):
        return _core(c, node.body, node, scope, how)
    if isinstance(node.body, Compound):
        rel = compound(c, node.body, scope, how)
    else:
        rel = values(c, node.body, scope, how)
    if node.order:
        rel = ordered_compound(c, node, rel, scope, how)
    rel.sql += limit_text(c, node, scope, how.first_row_only)
    return rel


def _core(c: Compiler, core: Core, node: Query, scope: Scope, how: How) -> Rel:
    source_text = ""
    if core.source is not None:
        keep = how.ordered and not node.order and not core.group
        found = compile_source(c, core.source, scope, ordered=keep or _has_ordered_aggregate(core))
        for source in found.sources:
            if not any(source is s for s in scope.sources):
                scope.sources.append(source)
        source_text = f" FROM {found.sql}"
    items = _expand(core, scope)
    scope.windows.update(core.windows)
    scope.aliases = {fold(i.alias): i.expr for i in items if i.alias is not None}
    where = f" WHERE {condition(c.expr(core.where, scope))}" if core.where is not None else ""
    _enter_groups(c, core, node, items, scope)
    group = f" GROUP BY {', '.join(scope.groups)}" if core.group else ""
    having = f" HAVING {condition(c.expr(core.having, scope))}" if core.having is not None else ""
    columns = _outputs(c, items, scope, how)
    terms, order = order_terms(c, core, node, items, columns, scope, how)
    texts = [_item_text(item, out, how) for item, out in zip(items, columns, strict=True)]
    distinct = ""
    grouped = first_seen(c, core, node, columns, scope, how)
    if core.distinct and not grouped:
        distinct = "DISTINCT "
        if any(o.e.collation not in (None, "BINARY") and o.e.cls in (Cls.TEXT, Cls.VALUE) for o in columns):
            raise Refusal("DISTINCT under a collation", core)
    sql = f"SELECT {distinct}{', '.join(texts)}{source_text}{where}{group}{having}{grouped}"
    if isinstance(terms, str):  # DISTINCT ordered by something else than a column as it is
        inner = ", ".join(f"q.{o.pg_name}" for o in columns)
        sql = f"SELECT {inner} FROM ({sql}) AS q ORDER BY {terms}"
    elif terms:
        sql += f" ORDER BY {', '.join(terms)}"
    sql += limit_text(c, node, scope, how.first_row_only and not one_row(core, scope))
    return Rel(sql, columns, order)


def _has_ordered_aggregate(core: Core) -> bool:
    names = ("group_concat", "json_group_array", "json_group_object")
    return any(is_aggregate(n) and n.name in names for i in core.items for n in walk(i.expr))


def _expand(core: Core, scope: Scope) -> list[Item]:
    """`*` and `t.*` written out; the hidden row id is not part of them."""
    items: list[Item] = []
    for item in core.items:
        if not isinstance(item.expr, Star):
            items.append(item)
            continue
        wanted = item.expr.table
        chosen = [s for s in scope.sources if wanted is None or s.name == fold(wanted)]
        if not chosen:
            raise Refusal("no tables specified" if wanted is None else f"no such table: {wanted}", item)
        for source in chosen:
            for out in source.columns:
                if not out.hidden or wanted is not None:
                    items.append(Item(Ready(out.e), None, out.name, start=item.start, end=item.end))
    return items


def _enter_groups(c: Compiler, core: Core, node: Query, items: list[Item], scope: Scope) -> None:
    """Decide whether the query is aggregated, and what bare columns beside the groups mean."""
    parts: list[Expr] = [i.expr for i in items] + [t.expr for t in node.order]
    if core.having is not None:
        parts.append(core.having)
    rowids = [s.rowid.sql for s in scope.sources if s.rowid is not None]
    scope.first_row = ", ".join(rowids) if len(rowids) == len(scope.sources) else ""
    if not core.group and not any(has_aggregate(p) for p in parts):
        return
    groups: dict[str, None] = {}
    for expr in core.group:
        e = c.raw(_group_expr(expr, items, scope), scope)
        if e.is_const or e.param:
            groups.setdefault(f"({typed_text(e)} || '')" if e.cls is Cls.TEXT else f"(SELECT {typed_text(e)})")
            continue
        text = collate(e, e.collation or "BINARY")
        groups.setdefault(text if e.atom or text != e.wrapped else e.sql)
    scope.aggregated = True
    scope.groups = groups
    extremes = [n for p in parts for n in walk(p) if is_aggregate(n) and n.name in ("min", "max")]
    if len(extremes) == 1:
        # SQLite takes bare columns from the row that has the minimum or maximum.
        e = c.raw(extremes[0].args[0], scope)
        direction = "DESC NULLS LAST" if extremes[0].name == "max" else "ASC NULLS LAST"
        text = f'{e.wrapped} COLLATE "C"' if e.cls is Cls.TEXT and not e.plain else e.sql
        scope.first_row = ", ".join(filter(None, (f"{text} {direction}", scope.first_row)))


def _group_expr(expr: Expr, items: list[Item], scope: Scope) -> Expr:
    """GROUP BY 2 is the second result column."""
    if isinstance(expr, Literal) and isinstance(expr.value, int) and not expr.boolean:
        if not 1 <= expr.value <= len(items):
            raise Refusal("GROUP BY term out of range", expr)
        return items[expr.value - 1].expr
    return expr


def _outputs(c: Compiler, items: list[Item], scope: Scope, how: How) -> list[Out]:
    columns: list[Out] = []
    taken: set[str] = set()
    for i, item in enumerate(items):
        e = c.expr(item.expr, scope)
        if how.want is not None:
            e = wanted(e, how.want[i])
        name = how.names[i] if how.names is not None and i < len(how.names) else _name(item)
        pg_name = name
        serial = 0
        while fold(pg_name) in taken:
            serial += 1
            pg_name = f"{name}:{serial}"
        taken.add(fold(pg_name))
        columns.append(Out(name, e, pg_name=pg_name))
    if how.names is not None and len(how.names) != len(items):
        raise Refusal(f"expected {len(how.names)} columns, but the query gives {len(items)}")
    return columns


def _name(item: Item) -> str:
    if item.alias is not None:
        return item.alias
    if isinstance(item.expr, Column) and item.expr.name:
        return item.expr.name
    return item.text


def _item_text(item: Item, out: Out, how: How) -> str:
    e = out.e
    if how.named or how.want is not None:
        return f"{typed_text(e)} AS {ident(out.pg_name)}"
    text = e.sql if e.cls is not Cls.NULL else "NULL"
    if item.alias is not None:
        text += f" AS {ident(item.alias)}"
    return text
