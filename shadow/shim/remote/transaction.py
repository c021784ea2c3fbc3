"""The PostgreSQL side of one app transaction: when it begins, how it enters under the fence, what an error undoes.

SQLite's rules, kept on PostgreSQL's: BEGIN alone does nothing yet; a read takes a snapshot; the first write takes the
fence's lock and only then reads the flag; an error in a statement leaves the earlier ones standing, so each statement
runs behind an internal savepoint, folded into its own string. The savepoint is renewed only when something has been
written since.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from ...flag.control import fence_table
from ...types import PgMode

if TYPE_CHECKING:
    from ...config import Settings
    from .schema import SchemaState

#: The internal savepoint; the app's own get a prefix, so that no name of theirs is this one.
GUARD = "shadow_guard"


class Phase(Enum):
    NONE = "none"  # autocommit
    PENDING = "pending"  # the app has begun, PostgreSQL knows nothing of it
    READ = "read"  # a snapshot is held, nothing written
    WRITE = "write"  # under the fence
    FAILED = "failed"  # the server's transaction is gone, the app has not been told by COMMIT or ROLLBACK


@dataclass(slots=True)
class Savepoint:
    """One of the app's savepoints that is open."""

    name: str
    sql: str
    #: Phase when it was set: going back to one set before the entry frees the fence's lock.
    phase: Phase
    #: What the schema was; DDL is undone with it.
    local: SchemaState | None


@dataclass(slots=True)
class Transaction:
    """State of the app's transaction; the strings to send are made here, sending is the session's."""

    settings: Settings
    phase: Phase = Phase.NONE
    #: '' DEFERRED, else IMMEDIATE or EXCLUSIVE.
    mode: str = ""
    savepoints: list[Savepoint] = field(default_factory=list)
    #: Whether the internal savepoint is the innermost one, and whether something was written behind it.
    guarded: bool = False
    written: bool = False
    #: The app has seen a result of this transaction: it cannot be run again elsewhere.
    seen: bool = False
    #: The schema as this transaction's own DDL has made it.
    local: SchemaState | None = None

    def reset(self) -> None:
        self.phase = Phase.NONE
        self.mode = ""
        self.savepoints.clear()
        self.guarded = self.written = self.seen = False
        self.local = None

    def begin(self, mode: str) -> None:
        self.reset()
        self.phase = Phase.PENDING
        self.mode = "" if mode == "DEFERRED" else mode

    # -- strings -------------------------------------------------------------------------------------------------

    def open_read(self) -> str:
        """Before the first statement of a transaction when it reads."""
        return f"BEGIN ISOLATION LEVEL REPEATABLE READ; {self._savepoints()}SAVEPOINT {GUARD}; "

    def open_write(self, version: int, *, ddl: bool = False) -> str:
        """Before the first statement of a transaction when it writes: lock, flag, then savepoints."""
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; "
        return f"{begin}{self.entry(version, ddl=ddl)}{self._savepoints()}SAVEPOINT {GUARD}; "

    def entry(self, version: int, *, ddl: bool = False) -> str:
        """Lock, then the flag in a statement of its own; the lock takes no snapshot."""
        return f"{self._lock(ddl=ddl)}SELECT shadow.enter({self._pair}, {version}); {self._serial()}"

    def entry_late(self, version: int, *, ddl: bool = False) -> str:
        """For a transaction that has a snapshot already. The guard goes first: a lock behind it would go with it."""
        release = f"RELEASE {GUARD}; " if self.guarded else ""
        check = f"SELECT shadow.enter_late({self._pair}, {version}); "
        return f"{release}{self._lock(ddl=ddl)}{check}{self._serial()}SAVEPOINT {GUARD}; "

    def guard(self) -> str:
        """Before a later statement: nothing if nothing was written behind the savepoint."""
        if not self.guarded:
            return f"SAVEPOINT {GUARD}; "
        return f"RELEASE {GUARD}; SAVEPOINT {GUARD}; " if self.written else ""

    def _savepoints(self) -> str:
        return "".join(f"{s.sql}; " for s in self.savepoints)

    def _lock(self, *, ddl: bool) -> str:
        if self.mode == "EXCLUSIVE":
            mode = "EXCLUSIVE"
        elif ddl or self.mode == "IMMEDIATE" or self.settings.pg_mode is PgMode.SERIAL:
            mode = "SHARE ROW EXCLUSIVE"  # one such writer at a time, beside ordinary ones in concurrent mode
        else:
            mode = "ROW SHARE"
        return f"LOCK TABLE {_text(fence_table(self.settings.pg_schema))} IN {mode} MODE; "

    def _serial(self) -> str:
        return f"SELECT shadow.enter_serial({self._pair}); " if self.settings.pg_mode is PgMode.SERIAL else ""

    @property
    def _pair(self) -> str:
        return literal(self.settings.pg_schema)

    # -- the app's savepoints ------------------------------------------------------------------------------------

    def find(self, name: str) -> int | None:
        """Index of the innermost savepoint of that name (folded), or None."""
        return next((i for i in range(len(self.savepoints) - 1, -1, -1) if self.savepoints[i].name == name), None)


def savepoint_name(name: str) -> str:
    """PostgreSQL's name for an app's savepoint; `name` is folded."""
    return _text('"app_' + name.replace('"', '""')[:50] + '"')


def literal(text: str) -> str:
    """A string constant inside a psycopg2 format."""
    return _text("'" + text.replace("'", "''") + "'")


def _text(text: str) -> str:
    return text.replace("%", "%%")
