"""One PostgreSQL session's statements: translations by text and value types, and prepared forms of their steps.

A group travels as one string of `EXECUTE`s. A string of several statements gives no row counts, so each prepared form
counts its own rows and fails (with a division by zero) where the count is not SQLite's:

    PREPARE s1 (bigint, text, bigint) AS WITH w AS (UPDATE ... RETURNING 1) SELECT 1 / (count(*) = $3)::int FROM w

The failure only says "look closer"; `send.Careful` then finds the statement and says what is wrong with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from enum import Enum

import psycopg2
from psycopg2.extensions import cursor as PgCursor

from ..journal.record import Params
from ..translate import Kind, Purpose, Special, Step, Translation, translate
from ..translate.catalog import Catalog

_PLANS_MAX = 1_000
#: Texts beyond this are dynamic SQL, seen once: not worth a place in a cache.
_CACHED_SQL_CHARS_MAX = 20_000

_PG_TYPE = {bool: "boolean", int: "bigint", float: "double precision", str: "text", bytes: "bytea"}
_ROWID = -1


class Count(Enum):
    """What a prepared form does with the number of rows it wrote."""

    UNCHECKED = 0
    #: Compare it with the last argument.
    EXACT = 1
    #: Add it to the setting `shadow.rows`: SQLite told only the sum over several sets.
    SUMMED = 2


class PlanStep:
    """One PostgreSQL statement of a plan: where its parameters come from, and what it is called when prepared."""

    __slots__ = ("counted", "names", "one_row", "places", "returns_rows", "sql")

    def __init__(self, step: Step, translation: Translation, *, is_last: bool) -> None:
        self.sql = step.sql
        #: Its rows are those that SQLite counted; False: preparation.
        self.counted = step.counted
        self.returns_rows = is_last and translation.returns_rows
        #: It writes one row or fails: nothing to check. (Finding more in the text than is there only costs the check.)
        self.one_row = translation.kind is Kind.INSERT and not any(
            word in step.sql for word in ("SELECT", "ON CONFLICT", "WHERE")
        )
        #: Index into positional parameters, `_ROWID`; None when not all of them are that simple.
        self.places: tuple[int, ...] | None = _places(step)
        #: By `Count`: the prepared name; '' where PostgreSQL would not prepare it.
        self.names: dict[Count, str] = {}


class Plan:
    """A statement text with values of certain types, ready to be run any number of times."""

    __slots__ = ("reads", "steps", "translation", "writes", "writes_sorted")

    def __init__(self, translation: Translation) -> None:
        self.translation = translation
        last = len(translation.steps) - 1
        self.steps = tuple(
            PlanStep(step, translation, is_last=number == last) for number, step in enumerate(translation.steps)
        )
        self.reads = translation.reads
        self.writes = translation.writes
        self.writes_sorted = tuple(sorted(translation.writes))

    def bind(self, params: Params, rowid: int | None) -> list[Sequence[object]]:
        """The parameters of each step. Raises `LookupError` for what only the app's connection knows."""
        if isinstance(params, Mapping) or any(step.places is None for step in self.steps):
            return [bound for _, bound in self.translation.bind(params, rowid)]
        return [[rowid if place == _ROWID else params[place] for place in step.places or ()] for step in self.steps]


class Statements:
    """Plans of one session; `reset` when the session is new."""

    __slots__ = ("_number", "_plans", "catalog")

    def __init__(self) -> None:
        self.catalog: Catalog = Catalog()
        self._plans: OrderedDict[tuple[object, ...], Plan] = OrderedDict()
        self._number = 0

    def use(self, cursor: PgCursor, catalog: Catalog) -> None:
        """Translate with this catalog from now on."""
        if catalog is not self.catalog:
            self.catalog = catalog
            if self._plans:
                self._plans.clear()
                cursor.execute("DEALLOCATE ALL")

    def reset(self) -> None:
        """The session is new: nothing is prepared in it."""
        self._plans.clear()

    def plan(self, cursor: PgCursor, sql: str, params: Params) -> Plan:
        """How to apply `sql` with values of these types."""
        if isinstance(params, Mapping):
            named = {name: type(value) for name, value in params.items()}
            types: tuple[type, ...] | dict[str, type] = named
            key: tuple[object, ...] = (sql, tuple(named.items()))
        else:
            types = tuple(map(type, params))
            key = (sql, types)
        found = self._plans.get(key)
        if found is None:
            found = Plan(translate(sql, self.catalog, param_types=types, purpose=Purpose.APPLY))
            if len(sql) <= _CACHED_SQL_CHARS_MAX:
                self._plans[key] = found
                if len(self._plans) > _PLANS_MAX:
                    _, oldest = self._plans.popitem(last=False)
                    self._deallocate(cursor, oldest)
        return found

    def prepare(self, cursor: PgCursor, step: PlanStep, params: Sequence[object], count: Count) -> str:
        """The step's prepared name, '' when it has to be sent as text; inside the caller's transaction."""
        self._number += 1
        name = "" if len(step.sql) > _CACHED_SQL_CHARS_MAX else f"shadow_{self._number}"
        if name:
            cursor.execute("SAVEPOINT shadow_p")
            try:
                cursor.execute(_prepare_sql(name, step, params, count))
            except (psycopg2.ProgrammingError, psycopg2.NotSupportedError, psycopg2.DataError):
                # A parameter without a type, a data-modifying WITH: the statement is run by itself, as text.
                cursor.execute("ROLLBACK TO shadow_p")
                name = ""
            cursor.execute("RELEASE shadow_p")
        step.names[count] = name
        return name

    def _deallocate(self, cursor: PgCursor, plan: Plan) -> None:
        names = [name for step in plan.steps for name in step.names.values() if name]
        if names:
            cursor.execute(";".join(f"DEALLOCATE {name}" for name in names))


def _places(step: Step) -> tuple[int, ...] | None:
    places = tuple(_ROWID if place is Special.ROWID else place for place in step.params)
    return places if all(isinstance(place, int) for place in places) else None  # type: ignore[return-value]


def _prepare_sql(name: str, step: PlanStep, params: Sequence[object], count: Count) -> str:
    types = [_PG_TYPE.get(type(value), "unknown") for value in params]
    # Python's own % turns %s into $1 ... and %% into %, as psycopg2 would with values.
    body = step.sql % tuple(f"${number}" for number in range(1, len(params) + 1))
    if count is not Count.UNCHECKED:
        counted = body if step.returns_rows else f"{body} RETURNING 1"
        if count is Count.EXACT:
            types.append("bigint")
            result = f"1 / (count(*) = ${len(types)})::int"
        else:
            result = "set_config('shadow.rows', (current_setting('shadow.rows')::bigint + count(*))::text, true)"
        body = f"WITH w AS ({counted}) SELECT {result} FROM w"
    declared = f" ({', '.join(types)})" if types else ""
    return f"PREPARE {name}{declared} AS {body}"
