"""One way into PostgreSQL, for the app's process, the agent and the command line.

`connect` gives a psycopg2 connection whose values come back as Python's sqlite3 would give them: no Decimal, no
datetime, no memoryview, no bool. What the world gets wrong (DSN, network, password, version) becomes one clear line
as `TargetError` or `TargetUnavailable`; the DSN's password is never in it. The casters are registered per connection,
so an app that uses psycopg2 for itself notices nothing.
"""

from __future__ import annotations

import psycopg2
from psycopg2.extensions import connection as PgConnection
from psycopg2.extensions import make_dsn, parse_dsn

from ..errors import TargetError, TargetUnavailable
from .casters import register_casters, register_value_type

#: The oldest server whose features we use.
SERVER_VERSION_MIN = 140000
CONNECT_TIMEOUT_SECONDS = 10

#: Session settings that values, text literals and plans depend on, whatever the server's or the role's defaults are.
_SESSION = {
    "timezone": "UTC",
    "datestyle": "ISO,YMD",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    "extra_float_digits": "1",
    "client_min_messages": "warning",
    # The compat functions make cost estimates high enough for JIT, which then costs more than the query.
    "jit": "off",
}

#: libpq's complaints about a DSN that do not repeat other parts of it (a password could stand there).
_QUOTABLE_DSN_ERRORS = (
    "invalid connection option",
    "invalid integer value",
    "invalid port number",
    "invalid URI query parameter",
    "invalid sslmode value",
)


def connect(dsn: str, *, purpose: str, autocommit: bool = False, session: dict[str, str] | None = None) -> PgConnection:
    """A connection named 'shadow <purpose>' in pg_stat_activity; `session` adds server settings to ours.

    Raises `TargetUnavailable` when trying again may help, `TargetError` when a person must change something.
    """
    given = _parse(dsn)
    where = describe(dsn)
    options = " ".join(f"-c {name}={_option(value)}" for name, value in {**_SESSION, **(session or {})}.items())
    keywords: dict[str, str | int] = {
        "application_name": f"shadow {purpose}"[:63],
        "client_encoding": "UTF8",
        "options": f"{given.get('options', '')} {options}".strip(),
    }
    # A server that vanished is noticed in about a minute; whoever set these in the DSN knows better.
    for name, value in (
        ("connect_timeout", CONNECT_TIMEOUT_SECONDS),
        ("keepalives_idle", 30),
        ("keepalives_interval", 10),
        ("keepalives_count", 3),
    ):
        if name not in given:
            keywords[name] = value
    try:
        conn = psycopg2.connect(make_dsn(dsn, **keywords))
    except psycopg2.Error as error:
        raise connect_error(error, where) from error
    try:
        check_version(conn.server_version, where)
        conn.autocommit = True
        register_casters(conn)
        register_value_type(conn)
        conn.autocommit = autocommit
    except psycopg2.Error as error:
        conn.close()
        raise connect_error(error, where) from error
    except TargetError:
        conn.close()
        raise
    return conn


def describe(dsn: str) -> str:
    """Where a DSN points, for messages: database, host, port and user, never the password."""
    parts = _parse(dsn)
    host = parts.get("host") or parts.get("hostaddr") or "the local socket"
    port = f":{parts['port']}" if "port" in parts else ""
    database = parts.get("dbname") or parts.get("user") or "the default database"
    user = f" as {parts['user']}" if "user" in parts else ""
    return f"{database} on {host}{port}{user}"


def check_version(server_version: int, where: str) -> None:
    """Raise `TargetError` for a server that is too old."""
    if server_version < SERVER_VERSION_MIN:
        raise TargetError(
            f"PostgreSQL {server_version // 10000} at {where} is too old;"
            f" shadow needs {SERVER_VERSION_MIN // 10000} or newer"
        )


def connect_error(error: psycopg2.Error, where: str) -> TargetError:
    """What went wrong while connecting, as one line. libpq gives no SQLSTATE here, only text."""
    text = " ".join(str(error).split())
    if "password authentication failed" in text or "no password supplied" in text:
        return TargetError(f"PostgreSQL refused the user name or password for {where}; check DATABASE_URL")
    if "no pg_hba.conf entry" in text or "authentication failed" in text:
        return TargetError(f"PostgreSQL does not let us in at {where}: allow this user and host in pg_hba.conf")
    if "role " in text and "does not exist" in text:
        return TargetError(f"the PostgreSQL user does not exist: {where}; create it or change DATABASE_URL")
    if "database " in text and "does not exist" in text:
        return TargetError(f"the PostgreSQL database does not exist: {where}; create it or change DATABASE_URL")
    if "Connection refused" in text or "No such file or directory" in text:
        return TargetUnavailable(
            f"nobody answers for PostgreSQL at {where}; is the server running, are host and port right?"
        )
    if "could not translate host name" in text:
        return TargetUnavailable(f"the host name of PostgreSQL is not known: {where}; check DATABASE_URL")
    if "timeout expired" in text:
        return TargetUnavailable(f"PostgreSQL at {where} did not answer in time; check the network and the host name")
    if "starting up" in text or "shutting down" in text or "recovery mode" in text:
        return TargetUnavailable(f"PostgreSQL at {where} is starting or stopping; try again in a moment")
    if "too many clients" in text or "remaining connection slots" in text or "too many connections" in text:
        return TargetUnavailable(
            f"PostgreSQL at {where} has no free connections; raise max_connections or lower SHADOW_POOL_MAX"
        )
    return TargetUnavailable(f"no connection to PostgreSQL at {where}: {text[:300]}")


def _parse(dsn: str) -> dict[str, str]:
    try:
        return dict(parse_dsn(dsn))
    except psycopg2.ProgrammingError as error:
        text = " ".join(str(error).removeprefix("invalid dsn: ").split())
        why = f" ({text})" if text.startswith(_QUOTABLE_DSN_ERRORS) else ""
        raise TargetError(
            f"DATABASE_URL is not a PostgreSQL DSN{why}; it looks like postgresql://user:password@host:5432/database"
        ) from None


def _option(value: str) -> str:
    """A value inside libpq's `options`: blanks and backslashes are escaped."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
