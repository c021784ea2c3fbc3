"""executemany: what each parameter set did is noted when the next one is pulled, for then it is complete."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

from ..journal.record import Undetermined, encode_executed, encode_item
from . import adapt
from .carry import capture_failed, decide, run_otherwise
from .classify import Statement
from .plain import PlainCursor, in_transaction, run_many
from .plan import How, Plan
from .write import Entry, after_error, commit_own, enter, not_ours, spill

if TYPE_CHECKING:
    from .cursor import Cursor
    from .session import Session

#: So many sets go into one item.
_SETS_PER_ITEM = 500


def execute_many(
    session: Session, cursor: Cursor, conn: sqlite3.Connection, statement: Statement, sql: str, sets: Any
) -> Cursor:
    """executemany of a write. Sets that were done before an error stay, as sqlite3 has it."""
    if not_ours(session, conn, statement):
        run_many(cursor, sql, sets)
        session.counters.app_wrote(None)
        return cursor
    entry = enter(session, conn, statement)
    if entry is Entry.REMOTE:
        return session.run_remote_many(cursor, conn, statement, sets)
    session.touched = True
    try:
        if session.journaling:
            plan = decide(session, conn, statement)
            if plan.how is How.REPLAY:
                _Many(session, cursor, conn, statement, sql, plan).run(sets)
            else:
                _many_otherwise(session, cursor, conn, statement, sql, plan, sets)
        else:
            run_many(cursor, sql, sets)
            session.counters.app_wrote(None)
    except BaseException as error:
        if entry is Entry.OWN and in_transaction(conn):
            session.counters.app_wrote(None)
            commit_own(session, conn)  # the sets before the failing one were committed one by one
            entry = Entry.JOINED
        after_error(session, conn, sql, entry, error)
        raise
    if entry is Entry.OWN:
        commit_own(session, conn)
    elif session.buffer.full:
        spill(session, conn)
    return cursor


def _many_otherwise(
    session: Session,
    cursor: Cursor,
    conn: sqlite3.Connection,
    statement: Statement,
    sql: str,
    plan: Plan,
    sets: Any,
) -> None:
    """executemany whose effect is captured; a set that fails takes only its own images back."""
    if plan.how is How.UNKNOWN:
        run_otherwise(session, conn, statement, sql, plan, lambda: run_many(cursor, sql, sets))
        session.counters.app_wrote(None)
        return
    images = session.images
    images.begin(sql, plan.reason)
    pulled: list[Any] = []  # the set that is running, if any was

    def marked() -> Iterator[Any]:
        for one in iterator:
            pulled[:] = [one]
            images.mark()
            yield one

    iterator = iter(sets)
    done = False
    try:
        try:
            run_many(cursor, sql, marked())
        except sqlite3.OperationalError as error:
            if not (capture_failed(session, error) and in_transaction(conn)):
                raise
            images.overflow = True
            images.drop(conn)
            run_many(cursor, sql, chain(pulled, iterator))
        done = True
        if pulled:
            session.counters.app_wrote(None)
    finally:
        overflow = images.overflow
        items = images.end(to_mark=not done and statement.or_action != "FAIL")
        if in_transaction(conn):
            if overflow or (not done and plan.reason == "triggers"):
                items = [encode_item(Undetermined(sql, plan.tables, plan.reason))]
            for item in items:
                session.buffer.add(item)


class _Many:
    """The sets of one executemany, recorded as they complete: when the next is pulled, the one before is done."""

    def __init__(
        self, session: Session, cursor: Cursor, conn: sqlite3.Connection, statement: Statement, sql: str, plan: Plan
    ) -> None:
        self.session, self.cursor, self.conn = session, cursor, conn
        self.statement, self.sql, self.plan = statement, sql, plan
        self.done: list[Any] = []
        self.rowids: list[int | None] = []
        self.count = 0
        self.running: Any = None
        self.pulled = False
        self._asking = PlainCursor(conn)

    def run(self, sets: Any) -> None:
        self.session.clock.now = None
        try:
            run_many(self.cursor, self.sql, self._sets(sets))
            if self.pulled:
                self.session.counters.app_wrote(None)
        finally:
            if in_transaction(self.conn):
                self._flush()

    def _sets(self, sets: Any) -> Iterator[Any]:
        for one in sets:
            self.pulled = True
            self._complete()
            if len(self.done) >= _SETS_PER_ITEM:
                self._flush()
                if self.session.buffer.full:
                    self.session.counters.app_wrote(None)
                    spill(self.session, self.conn)
            try:
                bound = adapt.params(one, self.statement)
            except adapt.CannotAdapt:
                self._unknown()
                yield one
                continue
            self.running = (adapt.journaled(bound, self.statement),)
            yield one if adapt.base_adapters_registered() else bound
        self._complete()

    def _complete(self) -> None:
        if self.running is None:
            return
        if self.plan.rowid:
            rowid, changes = self._asking.execute("SELECT last_insert_rowid(), changes()").fetchone()
            self.rowids.append(rowid if changes else None)
        else:
            (changes,) = self._asking.execute("SELECT changes()").fetchone()
        self.count += changes
        self.done.append(self.running[0])
        self.running = None

    def _unknown(self) -> None:
        self.session.buffer.add(encode_item(Undetermined(self.sql, self.plan.tables, "parameters")))

    def _flush(self) -> None:
        if not self.done:
            return
        try:
            self.session.buffer.add(
                encode_executed(
                    self.sql,
                    self.done,
                    True,
                    self.count,
                    self.rowids if self.plan.rowid else None,
                    self.session.clock.now,
                )
            )
        except Exception as error:  # noqa: BLE001 -- as for a single statement
            self.session.failed("record", error, self.sql)
        self.done, self.rowids, self.count = [], [], 0
        self.session.clock.now = None
