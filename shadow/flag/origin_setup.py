"""The SQLite half of `init` and `remove`: check the file, put our objects in, take them out again.

Our objects come and go in one transaction each, with synchronous=FULL: a crash leaves all of them or none.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from .. import journal
from ..errors import OriginError
from ..journal.record import FORMAT, EpochChanged
from ..types import Side
from .control import ControlRecord, OriginControl, read_origin

SQLITE_VERSION_MIN = (3, 37, 0)
_MAGIC = b"SQLite format 3\0"
_BUSY_TIMEOUT_SECONDS = 30.0


def check_file(path: str) -> None:
    """Raise `OriginError` unless there is an SQLite file in WAL mode at `path`. Changes nothing."""
    if sqlite3.sqlite_version_info < SQLITE_VERSION_MIN:
        wanted = ".".join(map(str, SQLITE_VERSION_MIN))
        raise OriginError(f"this Python has SQLite {sqlite3.sqlite_version}; shadow needs {wanted} or newer")
    file = Path(path)
    try:
        if not file.exists():
            raise OriginError(f"there is no SQLite file at {path}; check SQLITE_PATH")
        if not file.is_file():
            raise OriginError(f"{path} is not a file; check SQLITE_PATH")
        with file.open("rb") as handle:
            start = handle.read(len(_MAGIC))
    except OSError as error:
        raise OriginError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    if start != _MAGIC and start != b"":
        raise OriginError(f"{path} is not an SQLite file; check SQLITE_PATH")
    conn = open_file(path)
    try:
        mode = str(conn.execute("PRAGMA journal_mode").fetchone()[0])
        if mode != "wal":
            raise OriginError(
                f"{path} is not in WAL mode (journal_mode={mode}); run: sqlite3 {path} 'PRAGMA journal_mode=WAL'"
            )
        conn.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise OriginError(f"{path} cannot be used: {error}") from error
    finally:
        conn.close()


def open_file(path: str) -> sqlite3.Connection:
    """A plain connection that never creates a file; transactions are ours to begin."""
    try:
        conn = sqlite3.connect(
            Path(path).as_uri() + "?mode=rw", uri=True, isolation_level=None, timeout=_BUSY_TIMEOUT_SECONDS
        )
        # A commit of the flag must outlive a power loss.
        conn.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error as error:
        raise OriginError(f"{path} cannot be opened: {error}") from error
    return conn


def create_file(path: str) -> None:
    """An empty SQLite file in WAL mode, unless there is a file with content."""
    try:
        if Path(path).exists() and Path(path).stat().st_size:
            return
        conn = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_SECONDS)
        try:
            conn.execute("PRAGMA journal_mode = WAL")
        finally:
            conn.close()
    except (OSError, sqlite3.Error) as error:
        raise OriginError(f"{path} cannot be created ({error}); check SQLITE_PATH") from error


def control(conn: sqlite3.Connection) -> OriginControl | None:
    """The control row; None when the file is not initialised."""
    return read_origin(conn)


def has_rows(conn: sqlite3.Connection, tables: list[str]) -> str | None:
    """The first of the tables that has a row."""
    for table in tables:
        quoted = table.replace('"', '""')
        if conn.execute(f'SELECT 1 FROM main."{quoted}" LIMIT 1').fetchone():
            return table
    return None


def install(
    conn: sqlite3.Connection,
    pair_id: str,
    record: ControlRecord,
    nonces: tuple[bytes, bytes],
    *,
    reverse_snapshot: str | None = None,
) -> None:
    """Put everything in, inside the caller's transaction. `reverse_snapshot`: PostgreSQL is primary from here on."""
    for statement in _statements():
        conn.execute(statement)
    guard = int(record.primary is Side.POSTGRES)
    conn.execute(
        "INSERT INTO _shadow_control (id, format, pair_id, epoch, attempt, primary_side, state, journaling, guard,"
        " catalog_version, proof_epoch) VALUES (1, ?, ?, ?, ?, ?, ?, 1, ?, ?, 1)",
        (
            FORMAT,
            pair_id,
            record.epoch,
            record.attempt,
            record.primary.value,
            record.state.value,
            guard,
            # A number no earlier pair of this file has had: processes that live through `remove` and `init` keep
            # facts of the schema by it, and the schema may have changed in between.
            time.time_ns() // 1_000_000,
        ),
    )
    # Two rows that are never deleted: positions cannot repeat, and an anchor on the newest two stays open.
    for nonce in nonces:
        journal.append(conn, [EpochChanged(record.epoch, record.attempt)], nonce=nonce)
    if reverse_snapshot is not None:
        conn.execute(
            "INSERT INTO _shadow_reverse (id, snapshot, epoch) VALUES (1, ?, ?)", (reverse_snapshot, record.epoch)
        )
    conn.execute(
        "INSERT INTO _shadow_audit (at, who, action, detail) VALUES (?, 'shadow', 'init', ?)",
        (datetime.now(UTC).isoformat(timespec="milliseconds"), f"pair {pair_id}, primary {record.primary}"),
    )


def uninstall(conn: sqlite3.Connection) -> None:
    """Take everything out, inside the caller's transaction; the app's own triggers come back if they were parked."""
    names = {
        (kind, name)
        for kind, name in conn.execute("SELECT type, name FROM main.sqlite_master WHERE type <> 'index'")
        if str(name).lower().startswith("_shadow_")
    }
    parked = []
    if ("table", "_shadow_app_trigger") in names:
        parked = conn.execute("SELECT sql FROM main._shadow_app_trigger ORDER BY rowid").fetchall()
    for wanted in ("trigger", "view", "table"):
        for kind, name in sorted(names):
            if kind == wanted:
                conn.execute(f'DROP {wanted.upper()} IF EXISTS main."{name}"')
    for (sql,) in parked:
        conn.execute(sql)


def _statements() -> Iterator[str]:
    """The statements of origin.sql one by one: executescript would commit."""
    script = resources.files("shadow.journal").joinpath("origin.sql").read_text(encoding="utf-8")
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
