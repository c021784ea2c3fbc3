"""=, <, IS, IN, BETWEEN under SQLite's rules of affinity and collation.

Where both sides surely have one class the native operator is used; where they may differ, both become `shadow.value`,
whose order is SQLite's across types. https://www.sqlite.org/datatype3.html section 4.
"""

from __future__ import annotations

from dataclasses import replace

from ...values import affinity as storage
from ..compiler import Compiler, Refusal
from ..scope import Scope
from ..syntax import Between, Binary, Expr, In, Node, Query, Row, Scalar
from ..typed import (
    FALSE,
    NUMBERS,
    NUMERIC_AFFINITIES,
    TRUE,
    Cls,
    E,
    adopt,
    as_cls,
    call,
    condition,
    const,
    to_int,
    to_text,
)

OPERATORS = frozenset({"=", "<>", "<", "<=", ">", ">=", "IS", "IS NOT"})
_NULL = E("NULL::boolean", Cls.BOOL)


def binary(c: Compiler, node: Binary, scope: Scope) -> E:
    if isinstance(node.left, Row) or isinstance(node.right, Row):
        return _rows(c, node, scope)
    left, right = c.expr(node.left, scope), c.expr(node.right, scope)
    if node.op in ("IS", "IS NOT"):
        return _is(c, node, left, right)
    return compare(c, node.op, left, right, node)


def compare(c: Compiler, op: str, left: E, right: E, node: Node | None = None) -> E:
    """`left op right`, op one of = <> < <= > >= and IS / IS NOT."""
    if Cls.NULL in (left.cls, right.cls) and op not in ("IS", "IS NOT"):
        return _NULL
    left, right = adopt(left, right.cls), adopt(right, left.cls)
    collation = _collation(left, right)
    guarded = _guarded(c, op, left, right, collation)
    if guarded is not None:
        return guarded
    left, right = _with_affinity(left, right)
    return _operator(op, left, right, collation)


def _with_affinity(left: E, right: E) -> tuple[E, E]:
    a, b = left.affinity, right.affinity
    if a is not None and b is not None:
        if a in NUMERIC_AFFINITIES or b in NUMERIC_AFFINITIES:
            return numeric(left), numeric(right)
        return left, right
    one = a if a is not None else b
    if one in NUMERIC_AFFINITIES:
        return numeric(left), numeric(right)
    if one == "text":
        return textual(left), textual(right)
    return left, right


def numeric(e: E) -> E:
    """With numeric affinity: text that is a number becomes one."""
    if e.cls is Cls.TEXT:
        if e.is_const and isinstance(e.const, str):
            return const(storage.apply(e.const, "numeric"))
        if e.no_number or e.affinity in NUMERIC_AFFINITIES:
            return e  # a date, or stored under this affinity: what is still text is no number
        return replace(e, sql=call("shadow.numeric", e.sql), cls=Cls.VALUE, bare=None, atom=True, plain=False)
    if e.cls is Cls.VALUE and e.affinity not in NUMERIC_AFFINITIES:
        return replace(e, sql=call("shadow.numeric", e.sql), atom=True)
    return e


def textual(e: E) -> E:
    """With text affinity: numbers become text."""
    if e.cls in NUMBERS:
        return to_text(e)
    if e.cls is Cls.VALUE and e.affinity != "text":
        return replace(e, sql=call("shadow.textual", e.sql), atom=True)
    return e


