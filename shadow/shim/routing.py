"""Where a statement goes: the hint says it at no cost, the control record has the last word.

One `Router` a process and pair. Reads follow the hint; in doubt (`ask`) they ask the authority. A write transaction
never trusts the hint: `shim.session` reads the control row under SQLite's write lock, and `shim.remote` under
PostgreSQL's fence.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from enum import Enum
from typing import Any, NamedTuple

from .. import log
from ..config import Settings
from ..errors import ShadowError
from ..flag.control import ControlRecord, State, activate_origin, read_target
from ..flag.hint import STATE_OFFSET, Hint, HintState
from ..journal.record import FORMAT
from ..types import DatabaseType, Side
from . import warm
from .facts import plain_text
from .plain import PlainCursor, ask, plain_connect
from .sampling import Sampler

#: The byte of a hint's view that is its state, and the values that matter on the hot path.
STATE = STATE_OFFSET
GO_SQLITE = int(HintState.SQLITE)
GO_POSTGRES = int(HintState.POSTGRES)
#: Stands for a hint when there is none (ask), or when reads always go to SQLite.
ALWAYS_ASK: bytes = bytes(STATE + 1)
ALWAYS_SQLITE: bytes = bytes(STATE) + bytes((GO_SQLITE,))

_POLL_SECONDS = 0.002
#: How long a process trusts that the file is not initialised, for reads only.
_UNINITIALISED_SECONDS = 0.1

#: Numbers only: they come unchanged whatever text factory the app has set.
CONTROL = (
    "SELECT primary_side = 'sqlite' AND state = 'active', primary_side = 'postgres' AND state = 'active',"
    " journaling, catalog_version, format FROM main._shadow_control"
)

#: One row when SQLite is primary, writes are journaled, and the schema is the one that this connection knows: what
#: nearly every write transaction finds. Anything else is told apart by `CONTROL`.
AS_BEFORE = (
    "SELECT 1 FROM main._shadow_control WHERE primary_side = 'sqlite' AND state = 'active' AND journaling = 1"
    f" AND format = {FORMAT} AND catalog_version = ?"
)


class Verdict(Enum):
    """What the control row says to a write transaction that holds SQLite's write lock."""

    HERE = "here"
    POSTGRES = "postgres"
    #: Prepared for SQLite: whether it holds is PostgreSQL's to say.
    UNSETTLED = "unsettled"


class Control(NamedTuple):
    """The control row as a statement needs it."""

    verdict: Verdict
    journaling: bool
    catalog_version: int
    format_known: bool


