"""Every difference is found and named; what was not compared is never called equal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shadow.config import Settings
from shadow.errors import ConfigError
from shadow.replicate.applier import Applier
from shadow.verify import Kind, NotComparable, open_pair, verify

ROWS = 500  # of each table but the empty one

InTarget = Callable[[str], list[tuple[object, ...]]]


def test_equal_sides_are_found_equal_row_by_row(settings: Settings, applier: Applier) -> None:
    report = verify(settings, applier)
    assert {t.table: t.rows_compared for t in report.tables} == {
        "empty": 0,
        "keyless": ROWS,
        "mixed": ROWS,
        "pair": ROWS,
        "users": ROWS,
    }
    assert report.verified
    assert report.equal


@pytest.mark.parametrize(
    ("spoil", "table", "kind", "key"),
    [
        ("UPDATE users SET name = 'User 1' WHERE id = 2", "users", Kind.DIFFERENT, (2,)),
        ("UPDATE users SET score = score + 1e-13 WHERE id = 600", "users", Kind.DIFFERENT, (600,)),
        ("UPDATE users SET picture = '\\x0106' WHERE id = 2", "users", Kind.DIFFERENT, (2,)),
        ("UPDATE users SET active = NULL WHERE id = 4", "users", Kind.DIFFERENT, (4,)),
        ("DELETE FROM users WHERE id = 2", "users", Kind.MISSING, (2,)),
        ("DELETE FROM users WHERE id = 1000", "users", Kind.MISSING, (1000,)),
        ("INSERT INTO users (id) VALUES (601)", "users", Kind.EXTRA, (601,)),
        ("INSERT INTO users (id) VALUES (-1)", "users", Kind.EXTRA, (-1,)),
        ("INSERT INTO users (id) VALUES (99999)", "users", Kind.EXTRA, (99999,)),
        ("INSERT INTO empty (id) VALUES (1)", "empty", Kind.EXTRA, (1,)),
        ("DELETE FROM keyless WHERE _shadow_rowid = 7", "keyless", Kind.MISSING, (7,)),
        ("UPDATE keyless SET b = '(1,5.0,,)' WHERE _shadow_rowid = 5", "keyless", Kind.DIFFERENT, (5,)),
        ("UPDATE pair SET v = 'w' WHERE b = 4", "pair", Kind.DIFFERENT, ("é", 4)),
        ("DELETE FROM pair WHERE b = 5", "pair", Kind.MISSING, ("z", 5)),
        ("DELETE FROM mixed WHERE k = '(1,5,,)'::shadow.value", "mixed", Kind.MISSING, (5, b"\x02")),
        ("DELETE FROM mixed WHERE k = '(1,6.5,,)'::shadow.value", "mixed", Kind.MISSING, (6.5, b"\x00")),
        ("INSERT INTO mixed VALUES ('(1,5.5,,)', '\\x00', 'v')", "mixed", Kind.EXTRA, (5.5, b"\x00")),
        ("INSERT INTO mixed VALUES ('(2,,k,)', '\\x00', 'v')", "mixed", Kind.EXTRA, ("k", b"\x00")),
    ],
)
def test_each_kind_of_difference_is_found_and_named_by_its_key(
    settings: Settings,
    applier: Applier,
    in_target: InTarget,
    spoil: str,
    table: str,
    kind: Kind,
    key: tuple[object, ...],
) -> None:
    in_target(spoil)
    report = verify(settings, applier)
    assert report.verified
    assert not report.equal
    (found,) = [t for t in report.tables if t.rows_wrong]
    assert found.table == table
    assert [(e.kind, e.key) for e in found.examples] == [(kind, key)]
    (stored,) = in_target(
        f"SELECT rows_different, rows_missing, rows_extra, complete FROM shadow.verified WHERE table_name = '{table}'"
    )
    assert stored == (int(kind is Kind.DIFFERENT), int(kind is Kind.MISSING), int(kind is Kind.EXTRA), True)


def test_a_single_bit_of_a_float_or_a_blob_is_found(settings: Settings, applier: Applier, in_target: InTarget) -> None:
    in_target(
        "UPDATE users SET score = 0.3333333333333334 WHERE id = 2;"  # 1/3 is 0.3333333333333333
        " UPDATE users SET picture = set_bit(picture, 0, 1 - get_bit(picture, 0)) WHERE id = 100"
    )
    (found,) = [t for t in verify(settings, applier).tables if t.rows_wrong]
    assert [e.key for e in found.examples] == [(2,), (100,)]


def test_many_differences_are_counted_in_full_and_shown_in_part(
    settings: Settings, applier: Applier, in_target: InTarget
) -> None:
    in_target("DELETE FROM users WHERE id % 3 = 0; UPDATE users SET age = age + 1 WHERE id % 3 = 1")
    (found,) = [t for t in verify(settings, applier).tables if t.rows_wrong]
    assert (found.missing, found.different, found.extra) == (166, 167, 0)
    assert len(found.examples) == 20


def test_a_write_past_the_shim_is_found(settings: Settings, applier: Applier, in_origin: Callable[[str], None]) -> None:
    in_origin("UPDATE users SET age = 0 WHERE id = 10")
    (found,) = [t for t in verify(settings, applier).tables if t.rows_wrong]
    assert [e.key for e in found.examples] == [(10,)]


def test_a_table_that_could_not_be_compared_is_not_verified_and_others_still_are(
    settings: Settings, applier: Applier, in_target: InTarget
) -> None:
    in_target("ALTER TABLE keyless DROP COLUMN b")
    report = verify(settings, applier)
    assert not report.verified
    assert not report.equal
    assert {t.table: t.complete for t in report.tables} == {
        "empty": True,
        "keyless": False,
        "mixed": True,
        "pair": True,
        "users": True,
    }
    assert in_target("SELECT complete FROM shadow.verified WHERE table_name = 'keyless'") == [(False,)]


def test_text_that_cannot_be_read_makes_its_table_not_verified_and_is_not_shown(
    settings: Settings, applier: Applier, in_origin: Callable[[str], None]
) -> None:
    in_origin("UPDATE users SET name = CAST(x'736563726574ff' AS TEXT) WHERE id = 8")
    (found,) = [t for t in verify(settings, applier).tables if not t.complete]
    assert found.table == "users"
    assert "Could not decode" in found.detail
    assert "secret" not in found.detail


def test_a_table_on_one_side_only_is_not_verified(
    settings: Settings, applier: Applier, in_origin: Callable[[str], None]
) -> None:
    in_origin("CREATE TABLE past_the_shim (id INTEGER PRIMARY KEY)")
    report = verify(settings, applier)
    (found,) = [t for t in report.tables if not t.complete]
    assert (found.table, found.detail) == ("past_the_shim", "the table is not in PostgreSQL")
    assert not report.verified


def test_one_table_can_be_asked_for_and_a_wrong_name_is_refused(
    settings: Settings, applier: Applier, in_target: InTarget
) -> None:
    report = verify(settings, applier, ["USERS"])
    assert [t.table for t in report.tables] == ["users"]
    assert not report.whole
    assert in_target("SELECT table_name FROM shadow.verified") == [("users",)]
    with pytest.raises(ConfigError, match="there is no table nope"):
        verify(settings, applier, ["nope"])


def test_a_pair_whose_sides_are_apart_is_refused(settings: Settings, applier: Applier, in_target: InTarget) -> None:
    class Idle:
        """An applier that does not apply."""

        exclusive = applier.exclusive

        def apply_to(self, position: int | None = None, *, budget_seconds: float | None = None) -> None:
            return None

    in_target("UPDATE shadow.applied SET nonce = 'another'")
    with pytest.raises(NotComparable, match="try again"):
        open_pair(settings.sqlite_path, settings.database_url or "", "public", Idle())


def test_the_result_is_proof_of_the_epoch_that_held_in_the_snapshot(
    settings: Settings, applier: Applier, in_target: InTarget
) -> None:
    in_target("UPDATE shadow.proof SET proof_epoch = 7")
    verify(settings, applier)
    assert in_target("SELECT DISTINCT proof_epoch FROM shadow.verified") == [(8,)]
