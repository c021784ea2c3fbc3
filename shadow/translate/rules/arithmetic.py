"""Numbers: operators, CAST, and || (which makes text of everything).

Integers and reals use PostgreSQL's own operators; text and mixed values go through shadow.add and its kin, which take
the number at the start of a text as SQLite does. A native bigint operation that overflows is an error in PostgreSQL
where SQLite would go on with a real: loud, never wrong.
"""

from __future__ import annotations

from dataclasses import replace

from ...values import affinity as storage
from ..compiler import Compiler, Refusal
from ..scope import Scope
from ..syntax import Binary, Cast, Expr, Unary
from ..typed import Cls, E, adopt, as_cls, call, const, to_int, to_text

_FUNCTIONS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "%": "modulo"}
_BITS = {"&": "&", "|": "|", "<<": "<<", ">>": ">>"}
_CHAINED = frozenset({*_FUNCTIONS, *_BITS, "||"})
_NULL = E("NULL::bigint", Cls.NULL, const=None)


def binary(c: Compiler, node: Binary, scope: Scope) -> E:
    from . import json

    if node.op in ("->", "->>"):
        return json.arrow(c, node, scope)
    if node.op in ("MATCH", "REGEXP"):
        raise Refusal(f"no translation of {node.op}", node)
    # A chain from the left in one loop: generated texts are long.
    chain = [node]
    while isinstance(chain[-1].left, Binary) and chain[-1].left.op in _CHAINED and not scope.groups:
        chain.append(chain[-1].left)
    found = c.expr(chain[-1].left, scope)
    for part in reversed(chain):
        found = _apply(part.op, found, c.expr(part.right, scope))
    return found


def _apply(op: str, left: E, right: E) -> E:
    if op == "||":
        return concat(left, right)
    if op in _BITS:
        return _bits(op, integer(left), integer(right))
    return calculate(op, left, right)


def calculate(op: str, left: E, right: E) -> E:
    left, right = number(left), number(right)
    if Cls.NULL in (left.cls, right.cls):
        return _NULL
    folded = _folded(op, left, right)
    if folded is not None:
        return folded
    nullable = left.nullable or right.nullable or op in "/%"
    if Cls.VALUE in (left.cls, right.cls):
        text = call(f"shadow.{_FUNCTIONS[op]}", as_cls(left, Cls.VALUE).sql, as_cls(right, Cls.VALUE).sql)
        return E(text, Cls.VALUE, nullable=nullable)
    cls = Cls.INT if left.cls is right.cls is Cls.INT else Cls.REAL
    if op == "%" and cls is Cls.REAL:
        a, b = (as_cls(e, Cls.VALUE).sql for e in (left, right))
        return E(call("shadow.modulo", a, b), Cls.VALUE)
    a, b = _operands(left, right, cls)
    if op in "/%":
        b = b if right.is_const and right.const not in (0, 0.0) else f"NULLIF({right.sql}, 0)"
    return E(f"{a} {op} {b}", cls, atom=False, nullable=nullable)


def _operands(left: E, right: E, cls: Cls) -> tuple[str, str]:
    """Constants without casts beside something typed; both reals when the result is one."""
    a, b = left.wrapped, right.wrapped
    if left.is_const and not right.is_const and left.cls is right.cls:
        a = left.loose
    if right.is_const and not left.is_const and left.cls is right.cls:
        b = right.loose
    return a, b


def _folded(op: str, left: E, right: E) -> E | None:
    """Two literals: SQLite's own arithmetic, overflow to real included."""
    if not (left.is_const and right.is_const):
        return None
    a, b = left.const, right.const
    if not isinstance(a, (int, float)) or not isinstance(b, (int, float)):
        return None
    if op == "%":
        return None
    if op == "/":
        if b == 0:
            return _NULL
        if isinstance(a, int) and isinstance(b, int):
            whole = abs(a) // abs(b)
            return _number(whole if (a < 0) == (b < 0) else -whole)
        return _number(float(a) / float(b))
    return _number(a + b if op == "+" else a - b if op == "-" else a * b)


def _number(value: int | float) -> E | None:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        value = float(value)
    return None if value != value else const(value)


