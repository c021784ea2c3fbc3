"""Parameters of a statement in PostgreSQL mode: adapted as on SQLite, with the shape that a plan depends on.

Errors (unsupported type, missing name, wrong number) are not made here: the statement is bound on the replica, which
is SQLite, and that raises them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from .. import adapt as adapting
from ..adapt import Params
from ..classify import Statement

#: With the text, what a plan depends on: the classes of the values, and their names when they are named.
Shape: TypeAlias = "tuple[Any, ...]"

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1


def adapt(raw: Any, statement: Statement) -> tuple[Params, Shape | None]:
    """What SQLite would bind, and the shape; None: SQLite itself is to judge, and `raw` comes back as it was."""
    if not raw and type(raw) is tuple:
        return (), ()
    try:
        params = adapting.params(raw, statement)
    except adapting.CannotAdapt:
        return raw, None
    named = isinstance(params, Mapping)
    values = params.values() if isinstance(params, Mapping) else params
    for value in values:
        if type(value) is int and not _INT64_MIN <= value <= _INT64_MAX:
            raise OverflowError("Python int too large to convert to SQLite INTEGER")
    kinds = tuple(map(type, values))
    return params, (tuple(params), kinds) if named else kinds
