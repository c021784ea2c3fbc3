"""One family of rules per file. A file exports `EXPRESSIONS` (syntax class to rule) and `FUNCTIONS` (name to rule).

`FAMILIES` is ordered; where two families have a rule for the same thing, the later one wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from . import aggregates, arithmetic, comparison, datetime, json, logic, matching, scalar, values, windows

FAMILIES: tuple[ModuleType, ...] = (
    values,  # names, literals, parameters: what everything else is made of
    logic,  # AND, OR, NOT, CASE: need only truth values
    comparison,  # affinity and collation decide; IN and BETWEEN are made of it
    matching,  # LIKE and GLOB, as operators and as functions
    arithmetic,  # + - * / % & | ~ || and CAST
    scalar,  # functions of one row
    datetime,  # after scalar: date() and its kin are functions too, with a clock of their own
    json,
    aggregates,  # after scalar: min() and max() with one argument are aggregates, with more they are not
    windows,  # after aggregates: the same names with OVER
)


def _merged(attribute: str) -> Mapping[Any, Any]:
    found: dict[Any, Any] = {}
    for family in FAMILIES:
        found.update(getattr(family, attribute, {}))
    return found


EXPRESSIONS = _merged("EXPRESSIONS")
FUNCTIONS = _merged("FUNCTIONS")
