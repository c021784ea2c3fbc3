"""WITH: common table expressions, those that read themselves too."""

from __future__ import annotations

from dataclasses import replace

from . import select
from .catalog import fold
from .compiler import Compiler, Refusal, walk
from .names import ident
from .ordering import limit_text
from .relation import Rel
from .scope import Out, Scope
from .sources import derived
from .syntax import Compound, Core, Cte, Expr, Query, Values
from .typed import Cls, common


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
            limit = limit_text(c, cte.query, Scope(parent=scope.parent), False)
            # PostgreSQL takes no LIMIT inside; outside, the recursion goes no further than it is read.
            called = ident(c.fresh("r")) if limit else called
            rel = _recursive(c, cte, called, level, scope)
            if limit:
                listed = ", ".join(ident(o.pg_name) for o in rel.columns)
                parts.append(f"{called}({listed}) AS ({rel.sql})")
                rel.sql = f"SELECT {listed} FROM {called}{limit}"
        else:
            inner = Scope(parent=scope.parent)
            rel = select.compile_query(c, cte.query, inner, named=True, ordered=True, names=cte.columns or None)
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
        first = select.compile_query(
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
        second = select.compile_query(c, Query(body.right), Scope(parent=scope.parent), named=True)
        if len(second.columns) != len(classes):
            raise Refusal("SELECTs to the left and right of UNION do not have the same number of result columns", cte)
        joint = [_joint(a.e.cls, b.e.cls) for a, b in zip(first.columns, second.columns, strict=True)]
        if joint == classes and (want is None or want == classes):
            second = select.compile_query(c, Query(body.right), Scope(parent=scope.parent), named=True, want=classes)
            first = select.compile_query(
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
