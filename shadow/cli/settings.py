"""Options that every verb shares, and the settings they make together with the environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError, OriginError

if TYPE_CHECKING:
    from ..config import Settings

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout instead of text.")]
SqlitePath = Annotated[
    str | None,
    typer.Option("--sqlite", metavar="PATH", help="The SQLite file. Default: $SQLITE_PATH.", show_default=False),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url", metavar="DSN", help="The PostgreSQL database. Default: $DATABASE_URL.", show_default=False
    ),
]
PgSchema = Annotated[
    str | None,
    typer.Option(
        "--pg-schema",
        metavar="NAME",
        help="Schema of the app's tables in PostgreSQL. Default: $SHADOW_PG_SCHEMA or public.",
        show_default=False,
    ),
]


def environment(sqlite: str | None, database_url: str | None, pg_schema: str | None) -> dict[str, str]:
    """The environment with the options in front. Raises `ConfigError` when no pair is named.

    `DATABASE_TYPE` tells app processes what to do; a command works on the pair whatever it says.
    """
    options = {"SQLITE_PATH": sqlite, "DATABASE_URL": database_url, "SHADOW_PG_SCHEMA": pg_schema}
    environ = {**os.environ, "DATABASE_TYPE": "shadow", **{name: value for name, value in options.items() if value}}
    if not environ.get("SQLITE_PATH"):
        raise ConfigError("no SQLite file is named; set SQLITE_PATH or give --sqlite PATH")
    if not environ.get("DATABASE_URL"):
        raise ConfigError("no PostgreSQL database is named; set DATABASE_URL or give --database-url DSN")
    return environ


def pair_settings(sqlite: str | None, database_url: str | None, pg_schema: str | None) -> Settings:
    """The pair that the options, else the environment, name. Raises `ConfigError`, `OriginError`."""
    from ..config import from_environment

    settings = from_environment(environment(sqlite, database_url, pg_schema))
    assert settings is not None
    require_file(settings.sqlite_path)
    return settings


def require_file(path: str) -> None:
    """A mistyped path must not become a new empty database. Raises `OriginError`."""
    if not os.path.isfile(path):
        raise OriginError(f"there is no SQLite file at {path}; check SQLITE_PATH or --sqlite")
