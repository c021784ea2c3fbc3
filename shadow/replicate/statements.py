"""One PostgreSQL session's statements: translations by text and value types, and prepared forms of their steps.

A group travels as one string of `EXECUTE`s. A string of several statements gives no row counts, so each prepared form
counts its own rows and fails (with a division by zero) where the count is not SQLite's:

    PREPARE s1 (bigint, text, bigint) AS WITH w AS (UPDATE ... RETURNING 1) SELECT 1 / (count(*) = $3)::int FROM w

The failure only says "look closer"; `group.Careful` then finds the statement and says what is wrong with it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import Any

import psycopg2
from psycopg2.extensions import cursor as PgCursor

from ..journal.record import Params
from ..translate import Purpose, Translation, translate
from ..translate.catalog import Catalog
from .command import Command

_TRANSLATIONS_MAX = 2_000
_PREPARED_MAX = 500
#: Texts beyond this are dynamic SQL, seen once: not worth a place in a cache.
_CACHED_SQL_CHARS_MAX = 20_000

_PG_TYPE = {bool: "boolean", int: "bigint", float: "double precision", str: "text", bytes: "bytea"}


class Count(Enum):
    """What a prepared form does with the number of rows it wrote."""

    UNCHECKED = 0
    #: Compare it with the last argument.
    EXACT = 1
    #: Add it to the setting `shadow.rows`: SQLite told only the sum over several sets.
    SUMMED = 2


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prepared statement, or (name None) one that PostgreSQL would not prepare."""

    name: str | None
    #: 'EXECUTE s1(%s,%s)', for `mogrify`.
    execute: str


class Statements:
    """Caches of one session; `reset` when the session is new."""

    __slots__ = ("_number", "_prepared", "_translations", "catalog")

    def __init__(self) -> None:
        self.catalog: Catalog = Catalog()
        self._translations: OrderedDict[tuple[object, ...], Translation] = OrderedDict()
        self._prepared: OrderedDict[tuple[object, ...], Prepared] = OrderedDict()
        self._number = 0

    def use(self, catalog: Catalog) -> None:
        """Translate with this catalog from now on."""
        if catalog is not self.catalog:
            self.catalog = catalog
            self._translations.clear()

    def reset(self) -> None:
        """The session is new: nothing is prepared in it."""
        self._prepared.clear()

    def translation(self, sql: str, params: Params) -> Translation:
        """The translation for applying `sql` with values of these types."""
        types: Any
        if isinstance(params, tuple | list):
            types = tuple(map(type, params))
            key: tuple[object, ...] = (sql, types)
        else:
            types = {name: type(value) for name, value in params.items()}
            key = (sql, tuple(types.items()))
        found = self._translations.get(key)
        if found is not None:
            return found
        found = translate(sql, self.catalog, param_types=types, purpose=Purpose.APPLY)
        if len(sql) <= _CACHED_SQL_CHARS_MAX:
            self._translations[key] = found
            if len(self._translations) > _TRANSLATIONS_MAX:
                self._translations.popitem(last=False)
        return found

    def prepared(self, cursor: PgCursor, command: Command, count: Count) -> Prepared:
        """The prepared form of a command; prepares it, inside the caller's transaction, when it is new."""
        key = (command.sql, tuple(map(type, command.params)), count)
        found = self._prepared.get(key)
        if found is None:
            found = self._prepare(cursor, command, count)
            self._prepared[key] = found
            if len(self._prepared) > _PREPARED_MAX:
                _, oldest = self._prepared.popitem(last=False)
                if oldest.name:
                    cursor.execute(f"DEALLOCATE {oldest.name}")
        return found

    def _prepare(self, cursor: PgCursor, command: Command, count: Count) -> Prepared:
        sql, params = command.sql, command.params
        if len(sql) > _CACHED_SQL_CHARS_MAX:
            return Prepared(None, "")
        self._number += 1
        name = f"shadow_{self._number}"
        types = [_PG_TYPE.get(type(value), "unknown") for value in params]
        body = sql % tuple(f"${number}" for number in range(1, len(params) + 1)) if params or "%" in sql else sql
        if count is not Count.UNCHECKED:
            counted = body if command.returns_rows else f"{body} RETURNING 1"
            if count is Count.EXACT:
                types.append("bigint")
                result = f"1 / (count(*) = ${len(types)})::int"
            else:
                result = "set_config('shadow.rows', (current_setting('shadow.rows')::bigint + count(*))::text, true)"
            body = f"WITH w AS ({counted}) SELECT {result} FROM w"
        try:
            cursor.execute(f"SAVEPOINT shadow_p; PREPARE {name}{_list(types)} AS {body}")
            cursor.execute("RELEASE shadow_p")
        except (psycopg2.ProgrammingError, psycopg2.NotSupportedError, psycopg2.DataError):
            # A parameter without a type, a data-modifying WITH ...: the statement is run by itself, as text.
            cursor.execute("ROLLBACK TO shadow_p; RELEASE shadow_p")
            return Prepared(None, "")
        return Prepared(name, f"EXECUTE {name}{_list(['%s'] * len(types))}")


def _list(parts: list[str]) -> str:
    return f"({', '.join(parts)})" if parts else ""
