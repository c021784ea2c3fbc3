"""Helping: whoever meets a cutover that stopped after its commit point finishes it.

PostgreSQL says `prepared`; if SQLite's file shows the same attempt committed, PostgreSQL is primary and its record is
turned active. Without the file (a process on another machine) nobody can know: the record stays prepared.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from ...flag.control import OriginControl, activate_target, read_origin
from ...types import Side
from ..plain import plain_connect

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as PgCursor

    from ...config import Settings


def help_switch(settings: Settings, cursor: PgCursor, attempt: str) -> bool:
    """Turn PostgreSQL's prepared record active if SQLite has committed `attempt`. `cursor` autocommits."""
    control = origin_control(settings.sqlite_path)
    if control is None or control.record.attempt != attempt or not control.record.accepts_writes(Side.POSTGRES):
        return False
    from psycopg2.errors import SerializationFailure

    try:
        activate_target(cursor, settings.pg_schema, attempt)
    except SerializationFailure:
        pass  # somebody else has done it at this very moment
    return True


def origin_control(path: str) -> OriginControl | None:
    """SQLite's control row, read without creating or changing the file; None when there is none."""
    if not Path(path).is_file():
        return None
    try:
        conn = plain_connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=1.0)
    except sqlite3.OperationalError:
        return None
    try:
        return read_origin(conn)
    except sqlite3.DatabaseError:
        return None
    finally:
        conn.close()
