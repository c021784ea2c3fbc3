"""PRAGMAs in PostgreSQL mode: each answered by who knows.

About the schema: the replica. Settings of a connection (synchronous, cache_size, foreign_keys ...): an SQLite
connection of the session's own, in memory, keeps what was set and answers as SQLite does. About the file: what a
healthy WAL database says. Kept in the file and so by all (user_version): a row in PostgreSQL.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from ...types import SqliteRow
from ..classify import Statement
from ..plain import plain_connect
from ..tokens import T, Token, tokenize
from .plan import not_supported
from .result import RemoteResult

if TYPE_CHECKING:
    from .session import RemoteSession

_SCHEMA = frozenset(
    (
        "table_info",
        "table_xinfo",
        "table_list",
        "index_list",
        "index_info",
        "index_xinfo",
        "foreign_key_list",
        "collation_list",
        "function_list",
        "module_list",
        "pragma_list",
        "compile_options",
    )
)
#: Answered the same whatever is asked: the database is healthy and in WAL mode. PostgreSQL has no integrity_check that
#: a client could ask for; `ok` says that the question has no other answer there (docs/architecture.md).
_FIXED: dict[str, tuple[tuple[str, ...], tuple[SqliteRow, ...]]] = {
    "journal_mode": (("journal_mode",), (("wal",),)),
    "integrity_check": (("integrity_check",), (("ok",),)),
    "quick_check": (("quick_check",), (("ok",),)),
    "wal_checkpoint": (("busy", "log", "checkpointed"), ((0, 0, 0),)),
    "encoding": (("encoding",), (("UTF-8",),)),
    "freelist_count": (("freelist_count",), ((0,),)),
    "auto_vacuum": (("auto_vacuum",), ((0,),)),
}
_SHARED = frozenset(("user_version", "application_id"))
_REFUSED = frozenset(("writable_schema", "schema_version", "key", "rekey"))


def run_pragma(session: RemoteSession, sql: str, statement: Statement) -> RemoteResult:
    """What SQLite would answer; raises `NotSupportedError` for what would need the file."""
    name = statement.name
    if name in _SCHEMA:
        return session.ask_replica(sql)
    if name == "busy_timeout":
        return _busy_timeout(session, sql)
    if name == "database_list":
        return RemoteResult(("seq", "name", "file"), [(0, "main", session.settings.sqlite_path)])
    if name == "foreign_keys":
        return _foreign_keys(session, sql)
    if name in _SHARED:
        return _shared(session, name, _value(sql))
    if name == "page_count":
        return RemoteResult(("page_count",), [(session.size_bytes() // _page_size(session),)])
    if name == "foreign_key_check":
        from .key_check import foreign_key_check

        return foreign_key_check(session, sql)
    if name in _REFUSED:
        raise not_supported(f"PRAGMA {name}")
    if name in _FIXED:
        columns, rows = _FIXED[name]
        return RemoteResult(columns, rows)
    return _own(session, sql)


def _own(session: RemoteSession, sql: str) -> RemoteResult:
    """A setting of this connection alone; an unknown PRAGMA does nothing, as in SQLite."""
    cursor = _connection(session).execute(sql)
    columns = None if cursor.description is None else tuple(str(c[0]) for c in cursor.description)
    return RemoteResult(columns, iter(cursor.fetchall()))


def _connection(session: RemoteSession) -> sqlite3.Connection:
    if session.pragmas is None:
        session.pragmas = plain_connect(":memory:", isolation_level=None, check_same_thread=False)
    return session.pragmas


def _page_size(session: RemoteSession) -> int:
    return int(_connection(session).execute("PRAGMA page_size").fetchone()[0])


def _busy_timeout(session: RemoteSession, sql: str) -> RemoteResult:
    value = _value(sql)
    if value is not None:
        session.busy_timeout_ms = max(value, 0)
    return RemoteResult(("timeout",), [(session.busy_timeout_ms,)])


def _foreign_keys(session: RemoteSession, sql: str) -> RemoteResult:
    if session.in_transaction and any(t.value in ("=", "(") for t in tokenize(sql)):
        return RemoteResult()  # inside a transaction SQLite leaves it as it is
    result = _own(session, sql)
    session.foreign_keys = bool(_connection(session).execute("PRAGMA foreign_keys").fetchone()[0])
    return result


def _shared(session: RemoteSession, name: str, value: int | None) -> RemoteResult:
    if value is None:
        return RemoteResult((name,), [(session.shared_pragma(name),)])
    session.set_shared_pragma(name, value)
    return RemoteResult()


def _value(sql: str) -> int | None:
    """The number of `PRAGMA name = n` or `PRAGMA name(n)`; None when nothing is set."""
    tokens = tokenize(sql)
    place = next((i for i, t in enumerate(tokens) if t.kind is T.OPERATOR and t.value in ("=", "(")), None)
    if place is None:
        return None
    rest = tokens[place + 1 :]
    sign = -1 if _is(rest, "-") else 1
    rest = rest[1:] if _is(rest, "-") or _is(rest, "+") else rest
    if not rest or rest[0].kind is not T.NUMBER:
        return 0
    try:
        return sign * int(rest[0].value, 0)
    except ValueError:
        return sign * int(float(rest[0].value))


def _is(tokens: list[Token], operator: str) -> bool:
    return bool(tokens) and tokens[0].kind is T.OPERATOR and tokens[0].value == operator
