"""What `init` puts into PostgreSQL from this package: schema `shadow`, its tables and functions, a pair's fence.

`flag.setup` calls these in one transaction, with `translate.compat_sql()` beside them. All of it can be run again.
"""

from __future__ import annotations

from importlib import resources

import psycopg2
from psycopg2.extensions import cursor as PgCursor
from psycopg2.sql import SQL, Identifier

from ..errors import TargetError

#: Serialises installs: CREATE ... IF NOT EXISTS of two at once fails with a unique violation.
_INSTALL_LOCK = 0x5348_4144_4F57  # 'SHADOW'
_SQL_FILES = ("housekeeping.sql", "entry.sql", "keys.sql")


def housekeeping_sql() -> str:
    """The text of every SQL file of this package, in order."""
    folder = resources.files(__package__).joinpath("sql")
    return "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in _SQL_FILES)


def install_housekeeping(cursor: PgCursor) -> None:
    """Create or update schema `shadow`, inside the caller's transaction. Raises `TargetError` without the right to."""
    check_rights(cursor)
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_INSTALL_LOCK,))
    try:
        cursor.execute(housekeeping_sql())
    except psycopg2.errors.InsufficientPrivilege as error:
        raise TargetError(
            f"schema shadow belongs to somebody else ({error.diag.message_primary}); use its owner in DATABASE_URL"
        ) from error


def create_fence(cursor: PgCursor, pair: str) -> None:
    """The pair's fence, a table without columns: write transactions lock it ROW SHARE, rollback EXCLUSIVE."""
    cursor.execute(SQL("CREATE TABLE IF NOT EXISTS shadow.{} ()").format(Identifier(f"fence_{pair}")))


def drop_fence(cursor: PgCursor, pair: str) -> None:
    cursor.execute(SQL("DROP TABLE IF EXISTS shadow.{}").format(Identifier(f"fence_{pair}")))


def check_rights(cursor: PgCursor) -> None:
    """Raise `TargetError` when this database cannot hold a pair: no right to create a schema, another encoding."""
    cursor.execute(
        "SELECT current_database(), current_user, current_setting('server_encoding'),"
        " has_database_privilege(current_database(), 'CREATE'), to_regnamespace('shadow') IS NOT NULL"
    )
    row = cursor.fetchone()
    assert row is not None
    database, user, encoding, may_create, present = row
    if encoding != "UTF8":
        raise TargetError(f"database {database} is encoded in {encoding}; create it with ENCODING 'UTF8'")
    if not may_create and not present:
        raise TargetError(
            f"user {user} may not create a schema in database {database};"
            f' run: GRANT CREATE ON DATABASE "{database}" TO "{user}"'
        )
