"""One bound PostgreSQL statement on its way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """One PostgreSQL statement, bound."""

    sql: str
    params: tuple[object, ...]
    #: Its rows are those that SQLite counted; False: preparation.
    counted: bool
    returns_rows: bool = False
