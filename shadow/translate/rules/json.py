"""SQLite's JSON functions, all in schema shadow: objects and arrays are text, minified, their keys in order."""

from __future__ import annotations

from ..compiler import Compiler, Refusal, Rule
from ..scope import Scope
from ..syntax import Binary, Call, Expr, Keyword, Literal
from ..typed import FALSE, NULL, Cls, E, as_cls, call, to_int, to_text

#: Calls whose result is JSON: as an argument it is taken as JSON, not as a string.
_JSON_RESULTS = frozenset(
    {"json", "json_array", "json_object", "json_set", "json_insert", "json_replace", "json_remove", "json_patch",
     "json_group_array", "json_group_object"}
)  # fmt: skip


def _args(c: Compiler, node: Call, scope: Scope, low: int, high: int | None) -> list[E]:
    if len(node.args) < low or (high is not None and len(node.args) > high) or node.star or node.distinct:
        raise Refusal(f"wrong number of arguments to function {node.name}()", node)
    return [c.expr(a, scope) for a in node.args]


def extract(c: Compiler, node: Call, scope: Scope) -> E:
    args = _args(c, node, scope, 2, None)
    if any(a.cls is Cls.NULL for a in args):
        return NULL
    texts = [to_text(a).sql for a in args]
    if len(texts) == 2:
        return E(call("shadow.json_extract", *texts), Cls.VALUE)
    return E(f"shadow.json_extract_all({texts[0]}, ARRAY[{', '.join(texts[1:])}])", Cls.TEXT)


def arrow(c: Compiler, node: Binary, scope: Scope) -> E:
    """-> gives JSON text, ->> a value; the right side is a path, a key or an index."""
    left, right = to_text(c.expr(node.left, scope)), to_int(c.expr(node.right, scope))
    if Cls.NULL in (left.cls, right.cls):
        return NULL
    if isinstance(right.const, int) and right.const < 0:
        raise Refusal(f"{node.op} with a negative index: versions of SQLite differ", node)
    path = call("shadow.json_key", right.sql) if right.cls in (Cls.INT, Cls.TEXT) else None
    if path is None:
        raise Refusal("the right side of -> is neither text nor integer", node)
    if node.op == "->":
        return E(call("shadow.json_subtext", left.sql, path), Cls.TEXT)
    return E(call("shadow.json_extract", left.sql, path), Cls.VALUE)


def _text(pg_name: str, low: int, high: int | None, cls: Cls) -> Rule:
    def rule(c: Compiler, node: Call, scope: Scope) -> E:
        args = _args(c, node, scope, low, high)
        if args and args[0].cls is Cls.NULL:
            return NULL
        return E(call(pg_name, *(to_text(a).sql for a in args)), cls)

    return rule


def valid(c: Compiler, node: Call, scope: Scope) -> E:
    (e,) = _args(c, node, scope, 1, 1)
    if e.cls is Cls.NULL:
        return FALSE
    return E(f"COALESCE(shadow.json_valid({to_text(e).sql}), FALSE)", Cls.BOOL, nullable=False)


def is_json(node: Expr) -> bool:
    if isinstance(node, Binary):
        return node.op == "->"
    return isinstance(node, Call) and node.name in _JSON_RESULTS


def as_json(c: Compiler, node: Expr, scope: Scope) -> str:
    """A value as JSON text: what is JSON by its making stays, the rest is quoted."""
    e = c.expr(node, scope)
    if e.cls is Cls.BLOB:
        raise Refusal("JSON cannot hold BLOB values", node)
    if is_json(node):
        return e.sql
    if isinstance(node, Call) and node.name in ("json_extract", "iif", "coalesce", "ifnull"):
        # SQLite marks the objects and arrays these give as JSON; a string of the same look it does not.
        raise Refusal(f"{node.name}() as an argument of a function that makes JSON", node)
    return call("shadow.json_quote", as_cls(to_int(e), Cls.VALUE).sql)


def array(c: Compiler, node: Call, scope: Scope) -> E:
    parts = [as_json(c, a, scope) for a in node.args]
    return E(f"'[' || array_to_string(ARRAY[{', '.join(parts)}]::text[], ',') || ']'", Cls.TEXT, atom=False)


def object_(c: Compiler, node: Call, scope: Scope) -> E:
    if len(node.args) % 2:
        raise Refusal("json_object() requires an even number of arguments", node)
    parts = []
    for key, value in zip(node.args[::2], node.args[1::2], strict=True):
        e = c.expr(key, scope)
        if e.cls is not Cls.TEXT:
            raise Refusal("json_object() labels must be TEXT", key)
        parts.append(f"{call('shadow.json_quote', as_cls(e, Cls.VALUE).sql)} || ':' || {as_json(c, value, scope)}")
    return E(f"'{{' || array_to_string(ARRAY[{', '.join(parts)}]::text[], ',') || '}}'", Cls.TEXT, atom=False)


def _edit(mode: str) -> Rule:
    """json_set, json_insert, json_replace"""

    def rule(c: Compiler, node: Call, scope: Scope) -> E:
        if len(node.args) % 2 == 0:
            raise Refusal(f"json_{mode}() needs an odd number of arguments", node)
        text = to_text(c.expr(node.args[0], scope)).sql
        for path, value in zip(node.args[1::2], node.args[2::2], strict=True):
            where = to_text(c.expr(path, scope)).sql
            text = call("shadow.json_edit", text, where, as_json(c, value, scope), f"'{mode}'")
        return E(text if len(node.args) > 1 else call("shadow.json", text), Cls.TEXT)

    return rule


def remove(c: Compiler, node: Call, scope: Scope) -> E:
    args = _args(c, node, scope, 1, None)
    text = to_text(args[0]).sql
    for path in args[1:]:
        text = call("shadow.json_remove", text, to_text(path).sql)
    return E(text if len(args) > 1 else call("shadow.json", text), Cls.TEXT)


def quote(c: Compiler, node: Call, scope: Scope) -> E:
    (e,) = _args(c, node, scope, 1, 1)
    return E(as_json(c, node.args[0], scope), Cls.TEXT, nullable=e.nullable)


FUNCTIONS = {
    "json_extract": extract,
    "json": _text("shadow.json", 1, 1, Cls.TEXT),
    "json_valid": valid,
    "json_type": _text("shadow.json_type", 1, 2, Cls.TEXT),
    "json_array_length": _text("shadow.json_array_length", 1, 2, Cls.INT),
    "json_patch": _text("shadow.json_patch", 2, 2, Cls.TEXT),
    "json_array": array,
    "json_object": object_,
    "json_set": _edit("set"),
    "json_insert": _edit("insert"),
    "json_replace": _edit("replace"),
    "json_remove": remove,
    "json_quote": quote,
}

__all__ = ["FUNCTIONS", "Keyword", "Literal", "arrow", "as_json"]
