"""The child process that holds SQLite's write lock during cutover, and commits cutover's control record.

A process of its own, because SQLite's lock belongs to a process: the parent kills this one at the deadline, and this
one ends by itself at the deadline and when its stdin closes, so neither a stopped nor a killed coordinator can keep
the app from writing. Between taking the lock and committing the new epoch the lock is never released: everything is
one SQLite transaction.

It starts before the switch is announced and imports little. It speaks lines:
    parent: lock SECONDS_TO_WAIT SECONDS_TO_HOLD        child: locked | timeout
    parent: commit JSON (see `Commit`)                  child: committed | error TEXT
    parent: release                                     child: released
"""

from __future__ import annotations

import json
import os
import select
import sqlite3
import sys
import time
from dataclasses import asdict, dataclass

from ..flag import control, guards
from ..types import Side
from .failpoint import reach

#: SQLite's own busy handler sleeps up to 100 ms between attempts; this is how often we try.
_POLL_SECONDS = 0.0005


@dataclass(frozen=True, slots=True)
class Commit:
    """What cutover's SQLite transaction writes."""

    #: Compare-and-set: the epoch that must still hold.
    from_epoch: int
    epoch: int
    attempt: str
    #: PostgreSQL's snapshot at which reverse capture starts.
    snapshot: str
    at: str
    who: str
    detail: str

    def to_line(self) -> str:
        return "commit " + json.dumps(asdict(self)) + "\n"


class _Lines:
    """Lines from a file descriptor, with a time limit; nothing is buffered where select cannot see it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._buffer = b""

    def next(self, deadline: float | None) -> str | None:
        """The next line, or None at the deadline; raises EOFError when the other side is gone."""
        while b"\n" not in self._buffer:
            wait = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._fd], [], [], wait)[0]:
                return None
            chunk = os.read(self._fd, 65536)
            if not chunk:
                raise EOFError
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()


def main(path: str) -> int:
    conn = sqlite3.connect(f"file:{_uri(path)}?mode=rw", uri=True, isolation_level=None, timeout=0)
    conn.execute("PRAGMA synchronous=FULL")  # the commit point must survive power loss
    conn.execute("PRAGMA wal_autocheckpoint=0")  # a checkpoint inside the fence would make the app wait for the disk
    conn.execute("SELECT count(*) FROM _shadow_control").fetchone()  # the schema is read before the fence
    lines = _Lines(0)
    _say("ready")
    try:
        line = lines.next(None)
        assert line is not None
        verb, wait, hold = line.split()
        assert verb == "lock"
        if not _lock(conn, lines, time.monotonic() + float(wait)):
            _say("timeout")
            return 1
        deadline = time.monotonic() + float(hold)
        _say("locked")
        line = lines.next(deadline)
        if line is None:
            return 1  # the parent is stopped: let the app go on
        if line.startswith("commit ") and time.monotonic() < deadline:
            _commit(conn, Commit(**json.loads(line.removeprefix("commit "))))
            _say("committed")
            return 0
        conn.execute("ROLLBACK")
        _say("released")
    except EOFError:
        return 1  # the parent is gone; closing the connection rolls back
    except sqlite3.Error as error:
        _say(f"error {error}")
        return 1
    return 0


def _lock(conn: sqlite3.Connection, lines: _Lines, deadline: float) -> bool:
    while True:
        try:
            conn.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) and "busy" not in str(error):
                raise
        else:
            return True
        if time.monotonic() >= deadline or lines.next(time.monotonic() + _POLL_SECONDS) is not None:
            return False


def _commit(conn: sqlite3.Connection, commit: Commit) -> None:
    """The new epoch, guards on, the app's triggers parked, the start of the way back: cutover's commit point."""
    found = control.read_origin(conn)
    if found is None or found.record.epoch != commit.from_epoch or not found.record.accepts_writes(Side.SQLITE):
        raise sqlite3.OperationalError(f"the file is no longer at epoch {commit.from_epoch}")
    record = control.ControlRecord(commit.epoch, commit.attempt, Side.POSTGRES, control.State.ACTIVE)
    control.write_origin(conn, record, guard=True)
    guards.park_triggers(conn)
    conn.execute(
        "INSERT OR REPLACE INTO _shadow_reverse (id, snapshot, epoch) VALUES (1, ?, ?)",
        (commit.snapshot, commit.epoch),
    )
    conn.execute(
        "INSERT INTO _shadow_audit (at, who, action, detail) VALUES (?, ?, 'cutover.commit', ?)",
        (commit.at, commit.who, commit.detail),
    )
    reach("holder.committing")
    conn.execute("COMMIT")
    reach("holder.committed")


def _say(text: str) -> None:
    os.write(1, text.encode() + b"\n")


def _uri(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
