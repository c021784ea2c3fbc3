"""SELECT, VALUES and compounds: from syntax to text, with the order SQLite's rows have.

Order: NULLs sort first, text by its bytes. A query over one table without ORDER BY comes in rowid order, as SQLite's
table scan gives it, and the rowid breaks ties of an ORDER BY that is there (`Compiler.rowid_order`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .catalog import fold
from .compiler import Compiler, Refusal, has_aggregate, has_window, is_aggregate, walk
from .names import ident
from .rules import arithmetic
from .rules.comparison import collate
from .scope import Out, Ready, Scope
from .sources import compile_source, derived
from .syntax import Column, Compound, Core, Cte, Expr, Item, Literal, OrderTerm, Query, Star, Values
from .translation import Order
from .typed import Cls, E, as_cls, common, condition, typed_text


@dataclass(slots=True)
class Rel:
    """A compiled query."""

    sql: str
    columns: list[Out]
    order: Order = Order.NONE


@dataclass(slots=True)
class How:
    """What the place of a query asks of it."""

    #: Every column gets a name of its own, and constants their type.
    named: bool = False
    #: The rows' order will be seen.
    ordered: bool = False
    #: Only the first row counts.
    first_row_only: bool = False
    #: The columns' names, when the place gives them (CTE, view).
    names: list[str] | None = None
    #: The columns' classes, when the place demands them (sides of a compound).
    want: list[Cls] | None = None


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


def with_clause(c: Compiler, ctes: list[Cte], recursive: bool, scope: Scope) -> str | None:
    """The text of WITH; its names stay in sight until the caller pops `c.ctes`. None: there is none."""
    if not ctes:
        return None
    level: dict[str, tuple[str, list[Out]]] = {}
    c.ctes.append(level)
    parts = []
    any_recursive = False
    for cte in ctes:
        body = cte.query.body
        itself = isinstance(body, Compound) and mentions(body.right, fold(cte.name))
        any_recursive = any_recursive or itself
        called = ident(cte.name)
        if itself:
            limit = _limit(c, cte.query, Scope(parent=scope.parent), False)
            # PostgreSQL takes no LIMIT inside; outside, the recursion goes no further than it is read.
            called = ident(c.fresh("r")) if limit else called
            rel = _recursive(c, cte, called, level, scope)
            if limit:
                listed = ", ".join(ident(o.pg_name) for o in rel.columns)
                parts.append(f"{called}({listed}) AS ({rel.sql})")
                rel.sql = f"SELECT {listed} FROM {called}{limit}"
        else:
            inner = Scope(parent=scope.parent)
            rel = compile_query(c, cte.query, inner, named=True, ordered=True, names=cte.columns or None)
        columns = [Out(o.name, derived(o.e, ident(o.pg_name))) for o in rel.columns]
        level[fold(cte.name)] = (ident(cte.name), columns)
        hint = f" {cte.hint}" if cte.hint else ""
        listed = ", ".join(ident(o.pg_name) for o in rel.columns)
        parts.append(f"{ident(cte.name)}({listed}) AS{hint} ({rel.sql})")
    return f"WITH {'RECURSIVE ' if any_recursive else ''}{', '.join(parts)}"


def _recursive(c: Compiler, cte: Cte, called: str, level: dict[str, tuple[str, list[Out]]], scope: Scope) -> Rel:
    """A CTE that reads itself: both sides must have one type a column, found by widening until it holds."""
    body = cte.query.body
    assert isinstance(body, Compound)
    if cte.query.order:
        raise Refusal("a recursive query with ORDER BY", cte)
    first_query = Query(body.left, start=cte.start, end=cte.end)
    want: list[Cls] | None = None
    for _ in range(4):
        first = compile_query(
            c, first_query, Scope(parent=scope.parent), named=True, names=cte.columns or None, want=want
        )
        classes: list[Cls] = [Cls.TEXT if o.e.cls is Cls.NULL else o.e.cls for o in first.columns]
        level[fold(cte.name)] = (
            called,
            [
                Out(o.name, replace(derived(o.e, ident(o.pg_name)), cls=cls, nullable=True))
                for o, cls in zip(first.columns, classes, strict=True)
            ],
        )
        second = compile_query(c, Query(body.right), Scope(parent=scope.parent), named=True)
        if len(second.columns) != len(classes):
            raise Refusal("SELECTs to the left and right of UNION do not have the same number of result columns", cte)
        joint = [_joint(a.e.cls, b.e.cls) for a, b in zip(first.columns, second.columns, strict=True)]
        if joint == classes and (want is None or want == classes):
            second = compile_query(c, Query(body.right), Scope(parent=scope.parent), named=True, want=classes)
            first = compile_query(
                c, first_query, Scope(parent=scope.parent), named=True, names=cte.columns or None, want=classes
            )
            return Rel(f"{first.sql} {body.op} {second.sql}", first.columns)
        want = joint
    raise Refusal("the types of a recursive query do not settle", cte)


def _joint(a: Cls, b: Cls) -> Cls:
    found = common([a, b])
    return Cls.TEXT if found is Cls.NULL else found


def mentions(node: Core | Values | Compound, folded: str) -> bool:
    """Does the body read from a name, in FROM or in a nested query?"""
    from .syntax import Exists, In, Join, Scalar, Source, SubQuery, TableCall, TableRef

    def in_source(source: Source | None) -> bool:
        match source:
            case TableRef():
                return fold(source.name) == folded
            case SubQuery():
                return mentions(source.query.body, folded)
            case Join():
                return in_source(source.left) or in_source(source.right)
            case TableCall():
                return any(in_expr(a) for a in source.args)
        return False

    def in_expr(expr: Expr | None) -> bool:
        for part in walk(expr):
            if isinstance(part, (Scalar, Exists)) and mentions(part.query.body, folded):
                return True
            if isinstance(part, In) and isinstance(part.items, Query) and mentions(part.items.body, folded):
                return True
        return False

    if isinstance(node, Compound):
        return mentions(node.left, folded) or mentions(node.right, folded)
    if isinstance(node, Values):
        return any(in_expr(e) for r in node.rows for e in r)
    return in_source(node.source) or any(in_expr(e) for e in (*(i.expr for i in node.items), node.where, node.having))


def _body(c: Compiler, node: Query, scope: Scope, how: How) -> Rel:
    if isinstance(node.body, Core):
        return _core(c, node.body, node, scope, how)
    if isinstance(node.body, Compound):
        rel = _compound(c, node.body, scope, how)
    else:
        rel = _values(c, node.body, scope, how)
    if node.order:
        rel = _ordered_compound(c, node, rel, scope, how)
    rel.sql += _limit(c, node, scope, how.first_row_only)
    return rel


# One SELECT


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
    terms, order = _order(c, core, node, items, columns, scope, how)
    texts = [_item_text(item, out, how) for item, out in zip(items, columns, strict=True)]
    distinct = ""
    first_seen = _first_seen(c, core, node, columns, scope, how)
    if core.distinct and not first_seen:
        distinct = "DISTINCT "
        if any(o.e.collation not in (None, "BINARY") and o.e.cls in (Cls.TEXT, Cls.VALUE) for o in columns):
            raise Refusal("DISTINCT under a collation", core)
    sql = f"SELECT {distinct}{', '.join(texts)}{source_text}{where}{group}{having}{first_seen}"
    if isinstance(terms, str):  # DISTINCT ordered by something else than a column as it is
        inner = ", ".join(f"q.{o.pg_name}" for o in columns)
        sql = f"SELECT {inner} FROM ({sql}) AS q ORDER BY {terms}"
    elif terms:
        sql += f" ORDER BY {', '.join(terms)}"
    sql += _limit(c, node, scope, how.first_row_only and not _one_row(core, scope))
    return Rel(sql, columns, order)


def _first_seen(c: Compiler, core: Core, node: Query, columns: list[Out], scope: Scope, how: How) -> str:
    """DISTINCT over one table without ORDER BY: in SQLite each value stands where it was first met."""
    if not core.distinct or node.order or scope.aggregated or not how.ordered or not c.rowid_order:
        return ""
    if len(scope.sources) != 1 or scope.sources[0].rowid is None:
        return ""
    if any(o.e.is_const or o.e.param or o.e.collation not in (None, "BINARY") for o in columns):
        return ""
    if any(has_window(i.expr) for i in core.items):
        return ""
    texts = list(dict.fromkeys(o.e.sql for o in columns))
    table = scope.sources[0].table
    plain = [fold(i.expr.name) for i in core.items if isinstance(i.expr, Column) and i.expr.name]
    for index in table.indexes if table is not None else ():
        names = [fold(n) for n in index.columns[: len(columns)] if n is not None]
        if names == plain and len(plain) == len(columns):  # SQLite reads the index
            return f" GROUP BY {', '.join(texts)} ORDER BY {', '.join(f'{t} NULLS FIRST' for t in texts)}"
    return f" GROUP BY {', '.join(texts)} ORDER BY min({scope.sources[0].rowid.sql})"


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
            e = _wanted(e, how.want[i])
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


def _wanted(e: E, cls: Cls) -> E:
    if cls is Cls.NULL or e.cls is cls:
        return e
    return as_cls(e, cls)


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


def _one_row(core: Core, scope: Scope) -> bool:
    return scope.aggregated and not core.group


# ORDER BY


def order_text(c: Compiler, term: OrderTerm, e: E) -> str:
    """One term, with SQLite's place of NULLs and its order of text."""
    collation = e.collation or "BINARY"
    text = collate(e, collation)
    if e.cls is Cls.TEXT and not e.plain and collation == "BINARY":
        text = f'{text} COLLATE "C"'
    return text + direction(term, e.nullable)


