"""The app's schema in an SQLite of its own, in memory and without rows.

With PostgreSQL primary it answers what only SQLite knows exactly: `sqlite_master` and PRAGMAs, the names of result
columns, and the error for a name that is not there. Nothing of ours is ever in it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import OriginError
from ..translate.catalog import Catalog
from ..types import SqliteValue
from .inspect import Objects, Types, inspect, is_hidden, objects

_STUBS_MAX = 200  # functions and collations of the app that one schema may need
_DESCRIBED_MAX = 4000
_PROGRESS_STEPS = 2_000_000  # virtual machine steps after which a statement on empty tables is given up

_Params = Sequence[SqliteValue] | Mapping[str, SqliteValue]


class _Every(dict[str, SqliteValue]):
    """One value for whatever name is asked."""

    def __init__(self, value: SqliteValue) -> None:
        super().__init__()
        self._value = value

    def __missing__(self, key: str) -> SqliteValue:
        return self._value


@dataclass(frozen=True, slots=True)
class Answer:
    """What SQLite said: the columns' names (None: no result) and all rows."""

    columns: tuple[str, ...] | None
    rows: list[tuple[SqliteValue, ...]]


class Replica:
    """Objects as `schema.objects` gives them; frozen, `evolve` makes a new one."""

    def __init__(self, found: Objects) -> None:
        self._objects: Objects = [o for o in found if not is_hidden(o[1]) and not is_hidden(o[2])]
        self._lock = threading.RLock()  # guards the connection's transaction and the cache
        self._described: dict[str, tuple[str, ...] | None] = {}
        self._conn = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        for kind, name, table, sql in self._objects:
            if sql is not None:
                self._create(kind, name, table, sql)
        # Sample values are inserted and rolled back to learn names: their sense does not matter.
        self._conn.execute("PRAGMA ignore_check_constraints = ON")

    @property
    def objects(self) -> Objects:
        """What stands in sqlite_master, SQLite's own left out."""
        return list(self._objects)

    def catalog(self, pg_schema: str = "public", types: Types | None = None) -> Catalog:
        with self._lock:
            return inspect(self._conn, pg_schema=pg_schema, types=types)

    def describe(self, sql: str) -> tuple[str, ...] | None:
        """Names of the result columns as SQLite gives them, None when there are none.

        Raises sqlite3's own error for SQL that does not compile.
        """
        with self._lock:
            if sql in self._described:
                return self._described[sql]
            if len(self._described) >= _DESCRIBED_MAX:
                self._described.clear()
            self._described[sql] = names = self._describe(sql)
            return names

    def execute(self, sql: str, params: _Params = ()) -> Answer:
        """A catalog question: sqlite_master, PRAGMA table_info and the like.

        Read to its end: a statement left open by one thread would not let another one begin its savepoint.
        """
        with self._lock:
            cursor = self._conn.execute(sql, params)
            columns = None if cursor.description is None else tuple(str(c[0]) for c in cursor.description)
            return Answer(columns, cursor.fetchall())

    def check(self, sql: str, params: _Params = ()) -> None:
        """Compile and bind without running; raises sqlite3's own error for what SQLite would refuse."""
        with self._lock:  # the program is not fetched: a blob in the text stands in it as text that is no UTF-8
            self._conn.execute(f"EXPLAIN {sql}", params).close()

    def evolve(self, ddl: str) -> Replica:
        """The replica after one more statement; raises sqlite3's own error if SQLite would refuse it."""
        after = Replica(self._objects)
        after._with_stubs(ddl)
        return Replica(objects(after._conn))

    def _describe(self, sql: str) -> tuple[str, ...] | None:
        self._bound("EXPLAIN " + sql, 0)  # compiles, runs nothing: errors of the text itself come from here
        for value in (0, None, "", b""):
            try:
                return self._bound(sql, value)
            except sqlite3.Error:
                continue  # a sample value that the statement does not like
        try:  # the names of a subquery are the same but for repeated ones
            return self._bound(f"SELECT * FROM ({sql.rstrip().rstrip(';')}) WHERE 0", 0)
        except sqlite3.Error:
            return None

    def _bound(self, sql: str, value: SqliteValue) -> tuple[str, ...] | None:
        """Run with one value for all parameters, then undo; at most so many steps."""
        conn = self._conn
        conn.set_progress_handler(lambda: 1, _PROGRESS_STEPS)
        conn.execute("SAVEPOINT described")
        try:
            cursor = conn.cursor()
            try:
                cursor.execute(sql, _Every(value))
            except sqlite3.ProgrammingError:
                cursor.execute(sql, (value,) * _positional(conn, sql))
            names = None if cursor.description is None else tuple(str(c[0]) for c in cursor.description)
            cursor.close()
            return names
        finally:
            conn.set_progress_handler(None, 0)
            if conn.in_transaction:
                conn.execute("ROLLBACK TO described")
                conn.execute("RELEASE described")

    def _create(self, kind: str, name: str, table: str, sql: str) -> None:
        try:
            self._with_stubs(sql)
        except sqlite3.OperationalError as error:
            message = str(error)
            if kind == "table" and "already exists" in message:
                return  # a shadow table: its virtual table has made it
            if "no such module" not in message:
                raise OriginError(f"{kind} {name} of the schema cannot be created again: {message}") from error
            # Known by name only, as in a process that has not loaded the module.
            self._conn.execute("PRAGMA writable_schema = ON")
            self._conn.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, 0, ?)", (kind, name, table, sql))
            self._conn.execute("PRAGMA writable_schema = OFF")

    def _with_stubs(self, sql: str) -> None:
        """Run DDL; functions and collations that only the app has get a stand-in that is never called."""
        for _ in range(_STUBS_MAX):
            try:
                self._conn.execute(sql)
            except sqlite3.OperationalError as error:
                message = str(error)
                if message.startswith("no such function: "):
                    self._conn.create_function(
                        message.removeprefix("no such function: "), -1, _nothing, deterministic=True
                    )
                elif message.startswith("no such collation sequence: "):
                    self._conn.create_collation(message.removeprefix("no such collation sequence: "), _equal)
                else:
                    raise
            else:
                return
        raise OriginError(f"the schema needs more than {_STUBS_MAX} functions and collations of the app")


def _positional(conn: sqlite3.Connection, sql: str) -> int:
    """How many `?` a statement has: only the error for a wrong number tells."""
    try:
        conn.execute(sql, ())
    except sqlite3.ProgrammingError as error:
        _, _, rest = str(error).partition("statement uses ")
        count = rest.partition(",")[0]
        if not count.isdigit():
            raise
        return int(count)
    return 0


def _nothing(*_: object) -> None:
    return None


def _equal(_left: str, _right: str) -> int:
    return 0
