"""Functions of one row: native where that is provably the same, else the function of that name in schema shadow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..compiler import Compiler, Refusal, Rule
from ..scope import Scope
from ..syntax import Call
from ..translation import Special
from ..typed import NULL, Cls, E, as_cls, call, const, mark, to_int, to_text, typed_text, unify
from . import arithmetic, comparison
from .logic import choose


def _args(c: Compiler, node: Call, scope: Scope, low: int, high: int | None = None) -> list[E]:
    high = low if high is None else high
    if not low <= len(node.args) <= high or node.star or node.distinct:
        raise Refusal(f"wrong number of arguments to function {node.name}()", node)
    if node.over is not None or node.where is not None:
        raise Refusal(f"{node.name}() may not be used as a window function", node)
    return [c.expr(a, scope) for a in node.args]


def _text_function(pg_name: str, low: int = 1, high: int | None = None, cls: Cls = Cls.TEXT) -> Rule:
    """All arguments as text; the result is NULL if one is."""

    def rule(c: Compiler, node: Call, scope: Scope) -> E:
        args = _args(c, node, scope, low, high)
        if any(a.cls is Cls.NULL for a in args):
            return NULL
        return E(call(pg_name, *(to_text(a).sql for a in args)), cls, nullable=any(a.nullable for a in args))

    return rule


def _case(pg_name: str) -> Rule:
    """upper() and lower() change ASCII letters only, as PostgreSQL's do under collation "C"."""

    def rule(c: Compiler, node: Call, scope: Scope) -> E:
        (e,) = _args(c, node, scope, 1)
        if e.cls is Cls.NULL:
            return NULL
        return E(f'{pg_name}({to_text(e).wrapped} COLLATE "C")', Cls.TEXT, nullable=e.nullable)

    return rule


def _trim(pg_name: str) -> Rule:
    def rule(c: Compiler, node: Call, scope: Scope) -> E:
        args = _args(c, node, scope, 1, 2)
        if any(a.cls is Cls.NULL for a in args):
            return NULL
        texts = [to_text(a).sql for a in args]
        return E(call(pg_name, *texts) if len(texts) == 2 else f"{pg_name}({texts[0]}, ' ')", Cls.TEXT)

    return rule


def length(c: Compiler, node: Call, scope: Scope) -> E:
    (e,) = _args(c, node, scope, 1)
    if e.cls is Cls.NULL:
        return NULL
    if e.cls is Cls.VALUE:
        return E(call("shadow.length", e.sql), Cls.INT, nullable=e.nullable)
    text = e.sql if e.cls is Cls.BLOB else to_text(e).sql
    return E(f"length({text})::bigint", Cls.INT, nullable=e.nullable)


def substr(c: Compiler, node: Call, scope: Scope) -> E:
    args = _args(c, node, scope, 2, 3)
    if any(a.cls is Cls.NULL for a in args):
        return NULL
    source = args[0]
    numbers = [arithmetic.integer(a) for a in args[1:]]
    if source.cls is Cls.VALUE:
        return E(call("shadow.substr", source.sql, *(n.sql for n in numbers)), Cls.VALUE)
    cls = Cls.BLOB if source.cls is Cls.BLOB else Cls.TEXT
    # Of an empty blob SQLite's substr() makes NULL.
    text = f"NULLIF({source.sql}, '')" if cls is Cls.BLOB else to_text(source).sql
    start = numbers[0].const
    count = numbers[1].const if len(numbers) == 2 else 0
    if isinstance(start, int) and 1 <= start < 2**31 and isinstance(count, int) and 0 <= count < 2**30:
        shown = [text, str(start)] + ([str(count)] if len(numbers) == 2 else [])
        return E(call("substr", *shown), cls, nullable=source.nullable)
    return E(call("shadow.substr", text, *(n.sql for n in numbers)), cls, nullable=True)