def _guarded(c: Compiler, op: str, left: E, right: E, collation: str) -> E | None:
    """A text parameter against a numeric column: a plain, indexable comparison behind a test PostgreSQL folds away."""
    if right.param and right.cls is Cls.TEXT and left.affinity in NUMERIC_AFFINITIES:
        column, param, flipped = left, right, False
    elif left.param and left.cls is Cls.TEXT and right.affinity in NUMERIC_AFFINITIES:
        column, param, flipped = right, left, True
    else:
        return None
    if column.cls not in (Cls.TEXT, Cls.INT) or op in ("IS", "IS NOT"):
        return None
    c.used("affinity-of-parameter")
    if column.cls is Cls.TEXT:
        test, likely = f"NOT {call('shadow.is_number', param.sql)}", param
    else:
        test = call("shadow.is_integer", param.sql)
        likely = E(f"{param.sql}::bigint", Cls.INT)
    changed = numeric(replace(param, param=0))
    pairs = [(column, likely), (column, changed)]
    if flipped:
        pairs = [(b, a) for a, b in pairs]
    plain, mixed = (_operator(op, a, b, collation) for a, b in pairs)
    return E(f"CASE WHEN {test} THEN {plain.sql} ELSE {mixed.sql} END", Cls.BOOL)


def _collation(left: E, right: E) -> str:
    if left.explicit or right.explicit:
        return (left.collation if left.explicit else right.collation) or "BINARY"
    return left.collation or right.collation or "BINARY"


def _operator(op: str, left: E, right: E, collation: str) -> E:
    spelled = {"IS": "IS NOT DISTINCT FROM", "IS NOT": "IS DISTINCT FROM"}.get(op, op)
    nullable = (left.nullable or right.nullable) and op not in ("IS", "IS NOT")
    left, right = _one_type(left, right)
    if left.cls is Cls.BOOL and right.cls is Cls.BOOL:
        short = _boolean(op, left, right)
        if short is not None:
            return replace(short, nullable=nullable)
    a, b = _texts(left, right)
    if left.cls in (Cls.TEXT, Cls.VALUE) and collation != "BINARY":
        a, b = collate(left, collation), collate(right, collation)
    elif left.cls is Cls.TEXT and op in ("<", "<=", ">", ">=") and not (left.plain or right.plain):
        a = f'{a} COLLATE "C"'
    return E(f"{a} {spelled} {b}", Cls.BOOL, atom=False, nullable=nullable)


def _one_type(left: E, right: E) -> tuple[E, E]:
    if left.cls is Cls.NULL or right.cls is Cls.NULL:
        return left, right
    if left.cls is right.cls:
        return left, right
    if left.cls in NUMBERS and right.cls in NUMBERS:
        if left.cls is Cls.BOOL and right.const in (0, 1) and right.is_const:
            return left, (TRUE if right.const else FALSE)
        if right.cls is Cls.BOOL and left.const in (0, 1) and left.is_const:
            return (TRUE if left.const else FALSE), right
        return to_int(left), to_int(right)
    return as_cls(left, Cls.VALUE), as_cls(right, Cls.VALUE)


def _boolean(op: str, left: E, right: E) -> E | None:
    """`active = 1` is `active`, `active = 0` is `NOT active`."""
    if left.is_const and not right.is_const and op in ("=", "<>"):
        left, right = right, left
    if op not in ("=", "<>") or not right.is_const or left.is_const:
        return None
    if bool(right.const) == (op == "="):
        return E(left.sql, Cls.BOOL, atom=left.atom)
    return E(f"NOT {left.wrapped}", Cls.BOOL, atom=False)


def _texts(left: E, right: E) -> tuple[str, str]:
    """Literals and parameters without casts where the other side has a type of its own."""
    same = left.cls is right.cls or {left.cls, right.cls} == {Cls.INT, Cls.REAL}
    a_free = left.is_const or left.param
    b_free = right.is_const or right.param
    a = left.loose if a_free and not b_free and same else left.wrapped
    b = right.loose if b_free and not a_free and same else right.wrapped
    return a, b


def collate(e: E, collation: str) -> str:
    """What a value sorts and compares as under a collation."""
    if e.cls is Cls.TEXT:
        if collation == "NOCASE":
            return f'lower({e.wrapped} COLLATE "C")'
        if collation == "RTRIM":
            return f"rtrim({e.sql}, ' ')"
        return e.wrapped
    if e.cls is Cls.VALUE and collation in ("NOCASE", "RTRIM"):
        return call(f"shadow.{collation.lower()}", e.sql)
    return e.wrapped