def direction(term: OrderTerm, nullable: bool) -> str:
    first = not term.descending if term.nulls_first is None else term.nulls_first
    words = " DESC" if term.descending else ""
    if nullable and first != term.descending:  # PostgreSQL's own: last when ascending, first when descending
        words += " NULLS FIRST" if first else " NULLS LAST"
    return words


def _order(
    c: Compiler, core: Core, node: Query, items: list[Item], columns: list[Out], scope: Scope, how: How
) -> tuple[list[str] | str, Order]:
    """The terms of ORDER BY, and what they fix. A string: terms over the columns of `q`, for DISTINCT."""
    terms: list[str] = []
    seen: list[str] = []
    outer: list[str] = []
    for term in node.order:
        at, e = _term(c, term, items, columns, scope)
        if e.is_const or (e.param and at is None):
            continue
        text = order_text(c, term, e)
        seen.append(e.sql)
        if core.distinct:
            at = at if at is not None else next((i for i, o in enumerate(columns) if o.e.sql == e.sql), None)
            if at is None:
                raise Refusal("SELECT DISTINCT ordered by what is not selected", term)
            outer.append(order_text(c, term, replace(e, sql=f"q.c{at + 1}", atom=True, plain=False)))
            terms.append(text)
        else:
            terms.append(text)
    order = _fixed(core, seen, scope)
    if core.distinct:
        if any(t.split(" ")[0] not in {o.e.sql for o in columns} for t in terms):
            how.named = True
            for i, out in enumerate(columns):
                out.pg_name = f"c{i + 1}"
            return ", ".join(outer), order
        return terms, order
    visible = how.ordered or node.limit is not None
    if how.first_row_only and not _one_row(core, scope):
        visible = True
    if visible and c.rowid_order and order is not Order.TOTAL:
        terms.extend(t for t in _tie_breakers(core, scope) if t.split(" ")[0] not in seen)
    return terms, order


