"""Values through a real PostgreSQL and back: parameters, COPY, order and equality of `shadow.value`."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterator

import psycopg2
import psycopg2.extensions
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import shadow.translate
from shadow.types import SqliteValue
from shadow.values import codec, compare

text = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
integers = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False)
blobs = st.binary(max_size=20)
_VALUES = {
    "bigint": integers,
    "double precision": floats,
    "text": text,
    "bytea": blobs,
    "boolean": st.integers(0, 1),
    "shadow.value": st.one_of(integers, floats, text, blobs),
}
_through_postgres = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def target(pg_dsn: str) -> Iterator[psycopg2.extensions.connection]:
    conn = psycopg2.connect(pg_dsn)
    with conn.cursor() as cursor:
        cursor.execute(shadow.translate.compat_sql())
        cursor.execute("SELECT 'shadow.value'::regtype::oid")
        oid = cursor.fetchone()[0]  # type: ignore[index]
    caster = psycopg2.extensions.new_type((oid,), "shadow.value", codec.parse_value)
    psycopg2.extensions.register_type(caster, conn)
    yield conn
    conn.close()


@pytest.mark.parametrize("pg_type", sorted(_VALUES))
@given(data=st.data())
@_through_postgres
def test_every_value_comes_back_unchanged_as_a_parameter_and_by_copy(
    target: psycopg2.extensions.connection, pg_type: str, data: st.DataObject
) -> None:
    sent = data.draw(st.lists(st.one_of(st.none(), _VALUES[pg_type]), min_size=1, max_size=10))
    with target.cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE t (n bigint GENERATED ALWAYS AS IDENTITY, v {pg_type})")
        for value in sent:
            cursor.execute(f"INSERT INTO t (v) VALUES ((%s)::{pg_type})", (codec.to_target(value, pg_type),))
        lines = "".join(codec.copy_text(value, pg_type) + "\n" for value in sent)
        cursor.copy_expert("COPY t (v) FROM STDIN", io.StringIO(lines, newline=""))
        cursor.execute("SELECT v FROM t ORDER BY n")
        got = [codec.from_target(row[0], pg_type) for row in cursor.fetchall()]
        cursor.execute("DROP TABLE t")
    assert len(got) == 2 * len(sent)
    assert all(map(compare.same, got, sent + sent))


@given(values=st.lists(st.one_of(integers, floats, st.integers(-5, 5), st.integers(-5, 5).map(float), text, blobs)))
@_through_postgres
def test_mixed_values_sort_and_compare_as_in_sqlite(
    target: psycopg2.extensions.connection, values: list[SqliteValue]
) -> None:
    origin = sqlite3.connect(":memory:")
    origin.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, v)")
    origin.executemany("INSERT INTO t (v) VALUES (?)", [(v,) for v in values])
    ordered = [n for (n,) in origin.execute("SELECT n FROM t ORDER BY v, n")]
    equal = origin.execute("SELECT a.n, b.n FROM t a JOIN t b ON a.v = b.v ORDER BY 1, 2").fetchall()
    origin.close()
    with target.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE t (n bigint, v shadow.value)")
        for n, value in enumerate(values, 1):
            cursor.execute("INSERT INTO t VALUES (%s, %s)", (n, codec.to_target(value, "shadow.value")))
        cursor.execute("SELECT n FROM t ORDER BY v, n")
        assert [n for (n,) in cursor.fetchall()] == ordered
        cursor.execute("SELECT a.n, b.n FROM t a JOIN t b ON a.v = b.v ORDER BY 1, 2")
        assert cursor.fetchall() == equal
        cursor.execute("DROP TABLE t")
