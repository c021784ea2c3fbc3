"""executemany: what each parameter set did is noted when the next one is pulled, for then it is complete."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import chain
from operator import length_hint
from typing import TYPE_CHECKING, Any

from ..journal.record import Undetermined, encode_executed, encode_item
from . import adapt
from .carry import capture_failed, decide, run_otherwise, triggers_misfit
from .classify import Statement
from .plain import PlainCursor, in_transaction, run_many, total_changes
from .plan import How, Ids, Plan
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
            plan = session.replays.get(statement) or decide(session, conn, statement)
            if triggers_misfit(session, conn, sql):
                plan = Plan(How.UNKNOWN, plan.tables, "DDL past the shim")
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
            if not (capture_failed(session, conn, sql, error) and in_transaction(conn)):
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
    """The sets of one executemany, recorded as they complete.

    A set is complete when the next one is pulled. What it changed is the difference of SQLite's own total_changes
    around it, which costs no query. Rows whose id SQLite chooses have consecutive ids, each max(rowid) + 1, as long as
    nothing else writes in between: the first is asked for, the rest counted, and the last checked (`_ids_hold`).
    """

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
        #: total_changes before the running set.
        self.before = 0
        #: The id that the next row gets if nothing else writes; None: ask.
        self.next_rowid: int | None = None
        #: The slice that runs, and what is left of it (`_slices`).
        self.slice: list[Any] = []
        self.left: Iterator[Any] = iter(())
        self._asking = PlainCursor(conn)

    def run(self, sets: Any) -> None:
        self.session.clock.now = None
        rows = _as_rows(sets, self.plan)
        try:
            if rows is None:
                run_many(self.cursor, self.sql, self._sets(sets))
            else:
                run_many(self.cursor, self.sql, chain.from_iterable(self._slices(rows)))
            if self.pulled:
                self.session.counters.app_wrote(None)
        finally:
            if in_transaction(self.conn):
                if self.slice:  # the set that was pulled last has failed
                    self._complete_slice(max(0, len(self.slice) - length_hint(self.left) - 1))
                self._flush()

    # -- a list of tuples of plain values: nothing of the app runs between two sets

    def _slices(self, rows: list[Any]) -> Iterator[Iterator[Any]]:
        """The rows in slices: when the next slice is pulled, the one before is done."""
        start = 0
        while start < len(rows):
            # The first row alone: its id says which ids the rest of the slice must have.
            first_alone = self.plan.ids is Ids.CHOSEN and self.next_rowid is None
            end = start + 1 if first_alone else start + _SETS_PER_ITEM - len(self.done)
            self.pulled = True
            self.slice = rows[start:end]
            self.left = iter(self.slice)
            self.before = total_changes(self.conn)
            yield self.left
            self._complete_slice(len(self.slice))
            self._make_room()
            start = end

    def _complete_slice(self, sets: int) -> None:
        rows, self.slice = self.slice[:sets], []
        if not rows:
            return
        count = total_changes(self.conn) - self.before
        self.count += count
        self.done += rows
        ids = self.plan.ids
        if ids is Ids.BOUND:
            self.rowids += [row[self.plan.id_at] for row in rows]
        elif ids is Ids.CHOSEN:
            first = self._last_rowid() if self.next_rowid is None else self.next_rowid
            self.rowids += range(first, first + sets)
            self.next_rowid = first + sets
        if ids is not Ids.NONE and count != sets:
            self.rowids = []  # each inserts one row, or fails: `_flush` finds that they do not fit

    # -- whatever else can be iterated

    def _sets(self, sets: Any) -> Iterator[Any]:
        for one in sets:
            self.pulled = True
            try:
                bound = adapt.params(one, self.statement)
            except adapt.CannotAdapt:
                self._flush()
                self.session.buffer.add(encode_item(Undetermined(self.sql, self.plan.tables, "parameters")))
                self.next_rowid = None
                yield one
                continue
            self.running = adapt.journaled(bound, self.statement)
            before = total_changes(self.conn)
            if before != self.before:
                self.next_rowid = None  # the app has written something between two sets
                self.before = before
            yield one if adapt.base_adapters_registered() else bound
            self._complete()
            self._make_room()

    def _complete(self) -> None:
        after = total_changes(self.conn)
        changes = after - self.before
        self.before = after
        self.count += changes
        self.done.append(self.running)
        ids = self.plan.ids
        if ids is Ids.NONE:
            return
        if ids is Ids.CHOSEN and changes == 1:
            rowid = self._last_rowid() if self.next_rowid is None else self.next_rowid
            self.next_rowid = rowid + 1
            self.rowids.append(rowid)
        else:
            self.rowids.append(self._last_rowid() if changes else None)
            self.next_rowid = None

    # -- both

    def _last_rowid(self) -> int:
        return int(self._asking.execute("SELECT last_insert_rowid()").fetchone()[0])

    def _ids_hold(self) -> bool:
        """Whether the last of the counted ids is the one SQLite gave last, and none is above it.

        Above it are rows only if the greatest id there is was taken: then SQLite chooses at random.
        """
        if self.plan.ids is Ids.NONE:
            return True
        if len(self.rowids) != len(self.done):
            return False
        if self.plan.ids is not Ids.CHOSEN or self.next_rowid is None:
            return True
        last, greatest = self._asking.execute(self.plan.id_check).fetchone()
        return bool(last == greatest == self.next_rowid - 1)

    def _make_room(self) -> None:
        if len(self.done) >= _SETS_PER_ITEM:
            self._flush()
            if self.session.buffer.full:
                self.session.counters.app_wrote(None)
                spill(self.session, self.conn)
            self.before = total_changes(self.conn)

    def _flush(self) -> None:
        if not self.done:
            return
        session, plan = self.session, self.plan
        try:
            if self._ids_hold():
                rowids = None if plan.ids is Ids.NONE else self.rowids
                item = encode_executed(self.sql, self.done, True, self.count, rowids, session.clock.now)
            else:
                item = encode_item(Undetermined(self.sql, plan.tables, "row ids of executemany"))
            session.buffer.add(item)
        except Exception as error:  # noqa: BLE001 -- as for a single statement
            session.failed("record", error, self.sql)
        self.done, self.rowids, self.count = [], [], 0
        session.clock.now = None


def _as_rows(sets: Any, plan: Plan) -> list[Any] | None:
    """A list of its own with tuples of plain values, or None where each set has to be looked at by itself."""
    if type(sets) not in (list, tuple) or not plan.in_slices or adapt.base_adapters_registered():
        return None
    rows = list(sets)
    if not {tuple}.issuperset(map(type, rows)):
        return None
    kinds = set(map(type, chain.from_iterable(rows)))
    if not kinds <= adapt.PLAIN and (
        not kinds <= adapt.PLAIN_OR_FLOAT or any(v != v for v in chain.from_iterable(rows))
    ):
        return None
    if plan.ids is Ids.BOUND and any(len(r) <= plan.id_at or type(r[plan.id_at]) is not int for r in rows):
        return None
    return rows
