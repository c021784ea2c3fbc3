"""`shadow agent`: the long-running process."""

from __future__ import annotations

from typing import Annotated

import typer

from .output import print_json
from .settings import DatabaseUrl, Json, PgSchema, SqlitePath, environment, require_file


def register(app: typer.Typer) -> None:
    app.command()(agent)


def agent(
    host: Annotated[
        str | None,
        typer.Option(
            "--host", metavar="ADDRESS", help="Where HTTP is served. Default: $SHADOW_HTTP_HOST or 127.0.0.1."
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, metavar="PORT", help="Default: $SHADOW_HTTP_PORT or 8787."),
    ] = None,
    sqlite: SqlitePath = None,
    database_url: DatabaseUrl = None,
    pg_schema: PgSchema = None,
    as_json: Json = False,
) -> int:
    """Apply the journal, compare reads, repair, bring changes back, and serve HTTP, until SIGTERM or Ctrl-C.

    One agent a pair, on a machine that has the SQLite file. Killed at any moment it goes on where it was. Its log goes
    to stderr, as JSON lines when that is not a terminal; --json prints one object when it has ended.

    \b
    shadow agent
    shadow agent --host 0.0.0.0 --port 8787     # then set SHADOW_TOKEN for cutover and rollback over HTTP
    """
    from ..agent.agent import Agent
    from ..agent.settings import AgentSettings
    from ..control.app import create_app
    from ..log import configure_for_service

    settings = AgentSettings.load(environment(sqlite, database_url, pg_schema), http_host=host, http_port=port)
    require_file(settings.pair.sqlite_path)
    configure_for_service()
    Agent(settings).run(create_app)
    if as_json:
        print_json({"ok": True, "stopped": True, "pair": settings.pair.pg_schema})
    return 0
