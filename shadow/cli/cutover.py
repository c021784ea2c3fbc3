"""`shadow cutover`: PostgreSQL becomes primary."""

from __future__ import annotations

from typing import Annotated

import typer

from .outcome import report
from .settings import DatabaseUrl, Json, PgSchema, SqlitePath, pair_settings

DrainTimeout = Annotated[
    float,
    typer.Option("--drain-timeout", metavar="SECONDS", min=0.0, help="How long open transactions may take to finish."),
]


def register(app: typer.Typer) -> None:
    app.command()(cutover)


def cutover(
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Everything but the commit point, fence included; says what the wait would be."),
    ] = False,
    no_fence: Annotated[
        bool,
        typer.Option("--no-fence", help="With --dry-run: leave the fence out as well; the app notices nothing at all."),
    ] = False,
    force: Annotated[
        list[str] | None,
        typer.Option("--force", metavar="GATE", help="Go on although this gate is closed; may be repeated."),
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the audit trail. --force needs it.")
    ] = "",
    drain_timeout: DrainTimeout = 2.0,
    sqlite: SqlitePath = None,
    database_url: DatabaseUrl = None,
    pg_schema: PgSchema = None,
    as_json: Json = False,
) -> int:
    """Make PostgreSQL primary, if every gate is open. The app waits milliseconds and keeps its connections.

    New transactions wait while open ones finish; if they do not in time, nothing is changed and the one in the way is
    named. Exit code 1: refused or called off, the app goes on on SQLite.

    \b
    shadow cutover --dry-run
    shadow cutover --reason "staging, day 5"
    shadow cutover --force coverage --reason "the yearly report is compared by hand"
    """
    from ..cutover.switch import cutover as switch

    settings = pair_settings(sqlite, database_url, pg_schema)
    outcome = switch(
        settings,
        drain_timeout=drain_timeout,
        dry_run=dry_run or no_fence,
        no_fence=no_fence,
        force_gates=tuple(force or ()),
        reason=reason,
    )
    return report(outcome, as_json=as_json)