def instr(c: Compiler, node: Call, scope: Scope) -> E:
    a, b = _args(c, node, scope, 2)
    if Cls.NULL in (a.cls, b.cls):
        return NULL
    if a.cls is Cls.BLOB and b.cls is Cls.BLOB:
        return E(f"position({b.sql} IN {a.sql})::bigint", Cls.INT)
    if Cls.VALUE in (a.cls, b.cls):
        return E(call("shadow.instr", as_cls(a, Cls.VALUE).sql, as_cls(b, Cls.VALUE).sql), Cls.INT)
    return E(f"strpos({to_text(a).sql}, {to_text(b).sql})::bigint", Cls.INT, nullable=a.nullable or b.nullable)


def replace_(c: Compiler, node: Call, scope: Scope) -> E:
    args = _args(c, node, scope, 3)
    if any(a.cls is Cls.NULL for a in args):
        return NULL
    return E(call("replace", *(to_text(a).sql for a in args)), Cls.TEXT, nullable=any(a.nullable for a in args))


def hex_(c: Compiler, node: Call, scope: Scope) -> E:
    (e,) = _args(c, node, scope, 1)
    if e.cls is Cls.NULL:
        return const("")
    return E(f"COALESCE(upper(encode({arithmetic.cast_to(e, 'blob').sql}, 'hex')), '')", Cls.TEXT, nullable=False)


def typeof(c: Compiler, node: Call, scope: Scope) -> E:
    (e,) = _args(c, node, scope, 1)
    if e.cls is Cls.NULL:
        return const("null")
    if e.cls is Cls.VALUE:
        return E(call("shadow.typeof", e.sql), Cls.TEXT, nullable=False)
    name = {Cls.INT: "integer", Cls.BOOL: "integer", Cls.REAL: "real", Cls.TEXT: "text", Cls.BLOB: "blob"}[e.cls]
    if not e.nullable:
        return const(name)
    return E(f"CASE WHEN {e.wrapped} IS NULL THEN 'null' ELSE '{name}' END", Cls.TEXT, nullable=False)


def abs_(c: Compiler, node: Call, scope: Scope) -> E:
    (e,) = _args(c, node, scope, 1)
    e = to_int(e)
    if e.cls is Cls.NULL:
        return NULL
    if e.cls in (Cls.INT, Cls.REAL):
        return E(call("abs", e.sql), e.cls, nullable=e.nullable)
    return E(call("shadow.abs", as_cls(e, Cls.VALUE).sql), Cls.VALUE, nullable=e.nullable)


def sign(c: Compiler, node: Call, scope: Scope) -> E:
    (e,) = _args(c, node, scope, 1)
    e = to_int(e)
    if e.cls is Cls.NULL:
        return NULL
    if e.cls in (Cls.INT, Cls.REAL):
        return E(f"sign({e.sql})::bigint", Cls.INT, nullable=e.nullable)
    return E(call("shadow.sign", as_cls(e, Cls.VALUE).sql), Cls.INT)


def round_(c: Compiler, node: Call, scope: Scope) -> E:
    args = _args(c, node, scope, 1, 2)
    if any(a.cls is Cls.NULL for a in args):
        return NULL
    digits = arithmetic.integer(args[1]).sql if len(args) == 2 else "0::bigint"
    value = arithmetic.cast_to(args[0], "real")
    return E(call("shadow.round", value.sql, digits), Cls.REAL, nullable=any(a.nullable for a in args))


