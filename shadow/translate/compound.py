"""UNION, INTERSECT, EXCEPT and VALUES: one type a column, found among all sides."""

from __future__ import annotations

from dataclasses import replace

from . import select
from .catalog import fold
from .compiler import Compiler, Refusal
from .names import ident
from .ordering import order_text
from .relation import How, Rel
from .scope import Out, Scope
from .syntax import Column, Compound, Core, Literal, OrderTerm, Query, Values
from .translation import Order
from .typed import Cls, E, as_cls, common, typed_text


def wanted(e: E, cls: Cls) -> E:
    if cls is Cls.NULL or e.cls is cls:
        return e
    return as_cls(e, cls)


def compound(c: Compiler, node: Compound, scope: Scope, how: How) -> Rel:
    parts: list[tuple[str, Core | Values]] = []
    at: Core | Values | Compound = node
    while isinstance(at, Compound):
        parts.append((at.op, at.right))
        at = at.left
    parts.append(("", at))
    parts.reverse()

    def each(want: list[Cls] | None) -> list[Rel]:
        return [
            select.compile_query(
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


def values(c: Compiler, node: Values, scope: Scope, how: How) -> Rel:
    rows = [[c.expr(e, scope) for e in row] for row in node.rows]
    width = len(rows[0])
    if any(len(row) != width for row in rows):
        raise Refusal("all VALUES must have the same number of terms", node)
    classes = how.want or [common([row[i].cls for row in rows]) for i in range(width)]
    rows = [[wanted(e, cls) for e, cls in zip(row, classes, strict=True)] for row in rows]
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


def ordered_compound(c: Compiler, node: Query, rel: Rel, scope: Scope, how: How) -> Rel:
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
