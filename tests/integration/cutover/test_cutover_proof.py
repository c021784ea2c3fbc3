"""What the gates saw is minutes old when the fence is taken: what voids proof in between calls the cutover off."""

from __future__ import annotations

from flagging import FlagPair, cut_over

from shadow import sqlite3
from shadow.cutover.outcome import Result


def test_a_write_that_diverges_behind_the_gates_calls_the_cutover_off(pair: FlagPair) -> None:
    """Its record was not applied when the gates were asked; PostgreSQL lacks the row, so it must not become primary."""
    app = sqlite3.connect(pair.path)
    with app:
        app.execute("INSERT INTO account (owner, balance) VALUES ('a', 'not a number')")
    outcome = cut_over(pair)
    assert (outcome.result, "account" in outcome.why) == (Result.CALLED_OFF, True), outcome
    assert app.execute("SELECT owner FROM account").fetchall() == [("a",)]
    with app:
        app.execute("INSERT INTO account (owner) VALUES ('b')")
    app.close()
    assert pair.origin("SELECT primary_side, state FROM _shadow_control") == [("sqlite", "active")]