def null_test(e: E, negated: bool) -> E:
    if e.cls is Cls.NULL:
        return FALSE if negated else TRUE
    if e.is_const:
        return TRUE if negated else FALSE
    if e.cls is Cls.VALUE and negated:  # a composite IS NOT NULL only when none of its fields is
        return E(f"NOT ({e.wrapped} IS NULL)", Cls.BOOL, atom=False, nullable=False)
    return E(f"{e.wrapped} IS {'NOT ' if negated else ''}NULL", Cls.BOOL, atom=False, nullable=False)


def _is(c: Compiler, node: Binary, left: E, right: E) -> E:
    from ..syntax import Literal

    negated = node.op == "IS NOT"
    if isinstance(node.right, Literal) and node.right.boolean:
        word = "TRUE" if node.right.value else "FALSE"
        text = condition(left)
        return E(f"({text}) IS {'NOT ' if negated else ''}{word}", Cls.BOOL, atom=False, nullable=False)
    if right.cls is Cls.NULL:
        return null_test(left, negated)
    if left.cls is Cls.NULL:
        return null_test(right, negated)
    return compare(c, node.op, left, right, node)


def _rows(c: Compiler, node: Binary, scope: Scope) -> E:
    """Row values, part by part."""
    if not isinstance(node.left, Row) or not isinstance(node.right, Row):
        raise Refusal("a row value compared with a query is not translated", node)
    if len(node.left.items) != len(node.right.items):
        raise Refusal("row values of different lengths", node)
    pairs = [(c.expr(a, scope), c.expr(b, scope)) for a, b in zip(node.left.items, node.right.items, strict=True)]
    op = node.op
    if op in ("=", "IS"):
        parts = [f"({condition(compare(c, op, a, b, node))})" for a, b in pairs]
        return E(" AND ".join(parts), Cls.BOOL, atom=False)
    if op in ("<>", "IS NOT"):
        parts = [f"({condition(compare(c, op, a, b, node))})" for a, b in pairs]
        return E(" OR ".join(parts), Cls.BOOL, atom=False)
    lefts, rights = [], []
    for a, b in pairs:
        if _collation(a, b) != "BINARY":
            raise Refusal("row values under a collation", node)
        a, b = _one_type(*_with_affinity(a, b))
        lefts.append(f'{a.wrapped} COLLATE "C"' if a.cls is Cls.TEXT else a.sql)
        rights.append(b.sql)
    return E(f"({', '.join(lefts)}) {op} ({', '.join(rights)})", Cls.BOOL, atom=False)


def between(c: Compiler, node: Between, scope: Scope) -> E:
    e, low, high = (c.expr(n, scope) for n in (node.operand, node.low, node.high))
    a, b = compare(c, ">=", e, low, node), compare(c, "<=", e, high, node)
    if _same_text(e, a, low, ">=") and _same_text(e, b, high, "<="):
        la, hb = a.sql.split(" >= ", 1)[1], b.sql.split(" <= ", 1)[1]
        word = "NOT BETWEEN" if node.negated else "BETWEEN"
        return E(f"{e.wrapped} {word} {la} AND {hb}", Cls.BOOL, atom=False)
    text = f"({a.sql}) AND ({b.sql})"
    return E(f"NOT ({text})" if node.negated else text, Cls.BOOL, atom=False)


def _same_text(e: E, compared: E, bound: E, op: str) -> bool:
    """Did the comparison leave the operand as it was, so that BETWEEN says the same?"""
    if not bound.atom or "\x01" in e.sql or compared.sql.count(f" {op} ") != 1:
        return False
    return compared.sql in (f"{e.wrapped} {op} {bound.loose}", f"{e.wrapped} {op} {bound.wrapped}")


