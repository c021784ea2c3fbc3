"""Each gate is closed for its own reason; a check that did not run is closed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shadow.cutover.gates import CONNECTIONS_FREE_MIN, LAG_SECONDS_MAX, VERIFY_AGE_SECONDS_MAX, Gate, evaluate
from shadow.cutover.status import OriginStatus, Shapes, Status, TargetStatus, VerifiedTable, to_json
from shadow.flag.control import ControlRecord, State
from shadow.types import Side

RECORD = ControlRecord(1, "init", Side.SQLITE, State.ACTIVE)
VERIFIED = VerifiedTable("t", 7, 3, 100, 0, True, 60.0)
GOOD = Status(
    at=0.0,
    pair="public",
    sqlite_path="/app.db",
    primary=Side.SQLITE,
    epoch=1,
    proof_epoch=3,
    origin=OriginStatus(
        up=True,
        record=RECORD,
        journaling=True,
        journal_rows=5,
        lag_records=0,
        lag_seconds=0.0,
        journal_fits=True,
        tables=("t",),
    ),
    target=TargetStatus(
        up=True,
        server_version=160000,
        connections=3,
        connections_max=100,
        record=RECORD,
        applied_position=7,
        proof_epoch=3,
        shapes=Shapes(4, 4, 0, 0),
        verified=(VERIFIED,),
    ),
)


def closed(status: Status) -> dict[str, Gate]:
    return {gate.name: gate for gate in evaluate(status) if not gate.open}


def with_origin(**changes: Any) -> Status:
    return replace(GOOD, origin=replace(GOOD.origin, **changes))


def with_target(**changes: Any) -> Status:
    return replace(GOOD, target=replace(GOOD.target, **changes))


def test_with_everything_shown_every_gate_is_open() -> None:
    """And each says what was shown."""
    gates = evaluate(GOOD)
    assert [gate.name for gate in gates if not gate.open] == []
    assert all(gate.reason for gate in gates)


@pytest.mark.parametrize(
    ("status", "gate", "says"),
    [
        (with_origin(journaling=False), "initialised", "shadow init"),
        (with_target(server_version=130000), "postgres", "too old"),
        (with_target(connections=100 - CONNECTIONS_FREE_MIN + 1), "postgres", "connections"),
        (with_target(applied_position=None), "backfilled", "shadow backfill"),
        (with_target(backfill_unfinished=2), "backfilled", "2 tables"),
        (with_origin(journal_fits=False), "journal", "shadow verify"),
        (with_origin(journal_fits=None), "journal", "backfill"),
        (with_origin(lag_seconds=LAG_SECONDS_MAX + 1), "lag", "agent"),
        (with_origin(lag_seconds=None), "lag", "backfill"),
        (with_target(verified=()), "verify", "never verified"),
        (with_target(verified=(replace(VERIFIED, complete=False),)), "verify", "in part"),
        (with_target(verified=(replace(VERIFIED, rows_different=1),)), "verify", "--repair"),
        (with_target(verified=(replace(VERIFIED, proof_epoch=2),), proof_reason="DDL"), "verify", "DDL"),
        (with_target(verified=(replace(VERIFIED, age_seconds=VERIFY_AGE_SECONDS_MAX + 1),)), "verify", "too long ago"),
        (with_target(mismatches_unresolved=1, mismatch_example="SELECT 1"), "mismatches", "SELECT 1"),
        (with_target(dirty=(("t", "error"),)), "divergences", "t: error"),
        (with_target(divergences_unresolved=3), "divergences", "3 writes"),
        (with_target(shapes=Shapes()), "coverage", "no read"),
        (with_target(shapes=Shapes(5, 4, 1, 0, "SELECT 2")), "coverage", "SELECT 2"),
        (with_target(shapes=Shapes(5, 4, 0, 1, "", "SELECT 3")), "unsupported", "SELECT 3"),
        (with_target(unsupported_writes=1), "unsupported", "1 statements"),
        (with_target(drift=("table t",)), "schema", "table t"),
        (with_target(capture_forbidden=("t",)), "reverse", "owner"),
    ],
)
def test_what_is_not_shown_closes_its_gate_and_no_other(status: Status, gate: str, says: str) -> None:
    """One finding, one closed gate, with what to do."""
    found = closed(status)
    assert set(found) == {gate}
    assert says in found[gate].reason


def test_a_side_out_of_reach_closes_everything_that_needs_it() -> None:
    """Nothing is taken for granted; the gate of that side says why."""
    away = closed(replace(GOOD, target=TargetStatus(error="nobody answers")))
    assert "nobody answers" in away["postgres"].reason
    assert {gate.name for gate in evaluate(GOOD)} == set(away)
    assert set(closed(replace(GOOD, origin=OriginStatus(error="no file")))) >= {"initialised", "lag", "verify"}


def test_a_status_is_plain_data() -> None:
    """For the API and --json."""
    plain = to_json(GOOD)
    assert isinstance(plain, dict)
    assert plain["origin"]["record"]["primary"] == "sqlite"
    assert plain["target"]["verified"][0]["table"] == "t"
