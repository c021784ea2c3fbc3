"""The way into PostgreSQL: what values come back as, and what each wrong DSN is told."""

from __future__ import annotations

import socket

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from shadow.errors import TargetError, TargetUnavailable
from shadow.flag.control import fence_table
from shadow.postgres.connect import check_version, connect, describe
from shadow.postgres.install import create_fence, install_housekeeping
from tests.conftest import with_admin


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("9223372036854775807::bigint", 9223372036854775807),
        ("0.1::float8 + 0.2::float8", 0.1 + 0.2),
        ("'naïve'::text", "naïve"),
        (r"'\x00ff'::bytea", b"\x00\xff"),
        ("true", 1),
        ("false", 0),
        ("NULL::boolean", None),
        ("NULL::bytea", None),
        ("sum(x) FROM (VALUES (1::bigint), (2)) AS v (x)", 3),
        ("-7::numeric", -7),
        ("1.50::numeric", 1.5),
        ("timestamptz '2024-01-02 03:04:05+00'", "2024-01-02 03:04:05+00"),
        ("date '2024-01-02'", "2024-01-02"),
        ("""'{"a": 1}'::json""", '{"a": 1}'),
        ("""'{"a": 1}'::jsonb""", '{"a": 1}'),
    ],
)
def test_values_come_back_as_sqlite_would_give_them(pg_dsn: str, expression: str, value: object) -> None:
    """No Decimal, datetime, memoryview or bool ever reaches the app."""
    conn = connect(pg_dsn, purpose="test")
    try:
        with conn.cursor() as cursor:
            cursor.execute(f"SELECT {expression}")
            (got,) = cursor.fetchone() or ((),)
        assert (type(got), got) == (type(value), value)
    finally:
        conn.close()


def test_the_connection_says_who_it_is_and_has_our_session_settings(pg_dsn: str) -> None:
    conn = connect(
        pg_dsn, purpose="test", autocommit=True, session={"default_transaction_isolation": "repeatable read"}
    )
    try:
        with conn.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('application_name'), current_setting('timezone'),"
                " current_setting('client_encoding'), current_setting('transaction_isolation'),"
                " current_setting('standard_conforming_strings')"
            )
            assert cursor.fetchone() == ("shadow test", "UTC", "UTF8", "repeatable read", "on")
    finally:
        conn.close()


def test_options_in_the_dsn_are_kept(pg_dsn: str) -> None:
    conn = connect(make_dsn(pg_dsn, options="-c work_mem=8MB"), purpose="test")
    try:
        with conn.cursor() as cursor:
            cursor.execute("SELECT current_setting('work_mem')")
            assert cursor.fetchone() == ("8MB",)
    finally:
        conn.close()


def test_a_refused_connection_is_unavailable(pg_dsn: str) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        with pytest.raises(TargetUnavailable, match="nobody answers"):
            connect(f"host=127.0.0.1 port={port} dbname=x user=u password=secret", purpose="test")


def test_a_missing_database_is_named(pg_dsn: str) -> None:
    with pytest.raises(TargetError, match="database does not exist: nowhere"):
        connect(make_dsn(pg_dsn, dbname="nowhere"), purpose="test")


def test_a_missing_role_is_named(pg_dsn: str) -> None:
    with pytest.raises(TargetError, match="user does not exist"):
        connect(make_dsn(pg_dsn, user="nobody_here"), purpose="test")


@pytest.mark.parametrize("dsn", ["postgres:/x", "hunter2secret", "host=a passwrod=hunter2secret"])
def test_a_malformed_dsn_is_refused_without_repeating_a_password(dsn: str) -> None:
    with pytest.raises(TargetError, match="is not a PostgreSQL DSN") as caught:
        connect(dsn, purpose="test")
    assert "hunter2secret" not in str(caught.value)


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(TargetUnavailable, match="host name"):
        connect("postgresql://u:hunter2@no-such-host.invalid/db", purpose="test")


def test_where_a_dsn_points_never_shows_the_password() -> None:
    assert describe("postgresql://u:hunter2@db.example:5433/app") == "app on db.example:5433 as u"


def test_an_old_server_is_refused() -> None:
    with pytest.raises(TargetError, match="PostgreSQL 13 at x is too old"):
        check_version(130010, "x")


def test_housekeeping_can_be_installed_twice_and_the_fence_has_the_name_the_flag_uses(pg_dsn: str) -> None:
    conn = connect(pg_dsn, purpose="test")
    try:
        with conn.cursor() as cursor:
            for _ in range(2):
                install_housekeeping(cursor)
                create_fence(cursor, 'app "x"')
            cursor.execute("LOCK TABLE " + fence_table('app "x"') + " IN ROW SHARE MODE")
        conn.commit()
    finally:
        conn.close()


def test_without_the_right_to_create_a_schema_install_says_what_to_grant(pg_dsn: str, pg_server: str) -> None:
    database = psycopg2.extensions.parse_dsn(pg_dsn)["dbname"]
    user = f"poor_{database}"
    with_admin(pg_server, f"CREATE ROLE {user} LOGIN PASSWORD 'x'")
    try:
        conn = connect(make_dsn(pg_dsn, user=user, password="x"), purpose="test")
        try:
            with conn.cursor() as cursor, pytest.raises(TargetError, match="GRANT CREATE ON DATABASE"):
                install_housekeeping(cursor)
        finally:
            conn.close()
    finally:
        with_admin(pg_server, f"DROP ROLE {user}")
