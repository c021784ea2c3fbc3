"""`shadow rollback`: SQLite becomes primary again."""

from __future__ import annotations

from typing import Annotated

import typer

from .cutover import DrainTimeout
from .outcome import report
from .settings import DatabaseUrl, Json, PgSchema, SqlitePath, pair_settings


def register(app: typer.Typer) -> None:
    app.command()(rollback)


def rollback(
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Everything but the commit point, fence included; says what the wait would be."),
    ] = False,
    terminate_holders: Annotated[
        bool, typer.Option("--terminate-holders", help="End sessions whose open transactions are in the way.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Go back although PostgreSQL cannot be reached; says what may be missing.")
    ] = False,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the audit trail.")] = "",
    drain_timeout: DrainTimeout = 2.0,
    sqlite: SqlitePath = None,
    database_url: DatabaseUrl = None,
    pg_schema: PgSchema = None,
    as_json: Json = False,
) -> int:
    """Make SQLite primary again, with everything PostgreSQL has. The app waits milliseconds and keeps its connections.

    Nothing is lost. With --force, when PostgreSQL itself is what failed, SQLite goes on with what had flowed back until
    then, and the command says so. Exit code 1: refused or called off, the app goes on on PostgreSQL.

    \b
    shadow rollback --reason "slow reports"
    shadow rollback --terminate-holders
    shadow rollback --force --reason "PostgreSQL's disk is gone"
    """
    from ..cutover.rollback import rollback as switch

    settings = pair_settings(sqlite, database_url, pg_schema)
    outcome = switch(
        settings,
        drain_timeout=drain_timeout,
        terminate_holders=terminate_holders,
        dry_run=dry_run,
        force_unreachable=force,
        reason=reason,
    )
    return report(outcome, as_json=as_json)