class Router:
    """The flag as this process sees it, for one pair."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log = log.get("shadow.shim")
        self.sampler = Sampler(settings) if settings.database_type is DatabaseType.SHADOW else None
        self._hint: Hint | None = None
        self._uninitialised_until = 0.0
        self._said_uninitialised = False
        self._said_past_the_journal = False
        #: Steps of ours that failed; the transaction's record said "not known" instead.
        self.failures = 0
        self.refresh()

    @property
    def view(self) -> Any:
        """Bytes whose one at `STATE` is the hint; what the hot path looks at."""
        if self.settings.database_type is DatabaseType.SQLITE:
            return ALWAYS_SQLITE
        return ALWAYS_ASK if self._hint is None else self._hint.view

    def refresh(self) -> None:
        """Open the hint file, again if need be: it may have come, or been replaced."""
        self._hint = Hint.open(self.settings.hint_path)

    def look(self) -> None:
        """Open the hint file again if another one stands at its path."""
        try:
            found = os.stat(self.settings.hint_path)
        except OSError:
            self._hint = None
            return
        if self._hint is None or (found.st_dev, found.st_ino) != self._hint.identity:
            self.refresh()

    def wait_for_switch(self) -> None:
        """A new transaction waits while a switch is announced: bounded, whatever the app's busy timeout."""
        hint = self._hint
        if hint is None or hint.state is not HintState.ASK:
            return
        deadline = time.monotonic() + self.settings.switch_wait_seconds
        if time.time() < hint.draining_until:
            warm.start(self.settings)
        while hint.state is HintState.ASK and time.time() < hint.draining_until and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def side(self, conn: sqlite3.Connection) -> Side:
        """Where a statement outside any transaction goes."""
        state = self.view[STATE]
        if state == GO_SQLITE:
            return Side.SQLITE
        if state == GO_POSTGRES:
            return Side.POSTGRES
        if self._hint is None and time.monotonic() < self._uninitialised_until:
            return Side.SQLITE
        return self.authority(conn)

    def authority(self, conn: sqlite3.Connection) -> Side:
        """What SQLite's control record says, whatever the hint does."""
        control = self.control(conn)
        if control is None:
            self.uninitialised()
            return Side.SQLITE
        self.refresh()
        if control.verdict is Verdict.UNSETTLED:
            return Side.SQLITE if self.settle(conn) else Side.POSTGRES
        return Side.SQLITE if control.verdict is Verdict.HERE else Side.POSTGRES

    def uninitialised(self) -> None:
        """No control row: plain SQLite, said once."""
        self._uninitialised_until = time.monotonic() + _UNINITIALISED_SECONDS
        if not self._said_uninitialised:
            self._said_uninitialised = True
            if self.settings.database_type is not DatabaseType.SQLITE:
                self.log.warning("shadow.uninitialised", path=self.settings.sqlite_path, do="shadow init")

    def past_the_journal(self) -> None:
        """This process writes to a shadowed file without a record; said once."""
        if not self._said_past_the_journal:
            self._said_past_the_journal = True
            self.log.warning(
                "journal.bypassed", path=self.settings.sqlite_path, do="DATABASE_TYPE=shadow in this process"
            )

    def control(self, conn: sqlite3.Connection) -> Control | None:
        """The control row, read on the app's connection; None: the file is not initialised."""
        try:
            row = PlainCursor(conn).execute(CONTROL).fetchone()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return None
            raise
        if row is None:
            return None
        here, there, journaling, version, form = row
        verdict = Verdict.HERE if here else Verdict.POSTGRES if there else Verdict.UNSETTLED
        if not here and self.view[STATE] == GO_SQLITE:
            self.look()  # the hint file that is mapped may have been deleted, and say "sqlite" for ever
        return Control(verdict, bool(journaling), version, form == FORMAT)

    def settle(self, conn: sqlite3.Connection) -> bool:
        """SQLite's record is prepared: True when PostgreSQL has committed the same attempt, and it is active now.

        Runs outside any transaction of `conn`. Raises `OperationalError` when PostgreSQL cannot be asked.
        """
        with plain_text(conn):
            rows = ask(conn, "SELECT epoch, attempt, primary_side, state FROM main._shadow_control")
        epoch, attempt, primary, state = rows[0]
        record = ControlRecord(int(epoch), str(attempt), Side(primary), State(state))
        if record.state is State.ACTIVE:
            return record.primary is Side.SQLITE
        target = self._ask_target()
        if target is None or target.attempt != record.attempt or target.state is not State.ACTIVE:
            return False
        own = plain_connect(self.settings.sqlite_path, isolation_level=None, timeout=10)
        try:
            own.execute("PRAGMA synchronous=FULL")
            own.execute("BEGIN IMMEDIATE")
            activate_origin(own, record.attempt)
            own.execute("COMMIT")
        finally:
            own.close()
        return True

    def _ask_target(self) -> ControlRecord | None:
        from ..postgres.connect import connect

        if self.settings.database_url is None:
            raise busy("a switch is under way and DATABASE_URL is not set here")
        try:
            target = connect(self.settings.database_url, purpose="flag", autocommit=True)
        except ShadowError as error:
            raise busy("a switch is under way and PostgreSQL cannot be asked") from error
        try:
            with target.cursor() as cursor:
                return read_target(cursor, self.settings.pg_schema)
        finally:
            target.close()


def busy(why: str = "") -> sqlite3.OperationalError:
    """What SQLite raises when a transaction cannot go on: apps know it and try again."""
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    error.sqlite_errorname = "SQLITE_BUSY"
    if why:
        error.add_note(why)
    return error


_routers: dict[str, Router] = {}
_lock = threading.Lock()  # guards creation


def router_for(settings: Settings) -> Router:
    """The process's router of a pair."""
    known = _routers.get(settings.sqlite_path)
    if known is not None and known.settings == settings:
        known.look()
    else:
        with _lock:
            known = _routers.get(settings.sqlite_path)
            if known is None or known.settings != settings:
                known = _routers[settings.sqlite_path] = Router(settings)
    return known
