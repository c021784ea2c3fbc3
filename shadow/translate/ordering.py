"""ORDER BY and LIMIT: NULLs first, text by its bytes, and the order SQLite's rows have where nothing fixes it.

A query over one table without ORDER BY comes in rowid order, as SQLite's table scan gives it, and the rowid breaks ties
of an ORDER BY that is there (`Compiler.rowid_order`).
"""

from __future__ import annotations

from dataclasses import replace

from .catalog import fold
from .compiler import Compiler, Refusal, has_window
from .relation import How
from .rules import arithmetic
from .rules.comparison import collate
from .scope import Out, Scope
from .syntax import Column, Core, Item, Literal, OrderTerm, Query
from .translation import Order
from .typed import Cls, E


def first_seen(c: Compiler, core: Core, node: Query, columns: list[Out], scope: Scope, how: How) -> str:
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


def one_row(core: Core, scope: Scope) -> bool:
    return scope.aggregated and not core.group


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


def order_terms(
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
    if how.first_row_only and not one_row(core, scope):
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
    if one_row(core, scope) or core.source is None:
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


def limit_text(c: Compiler, node: Query, scope: Scope, first_row_only: bool) -> str:
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
