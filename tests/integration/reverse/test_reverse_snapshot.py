"""The snapshot up to which changes have come is committed with them, so that each comes once."""

from __future__ import annotations

import pytest
from flagging import FlagPair

from shadow.reverse import changes
from shadow.reverse.applier import ReverseApplier


def test_a_change_that_has_come_does_not_come_again_though_postgresql_still_has_it(
    pair: FlagPair, reverse: ReverseApplier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a crash between SQLite's commit and the pruning of the change table."""
    monkeypatch.setattr(changes, "prune", lambda *_args, **_options: 0)
    pair.write("INSERT INTO log (text) VALUES ('once')")
    assert reverse.run_once() == 1
    assert pair.target("SELECT count(*) FROM shadow.change") == [(1,)]
    assert reverse.pending() == 0
    assert reverse.run_once() == 0
    assert len(pair.same("log", "id, text")) == 1
