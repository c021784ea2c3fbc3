"""`rollback --force`: SQLite becomes primary while PostgreSQL cannot be reached, and what happens when it returns.

What this can promise is less than rollback: SQLite has everything up to the last batch that flowed back and nothing
after it. It is said in so many words and kept in the audit trail. When PostgreSQL returns, its record follows, what
had not flowed back is exported beside the SQLite file, never merged silently, and it must be filled again (backfill).
A PostgreSQL that is only partitioned away, and that others still reach, goes on taking their writes until then.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from pathlib import Path

from psycopg2.extensions import connection as PgConnection

from .. import journal
from ..config import Settings
from ..flag import control, guards, proof
from ..flag.control import ControlRecord, State
from ..journal.record import EpochChanged
from ..reverse.applier import read_start
from ..types import Side
from .attempt import audit_origin, default_who, open_origin, settle_hint
from .outcome import Direction, Outcome, Result

#: Attempts that SQLite alone decided; only for these PostgreSQL's record follows without proof of its own.
PREFIX = "force-"

_LEFT_OVER = (
    "SELECT id, xid::text, table_name, op, old_row::text, new_row::text FROM shadow.change WHERE pair = %s"
    " AND NOT pg_visible_in_snapshot(xid, %s::pg_snapshot) ORDER BY id"
)


def rollback_without_target(settings: Settings, *, why: str, reason: str, who: str | None) -> Outcome:
    """Make SQLite primary with what it has."""
    who = who or default_who()
    attempt = PREFIX + secrets.token_hex(6)
    origin = open_origin(settings)
    try:
        origin.execute("BEGIN IMMEDIATE")
        found = control.read_origin(origin)
        assert found is not None
        before = found.record
        if before.accepts_writes(Side.SQLITE):
            origin.execute("ROLLBACK")
            return Outcome(
                Direction.ROLLBACK, Result.REFUSED, "SQLite is primary already", attempt, before.primary, before.epoch
            )
        snapshot, _ = read_start(origin)
        lost = (
            f"PostgreSQL is out of reach ({why}). SQLite has every change of PostgreSQL's snapshot {snapshot};"
            " transactions committed there later are not in SQLite, and how many cannot be known now"
        )
        epoch = before.epoch + 1
        control.write_origin(origin, ControlRecord(epoch, attempt, Side.SQLITE, State.ACTIVE), guard=False)
        guards.restore_triggers(origin)
        guards.remove(origin)
        journal.append(origin, [EpochChanged(epoch, attempt)])
        detail: dict[str, object] = {
            "attempt": attempt,
            "epoch": epoch,
            "from": "postgres",
            "to": "sqlite",
            "reason": reason,
            "may_miss": lost,
            "snapshot": snapshot,
        }
        audit_origin(origin, who, "rollback --force", detail)
        position, _ = journal.head(origin)
        origin.execute("COMMIT")
        settle_hint(settings, origin)
    finally:
        if origin.in_transaction:
            origin.execute("ROLLBACK")
        origin.close()
    return Outcome(
        Direction.ROLLBACK,
        Result.DONE,
        "",
        attempt,
        Side.SQLITE,
        epoch,
        position=position,
        reason=reason,
        who=who,
        warnings=(lost,),
    )


def adopt(
    settings: Settings, origin: sqlite3.Connection, target: PgConnection, ours: ControlRecord, theirs: ControlRecord
) -> None:
    """PostgreSQL is back and still thinks it is primary: take the fence, export what SQLite lacks, follow SQLite.

    Without an applied position it counts as not filled: every gate of the next cutover stays closed until backfill.
    """
    pair = settings.pg_schema
    snapshot, _ = read_start(origin)
    with target.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            cursor.execute(f"LOCK TABLE {control.fence_table(pair)} IN EXCLUSIVE MODE")
            if control.read_target(cursor, pair) == theirs:
                cursor.execute(_LEFT_OVER, (pair, snapshot))
                _export(settings, theirs.epoch, cursor.fetchall())
                cursor.execute("DELETE FROM shadow.change WHERE pair = %s", (pair,))
                cursor.execute("DELETE FROM shadow.applied WHERE pair = %s", (pair,))
                proof.void(cursor, pair, "forced rollback")
                control.write_target(cursor, pair, ours)
            cursor.execute("COMMIT")
        finally:
            if not target.closed and target.info.transaction_status:
                cursor.execute("ROLLBACK")


def export_path(settings: Settings, epoch: int) -> Path:
    return Path(f"{settings.sqlite_path}-shadow-leftover-epoch{epoch}.jsonl")


def _export(settings: Settings, epoch: int, rows: list[tuple[object, ...]]) -> None:
    """One JSON object a line, synced before PostgreSQL forgets them."""
    if not rows:
        return
    with export_path(settings, epoch).open("w", encoding="utf-8") as out:
        for change_id, xid, table, op, old, new in rows:
            entry = {
                "id": change_id,
                "transaction": xid,
                "table": table,
                "op": op,
                "old": None if old is None else json.loads(str(old)),
                "new": None if new is None else json.loads(str(new)),
            }
            out.write(json.dumps(entry) + "\n")
        out.flush()
        os.fsync(out.fileno())
