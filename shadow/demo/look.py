"""Looking at both databases from outside, as a person would: lag, compared reads, mismatches, gates."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any

from . import inject
from .state import Demo
from .world import Answer


def positions(demo: Demo) -> tuple[int, int]:
    """The journal's newest position and the applied one, asked of both databases directly."""
    conn = sqlite3.connect(f"{demo.world.sqlite_path.as_uri()}?mode=ro", uri=True)
    try:
        (head,) = conn.execute("SELECT coalesce(max(position), 0) FROM _shadow_journal").fetchone()
    finally:
        conn.close()
    applied = demo.world.query(
        "SELECT coalesce(max(position), 0) FROM shadow.applied WHERE pair = %s", demo.world.schema
    )
    return int(head), int(applied[0][0])


def lag(demo: Demo) -> int:
    head, applied = positions(demo)
    return head - applied


#: Transactions that are under way in a healthy system under this load.
_NO_LAG_POSITIONS = 30


def wait_no_lag(demo: Demo, seconds: float) -> float:
    """Wait until PostgreSQL has all that is in the journal now, and next to nothing waits; how long that took."""
    started = time.perf_counter()
    goal, _ = positions(demo)

    def caught_up() -> bool:
        head, applied = positions(demo)
        return applied >= goal and head - applied <= _NO_LAG_POSITIONS

    demo.world.wait_for("the lag to return to 0", caught_up, seconds)
    return time.perf_counter() - started


def reads(demo: Demo) -> tuple[int, int, int]:
    """Reads compared, with another result, and not comparable, so far."""
    row = demo.world.query(
        "SELECT coalesce(sum(compared), 0)::bigint, coalesce(sum(mismatched), 0)::bigint,"
        " coalesce(sum(not_comparable), 0)::bigint FROM shadow.shape WHERE pair = %s",
        demo.world.schema,
    )[0]
    return int(row[0]), int(row[1]), int(row[2])


def mismatches(demo: Demo) -> list[dict[str, Any]]:
    rows = demo.world.query(
        "SELECT sql, first_at, last_at, resolved_at FROM shadow.mismatch WHERE pair = %s", demo.world.schema
    )
    return [dict(zip(("sql", "first_at", "last_at", "resolved_at"), row, strict=True)) for row in rows]


def open_mismatches(demo: Demo) -> int:
    return sum(1 for row in mismatches(demo) if row["resolved_at"] is None)


def explained(demo: Demo, mismatch: dict[str, Any]) -> bool:
    """By the injections: a read of one of their tables, only while they were there."""
    if demo.injected_since is None or not inject.reads_an_injected_table(mismatch["sql"]):
        return False
    until = demo.injected_until
    return bool(mismatch["first_at"] >= demo.injected_since and (until is None or mismatch["last_at"] <= until))


def found_by_reads(demo: Demo) -> frozenset[str]:
    """Which of the tables with an injected divergence some compared read has shown to differ."""
    texts = [mismatch["sql"].lower() for mismatch in mismatches(demo) if explained(demo, mismatch)]
    return frozenset(table for table in inject.TABLES if any(table in text for text in texts))


def differences(answer: Answer) -> int:
    """Rows that `verify` found different, missing or extra."""
    return sum(
        int(table["rows_different"]) + int(table["rows_missing"]) + int(table["rows_extra"])
        for table in answer.json["tables"]
    )


def repaired(answer: Answer) -> int:
    return int(answer.json["repaired_rows"])


def closed_gates(demo: Demo) -> list[str]:
    """Names of the gates that would not let a cutover through; all of them while the agent does not answer."""
    status = demo.world.get("/api/v1/status")
    if status is None:
        return ["agent"]
    return [gate["name"] for gate in status["gates"] if not gate["open"]]


def reverse_pending(demo: Demo) -> int | None:
    """Changes made on PostgreSQL that SQLite does not have; None: not known."""
    status = demo.world.get("/api/v1/status")
    pending = None if status is None else status["target"]["reverse_pending"]
    return None if pending is None else int(pending)


def short(result: Any) -> str:
    """The rows that only one side has, on one line."""
    rows = result.get("only_here") or result.get("rows") or result
    text = json.dumps(rows, ensure_ascii=False)
    return text if len(text) <= 150 else text[:149] + "…"
