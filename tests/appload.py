"""A small app for tests of the flag: threads that write by the flag's rules and remember what was acknowledged.

It follows hint and control records as the shim does, but shares no code with it beyond `shadow.flag`: each write adds
one to a counter and leaves one row, so a lost write and a doubled one both show.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field

import psycopg2
from flagging import FlagPair, app_write
from psycopg2.extensions import connection as PgConnection

from shadow.errors import NotPrimary, TargetError
from shadow.flag import control
from shadow.flag.hint import Hint, HintState
from shadow.postgres.connect import connect
from shadow.types import Side

_ROWS_A_WRITER = 1_000_000
#: Between two writes of one thread; the load is not what these tests are about.
_PAUSE_SECONDS = 0.005


@dataclass
class Writer(threading.Thread):
    """One app thread."""

    pair: FlagPair
    number: int
    #: (epoch, side) of every acknowledged write, in order.
    acknowledged: list[tuple[int, Side]] = field(default_factory=list)
    #: Row ids whose commit was interrupted: there or not there, but not twice.
    uncertain: set[int] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    #: The longest time one write took.
    longest_seconds: float = 0.0

    def __post_init__(self) -> None:
        threading.Thread.__init__(self, daemon=True)
        self._ending = threading.Event()
        self._n = 0
        self._target: PgConnection | None = None
        self.failure: BaseException | None = None

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        try:
            with closing(sqlite3.connect(self.pair.path, isolation_level=None, timeout=30)) as origin:
                while not self._ending.is_set():
                    self._n += 1
                    started = time.monotonic()
                    self._write(origin, self.number * _ROWS_A_WRITER + self._n)
                    self.longest_seconds = max(self.longest_seconds, time.monotonic() - started)
                    self._ending.wait(_PAUSE_SECONDS)
        except BaseException as error:
            self.failure = error
            raise
        finally:
            if self._target is not None:
                self._target.close()

    def end(self) -> None:
        self._ending.set()
        self.join(30)
        assert not self.is_alive()

    def wait_for_more(self, count: int = 1, seconds: float = 20.0) -> None:
        """Until `count` more writes are acknowledged: the app goes on."""
        goal, until = len(self.acknowledged) + count, time.monotonic() + seconds
        while len(self.acknowledged) < goal:
            assert self.failure is None, self.failure
            assert time.monotonic() < until, f"writer {self.number} does not get on: {self.errors[-3:]}"
            self._ending.wait(0.002)

    def _write(self, origin: sqlite3.Connection, row: int) -> None:
        while not self._ending.is_set():
            try:
                side = self._where(origin)
                epoch = self._on_sqlite(origin, row) if side is Side.SQLITE else self._on_postgres(origin, row)
            except NotPrimary:
                continue
            except (sqlite3.OperationalError, psycopg2.OperationalError, psycopg2.InterfaceError, TargetError) as error:
                self.errors.append(f"{type(error).__name__}: {error}")
                self._drop_target()
                if row in self.uncertain:
                    return
                self._ending.wait(0.005)
                continue
            self.acknowledged.append((epoch, side))
            return

    def _where(self, origin: sqlite3.Connection) -> Side:
        hint = Hint.open(self.pair.settings.hint_path)
        while hint is not None and hint.draining_until > time.time() and not self._ending.is_set():
            self._ending.wait(0.001)
        if hint is not None and hint.state is HintState.SQLITE:
            return Side.SQLITE
        if hint is not None and hint.state is HintState.POSTGRES:
            return Side.POSTGRES
        found = control.read_origin(origin)
        assert found is not None
        return Side.SQLITE if found.record.accepts_writes(Side.SQLITE) else Side.POSTGRES

    def _on_sqlite(self, origin: sqlite3.Connection, row: int) -> int:
        return app_write(
            origin,
            ("UPDATE account SET balance = balance + 1 WHERE id = ?", (self.number,)),
            ("INSERT INTO log (id, text) VALUES (?, 'w')", (row,)),
        )

    def _on_postgres(self, origin: sqlite3.Connection, row: int) -> int:
        if self._target is None:
            self._target = self.pair.connect()
        conn = self._target
        with conn.cursor() as cursor:
            self.pair.enter(conn)
            record = control.read_target(cursor, "public")
            assert record is not None
            if not record.accepts_writes(Side.POSTGRES):
                conn.rollback()
                self._help(origin, record)
                raise NotPrimary("PostgreSQL is not primary")
            cursor.execute("UPDATE account SET balance = balance + 1 WHERE id = %s", (self.number,))
            cursor.execute("INSERT INTO log (id, text) VALUES (%s, 'w')", (row,))
        self.uncertain.add(row)
        conn.commit()
        self.uncertain.discard(row)
        return record.epoch

    def _help(self, origin: sqlite3.Connection, theirs: control.ControlRecord) -> None:
        """Finish a committed switch whose coordinator has died."""
        found = control.read_origin(origin)
        assert found is not None
        ours = found.record
        if theirs.state is control.State.PREPARED and ours.attempt == theirs.attempt:
            with closing(connect(self.pair.dsn, purpose="app", autocommit=True)) as conn, conn.cursor() as cursor:
                control.activate_target(cursor, "public", theirs.attempt)
        elif ours.state is control.State.PREPARED and ours.attempt == theirs.attempt:
            control.activate_origin(origin, ours.attempt)

    def _drop_target(self) -> None:
        if self._target is not None:
            self._target.close()
        self._target = None


class App:
    """Several writers; a context manager that ends them."""

    def __init__(self, pair: FlagPair, writers: int = 3) -> None:
        self.pair = pair
        with closing(sqlite3.connect(pair.path, isolation_level=None)) as conn:
            for n in range(1, writers + 1):
                app_write(conn, ("INSERT INTO account (id, owner) VALUES (?, ?)", (n, f"o{n}")))
        self.writers = [Writer(pair, n) for n in range(1, writers + 1)]

    def __enter__(self) -> App:
        for writer in self.writers:
            writer.start()
        self.wait_for_more()
        return self

    def __exit__(self, *exc: object) -> None:
        for writer in self.writers:
            writer.end()

    def wait_for_more(self, count: int = 3) -> None:
        for writer in self.writers:
            writer.wait_for_more(count)

    @property
    def errors(self) -> list[str]:
        return [error for writer in self.writers for error in writer.errors]

    @property
    def longest_seconds(self) -> float:
        return max(writer.longest_seconds for writer in self.writers)

    def check(self) -> None:
        """Call with the writers ended and both sides in line: every acknowledged write once, no epoch on two sides."""
        sides: dict[int, set[Side]] = {}
        rows = self.pair.same("log", "id, text")
        balances = dict(self.pair.same("account", "id, balance"))
        for writer in self.writers:
            assert writer.failure is None
            for epoch, side in writer.acknowledged:
                sides.setdefault(epoch, set()).add(side)
            ids = {i for i, text in rows if text == "w" and i // _ROWS_A_WRITER == writer.number}
            certain = len(ids - writer.uncertain)
            assert certain == len(writer.acknowledged)
            assert balances[writer.number] == len(ids)
        assert all(len(found) == 1 for found in sides.values()), sides
