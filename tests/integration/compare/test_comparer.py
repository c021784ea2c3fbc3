"""Reads are run on both sides of a fenced pair: what differs is found, what does not is not."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pairing import PAIR, PairForTest, make_pair

from shadow.compare import store
from shadow.compare.comparer import Comparer, Round
from shadow.compare.samples import Sample, Seen
from shadow.compare.verdict import Comparison, Reason, Verdict
from shadow.postgres.connect import connect
from shadow.replicate.applier import Applier
from shadow.schema import load_catalog
from shadow.translate import fingerprint
from shadow.verify.pair import FencedPair, open_pair

SCHEMA = """
CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, amount INTEGER, price REAL, data BLOB, is_on BOOLEAN);
CREATE TABLE u (id INTEGER PRIMARY KEY, t_id INTEGER, name TEXT COLLATE NOCASE);
"""


@pytest.fixture
def pair(sqlite_path: Path, pg_dsn: str) -> PairForTest:
    found = make_pair(sqlite_path, pg_dsn, SCHEMA)
    with found.writer() as writer:
        for number in range(6):
            values = (f"n{number}", number % 2, number / 3, bytes([number, 0, 255]), number % 2)
            writer.run(("INSERT INTO t (name, amount, price, data, is_on) VALUES (?, ?, ?, ?, ?)", values))
        writer.run("INSERT INTO u (t_id, name) VALUES (1, 'a')", "INSERT INTO u (t_id, name) VALUES (2, 'B')")
    return found


@pytest.fixture
def applier(pair: PairForTest) -> Iterator[Applier]:
    with closing(Applier(pair.sqlite_path, pair.dsn, PAIR)) as found:
        with found.exclusive():
            found.apply_to()
        yield found


def fenced(pair: PairForTest, applier: Applier) -> FencedPair:
    return open_pair(str(pair.sqlite_path), pair.dsn, PAIR, applier)


def sample(sql: str, params: Any = (), at: float | None = None) -> Sample:
    return Sample(sql, params, time.time() if at is None else at, fingerprint(sql))


def compare_all(pair: PairForTest, applier: Applier, *samples: Sample) -> Round:
    with fenced(pair, applier) as both:
        return Comparer(PAIR).compare(both, samples, budget_seconds=30)


def compare(pair: PairForTest, applier: Applier, sql: str, params: Any = ()) -> Comparison:
    (found,) = compare_all(pair, applier, sample(sql, params)).done
    return found


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        ("SELECT * FROM t", ()),
        ("SELECT * FROM t WHERE id = ?", (3,)),
        ("SELECT id, name AS n, price FROM t WHERE amount = :a ORDER BY price DESC", {"a": 1}),
        ("SELECT COUNT(*), SUM(amount), MAX(name) FROM t", ()),
        ("SELECT amount, COUNT(*) AS c FROM t GROUP BY amount ORDER BY amount", ()),
        ("SELECT t.id, u.name FROM t JOIN u ON u.t_id = t.id ORDER BY u.name", ()),
        ("SELECT name FROM t WHERE name LIKE 'N%'", ()),
        ("SELECT data FROM t WHERE is_on = 1", ()),
        ("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name", ()),
        ("SELECT id FROM t LIMIT 3", ()),
        ("SELECT 1 WHERE 0", ()),
    ],
)
def test_equal_data_gives_equal_results(pair: PairForTest, applier: Applier, sql: str, params: Any) -> None:
    found = compare(pair, applier, sql, params)
    assert (found.verdict, found.reason, found.detail) == (Verdict.MATCH, None, "")


def test_now_is_the_moment_of_the_read_on_both_sides(pair: PairForTest, applier: Applier) -> None:
    """Also where the moment is long past, and the same for every function that asks for it."""
    read = sample("SELECT datetime('now'), date('now', '-1 day'), CURRENT_TIMESTAMP", at=1_000_000_000.25)
    (found,) = compare_all(pair, applier, read).done
    assert found.verdict is Verdict.MATCH
    assert found.origin is not None
    assert found.origin.rows == (("2001-09-09 01:46:40", "2001-09-08", "2001-09-09 01:46:40"),)


def test_a_changed_value_is_found_and_shown_with_both_results(pair: PairForTest, applier: Applier) -> None:
    pair.pg("UPDATE t SET name = 'other' WHERE id = 4")
    found = compare(pair, applier, "SELECT id, name FROM t ORDER BY id")
    assert (found.verdict, found.reason) == (Verdict.MISMATCH, Reason.ROWS)
    origin, target = store.both_results(found)
    assert origin["only_here"] == [[4, "n3"]]
    assert target["only_here"] == [[4, "other"]]
    assert origin["columns"] == ["id", "name"]


def test_missing_and_extra_rows_are_found(pair: PairForTest, applier: Applier) -> None:
    pair.pg("DELETE FROM t WHERE id = 1")
    assert compare(pair, applier, "SELECT * FROM t WHERE id = ?", (1,)).reason is Reason.ROW_COUNT
    pair.pg("INSERT INTO t (id, name) VALUES (77, 'extra')")
    assert compare(pair, applier, "SELECT name FROM t WHERE id > 70").reason is Reason.ROW_COUNT
    assert compare(pair, applier, "SELECT name FROM t").reason is Reason.ROWS


def test_far_too_many_rows_on_postgres_are_not_fetched(pair: PairForTest, applier: Applier) -> None:
    pair.pg("INSERT INTO t (id, name) SELECT g, 'x' FROM generate_series(1000, 101000) g")
    found = compare(pair, applier, "SELECT id FROM t")
    assert found.reason is Reason.ROW_COUNT
    assert found.target is not None
    assert len(found.target.rows) <= 100


def test_an_error_on_one_side_is_a_mismatch_and_the_next_sample_is_compared(
    pair: PairForTest, applier: Applier
) -> None:
    pair.pg("ALTER TABLE t RENAME COLUMN price TO cost")
    broken, fine = compare_all(pair, applier, sample("SELECT price FROM t"), sample("SELECT name FROM t")).done
    assert (broken.verdict, broken.reason) == (Verdict.MISMATCH, Reason.TARGET_ERROR)
    assert broken.target is not None
    assert broken.target.error == "OperationalError"
    assert fine.verdict is Verdict.MATCH


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT random()", Reason.NONDETERMINISTIC),
        ("SELECT name FROM only_in_the_app", Reason.NEEDS_APP_CONNECTION),
        ("DELETE FROM t", Reason.NOT_A_READ),
    ],
)
def test_what_cannot_be_compared_says_why(pair: PairForTest, applier: Applier, sql: str, reason: Reason) -> None:
    found = compare(pair, applier, sql)
    assert found.verdict is Verdict.NOT_COMPARABLE
    assert found.reason in (reason, Reason.UNSUPPORTED)
    assert pair.lite("SELECT count(*) FROM t") == [(6,)]


def test_reads_of_a_dirty_table_have_no_verdict(pair: PairForTest, applier: Applier) -> None:
    pair.pg("INSERT INTO shadow.dirty (pair, table_name, position, reason) VALUES (%s, 't', 1, 'test')", (PAIR,))
    found = compare(pair, applier, "SELECT * FROM t")
    assert (found.verdict, found.reason, found.detail) == (Verdict.NOT_COMPARABLE, Reason.DIRTY, "t")
    assert compare(pair, applier, "SELECT * FROM u").verdict is Verdict.MATCH


def test_a_late_sample_is_compared_at_the_pairs_position(pair: PairForTest, applier: Applier) -> None:
    """The app went on since; both sides stand where the pair is, so there is nothing to mistake."""
    late = sample("SELECT count(*), sum(amount) FROM t")
    with pair.writer() as writer:
        for _ in range(20):
            last = writer.run("INSERT INTO t (name, amount) VALUES ('later', 5)")
        with fenced(pair, applier) as both:
            assert both.position == last
            writer.run("DELETE FROM t")
            (found,) = Comparer(PAIR).compare(both, [late]).done
    assert found.verdict is Verdict.MATCH
    assert found.position == last
    assert found.origin is not None
    assert found.origin.rows[0][0] == 26


def test_what_no_time_is_left_for_is_given_back(pair: PairForTest, applier: Applier) -> None:
    samples = [sample(f"SELECT {number} FROM t") for number in range(5)]
    with fenced(pair, applier) as both:
        found = Comparer(PAIR).compare(both, samples, budget_seconds=0.0)
    assert len(found.done) == 1
    assert len(found.left) == 4


def record(pair: PairForTest, found: Round, dropped: dict[str, int] | None = None) -> None:
    seen = {c.sample.fingerprint: Seen(c.sample.sql, 1) for c in found.done}
    with closing(connect(pair.dsn, purpose="test")) as conn, conn, conn.cursor() as cursor:
        store.record(cursor, PAIR, found.done, seen=seen, dropped=dropped or {}, proof_epoch=found.proof_epoch)


def test_a_mismatch_is_stored_once_with_both_results_however_often_it_is_seen(
    pair: PairForTest, applier: Applier
) -> None:
    pair.pg("UPDATE t SET data = %s WHERE id = 2", (b"\x01",))
    for number in (2, 2, 2):
        record(pair, compare_all(pair, applier, sample("SELECT data, price FROM t WHERE id = ?", (number,))))
    ((seen, params, origin, target, resolved),) = pair.pg(
        "SELECT seen, params::text, origin_result::text, target_result::text, resolved_at FROM shadow.mismatch"
    )
    assert seen == 3
    assert resolved is None
    assert json.loads(params) == [2]
    assert json.loads(origin)["rows"] == [[{"b64": "AQD/"}, 0.3333333333333333]]
    assert json.loads(target)["rows"] == [[{"b64": "AQ=="}, 0.3333333333333333]]
    assert pair.pg("SELECT seen, compared, mismatched, not_comparable FROM shadow.shape") == [(3, 3, 3, 0)]


def test_equal_results_later_do_not_resolve_a_mismatch_but_repair_of_its_tables_does(
    pair: PairForTest, applier: Applier
) -> None:
    read = sample("SELECT name FROM t ORDER BY id")
    pair.pg("UPDATE t SET name = 'wrong' WHERE id = 1")
    found = compare_all(pair, applier, read)
    record(pair, found)
    pair.pg("UPDATE t SET name = 'n0' WHERE id = 1")
    record(pair, compare_all(pair, applier, read))
    assert pair.pg("SELECT resolved_at IS NULL FROM shadow.mismatch") == [(True,)]
    position = found.done[0].position
    with closing(connect(pair.dsn, purpose="test")) as conn, conn, conn.cursor() as cursor:
        catalog = load_catalog(cursor, PAIR)
        assert store.resolve_tables(cursor, PAIR, catalog, ["u"], position) == 0
        assert store.resolve_tables(cursor, PAIR, catalog, ["T"], position - 1) == 0
        assert store.resolve_tables(cursor, PAIR, catalog, ["T"], position) == 1
    pair.pg("UPDATE t SET name = 'wrong' WHERE id = 1")
    record(pair, compare_all(pair, applier, read))
    assert pair.pg("SELECT resolved_at IS NULL, seen FROM shadow.mismatch") == [(True, 2)]


def test_coverage_counts_for_the_proof_epoch_of_the_snapshot(pair: PairForTest, applier: Applier) -> None:
    with fenced(pair, applier) as both:
        pair.pg("UPDATE shadow.proof SET proof_epoch = proof_epoch + 1")
        found = Comparer(PAIR).compare(both, [sample("SELECT name FROM t")])
    record(pair, found)
    ((proven,),) = pair.pg("SELECT proof_epoch FROM shadow.shape")
    (origin,), (target,) = (
        pair.lite("SELECT proof_epoch FROM _shadow_control"),
        pair.pg("SELECT proof_epoch FROM shadow.proof"),
    )
    assert proven == origin[0] + target[0] - 1


def test_counters_say_what_came_of_every_sample(pair: PairForTest, applier: Applier) -> None:
    found = compare_all(pair, applier, sample("SELECT name FROM t"), sample("SELECT random()"))
    record(pair, found, {"queue_full": 3})
    counters = dict(pair.pg("SELECT name, value FROM shadow.counter"))
    assert counters == {
        "seen": 2,
        "compared.match": 1,
        "not_comparable.nondeterministic": 1,
        "dropped.queue_full": 3,
    }
