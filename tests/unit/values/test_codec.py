"""Values on their way into PostgreSQL: text forms, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.values import codec, compare

text = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)))
def test_numbers_survive_the_text_form_of_shadow_value(value: float) -> None:
    assert compare.same(codec.parse_value(codec.value_text(value)), value)


@given(text)
def test_text_survives_the_text_form_of_shadow_value(value: str) -> None:
    assert codec.parse_value(codec.value_text(value)) == value


@given(st.binary())
def test_blobs_survive_the_text_form_of_shadow_value(value: bytes) -> None:
    assert codec.parse_value(codec.value_text(value)) == value


@pytest.mark.parametrize(
    ("value", "pg_type"),
    [
        ("a\0b", "text"), ("a\0b", "shadow.value"), ("\ud800", "text"), (1, "text"), (b"x", "text"),
        ("1", "bigint"), (1.0, "bigint"), (2**63, "bigint"), (1, "double precision"),
        (float("nan"), "double precision"),
        (2, "boolean"), (1.0, "boolean"), ("t", "boolean"), ("x", "bytea"), (2**63, "shadow.value"),
    ],
)  # fmt: skip
def test_what_would_not_come_back_unchanged_is_refused_without_naming_the_value(value: object, pg_type: str) -> None:
    with pytest.raises(codec.DoesNotFit, match=pg_type.replace(".", r"\.")) as caught:
        codec.to_target(value, pg_type)  # type: ignore[arg-type]
    with pytest.raises(codec.DoesNotFit):
        codec.copy_text(value, pg_type)  # type: ignore[arg-type]
    if isinstance(value, str) and len(value) > 1:
        assert value not in str(caught.value)


def test_same_tells_types_apart() -> None:
    assert not compare.same(1, 1.0)
    assert not compare.same(0.0, -0.0)
    assert not compare.same("1", 1)
    assert not compare.same(b"a", "a")
    assert compare.same(None, None)
    assert compare.same_rows((1, "a"), (1, "a"))
    assert not compare.same_rows((1,), (1, 2))
