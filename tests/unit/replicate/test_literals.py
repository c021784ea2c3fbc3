"""Values written as PostgreSQL literals, and errors told apart."""

from __future__ import annotations

import psycopg2
import pytest

from shadow.replicate.faults import is_of_the_world
from shadow.replicate.literals import literal
from shadow.values.codec import to_target


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "NULL"),
        (True, "true"),
        (7, "7"),
        (-7, "(-7)"),
        (-(2**63), "(-9223372036854775808)"),
        (0.1, "'0.1'::float8"),
        (-0.0, "'-0.0'::float8"),
        (float("-inf"), "'-Infinity'::float8"),
        ("it's \\ 100%", "'it''s \\ 100%'"),
        (b"\x00'", "'\\x0027'::bytea"),
        (to_target("x", "shadow.value"), "'(2,,\"x\",)'::shadow.value"),
    ],
)
def test_every_kind_of_value_has_a_literal(value: object, text: str) -> None:
    assert literal(value) == text


def test_text_that_postgres_cannot_hold_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match="NUL") as caught:
        literal("secret \0")
    assert "secret" not in str(caught.value)


def test_errors_without_a_sqlstate_are_the_worlds_unless_they_are_about_a_value() -> None:
    """A server that is killed leaves a bare DatabaseError."""
    assert is_of_the_world(psycopg2.OperationalError("server closed the connection"))
    assert is_of_the_world(psycopg2.DatabaseError("server closed the connection"))
    assert is_of_the_world(psycopg2.InterfaceError("connection already closed"))
    assert not is_of_the_world(psycopg2.DataError("string contains NUL"))
    assert not is_of_the_world(psycopg2.ProgrammingError("can't adapt type 'object'"))