def number(e: E) -> E:
    """As an operand of arithmetic."""
    e = to_int(adopt(e, Cls.INT).expression())
    if e.cls in (Cls.INT, Cls.REAL, Cls.NULL):
        return e
    if e.is_const and isinstance(e.const, str):
        return const(storage.number_prefix(e.const))
    return E(call("shadow.number", e.sql), Cls.VALUE, nullable=e.nullable)


def integer(e: E) -> E:
    """As an operand of bit arithmetic and %: CAST AS INTEGER."""
    e = to_int(adopt(e, Cls.INT).expression())
    if e.cls in (Cls.INT, Cls.NULL):
        return e
    if e.is_const and isinstance(e.const, str):
        return const(storage.integer_prefix(e.const))
    return E(call("shadow.integer", e.sql), Cls.INT, nullable=e.nullable)


def _bits(op: str, left: E, right: E) -> E:
    if Cls.NULL in (left.cls, right.cls):
        return _NULL
    nullable = left.nullable or right.nullable
    if op in ("<<", ">>"):
        name = "shadow.shift_left" if op == "<<" else "shadow.shift_right"
        return E(call(name, left.sql, right.sql), Cls.INT, nullable=nullable)
    return E(f"{left.wrapped} {op} {right.wrapped}", Cls.INT, atom=False, nullable=nullable)


def concat(left: E, right: E) -> E:
    a, b = to_text(left), to_text(right)
    if isinstance(a.const, str) and isinstance(b.const, str):
        return const(a.const + b.const)
    x = a.loose if a.is_const and not (b.is_const or b.param) else a.wrapped
    y = b.loose if b.is_const and not (a.is_const or a.param) else b.wrapped
    return E(f"{x} || {y}", Cls.TEXT, atom=False, nullable=a.nullable or b.nullable)


def unary(c: Compiler, node: Unary, scope: Scope) -> E:
    e = c.expr(node.operand, scope)
    if node.op == "+":
        return replace(e.expression(), collation=e.collation, explicit=e.explicit)
    if node.op == "~":
        return E(f"~ {integer(e).wrapped}", Cls.INT, atom=False, nullable=e.nullable)
    e = number(e)
    if e.is_const and isinstance(e.const, (int, float)):
        return _number(-e.const) or _NULL
    if e.cls is Cls.VALUE:
        return E(call("shadow.subtract", "shadow.v(0::bigint)", e.sql), Cls.VALUE, nullable=e.nullable)
    return E(f"- {e.wrapped}", e.cls, atom=False, nullable=e.nullable)


def cast(c: Compiler, node: Cast, scope: Scope) -> E:
    """CAST truncates where PostgreSQL rounds, and takes what it can from text."""
    e = c.expr(node.operand, scope)
    kind = storage.of_declared(node.type_name)
    found = cast_to(e, kind)
    return replace(found, affinity=kind, collation=e.collation, explicit=e.explicit)


def cast_to(e: E, kind: str) -> E:
    if e.cls is Cls.NULL:
        return e
    e = to_int(e)
    plain = E(e.sql, e.cls, atom=e.atom, const=e.const, nullable=e.nullable, bare=e.bare)
    if kind == "text":
        return to_text(plain)
    if kind == "integer":
        return integer(plain)
    if kind == "real":
        if plain.cls is Cls.REAL:
            return plain
        if plain.cls is Cls.INT:
            return E(f"{plain.wrapped}::double precision", Cls.REAL, nullable=e.nullable)
        return E(call("shadow.real", plain.sql), Cls.REAL, nullable=e.nullable)
    if kind == "numeric":
        if plain.cls in (Cls.INT, Cls.REAL):
            return plain
        return E(call("shadow.cast_numeric", plain.sql), Cls.VALUE, nullable=e.nullable)
    if plain.cls is Cls.BLOB:
        return plain
    return E(call("shadow.blob", plain.sql), Cls.BLOB, nullable=e.nullable)


def as_text(c: Compiler, node: Expr, scope: Scope) -> E:
    """A function's text argument."""
    return to_text(c.expr(node, scope))


EXPRESSIONS = {Cast: cast}
