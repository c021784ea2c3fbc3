"""What PostgreSQL reads from our literals is what was written."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg2.extensions import connection as PgConnection

from shadow.postgres.connect import connect
from shadow.replicate.literals import literal


@pytest.fixture(scope="module")
def target(pg_server: str) -> Iterator[PgConnection]:
    with closing(connect(pg_server, purpose="test", autocommit=True)) as conn:
        yield conn


@settings(max_examples=300, deadline=None)
@given(
    integer=st.integers(-(2**63), 2**63 - 1),
    real=st.floats(allow_nan=False),
    text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    blob=st.binary(),
)
def test_every_value_comes_back_bit_for_bit(
    target: PgConnection, integer: int, real: float, text: str, blob: bytes
) -> None:
    with target.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL; PREPARE s (bigint, double precision, text, bytea) AS SELECT $1, $2, $3, $4")
        cursor.execute(f"EXECUTE s ({', '.join(map(literal, (integer, real, text, blob)))})")
        row = cursor.fetchone()
    assert row is not None
    assert row[0] == integer
    assert struct.pack("<d", row[1]) == struct.pack("<d", real)
    assert math.copysign(1, row[1]) == math.copysign(1, real)
    assert row[2:] == (text, blob)
