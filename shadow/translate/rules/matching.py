"""LIKE (ASCII case does not matter) and GLOB (case matters, * ? [..])."""

from __future__ import annotations

from ..compiler import Compiler, Refusal
from ..scope import Scope
from ..syntax import Call, Like
from ..typed import Cls, E, call, text_literal, to_text


def like(c: Compiler, node: Like, scope: Scope) -> E:
    operand, pattern = c.expr(node.operand, scope), c.expr(node.pattern, scope)
    escape = None if node.escape is None else c.expr(node.escape, scope)
    found = match(node.op, operand, pattern, escape, node)
    if not node.negated:
        return found
    if " LIKE " in found.sql and not found.sql.startswith("shadow."):
        return E(found.sql.replace(" LIKE ", " NOT LIKE ", 1), Cls.BOOL, atom=False, nullable=found.nullable)
    return E(f"NOT {found.wrapped}", Cls.BOOL, atom=False, nullable=found.nullable)


def match(op: str, operand: E, pattern: E, escape: E | None, node: Call | Like) -> E:
    """`operand op pattern`."""
    nullable = operand.nullable or pattern.nullable
    if Cls.NULL in (operand.cls, pattern.cls) or (escape is not None and escape.cls is Cls.NULL):
        return E("NULL::boolean", Cls.BOOL)
    text, mask = to_text(operand), to_text(pattern)
    if op == "GLOB":
        if escape is not None:
            raise Refusal("GLOB has no ESCAPE", node)
        return E(call("shadow.glob", mask.sql, text.sql), Cls.BOOL, nullable=nullable)
    if escape is not None:
        sign = to_text(escape)
        return E(call("shadow.like", mask.sql, text.sql, sign.sql), Cls.BOOL, nullable=nullable)
    # SQLite without ESCAPE has no escape character; PostgreSQL's would be the backslash. lower() in "C" is ASCII's.
    if isinstance(mask.const, str):
        right = text_literal(_ascii_lower(mask.const))
    else:
        right = f'lower({mask.wrapped} COLLATE "C")'
    return E(f"lower({text.wrapped} COLLATE \"C\") LIKE {right} ESCAPE ''", Cls.BOOL, atom=False, nullable=nullable)


def _ascii_lower(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text)


def like_call(c: Compiler, node: Call, scope: Scope) -> E:
    """like(pattern, text [, escape])"""
    if len(node.args) not in (2, 3):
        raise Refusal("wrong number of arguments to function like()", node)
    args = [c.expr(a, scope) for a in node.args]
    return match("LIKE", args[1], args[0], args[2] if len(args) == 3 else None, node)


def glob_call(c: Compiler, node: Call, scope: Scope) -> E:
    if len(node.args) != 2:
        raise Refusal("wrong number of arguments to function glob()", node)
    args = [c.expr(a, scope) for a in node.args]
    return match("GLOB", args[1], args[0], None, node)


EXPRESSIONS = {Like: like}
FUNCTIONS = {"like": like_call, "glob": glob_call}
