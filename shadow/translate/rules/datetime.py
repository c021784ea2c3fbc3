"""Dates and times: text in SQLite's forms, computed as SQLite computes them.

"Now" is `shadow.now()`: the moment SQLite took, when a journalled write is applied or a read compared. The plain forms
are native (`to_char(shadow.now(), ...)`, intervals of days and less); everything else is the function of the same name
in schema shadow, since months overflow differently and times may be text, Julian day or Unix seconds.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace

from ..compiler import Compiler, Refusal, Rule, walk
from ..scope import Scope
from ..syntax import Binary, Call, Literal, Param, Unary
from ..typed import Cls, E, call, const, text_literal, to_int, to_text

_FORMATS = {
    "CURRENT_TIMESTAMP": "YYYY-MM-DD HH24:MI:SS",
    "CURRENT_DATE": "YYYY-MM-DD",
    "CURRENT_TIME": "HH24:MI:SS",
    "datetime": "YYYY-MM-DD HH24:MI:SS",
    "date": "YYYY-MM-DD",
    "time": "HH24:MI:SS",
}
#: '-7 days', '+1 hour': what an interval says too. Months and years are not here: they overflow differently.
_PLAIN_MODIFIER = re.compile(r"([+-]?[0-9]{1,6}) (day|hour|minute|second)s?\Z", re.ASCII | re.IGNORECASE)


def current(c: Compiler, name: str) -> E:
    c.uses_now = True
    c.used("now")
    return E(f"to_char(shadow.now(), '{_FORMATS[name]}')", Cls.TEXT, nullable=False, no_number=True)


def _moment(name: str) -> Rule:
    """date(), time(), datetime()"""

    def rule(c: Compiler, node: Call, scope: Scope) -> E:
        args = _arguments(c, node, scope, node.args)
        if _is_now(args):
            shift = _intervals(args[1:])
            if shift is not None:
                c.used("now")
                text = f"to_char(shadow.now(){shift}, '{_FORMATS[name]}')"
                return E(text, Cls.TEXT, nullable=False, no_number=True)
        found = _function(c, name, "", args, Cls.TEXT)
        once = c.hoists and all(isinstance(n, (Literal, Param, Binary, Unary)) for a in node.args for n in walk(a))
        return replace(found, sql=f"(SELECT {found.sql})" if once else found.sql, no_number=True)

    return rule


def _is_now(args: list[E]) -> bool:
    if not args:
        return True
    value = args[0].const
    return isinstance(value, str) and value.lower() == "now"


def _intervals(modifiers: list[E]) -> str | None:
    """The modifiers as interval arithmetic, if each of them is plain."""
    text = ""
    for modifier in modifiers:
        value = modifier.const
        if not isinstance(value, str):
            return None
        found = _PLAIN_MODIFIER.match(value)
        if found is None:
            return None
        amount = int(found.group(1))
        unit = found.group(2).lower() + ("s" if abs(amount) != 1 else "")
        text += f" {'-' if amount < 0 else '+'} INTERVAL {text_literal(f'{abs(amount)} {unit}')}"
    return text


def _arguments(c: Compiler, node: Call, scope: Scope, args: list) -> list[E]:  # type: ignore[type-arg]
    if node.star or node.distinct or node.over is not None:
        raise Refusal(f"wrong use of {node.name}()", node)
    found = [c.expr(a, scope) for a in args]
    first = found[0].const if found else "now"
    _refuse_zone(c, found, node)
    # What is not a literal may be 'now'.
    if (isinstance(first, str) and first.lower() == "now") or (found and found[0].param):
        c.uses_now = True
    return found


#: Letters of strftime() that came with SQLite 3.44: before, they made the result NULL.
_NEW_LETTERS = frozenset("eFIklpPRTuUVGg")


def _refuse_new_letters(pattern: object, node: Call) -> None:
    if not isinstance(pattern, str):
        return
    letters = {part[:1] for part in pattern.replace("%%", "").split("%")[1:]}
    if letters & _NEW_LETTERS:
        raise Refusal(f"strftime() with %{min(letters & _NEW_LETTERS)}: versions of SQLite differ", node)


def _refuse_zone(c: Compiler, args: list[E], node: Call) -> None:
    """PostgreSQL does not know the app's time zone: 'localtime' only where there is nothing to do."""
    for arg in args[1:]:
        if isinstance(arg.const, str) and arg.const.lower() in ("localtime", "utc"):
            if time.timezone or time.daylight:
                raise Refusal(f"{arg.const} in a process whose time zone is not UTC", node)
            c.warn(f"'{arg.const}' does nothing: the app is taken to run in UTC, as this process does")


