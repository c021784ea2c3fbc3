"""`shadow init`: the pair comes into being on both sides."""

from __future__ import annotations

import typer

from .output import print_json, say
from .settings import DatabaseUrl, Json, PgSchema, SqlitePath, pair_settings


def register(app: typer.Typer) -> None:
    app.command()(init)


def init(
    sqlite: SqlitePath = None,
    database_url: DatabaseUrl = None,
    pg_schema: PgSchema = None,
    as_json: Json = False,
) -> int:
    """Put the journal into SQLite, and the schema and compat functions into PostgreSQL. All or nothing.

    Column types are chosen by what is stored. Nothing of the app's changes; from now on each of its commits through
    the shim leaves a journal record. Next: shadow backfill.

    \b
    shadow init --sqlite catalog.db --database-url postgresql://user@host/db
    SQLITE_PATH=catalog.db DATABASE_URL=postgresql://user@host/db shadow init
    """
    from ..flag.setup import init_pair

    report = init_pair(pair_settings(sqlite, database_url, pg_schema))
    if as_json:
        print_json({"ok": True, "report": report})
        return 0
    say(
        f"{report.sqlite_path} and schema {report.pg_schema} are a pair now:"
        f" {report.tables} tables, {report.primary} primary"
    )
    for finding in report.findings:
        say(f"note: {finding.message}")
    say("next: `shadow backfill`, then `shadow agent`")
    return 0
