"""What stands in the SQLite file itself while PostgreSQL is primary: guards, and the app's triggers put away.

Guards refuse writes by whoever does not ask the flag (the plain sqlite3 module, a shell). They are installed before
the fence and do nothing until `_shadow_control.guard` is 1; the reverse applier switches that off and on inside its
own transaction. They cost writers up to 14 % while they are there, so they are there only around and after a cutover.

The app's triggers would fire a second time on rows that come back from PostgreSQL, where their effect was captured
already; no connection setting of Python 3.11 disables them. So cutover parks them: drops them and keeps their texts.

Every function runs inside the caller's transaction. Light imports: the child that holds the fence loads this module.
"""

from __future__ import annotations

import sqlite3

_PREFIX = "_shadow_guard_"
_MESSAGE = (
    "shadow: PostgreSQL is primary; this file takes no writes. Use DATABASE_TYPE=shadow, or `shadow rollback` first"
)
_EVENTS = (("i", "INSERT"), ("u", "UPDATE"), ("d", "DELETE"))


def install(conn: sqlite3.Connection) -> int:
    """Put guards on every table that has none yet; gives how many tables got them."""
    present = {name for (name,) in _all(conn, "SELECT name FROM main.sqlite_master WHERE type = 'trigger'")}
    added = 0
    for table in tables(conn):
        missing = [(key, event) for key, event in _EVENTS if _name(key, table) not in present]
        for key, event in missing:
            _run(
                conn,
                f"CREATE TRIGGER main.{_quote(_name(key, table))} BEFORE {event} ON {_quote(table)}"
                f" WHEN (SELECT guard FROM _shadow_control) BEGIN SELECT RAISE(ABORT, '{_MESSAGE}'); END",
            )
        added += bool(missing)
    return added


def remove(conn: sqlite3.Connection) -> None:
    """Drop every guard."""
    like = _PREFIX.replace("_", "\\_") + "%"
    for (name,) in _all(
        conn, "SELECT name FROM main.sqlite_master WHERE type = 'trigger' AND name LIKE ? ESCAPE '\\'", (like,)
    ):
        _run(conn, f"DROP TRIGGER main.{_quote(str(name))}")


def unguarded(conn: sqlite3.Connection) -> list[str]:
    """Tables that lack a guard."""
    present = {name for (name,) in _all(conn, "SELECT name FROM main.sqlite_master WHERE type = 'trigger'")}
    return [t for t in tables(conn) if any(_name(key, t) not in present for key, _ in _EVENTS)]


def park_triggers(conn: sqlite3.Connection) -> int:
    """Drop the app's triggers and keep their texts, in their order; gives how many."""
    found = _all(
        conn,
        "SELECT name, sql FROM main.sqlite_master WHERE type = 'trigger' AND name NOT LIKE '\\_shadow\\_%' ESCAPE '\\'"
        " AND tbl_name NOT LIKE '\\_shadow\\_%' ESCAPE '\\' ORDER BY rowid",
    )
    for name, sql in found:
        _run(conn, "INSERT OR REPLACE INTO main._shadow_app_trigger (name, sql) VALUES (?, ?)", (name, sql))
        _run(conn, f"DROP TRIGGER main.{_quote(str(name))}")
    return len(found)


def restore_triggers(conn: sqlite3.Connection) -> int:
    """Create the parked triggers again; gives how many."""
    found = _all(conn, "SELECT sql FROM main._shadow_app_trigger ORDER BY rowid")
    for (sql,) in found:
        _run(conn, str(sql))
    _run(conn, "DELETE FROM main._shadow_app_trigger")
    return len(found)


def tables(conn: sqlite3.Connection) -> list[str]:
    """The app's ordinary tables: virtual ones and their shadow tables can have no trigger."""
    rows = _all(conn, "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' ORDER BY name")
    return [str(name) for (name,) in rows if not str(name).lower().startswith(("_shadow_", "sqlite_"))]


def _name(key: str, table: str) -> str:
    return f"{_PREFIX}{key}_{table}"


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _run(conn: sqlite3.Connection, sql: str, params: tuple[object, ...] = ()) -> None:
    sqlite3.Cursor(conn).execute(sql, params)


def _all(conn: sqlite3.Connection, sql: str, params: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    return sqlite3.Cursor(conn).execute(sql, params).fetchall()
