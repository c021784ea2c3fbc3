"""The applier: journal records, in order, exactly once, into PostgreSQL.

Any process may apply (the agent, `verify`, `cutover`): whoever holds the pair's session lock does, and the position is
moved by compare-and-set in the transaction of the applied statements, so a second one, or one that died and came back,
cannot apply anything twice. The SQLite file is only read here (`replicate.trim` is the exception).
"""

from __future__ import annotations

import hashlib
import itertools
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import cursor as PgCursor

from .. import journal, log
from ..errors import FenceTimeout, JournalBroken, OriginError, TargetUnavailable
from ..flag import proof
from ..flag.control import read_origin
from ..journal import Record
from ..postgres.connect import connect
from ..schema.store import catalog_version, load_catalog
from ..translate.catalog import Catalog
from .dirt import Dirt, read_dirty
from .faults import as_target_error, is_of_the_world
from .group import Group, Tally
from .send import Batch, Careful, GroupFailed
from .sequences import Sequences
from .state import Applied, advance_sql, check, read_applied
from .statements import Statements

_log = log.get(__name__)

#: One PostgreSQL transaction takes at most so much; what a crash makes us do again, and what a fence waits for.
GROUP_BYTES_MAX = 512 * 1024
GROUP_RECORDS_MAX = 500
_LOCK_TIMEOUT_MS = 10_000
_SQLITE_BUSY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Progress:
    """What `apply_to` did."""

    #: Applied position afterwards.
    position: int
    records: int = 0
    statements: int = 0
    #: Statements not run because a table they need is dirty.
    skipped_dirty: int = 0
    #: Statements that diverged; each made its tables dirty.
    skipped_diverged: int = 0
    groups: int = 0
    #: Groups that failed as a whole and were run again statement by statement.
    groups_redone: int = 0
    #: Whether the position asked for, or the journal's end, was reached; False: the budget was used up.
    complete: bool = True


