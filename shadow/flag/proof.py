"""The proof epoch: what was shown in an older one no longer counts.

Each side counts for itself what voids proof, because whoever notices may reach only one of them (a process that writes
past the journal has no PostgreSQL). The current epoch is the sum of both counts: it rises whichever of them does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .control import TargetCursor


def combined(origin: int, target: int) -> int:
    """The current proof epoch, from `_shadow_control.proof_epoch` and `shadow.proof.proof_epoch`."""
    return origin + target


def target_count(cursor: TargetCursor, pair: str) -> int:
    """PostgreSQL's count."""
    cursor.execute("SELECT proof_epoch FROM shadow.proof WHERE pair = %s", (pair,))
    row = cursor.fetchone()
    return 0 if row is None else int(str(row[0]))


def void(cursor: TargetCursor, pair: str, reason: str) -> None:
    """Raise PostgreSQL's count, in the caller's transaction."""
    cursor.execute(
        "INSERT INTO shadow.proof AS p (pair, proof_epoch, reason) VALUES (%s, 1, %s)"
        " ON CONFLICT (pair) DO UPDATE SET proof_epoch = p.proof_epoch + 1, reason = excluded.reason, at = now()",
        (pair, reason),
    )
