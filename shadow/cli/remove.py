"""`shadow remove`: back to plain SQLite."""

from __future__ import annotations

import typer

from .output import print_json, say
from .settings import DatabaseUrl, Json, PgSchema, SqlitePath, pair_settings


def register(app: typer.Typer) -> None:
    app.command()(remove)


def remove(
    sqlite: SqlitePath = None,
    database_url: DatabaseUrl = None,
    pg_schema: PgSchema = None,
    as_json: Json = False,
) -> int:
    """Take everything of ours away again, on both sides: plain SQLite as before `init`.

    Refuses while PostgreSQL is primary (roll back first). The app may keep running; its processes stop journaling with
    their next transaction. Stop the agent first.

    \b
    shadow remove
    shadow remove --sqlite catalog.db --database-url postgresql://user@host/db
    """
    from ..flag.setup import remove_pair

    report = remove_pair(pair_settings(sqlite, database_url, pg_schema))
    if as_json:
        print_json({"ok": True, "report": report})
        return 0
    say(f"{report.sqlite_path} is plain SQLite again; {report.tables} tables dropped from schema {report.pg_schema}")
    if report.schema_shadow_dropped:
        say("schema shadow is gone from PostgreSQL: no other pair was left")
    return 0