def lock_key(pair: str) -> int:
    """The advisory lock of the pair's applier."""
    digest = hashlib.sha256(f"shadow.apply:{pair}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


class Applier:
    """One session on each side; used by one thread at a time. Reconnects by itself at the next call."""

    def __init__(
        self,
        sqlite_path: str | Path,
        dsn: str,
        pair: str,
        *,
        on_group: Callable[[float], None] | None = None,
    ) -> None:
        self._sqlite_path = os.path.abspath(sqlite_path)
        self._dsn = dsn
        self._pair = pair
        self._on_group = on_group
        self._origin: sqlite3.Connection | None = None
        self._inode = (0, 0)
        self._target: PgConnection | None = None
        self._held = 0
        self._statements = Statements()
        self._sequences = Sequences()
        self._catalog: tuple[int, Catalog] | None = None

    # --- sessions

    def close(self) -> None:
        """Let both sessions go, and with them the lock."""
        self._drop_target()
        if self._origin is not None:
            self._origin.close()
            self._origin = None

    @contextmanager
    def exclusive(self, wait_seconds: float | None = None) -> Iterator[Applier]:
        """Be the applier: nobody else moves the applied position meanwhile. May be entered again by its holder.

        Raises `FenceTimeout` when it is not free within `wait_seconds`, `TargetUnavailable` without PostgreSQL.
        """
        if self._held == 0:
            self._lock(wait_seconds)
        self._held += 1
        try:
            yield self
        finally:
            self._held -= 1
            if self._held == 0:
                self._unlock()

    def _lock(self, wait_seconds: float | None) -> None:
        with self._faults("taking the applier's lock"):
            cursor = self._cursor()
            timeout_ms = 0 if wait_seconds is None else max(1, int(wait_seconds * 1000))
            try:
                cursor.execute(f"SET lock_timeout = {timeout_ms}; SELECT pg_advisory_lock(%s)", (lock_key(self._pair),))
            except psycopg2.errors.LockNotAvailable as error:
                raise FenceTimeout(
                    f"somebody else has been applying to pair {self._pair} for {wait_seconds:g} s; try again"
                ) from error
            cursor.execute(f"SET lock_timeout = {_LOCK_TIMEOUT_MS}")

    def _unlock(self) -> None:
        if self._target is None:
            return
        try:
            self._cursor().execute("SELECT pg_advisory_unlock(%s)", (lock_key(self._pair),))
        except (psycopg2.Error, TargetUnavailable):
            self._drop_target()  # the session's end frees the lock

    def _cursor(self) -> PgCursor:
        if self._target is None or self._target.closed:
            if self._held:
                raise TargetUnavailable("the applier's session was lost, and its lock with it; take the lock again")
            self._statements.reset()
            self._sequences.forget()
            self._catalog = None
            # `shadow.applier` tells the capture triggers that these writes come from SQLite.
            self._target = connect(
                self._dsn,
                purpose="apply",
                autocommit=True,
                session={"shadow.applier": "on", "synchronous_commit": "on", "lock_timeout": str(_LOCK_TIMEOUT_MS)},
            )
        return self._target.cursor()

    def _drop_target(self) -> None:
        target, self._target = self._target, None
        if target is not None:
            target.close()

    def head(self) -> tuple[int, bytes]:
        """(position, nonce) of the journal's end; costs no round trip."""
        return journal.head(self._sqlite())

    def _sqlite(self) -> sqlite3.Connection:
        """The file that stands at the path now: a backup moved into its place is another one."""
        try:
            found = os.stat(self._sqlite_path)
            inode = (found.st_dev, found.st_ino)
            if self._origin is not None and self._inode != inode:
                self._origin.close()
                self._origin = None
            if self._origin is None:
                self._origin = sqlite3.connect(
                    f"{Path(self._sqlite_path).as_uri()}?mode=rw",
                    uri=True,
                    isolation_level=None,
                    timeout=_SQLITE_BUSY_SECONDS,
                    check_same_thread=False,
                )
                self._origin.execute("PRAGMA query_only = ON")
                self._inode = inode
        except (OSError, sqlite3.Error) as error:
            raise OriginError(f"{self._sqlite_path} cannot be opened: {error}; check SQLITE_PATH") from error
        return self._origin

    @contextmanager
    def _faults(self, doing: str) -> Iterator[None]:
        """psycopg2's errors of the world leave as ours, and a session in an unknown state does not stay."""
        try:
            yield
        except psycopg2.Error as error:
            self._drop_target()
            if is_of_the_world(error):
                raise as_target_error(error, doing) from error
            raise
        except BaseException:
            self._leave_transaction()
            raise

    def _leave_transaction(self) -> None:
        """Whatever was begun is not to be kept: also when the reason was none of PostgreSQL's."""
        if self._target is None:
            return
        try:
            if self._target.info.transaction_status != psycopg2.extensions.TRANSACTION_STATUS_IDLE:
                self._target.cursor().execute("ROLLBACK")
        except psycopg2.Error:
            self._drop_target()

    # --- applying

    def applied(self) -> tuple[int, bytes]:
        """(position, nonce) of the last applied record."""
        with self._faults("reading the applied position"):
            found = read_applied(self._cursor(), self._pair)
        return found.position, found.nonce

    def apply_to(self, position: int | None = None, *, budget_seconds: float | None = None) -> Progress:
        """Apply up to exactly `position` (None: to the journal's end); inside `exclusive()`.

        With a budget it stops behind the group that used it up. Raises `JournalBroken`, `NotPrimary`,
        `TargetUnavailable`; what was applied until then stays applied, the rest is still in the journal.
        """
        if self._held == 0:
            raise AssertionError("apply_to() needs exclusive()")
        started = time.monotonic()
        origin = self._sqlite()
        with self._faults("applying"):
            applied = read_applied(self._cursor(), self._pair)
            try:
                check(origin, applied, self._origin_epoch(origin))
                progress = Progress(applied.position)
                while position is None or progress.position < position:
                    records = self._next(origin, applied.position, position)
                    if not records:
                        if position is not None:
                            raise AssertionError(f"the journal has no record that ends at position {position}")
                        break
                    applied, progress = self._group(origin, applied, records, progress)
                    if budget_seconds is not None and time.monotonic() - started >= budget_seconds:
                        return replace(progress, complete=False)
            except JournalBroken as error:
                self._leave_transaction()
                self._void_proof(str(error))
                raise
        return progress

    def _origin_epoch(self, origin: sqlite3.Connection) -> int:
        control = read_origin(origin)
        if control is None:
            raise OriginError(f"{self._sqlite_path} is not initialised; run `shadow init`")
        return control.record.epoch

    def _next(self, origin: sqlite3.Connection, after: int, upto: int | None) -> list[Record]:
        records = journal.read(origin, after, GROUP_BYTES_MAX)
        try:
            taken = itertools.islice(records, GROUP_RECORDS_MAX)
            if upto is None:
                return list(taken)
            return list(itertools.takewhile(lambda record: record.position <= upto, taken))
        finally:
            records.close()  # type: ignore[attr-defined]  # ends the read transaction, so that the WAL can be reset

    def _group(
        self, origin: sqlite3.Connection, applied: Applied, records: list[Record], progress: Progress
    ) -> tuple[Applied, Progress]:
        """One group: at full speed, and when that fails, statement by statement."""
        started = time.monotonic()
        redone = 0
        try:
            new, tally = self._attempt(origin, applied, records, careful=False)
        except GroupFailed as failed:
            self._leave_transaction()
            if isinstance(failed.__cause__, psycopg2.Error) and is_of_the_world(failed.__cause__):
                raise failed.__cause__ from None
            redone = 1
            try:
                new, tally = self._attempt(origin, applied, records, careful=True)
            except GroupFailed as again:  # only the commit itself travels as a batch here
                raise (again.__cause__ or again) from None
        if self._on_group is not None:
            self._on_group(time.monotonic() - started)
        return new, Progress(
            position=new.position,
            records=progress.records + tally.records,
            statements=progress.statements + tally.statements,
            skipped_dirty=progress.skipped_dirty + tally.skipped_dirty,
            skipped_diverged=progress.skipped_diverged + tally.skipped_diverged,
            groups=progress.groups + 1,
            groups_redone=progress.groups_redone + redone,
        )

    def _attempt(
        self, origin: sqlite3.Connection, applied: Applied, records: list[Record], *, careful: bool
    ) -> tuple[Applied, Tally]:
        cursor = self._cursor()
        found = read_applied(cursor, self._pair, begin=True)
        if found != applied:
            raise TargetUnavailable(
                f"the applied position of pair {self._pair} moved from {applied.position} to {found.position}"
                " without the applier's lock; trying again from there"
            )
        catalog = self._load_catalog(cursor)
        self._statements.use(cursor, catalog)
        dirt = read_dirty(cursor, self._pair)
        batch = Batch(cursor, self._statements)
        group = Group(
            cursor=cursor,
            pair=self._pair,
            catalog=catalog,
            statements=self._statements,
            sequences=self._sequences,
            dirt=dirt,
            sender=Careful(cursor) if careful else batch,
            high_water=lambda: self._sequences.observe_high_water(origin),
        )
        group.run(records)
        last = records[-1]
        epoch = applied.epoch if group.tally.epoch is None else group.tally.epoch
        new = Applied(last.position, last.nonce, epoch)
        self._commit(cursor, batch, group, applied, new)
        if group.catalog is not catalog:
            self._catalog = None
        self._report(dirt, last.position)
        return new, group.tally

    def _commit(self, cursor: PgCursor, batch: Batch, group: Group, old: Applied, new: Applied) -> None:
        if group.dirt.changed:
            batch.flush()
            group.dirt.flush(cursor, self._pair)
        tail = self._sequences.flush_sql(cursor, group.catalog)
        tail.append(advance_sql(cursor, self._pair, old, new))
        batch.finish(b";".join([*tail, b"COMMIT"]).decode())

    def _load_catalog(self, cursor: PgCursor) -> Catalog:
        """The catalog of the applied position; read again only when its version changed."""
        version = catalog_version(cursor, self._pair)
        if self._catalog is None or self._catalog[0] != version:
            self._catalog = (version, load_catalog(cursor, self._pair))
            self._sequences.forget()
        return self._catalog[1]

    def _report(self, dirt: Dirt, position: int) -> None:
        if dirt.changed:
            _log.warning("write.diverged", position=position, divergences=dirt.divergences, dirty=sorted(dirt.tables))

    def _void_proof(self, reason: str) -> None:
        """Once per reason: the applier comes back to a broken journal again and again."""
        cursor = self._cursor()
        cursor.execute("SELECT reason FROM shadow.proof WHERE pair = %s", (self._pair,))
        row = cursor.fetchone()
        if row is None or row[0] != reason:
            proof.void(cursor, self._pair, reason)
