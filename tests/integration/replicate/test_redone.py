"""A group that failed as a whole is run again statement by statement: with the same values to the last bit."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from pairing import make_pair

from shadow.replicate.applier import Applier
from shadow.verify.verify import verify


def test_a_negative_zero_survives_a_group_that_is_run_again(sqlite_path: Path, pg_dsn: str) -> None:
    """psycopg2's own placeholder would send it as a numeric, which has no sign of zero."""
    pair = make_pair(sqlite_path, pg_dsn, "CREATE TABLE t (id INTEGER PRIMARY KEY, v); CREATE TABLE bad (n INTEGER)")
    with closing(Applier(sqlite_path, pg_dsn, "public")) as applier, pair.writer() as writer:
        for value in (-0.0, 0.0, 0.1, 1e300, float("inf")):
            writer.run(("INSERT INTO t (v) VALUES (?)", (value,)))
        writer.run("INSERT INTO bad VALUES ('no number')")
        with applier.exclusive():
            progress = applier.apply_to()
        assert (progress.groups_redone, progress.skipped_diverged) == (1, 1)
        assert verify(pair.settings, applier, ["t"]).equal