def _function(c: Compiler, name: str, leading: str, args: list[E], cls: Cls) -> E:
    c.used(f"function-{name}")
    values = args or [const("now")]
    texts = [_time_text(e) for e in values]
    return E(f"shadow.{name}({leading}{', '.join(texts)})", cls)


def _time_text(e: E) -> str:
    """Numbers with all their digits: 15 would lose milliseconds of a Julian day."""
    if e.cls is Cls.NULL:
        return "NULL::text"
    e = to_int(e)
    if e.cls in (Cls.INT, Cls.REAL):
        return f"{e.wrapped}::text"
    if e.cls is Cls.VALUE:
        return call("shadow.digits", e.sql)
    if isinstance(e.const, str):
        return e.loose
    return to_text(e).sql


def strftime(c: Compiler, node: Call, scope: Scope) -> E:
    if not node.args:
        raise Refusal("wrong number of arguments to function strftime()", node)
    pattern = to_text(c.expr(node.args[0], scope))
    _refuse_new_letters(pattern.const, node)
    args = _arguments(c, node, scope, node.args[1:])
    found = _function(c, "strftime", f"{pattern.loose if pattern.is_const else pattern.sql}, ", args, Cls.TEXT)
    cut = _cut_out(pattern.const, args)
    return found if cut is None else replace(found, sql=f"CASE {cut} ELSE {found.sql} END")


#: Where each field stands in a time as most apps write it, and the length the text must have for it to be there.
_FIELDS = {"Y": (1, 4, 10), "m": (6, 2, 10), "d": (9, 2, 10), "H": (12, 2, 16), "M": (15, 2, 16), "S": (18, 2, 19)}
_COLUMN_TEXT_MAX = 80


def _cut_out(pattern: object, args: list[E]) -> str | None:
    """Fields cut out of the text itself where it is a time as most apps write it: no computation for each row."""
    if not isinstance(pattern, str) or len(args) != 1 or args[0].cls is not Cls.TEXT or args[0].is_const:
        return None
    text = _time_text(args[0])
    if len(text) > _COLUMN_TEXT_MAX or args[0].param:
        return None
    pieces: list[str] = []
    needed, rest = 10, pattern
    while rest:
        literal, percent, rest = rest.partition("%")
        if literal:
            pieces.append(text_literal(literal))
        if not percent:
            break
        if rest[:1] not in _FIELDS:
            return None
        start, count, length = _FIELDS[rest[0]]
        pieces.append(f"substr({text}, {start}, {count})")
        needed, rest = max(needed, length), rest[1:]
    if not pieces:
        return None
    test = f"shadow.is_plain({text}) AND length({text}) >= {needed}"
    return f"WHEN {test} THEN {' || '.join(pieces)}"


def julianday(c: Compiler, node: Call, scope: Scope) -> E:
    return _function(c, "julianday", "", _arguments(c, node, scope, node.args), Cls.REAL)


def unixepoch(c: Compiler, node: Call, scope: Scope) -> E:
    return _function(c, "unixepoch", "", _arguments(c, node, scope, node.args), Cls.INT)


FUNCTIONS = {
    "date": _moment("date"),
    "time": _moment("time"),
    "datetime": _moment("datetime"),
    "strftime": strftime,
    "julianday": julianday,
    "unixepoch": unixepoch,
}