def _term(c: Compiler, term: OrderTerm, items: list[Item], columns: list[Out], scope: Scope) -> tuple[int | None, E]:
    """The result column a term names (by number or alias), and the expression to sort by."""
    expr = term.expr
    explicit = None
    from .syntax import Collate

    if isinstance(expr, Collate):
        explicit, inner = expr.collation, expr.operand
    else:
        inner = expr
    at: int | None = None
    if isinstance(inner, Literal) and isinstance(inner.value, int) and not inner.boolean:
        at = inner.value - 1
        if not 0 <= at < len(items):
            raise Refusal(f"ORDER BY term out of range - should be between 1 and {len(items)}", term)
    elif isinstance(inner, Column) and inner.table is None:
        folded = fold(inner.name)
        at = next((i for i, item in enumerate(items) if item.alias is not None and fold(item.alias) == folded), None)
    if at is None:
        return None, c.expr(expr, scope)
    e = columns[at].e
    if explicit is not None:
        e = replace(e, collation=explicit, explicit=True)
    return at, e


def _tie_breakers(core: Core, scope: Scope) -> list[str]:
    """What SQLite's scan adds to the order: the rowid of a single table; the groups, ascending."""
    if scope.aggregated:
        if not core.group:
            return []
        return [f"{text} NULLS FIRST" for text in scope.groups]
    if len(scope.sources) != 1 or has_window(core.items[0].expr):
        return []
    source = scope.sources[0]
    if source.rowid is not None:
        return [source.rowid.sql]
    if source.table is not None:
        return [source.by_name[fold(k)].e.sql for k in source.table.key]
    return []