def in_(c: Compiler, node: In, scope: Scope) -> E:
    if isinstance(node.items, Query):
        return _in_query(c, node, scope)
    if not node.items:
        return TRUE if node.negated else FALSE
    if isinstance(node.operand, Row):
        found = [_rows(c, Binary("=", node.operand, item), scope) for item in node.items]
        text = " OR ".join(f"({e.sql})" for e in found)
        return E(f"NOT ({text})" if node.negated else f"({text})", Cls.BOOL, atom=not node.negated)
    e = c.expr(node.operand, scope)
    # SQLite gives the items of a list no affinity of their own.
    items = [adopt(replace(c.expr(item, scope), affinity=None), e.cls) for item in node.items]
    simple = _in_list(e, items)
    if simple is not None:
        word = "NOT IN" if node.negated else "IN"
        return E(f"{simple[0]} {word} ({', '.join(simple[1])})", Cls.BOOL, atom=False)
    parts = [f"({condition(compare(c, '=', e, item, node))})" for item in items]
    text = " OR ".join(parts)
    return E(f"NOT ({text})" if node.negated else f"({text})", Cls.BOOL, atom=not node.negated)


def _in_list(e: E, items: list[E]) -> tuple[str, list[str]] | None:
    """Operand and items when one native IN says the same."""
    if e.cls not in (Cls.INT, Cls.REAL, Cls.TEXT, Cls.BLOB) or (e.collation or "BINARY") != "BINARY":
        return None
    texts = []
    for item in items:
        if item.explicit and item.collation != "BINARY":
            return None
        if e.affinity in NUMERIC_AFFINITIES and item.cls is Cls.TEXT and not item.is_const:
            return None
        a, b = _with_affinity(e, item)
        if a.sql != e.sql:
            return None
        if b.cls is Cls.NULL:
            texts.append("NULL")
            continue
        if b.cls is not e.cls and not (e.cls is Cls.REAL and b.cls is Cls.INT):
            return None
        texts.append(b.loose if (b.is_const or b.param) and not (e.is_const or e.param) else b.sql)
    return e.wrapped, texts


def _in_query(c: Compiler, node: In, scope: Scope) -> E:
    from ..select import query

    assert isinstance(node.items, Query)
    operands: list[Expr] = node.operand.items if isinstance(node.operand, Row) else [node.operand]
    found = query(c, node.items, scope)
    if len(found.columns) != len(operands):
        raise Refusal(f"sub-select returns {len(found.columns)} columns - expected {len(operands)}", node)
    word = "NOT IN" if node.negated else "IN"
    lefts, rights, plain = [], [], True
    names = [f"c{i}" for i in range(1, len(operands) + 1)]
    for name, operand, column in zip(names, operands, found.columns, strict=True):
        a = c.expr(operand, scope)
        inner = replace(column.e, sql=f"q.{name}", bare=None, atom=True, plain=False, param=0)
        inner = E(inner.sql, inner.cls, affinity=column.e.affinity, collation=column.e.collation)
        collation = (a.collation if a.explicit else None) or a.collation or column.e.collation or "BINARY"
        x, y = _one_type(*_with_affinity(a, inner)) if Cls.NULL not in (a.cls, inner.cls) else (a, inner)
        if collation != "BINARY" and x.cls in (Cls.TEXT, Cls.VALUE):
            left, right = collate(x, collation), collate(y, collation)
        else:
            left, right = x.wrapped, y.wrapped
        lefts.append(left)
        rights.append(right)
        plain = plain and right == inner.sql
    left = lefts[0] if len(lefts) == 1 else f"({', '.join(lefts)})"
    if plain:
        return E(f"{left} {word} ({found.sql})", Cls.BOOL, atom=False)
    text = f"SELECT {', '.join(rights)} FROM ({found.sql}) AS q({', '.join(names)})"
    return E(f"{left} {word} ({text})", Cls.BOOL, atom=False)


EXPRESSIONS = {Between: between, In: in_}

__all__ = ["EXPRESSIONS", "OPERATORS", "Scalar", "binary", "collate", "compare", "null_test", "numeric", "textual"]
