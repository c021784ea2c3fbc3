"""`shadow demo`: the whole life of a migration, on an embedded PostgreSQL, with the reference app under load."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from .settings import Json


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running until Ctrl-C; prints the URLs.")
    ] = False,
    directory: Annotated[
        str | None,
        typer.Option("--directory", metavar="DIR", help="Work here and leave it; default: a temporary directory."),
    ] = None,
    load: Annotated[float, typer.Option("--load", min=0.1, help="Calls per second, as a factor.")] = 1.0,
    pace: Annotated[float, typer.Option("--pace", min=0.1, help="How long each phase takes, as a factor.")] = 1.0,
    as_json: Json = False,
) -> int:
    """Show it all on this machine: init, backfill, comparison, faults, cutover, rollback, cutover, and a judge.

    Starts a PostgreSQL of its own in a temporary directory and the reference app as five processes. Takes about a
    minute and a half. Exit code 0 only if every promise of the closing table was kept.

    \b
    shadow demo
    shadow demo --json | jq .cutover_pause_ms
    shadow demo --keep
    """
    arguments = ["--load", str(load), "--pace", str(pace)]
    arguments += ["--json"] if as_json else []
    arguments += ["--keep"] if keep else []
    arguments += ["--directory", directory] if directory else []
    # The demo stands above the command line, which it uses: it takes this process over instead of being imported.
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "shadow.demo.script", *arguments])