def _fixed(core: Core, seen: list[str], scope: Scope) -> Order:
    """Does the order leave nothing open?"""
    if _one_row(core, scope) or core.source is None:
        return Order.TOTAL
    if core.group and scope.groups and set(scope.groups) <= set(seen):
        return Order.TOTAL
    if len(scope.sources) == 1 and not scope.aggregated:
        source = scope.sources[0]
        keys: list[set[str]] = []
        if source.rowid is not None:
            keys.append({source.rowid.sql})
        if source.table is not None:
            for index in source.table.indexes:
                names = [fold(n) for n in index.columns if n is not None]
                columns = [source.by_name[n].e for n in names if n in source.by_name]
                whole = index.unique and not index.partial and len(columns) == len(index.columns)
                if whole and not any(e.nullable for e in columns):
                    keys.append({e.sql for e in columns})
            keys.append({source.by_name[fold(k)].e.sql for k in source.table.key if fold(k) in source.by_name} or {""})
        if any(key <= set(seen) for key in keys):
            return Order.TOTAL
    return Order.PARTIAL if seen else Order.NONE


def _limit(c: Compiler, node: Query, scope: Scope, first_row_only: bool) -> str:
    text = ""
    if node.limit is not None:
        limit = arithmetic.integer(c.expr(node.limit, Scope(parent=scope.parent)))
        if limit.is_const and isinstance(limit.const, int):
            text = f" LIMIT {limit.const}" if limit.const >= 0 else ""
        elif limit.cls is not Cls.NULL:
            text = f" LIMIT NULLIF(GREATEST({limit.sql}, -1), -1)"
    elif first_row_only:
        text = " LIMIT 1"
    if node.offset is not None:
        offset = arithmetic.integer(c.expr(node.offset, Scope(parent=scope.parent)))
        if offset.is_const and isinstance(offset.const, int):
            text += f" OFFSET {offset.const}" if offset.const > 0 else ""
        elif offset.cls is not Cls.NULL:
            text += f" OFFSET GREATEST({offset.sql}, 0)"
    return text


# Compounds and VALUES