def _extreme(which: str) -> Rule:
    """min() and max() of several arguments: NULL if one is; SQLite's order across types."""

    def rule(c: Compiler, node: Call, scope: Scope) -> E:
        args = [c.expr(a, scope) for a in node.args]
        if len(args) < 2 or node.star or node.distinct:
            raise Refusal(f"wrong number of arguments to function {node.name}()", node)
        if any(a.cls is Cls.NULL for a in args):
            return NULL
        args = [to_int(a) for a in args]
        cls, same = unify(args)
        if cls in (Cls.INT, Cls.REAL) or (
            cls is Cls.TEXT and not any(a.collation not in (None, "BINARY") for a in args)
        ):
            texts = [f'{a.wrapped} COLLATE "C"' if cls is Cls.TEXT else a.sql for a in same]
            native = call("LEAST" if which == "min" else "GREATEST", *texts)
            nulls = [a.wrapped for a in same if a.nullable]
            if not nulls:
                return E(native, cls, nullable=False)
            test = " OR ".join(f"{n} IS NULL" for n in nulls)
            return E(f"CASE WHEN {test} THEN NULL ELSE {native} END", cls)
        if any(a.collation not in (None, "BINARY") for a in args):
            raise Refusal(f"{which}() under a collation", node)
        text = ", ".join(as_cls(a, Cls.VALUE).sql for a in args)
        return E(f"shadow.scalar_{which}(VARIADIC ARRAY[{text}])", Cls.VALUE)

    return rule


def printf(c: Compiler, node: Call, scope: Scope) -> E:
    if not node.args:
        return NULL
    args = [c.expr(a, scope) for a in node.args]
    if args[0].cls is Cls.NULL:
        return NULL
    rest = [as_cls(a, Cls.VALUE).sql for a in args[1:]]
    return E(call("shadow.printf", to_text(args[0]).sql, f"ARRAY[{', '.join(rest)}]::shadow.value[]"), Cls.TEXT)


def char(c: Compiler, node: Call, scope: Scope) -> E:
    args = [arithmetic.integer(c.expr(a, scope)) for a in node.args]
    return E(f"shadow.char(ARRAY[{', '.join(typed_text(a) for a in args)}]::bigint[])", Cls.TEXT, nullable=False)


def unicode_(c: Compiler, node: Call, scope: Scope) -> E:
    (e,) = _args(c, node, scope, 1)
    if e.cls is Cls.NULL:
        return NULL
    return E(f"NULLIF(ascii({to_text(e).sql}), 0)::bigint", Cls.INT)


def quote(c: Compiler, node: Call, scope: Scope) -> E:
    (e,) = _args(c, node, scope, 1)
    return E(call("shadow.quote", as_cls(to_int(e), Cls.VALUE).sql), Cls.TEXT, nullable=False)


def zeroblob(c: Compiler, node: Call, scope: Scope) -> E:
    (e,) = _args(c, node, scope, 1)
    count = arithmetic.integer(e).sql
    return E(f"decode(repeat('00', greatest({count}, 0)::int), 'hex')", Cls.BLOB, nullable=e.nullable)


def random(c: Compiler, node: Call, scope: Scope) -> E:
    _args(c, node, scope, 0)
    c.nondeterministic.add("random")
    return E("shadow.random()", Cls.INT, nullable=False)


def randomblob(c: Compiler, node: Call, scope: Scope) -> E:
    (e,) = _args(c, node, scope, 1)
    c.nondeterministic.add("randomblob")
    return E(call("shadow.randomblob", arithmetic.integer(e).sql), Cls.BLOB, nullable=False)


def _connection(special: Special) -> Rule:
    """What the app's connection answers: it is bound by whoever runs the statement."""

    def rule(c: Compiler, node: Call, scope: Scope) -> E:
        _args(c, node, scope, 0)
        c.nondeterministic.add(special.value)
        return E(f"({mark(special.name)})::bigint", Cls.INT, nullable=False)

    return rule


def likelihood(c: Compiler, node: Call, scope: Scope) -> E:
    """likely(x), unlikely(x), likelihood(x, p): x."""
    return c.expr(node.args[0], scope)


def _real_function(pg_name: str, low: int = 1) -> Rule:
    """Mathematical functions: NULL for what is no number."""

    def rule(c: Compiler, node: Call, scope: Scope) -> E:
        args = _args(c, node, scope, low)
        if any(a.cls is Cls.NULL for a in args):
            return NULL
        texts = [_real(a, node).sql for a in args]
        return E(call(f"shadow.{pg_name}", *texts), Cls.REAL)

    return rule


