"""Parameters as SQLite stores them: adapted once, the adapted values are bound and journaled alike.

What cannot be adapted is handed to sqlite3 as it came, which raises its own error.
"""

from __future__ import annotations

import sqlite3
from types import MappingProxyType
from typing import Any, TypeAlias

from .classify import Statement

Params: TypeAlias = "tuple[Any, ...] | dict[str, Any]"

PLAIN = frozenset((int, str, bytes, type(None)))
PLAIN_OR_FLOAT = PLAIN | {float}
_PROTOCOL = sqlite3.PrepareProtocol
#: Types that sqlite3 adapts only when an adapter for one of them was registered.
_BASE = tuple((base, _PROTOCOL) for base in (int, float, str, bytes, bytearray))


class CannotAdapt(Exception):
    """sqlite3 itself is to judge the parameters."""


def value(raw: Any) -> Any:
    """One value as SQLite stores it: int, float, str, bytes or None."""
    kind = type(raw)
    if (kind not in PLAIN and kind is not float and kind is not bytearray) or _base_adapters():
        raw = sqlite3.adapt(raw, _PROTOCOL, raw)
        kind = type(raw)
    if kind in PLAIN:
        return raw
    if isinstance(raw, float):
        plain = float.__float__(raw)
        return None if plain != plain else plain  # SQLite stores NaN as NULL
    if isinstance(raw, int):
        return int.__int__(raw)
    if isinstance(raw, str):
        return str.__str__(raw)
    try:
        return memoryview(raw).tobytes() if memoryview(raw).contiguous else raw
    except TypeError:
        raise CannotAdapt from None


_adapters_seen = (-1, False)  # how many adapters were registered at the last look, and whether one is of a base type


def _base_adapters() -> bool:
    global _adapters_seen
    count = len(sqlite3.adapters)
    if count != _adapters_seen[0]:
        _adapters_seen = (count, any(key in sqlite3.adapters for key in _BASE))
    return _adapters_seen[1]


def params(raw: Any, statement: Statement) -> Params:
    """The parameters of one execution. Raises `CannotAdapt` for what sqlite3 would refuse."""
    kind = type(raw)
    if kind is tuple or kind is list:
        if PLAIN.issuperset(map(type, raw)):
            return raw if kind is tuple else tuple(raw)
        return tuple([one if type(one) in PLAIN else value(one) for one in raw])
    try:
        # sqlite3's own order: whatever can be indexed and is no dict is a sequence.
        if not isinstance(raw, (dict, MappingProxyType)) and hasattr(kind, "__getitem__"):
            return tuple([value(raw[i]) for i in range(len(raw))])
        if not hasattr(kind, "__getitem__") or not all(v and v[0] != "?" for v in statement.variables):
            raise CannotAdapt
        return {name: value(raw[name]) for name in statement.variables}
    except (LookupError, TypeError, ValueError):
        raise CannotAdapt from None


def journaled(bound: Params, statement: Statement) -> Params:
    """The same for the record: a sequence bound to named variables is carried by name."""
    if type(bound) is tuple and bound and statement.variables and statement.variables[0][:1] not in ("", "?"):
        return dict(zip(statement.variables, bound, strict=False))
    return bound


def base_adapters_registered() -> bool:
    """Values of plain types would be adapted a second time when bound: bind what the app gave instead."""
    return _base_adapters()
