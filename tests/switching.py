"""Switches in processes of their own, with a failpoint, and what must be true afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from flagging import FlagPair

from shadow.types import Side

CUTOVER_STEPS = (
    "cutover.check_gates",
    "cutover.prepare",
    "cutover.catch_up",
    "cutover.announce",
    "cutover.take_write_lock",
    "cutover.drain",
    "cutover.prepare_target",
    "holder.committing",
    "holder.committed",
    "cutover.commit_origin",
    "cutover.activate_target",
    "cutover.settle",
)
#: From here on the cutover has happened.
CUTOVER_COMMITTED = ("holder.committed", "cutover.commit_origin", "cutover.activate_target", "cutover.settle")
ROLLBACK_STEPS = (
    "rollback.catch_up",
    "rollback.announce",
    "rollback.take_fence",
    "rollback.drain_and_prepare",
    "rollback.commit_target",
    "rollback.activate_origin",
    "rollback.look_for_stragglers",
    "rollback.settle",
)
ROLLBACK_COMMITTED = (
    "rollback.commit_target",
    "rollback.activate_origin",
    "rollback.look_for_stragglers",
    "rollback.settle",
)


def run_switch(pair: FlagPair, verb: str, failpoint: str) -> subprocess.CompletedProcess[str]:
    here = Path(__file__).resolve().parent
    path = os.pathsep.join(p for p in (str(here.parent), os.environ.get("PYTHONPATH")) if p)
    return subprocess.run(
        [sys.executable, str(here / "switchcommand.py"), verb, pair.path, pair.dsn],
        env={**os.environ, "SHADOW_FAILPOINT": failpoint, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def agree(pair: FlagPair) -> Side:
    """Both records are the same and active."""
    ours = pair.origin("SELECT epoch, attempt, primary_side, state FROM _shadow_control")
    assert ours == pair.target("SELECT epoch, attempt, primary_side, state FROM shadow.control")
    assert ours[0][3] == "active"
    return Side(ours[0][2])
