"""Repair makes PostgreSQL equal to SQLite, in the transaction that stores the position."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shadow.config import Settings
from shadow.errors import ConfigError, JournalBroken
from shadow.replicate.applier import Applier
from shadow.verify import repair, verify

InTarget = Callable[[str], list[tuple[object, ...]]]
InOrigin = Callable[[str], None]


@pytest.mark.parametrize(
    ("spoil", "counts"),
    [
        ("UPDATE users SET name = 'x' WHERE id = 2", (1, 0, 0)),
        ("DELETE FROM users WHERE id BETWEEN 100 AND 300", (0, 101, 0)),
        ("DELETE FROM users", (0, 500, 0)),
        ("INSERT INTO users (id) SELECT * FROM generate_series(2001, 4000)", (0, 0, 2000)),
        ("UPDATE users SET name = 'swap'; UPDATE users SET name = 'user 2' WHERE id = 2", None),
        ("UPDATE users SET score = score + 1", (500, 0, 0)),
        ("DELETE FROM pair WHERE b % 2 = 0; UPDATE pair SET a = 'moved' WHERE b = 3", None),
        ("UPDATE keyless SET b = '(2,,x,)'", None),
        ("UPDATE mixed SET v = 'w', b = '\\xff' WHERE (k).cls = 1", None),
    ],
)
def test_what_was_spoilt_is_mended_and_counted(
    settings: Settings, applier: Applier, in_target: InTarget, spoil: str, counts: tuple[int, int, int] | None
) -> None:
    if "swap" in spoil:
        in_target("ALTER TABLE users DROP CONSTRAINT sqlite_autoindex_users_1")
        in_target(spoil)
        in_target("UPDATE users SET name = 'user ' || id; ALTER TABLE users ADD UNIQUE (name)")
    else:
        in_target(spoil)
    report = repair(settings, applier)
    if counts is not None:
        (table,) = [t for t in report.tables if t.rows]
        assert (table.different, table.missing, table.extra) == counts
    assert verify(settings, applier).equal
    assert repair(settings, applier).rows == 0


def test_a_dry_run_shows_the_plan_and_changes_nothing(
    settings: Settings, applier: Applier, in_target: InTarget
) -> None:
    in_target("DELETE FROM users WHERE id = 2; UPDATE pair SET v = 'w' WHERE b = 4")
    report = repair(settings, applier, dry_run=True)
    assert {t.table: t.rows for t in report.tables if t.rows} == {"users": 1, "pair": 1}
    assert verify(settings, applier).rows_wrong == 2


def test_dirt_and_divergences_of_the_repaired_tables_are_settled_and_no_others(
    settings: Settings, applier: Applier, in_target: InTarget
) -> None:
    for table in ("users", "pair"):
        in_target(f"INSERT INTO shadow.dirty VALUES ('public', '{table}', 1, 'test')")
        in_target(
            "INSERT INTO shadow.divergence (pair, position, table_name, kind, sql, detail)"
            f" VALUES ('public', 1, '{table}', 'error', '', '')"
        )
    repair(settings, applier, ["users"])
    assert in_target("SELECT table_name FROM shadow.dirty") == [("pair",)]
    assert in_target("SELECT table_name FROM shadow.divergence WHERE resolved_at IS NULL") == [("pair",)]


def test_replaced_rows_void_earlier_proof_and_a_repair_without_any_does_not(
    settings: Settings, applier: Applier, in_target: InTarget
) -> None:
    repair(settings, applier)
    assert in_target("SELECT proof_epoch FROM shadow.proof") == [(1,)]
    in_target("DELETE FROM users WHERE id = 2")
    repair(settings, applier)
    assert in_target("SELECT proof_epoch FROM shadow.proof") == [(2,)]


def test_a_value_that_does_not_fit_its_column_widens_it(
    settings: Settings, applier: Applier, in_target: InTarget, in_origin: InOrigin
) -> None:
    """SQLite takes 'n/a' in an INTEGER column at any time."""
    in_origin("UPDATE users SET age = 'n/a' WHERE id = 8")
    report = repair(settings, applier, ["users"])
    assert report.tables[0].widened == ("age",)
    assert verify(settings, applier).equal
    assert in_target("SELECT pg_type FROM shadow.column_type WHERE column_name = 'age'") == [("shadow.value",)]


def test_a_journal_that_no_longer_fits_is_mended_by_repairing_everything(
    settings: Settings, applier: Applier, in_target: InTarget, in_origin: InOrigin
) -> None:
    """Power loss: the last commits are gone from SQLite, and their positions are used again."""
    in_target("UPDATE shadow.applied SET position = position + 5, nonce = 'gone'")
    in_target("INSERT INTO users (id) VALUES (77777)")
    with pytest.raises(JournalBroken):
        verify(settings, applier)
    with pytest.raises(JournalBroken):
        repair(settings, applier, ["users"])
    report = repair(settings, applier)
    assert report.journal_replaced
    assert verify(settings, applier).equal


def test_ids_that_came_with_the_rows_are_not_given_again(
    settings: Settings, applier: Applier, in_target: InTarget, in_origin: InOrigin
) -> None:
    in_origin("INSERT INTO users (id, name) VALUES (5000, 'late')")
    repair(settings, applier)
    assert in_target("INSERT INTO users (name) VALUES ('later') RETURNING id") == [(5001,)]


def test_repair_is_refused_while_postgresql_is_primary(
    settings: Settings, applier: Applier, in_target: InTarget, in_origin: InOrigin
) -> None:
    in_origin("UPDATE _shadow_control SET primary_side = 'postgres'")
    with pytest.raises(ConfigError, match="SQLite is not primary"):
        repair(settings, applier)