def _compound(c: Compiler, node: Compound, scope: Scope, how: How) -> Rel:
    parts: list[tuple[str, Core | Values]] = []
    at: Core | Values | Compound = node
    while isinstance(at, Compound):
        parts.append((at.op, at.right))
        at = at.left
    parts.append(("", at))
    parts.reverse()

    def each(want: list[Cls] | None) -> list[Rel]:
        return [
            compile_query(
                c,
                Query(core),
                Scope(parent=scope.parent),
                named=how.named,
                names=how.names if not i else None,
                want=want,
            )
            for i, (_, core) in enumerate(parts)
        ]

    rels = each(None)
    width = len(rels[0].columns)
    if any(len(r.columns) != width for r in rels):
        raise Refusal(
            f"SELECTs to the left and right of {parts[1][0]} do not have the same number of result columns", node
        )
    classes = [common([r.columns[i].e.cls for r in rels]) for i in range(width)]
    if how.want is not None:
        classes = [common([a, b]) for a, b in zip(classes, how.want, strict=True)]
    classes = [Cls.TEXT if cls is Cls.NULL else cls for cls in classes]
    rels = each(classes)
    text = rels[0].sql
    for (op, _), rel in zip(parts[1:], rels[1:], strict=True):
        right = f"({rel.sql})" if " ORDER BY " in rel.sql or " LIMIT " in rel.sql else rel.sql
        left = f"({text})" if op == "INTERSECT" and (" UNION " in text or " EXCEPT " in text) else text
        text = f"{left} {op} {right}"
    columns = [
        Out(o.name, replace(o.e, nullable=any(r.columns[i].e.nullable for r in rels)), pg_name=o.pg_name)
        for i, o in enumerate(rels[0].columns)
    ]
    if any(op != "UNION ALL" for op, _ in parts[1:]):
        for o in columns:
            if o.e.collation not in (None, "BINARY") and o.e.cls in (Cls.TEXT, Cls.VALUE):
                raise Refusal("a compound under a collation", node)
    rel = Rel(text, columns)
    if how.ordered and c.rowid_order and any(op != "UNION ALL" for op, _ in parts[1:]):
        # SQLite's compounds come sorted by all columns.
        return _sorted(c, rel, [OrderTerm(Literal(i + 1)) for i in range(width)], list(range(width)))
    return rel


def _values(c: Compiler, node: Values, scope: Scope, how: How) -> Rel:
    rows = [[c.expr(e, scope) for e in row] for row in node.rows]
    width = len(rows[0])
    if any(len(row) != width for row in rows):
        raise Refusal("all VALUES must have the same number of terms", node)
    classes = how.want or [common([row[i].cls for row in rows]) for i in range(width)]
    rows = [[_wanted(e, cls) for e, cls in zip(row, classes, strict=True)] for row in rows]
    names = how.names or [f"column{i}" for i in range(1, width + 1)]
    texts = [f"({', '.join(typed_text(e) for e in row)})" for row in rows]
    columns = [
        Out(name, E(f"column{i + 1}", classes[i], nullable=True), pg_name=name) for i, name in enumerate(names[:width])
    ]
    sql = f"VALUES {', '.join(texts)}"
    if how.named or how.want is not None:
        shown = ", ".join(ident(n) for n in names)
        sql = f"SELECT * FROM ({sql}) AS v({shown})"
    return Rel(sql, columns, Order.TOTAL if len(rows) == 1 else Order.NONE)


def _ordered_compound(c: Compiler, node: Query, rel: Rel, scope: Scope, how: How) -> Rel:
    places = []
    for term in node.order:
        from .syntax import Collate

        expr = term.expr.operand if isinstance(term.expr, Collate) else term.expr
        at: int | None = None
        if isinstance(expr, Literal) and isinstance(expr.value, int):
            at = expr.value - 1
        elif isinstance(expr, Column):
            at = next((i for i, o in enumerate(rel.columns) if fold(o.name) == fold(expr.name)), None)
        if at is None or not 0 <= at < len(rel.columns):
            raise Refusal("ORDER BY term does not match any column in the result set", term)
        places.append(at)
    found = _sorted(c, rel, node.order, places)
    found.order = Order.TOTAL if set(places) == set(range(len(rel.columns))) else Order.PARTIAL
    return found


def _sorted(c: Compiler, rel: Rel, terms: list[OrderTerm], places: list[int]) -> Rel:
    from .syntax import Collate

    names = [f"c{i}" for i in range(1, len(rel.columns) + 1)]
    texts = []
    for term, at in zip(terms, places, strict=True):
        e = replace(rel.columns[at].e, sql=f"q.{names[at]}", atom=True, plain=False, bare=None)
        if isinstance(term.expr, Collate):
            e = replace(e, collation=term.expr.collation, explicit=True)
        texts.append(order_text(c, term, e))
    shown = ", ".join(
        f"q.{n} AS {ident(o.pg_name)}" if o.pg_name else f"q.{n}" for n, o in zip(names, rel.columns, strict=True)
    )
    sql = f"SELECT {shown} FROM ({rel.sql}) AS q({', '.join(names)}) ORDER BY {', '.join(texts)}"
    return Rel(sql, rel.columns, rel.order)