def _real(e: E, node: Call) -> E:
    e = to_int(e)
    if e.cls is Cls.REAL:
        return e
    if e.cls is Cls.INT:
        return E(f"{e.wrapped}::double precision", Cls.REAL)
    return E(call("shadow.math", as_cls(e, Cls.VALUE).sql), Cls.REAL)


def _rounding(pg_name: str) -> Rule:
    """ceil, floor, trunc: integers stay integers."""

    def rule(c: Compiler, node: Call, scope: Scope) -> E:
        (e,) = _args(c, node, scope, 1)
        e = to_int(e)
        if e.cls in (Cls.INT, Cls.NULL):
            return e.expression()
        if e.cls is Cls.REAL:
            return E(call(pg_name, e.sql), Cls.REAL, nullable=e.nullable)
        raise Refusal(f"{node.name}() of text", node)

    return rule


def sqlite_version(c: Compiler, node: Call, scope: Scope) -> E:
    import sqlite3

    _args(c, node, scope, 0)
    return const(sqlite3.sqlite_version)


_MATH: dict[str, tuple[str, int]] = {
    "sqrt": ("sqrt", 1), "pow": ("power", 2), "power": ("power", 2), "exp": ("exp", 1), "ln": ("ln", 1),
    "log10": ("log10", 1), "log2": ("log2", 1), "sin": ("sin", 1), "cos": ("cos", 1), "tan": ("tan", 1),
    "asin": ("asin", 1), "acos": ("acos", 1), "atan": ("atan", 1), "atan2": ("atan2", 2), "radians": ("radians", 1),
    "degrees": ("degrees", 1), "mod": ("fmod", 2),
}  # fmt: skip


def log(c: Compiler, node: Call, scope: Scope) -> E:
    """log(x) is base 10, log(b, x) base b."""
    args = [_real(a, node).sql for a in _args(c, node, scope, 1, 2)]
    return E(call("shadow.log10" if len(args) == 1 else "shadow.logb", *args), Cls.REAL)


def pi(c: Compiler, node: Call, scope: Scope) -> E:
    _args(c, node, scope, 0)
    return E("pi()", Cls.REAL, nullable=False)


FUNCTIONS: dict[str, Callable[[Compiler, Call, Scope], E]] = {
    "length": length,
    "upper": _case("upper"),
    "lower": _case("lower"),
    "trim": _trim("btrim"),
    "ltrim": _trim("ltrim"),
    "rtrim": _trim("rtrim"),
    "substr": substr,
    "substring": substr,
    "instr": instr,
    "replace": replace_,
    "hex": hex_,
    "typeof": typeof,
    "abs": abs_,
    "sign": sign,
    "round": round_,
    "min": _extreme("min"),
    "max": _extreme("max"),
    "printf": printf,
    "format": printf,
    "char": char,
    "unicode": unicode_,
    "quote": quote,
    "zeroblob": zeroblob,
    "random": random,
    "randomblob": randomblob,
    "last_insert_rowid": _connection(Special.LAST_INSERT_ROWID),
    "changes": _connection(Special.CHANGES),
    "total_changes": _connection(Special.TOTAL_CHANGES),
    "likely": likelihood,
    "unlikely": likelihood,
    "likelihood": likelihood,
    "sqlite_version": sqlite_version,
    "log": log,
    "pi": pi,
    "ceil": _rounding("ceil"),
    "ceiling": _rounding("ceil"),
    "floor": _rounding("floor"),
    "trunc": _rounding("trunc"),
    **{name: _real_function(pg, count) for name, (pg, count) in _MATH.items()},
}

__all__ = ["FUNCTIONS", "choose", "comparison", "replace"]
