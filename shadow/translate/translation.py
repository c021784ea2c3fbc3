"""What a translation is: the value that crosses to the packages that run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum


class Kind(StrEnum):
    """What a statement does."""

    QUERY = "query"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    DDL = "ddl"
    TRANSACTION = "transaction"
    PRAGMA = "pragma"
    OTHER = "other"


class Purpose(StrEnum):
    """Who will run it. APP: PostgreSQL mode and comparison. APPLY: a journalled write with the row id SQLite chose."""

    APP = "app"
    APPLY = "apply"


class Order(StrEnum):
    """What ORDER BY fixes of the result's order."""

    TOTAL = "total"  # at most one row, or a unique key is among the terms
    PARTIAL = "partial"
    NONE = "none"


class Special(Enum):
    """Parameters that do not come from the app's statement."""

    ROWID = "rowid"  # Purpose.APPLY: the row id SQLite chose
    LAST_INSERT_ROWID = "last_insert_rowid"  # what the app's connection answers
    CHANGES = "changes"
    TOTAL_CHANGES = "total_changes"


@dataclass(frozen=True, slots=True)
class Unsupported:
    """Why a statement has no faithful form, and where in its text."""

    reason: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Step:
    """One PostgreSQL statement in psycopg2's format (`%s`, `%%`) and what stands at each place."""

    sql: str
    params: tuple[int | str | Special, ...]
    #: Its row count is part of the statement's (several rows of one INSERT OR REPLACE). False: preparation.
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Translation:
    """See docs/reference/translation.md for each field."""

    source: str
    kind: Kind
    steps: tuple[Step, ...] = ()
    returns_rows: bool = False
    rowid_appended: bool = False
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    catalog_only: bool = False
    order: Order = Order.NONE
    limited: bool = False
    uses_now: bool = False
    nondeterministic: frozenset[str] = frozenset()
    #: A sum or average of reals: SQLite adds in the order of its scan, which no SQL fixes, so last digits may differ.
    sums_reals: bool = False
    rules: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    unsupported: Unsupported | None = None
    #: The statement's parameters as SQLite numbers them; None where one has no name.
    parameters: tuple[str | None, ...] = ()

    def bind(
        self,
        params: Sequence[object] | Mapping[str, object] = (),
        rowid: int | None = None,
        specials: Mapping[Special, object] | None = None,
    ) -> list[tuple[str, tuple[object, ...]]]:
        """Each step's text and psycopg2 parameters, in the order they are to be run."""
        values = {**(specials or {}), Special.ROWID: rowid}
        return [(step.sql, tuple(self._value(p, params, values) for p in step.params)) for step in self.steps]

    def _value(
        self,
        place: int | str | Special,
        params: Sequence[object] | Mapping[str, object],
        values: Mapping[Special, object],
    ) -> object:
        if isinstance(place, Special):
            return values[place]
        if isinstance(params, Mapping):
            name = place if isinstance(place, str) else self.parameters[place]
            if name is None:
                raise LookupError(f"parameter {place} has no name, but names were bound")
            return params[name]
        return params[self.parameters.index(place) if isinstance(place, str) else place]
