"""Which PostgreSQL errors are about a statement, and which are about the world.

An error of the statement is a divergence: the same statement worked on SQLite. An error of the world (connection,
deadlock, disk full, a lock held by a person) says nothing about the statement: the group is rolled back and tried
again later, nothing is skipped.
"""

from __future__ import annotations

import psycopg2

from ..errors import TargetError, TargetUnavailable

#: Connection lost, serialization and deadlock, no resources, object in use, operator intervention, system error.
_WORLD_CLASSES = frozenset({"08", "40", "53", "55", "57", "58"})
_OF_THE_STATEMENT = (psycopg2.DataError, psycopg2.ProgrammingError, psycopg2.NotSupportedError, psycopg2.IntegrityError)
_READ_ONLY_TRANSACTION = "25006"
_INSUFFICIENT_PRIVILEGE = "42501"


def is_of_the_world(error: psycopg2.Error) -> bool:
    """Whether trying the same thing again may work."""
    code = error.pgcode
    if code is None:
        # libpq's own words: the connection is gone. psycopg2 then raises OperationalError, InterfaceError or only
        # DatabaseError; what it says of a statement or a value (DataError ...) has a class of its own.
        return not isinstance(error, _OF_THE_STATEMENT)
    return code[:2] in _WORLD_CLASSES or code in (_READ_ONLY_TRANSACTION, _INSUFFICIENT_PRIVILEGE)


def as_target_error(error: psycopg2.Error, doing: str) -> TargetError:
    """One line for an error of the world."""
    text = " ".join((error.diag.message_primary or str(error)).split())[:200]
    if error.pgcode in (_READ_ONLY_TRANSACTION, _INSUFFICIENT_PRIVILEGE):
        return TargetError(f"PostgreSQL refused {doing}: {text}; check the user of DATABASE_URL and its rights")
    return TargetUnavailable(f"PostgreSQL failed while {doing}: {text}; nothing is lost, it is tried again")
