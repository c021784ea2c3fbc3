"""A PostgreSQL that was restored from a backup: its applied position is older than what it once had."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from pairing import make_pair

from shadow.errors import JournalBroken
from shadow.replicate.applier import Applier
from shadow.replicate.trim import trim_journal
from shadow.verify.repair import repair
from shadow.verify.verify import verify

SCHEMA = "CREATE TABLE t (id INTEGER PRIMARY KEY, v)"


@pytest.mark.parametrize("trimmed", [False, True])
def test_an_older_postgres_finds_its_place_or_stops_loudly(sqlite_path: Path, pg_dsn: str, trimmed: bool) -> None:
    """While the journal still has its position it goes on from there; once that is trimmed, apply stops and says so."""
    pair = make_pair(sqlite_path, pg_dsn, SCHEMA)
    with closing(Applier(sqlite_path, pg_dsn, "public")) as applier, pair.writer() as writer:
        writer.run("INSERT INTO t (v) VALUES (0)")
        with applier.exclusive():
            applier.apply_to()
        backup = pair.pg("SELECT position, nonce FROM shadow.applied")[0]
        for number in range(1, 40):
            writer.run(("INSERT INTO t (v) VALUES (?)", (number,)))
        with applier.exclusive():
            applier.apply_to()
        if trimmed:
            assert trim_journal(str(sqlite_path), applier.applied()[0], keep_rows=10)
        pair.pg("DELETE FROM t WHERE id > 1")
        pair.pg("UPDATE shadow.applied SET position = %s, nonce = %s", backup)
        if trimmed:
            with applier.exclusive(), pytest.raises(JournalBroken, match="no longer has position"):
                applier.apply_to()
            assert pair.pg("SELECT reason FROM shadow.proof")[0][0].startswith("the journal no longer has")
            assert pair.pg("SELECT count(*) FROM t") == [(1,)]
            repair(pair.settings, applier)
        assert verify(pair.settings, applier).equal
        assert pair.pg("SELECT count(*) FROM t") == [(40,)]
