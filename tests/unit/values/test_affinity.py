"""SQLite's storage rules, judged by SQLite itself."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shadow.values import affinity, compare

_DECLARED = {"integer": "INTEGER", "real": "REAL", "numeric": "NUMERIC", "text": "TEXT", "blob": "BLOB"}

numbers_as_text = st.builds(
    lambda a, b, c, d, e: a + b + c + d + e,
    st.sampled_from(["", " ", "\t", "\n "]),
    st.sampled_from(["", "+", "-", "--"]),
    st.one_of(st.integers(0, 10**20).map(str), st.floats(0, 1e18, allow_nan=False).map(repr), st.just("")),
    st.sampled_from(["", ".", ".0", ".5", "e3", "e", "E-2", "e+5", "x", "0x1F", "_1"]),
    st.sampled_from(["", " ", "\n"]),
)
values = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, width=64),
    st.integers(-1000, 1000).map(float),
    st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8),
    numbers_as_text,
    st.binary(max_size=8),
)


@pytest.fixture(scope="module")
def origin() -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:")
    for name, declared in _DECLARED.items():
        conn.execute(f"CREATE TABLE t_{name} (v {declared})")
    return conn


@pytest.mark.parametrize("name", sorted(_DECLARED))
@given(value=values)
@example(value="9223372036854775808")
@example(value="9223372036854775807.0")
@example(value="1e3")
@example(value=9.2e18)
@example(value=-0.0)
@example(value=1e15)
@example(value=0.1 + 0.2)
def test_a_value_becomes_what_sqlite_stores(origin: sqlite3.Connection, name: str, value: object) -> None:
    origin.execute(f"DELETE FROM t_{name}")
    origin.execute(f"INSERT INTO t_{name} VALUES (?)", (value,))
    (stored,) = origin.execute(f"SELECT v FROM t_{name}").fetchone()
    mine = affinity.apply(value, name)  # type: ignore[arg-type]
    if isinstance(value, float) and isinstance(stored, str) and isinstance(mine, str):
        # SQLite's own decimal conversion may differ from C's in the 15th digit.
        assert float(mine) == pytest.approx(float(stored), rel=1e-14)
    else:
        assert compare.same(mine, stored) or mine == stored == 0.0


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("INTEGER", "integer"), ("BIGINT", "integer"), ("FLOATING POINT", "integer"), ("VARCHAR(10)", "text"),
        ("CLOB", "text"), ("", "blob"), ("BLOB", "blob"), ("DOUBLE PRECISION", "real"), ("FLOAT", "real"),
        ("BOOLEAN", "numeric"), ("TIMESTAMP", "numeric"), ("DECIMAL(10,2)", "numeric"), ("STRING", "numeric"),
    ],
)  # fmt: skip
def test_declared_types_give_sqlites_affinities(declared: str, expected: str) -> None:
    assert affinity.of_declared(declared) == expected


@pytest.mark.parametrize("text", ["12abc", " -3.7e2xyz", "", "abc", ".5.5", "+", "9223372036854775808", "1e", "-  5"])
def test_casts_take_the_number_at_the_start_of_a_text(origin: sqlite3.Connection, text: str) -> None:
    whole, number = origin.execute("SELECT CAST(? AS INTEGER), ? + 0", (text, text)).fetchone()
    assert affinity.integer_prefix(text) == whole
    assert affinity.number_prefix(text) == number
