"""A compiled query, and what the place of a query asks of it."""

from __future__ import annotations

from dataclasses import dataclass

from .scope import Out
from .translation import Order
from .typed import Cls


@dataclass(slots=True)
class Rel:
    """A compiled query."""

    sql: str
    columns: list[Out]
    order: Order = Order.NONE


@dataclass(slots=True)
class How:
    """What the place of a query asks of it."""

    #: Every column gets a name of its own, and constants their type.
    named: bool = False
    #: The rows' order will be seen.
    ordered: bool = False
    #: Only the first row counts.
    first_row_only: bool = False
    #: The columns' names, when the place gives them (CTE, view).
    names: list[str] | None = None
    #: The columns' classes, when the place demands them (sides of a compound).
    want: list[Cls] | None = None
