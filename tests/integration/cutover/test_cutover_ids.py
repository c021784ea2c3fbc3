"""Ids across switches: explicit, high, negative, deleted; the fence sets no sequence, the applier kept them ahead."""

from __future__ import annotations

from flagging import FlagPair, apply_all, cut_over

from shadow import sqlite3
from shadow.cutover.outcome import Result
from shadow.cutover.rollback import rollback


def test_ids_that_were_given_once_are_not_given_again_on_either_side(pair: FlagPair) -> None:
    """AUTOINCREMENT remembers a deleted maximum through two cutovers and rollbacks, and the second echoes nothing."""
    app = sqlite3.connect(pair.path, isolation_level=None)
    app.execute("INSERT INTO account (id, owner) VALUES (-5, 'negative')")
    app.execute("INSERT INTO account (id, owner) VALUES (100, 'high')")
    app.execute("DELETE FROM account WHERE id = 100")
    app.execute("INSERT INTO log (id, text) VALUES (50, 'explicit')")
    given = [100]
    for number in range(2):
        assert cut_over(pair).result is Result.DONE
        for side in ("postgres", "sqlite"):
            if side == "sqlite":
                outcome = rollback(pair.settings)
                assert (outcome.result, outcome.why) == (Result.DONE, "")
            rowid = app.execute("INSERT INTO account (owner) VALUES (?)", (f"{side}{number}",)).lastrowid
            assert rowid is not None
            assert rowid > given[-1]
            given.append(rowid)
            app.execute("DELETE FROM account WHERE id = ?", (rowid,))
            assert app.execute("INSERT INTO log (text) VALUES ('next')").lastrowid > 50
    app.close()
    apply_all(pair)
    assert pair.same("account", "id, owner") == [(-5, "negative")]
    assert len(pair.same("log", "id, text")) == 5
    assert pair.target("SELECT count(*) FROM shadow.dirty") == [(0,)]
    assert pair.target("SELECT count(*) FROM shadow.change") == [(0,)]
