"""Settings of the app's process: which SQLite file is shadowed, into which PostgreSQL, and how.

The environment is read at the first `connect`, not at import. `configure(...)` adds a file in code; it may be
called once per file. Settings are frozen: a process never changes its mind, the flag does (`shadow.flag`).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .errors import ConfigError
from .types import DatabaseType, PgMode

_UNIX_SOCKET_PATH_BYTES_MAX = 100  # sun_path is 104 on macOS, 108 on Linux


@dataclass(frozen=True, slots=True)
class Settings:
    """One shadowed pair, as this process was told."""

    #: Absolute, symlinks resolved; the identity of the pair within this process.
    sqlite_path: str
    #: PostgreSQL DSN or URL; None only with `DatabaseType.SQLITE`.
    database_url: str | None
    database_type: DatabaseType = DatabaseType.SHADOW
    #: Schema of the app's tables in PostgreSQL. It also names the pair in schema `shadow`.
    pg_schema: str = "public"
    pg_mode: PgMode = PgMode.CONCURRENT
    #: Share of reads offered to the comparer, 0..1.
    sample_rate: float = 1.0
    #: Reads offered per second and process at most; every new statement shape is offered regardless.
    samples_per_second_max: int = 200
    #: PostgreSQL connections a process opens at most in PostgreSQL mode.
    pool_max: int = 10
    #: How long new transactions wait in the shim for an announced switch before they ask the authority.
    switch_wait_seconds: float = 30.0

    @property
    def hint_path(self) -> str:
        """The mmap file that says where reads go; beside the SQLite file."""
        return self.sqlite_path + "-shadow-hint"

    @property
    def socket_path(self) -> str:
        """The unix socket on which the agent takes read samples; beside the SQLite file if the path fits."""
        path = self.sqlite_path + "-shadow.sock"
        if len(os.fsencode(path)) <= _UNIX_SOCKET_PATH_BYTES_MAX:
            return path
        digest = hashlib.sha256(os.fsencode(self.sqlite_path)).hexdigest()[:16]
        return str(Path(tempfile.gettempdir()) / f"shadow-{digest}.sock")


def resolve_path(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> str:
    """Absolute path with symlinks resolved: the same file has one name, however a process came to it."""
    return os.path.realpath(os.fsdecode(path))


_lock = threading.Lock()  # guards the two below
_configured: dict[str, Settings] = {}
_from_environment: dict[str, Settings] | None = None


def configure(
    *,
    sqlite_path: str | os.PathLike[str],
    database_url: str | None = None,
    database_type: str | DatabaseType = DatabaseType.SHADOW,
    pg_schema: str = "public",
    pg_mode: str | PgMode = PgMode.CONCURRENT,
    sample_rate: float = 1.0,
    samples_per_second_max: int = 200,
    pool_max: int = 10,
    switch_wait_seconds: float = 30.0,
) -> Settings:
    """Shadow one more SQLite file from this process; keyword by keyword the same as the environment.

    Raises `ConfigError` for a bad value, or if the same file was configured differently before.
    """
    settings = _build(
        {
            "SQLITE_PATH": os.fspath(sqlite_path),
            "DATABASE_URL": database_url or "",
            "DATABASE_TYPE": str(database_type),
            "SHADOW_PG_SCHEMA": pg_schema,
            "SHADOW_PG_MODE": str(pg_mode),
            "SHADOW_SAMPLE_RATE": str(sample_rate),
            "SHADOW_SAMPLES_PER_SECOND_MAX": str(samples_per_second_max),
            "SHADOW_POOL_MAX": str(pool_max),
            "SHADOW_SWITCH_WAIT_SECONDS": str(switch_wait_seconds),
        }
    )
    with _lock:
        known = _configured.get(settings.sqlite_path)
        if known is not None and known != settings:
            raise ConfigError(
                f"{settings.sqlite_path} is already configured differently in this process;"
                " call configure() once per file"
            )
        _configured[settings.sqlite_path] = settings
    return settings


def from_environment(environ: Mapping[str, str] | None = None) -> Settings | None:
    """The pair named by `SQLITE_PATH`, or None when the environment names none. Raises `ConfigError`."""
    environ = os.environ if environ is None else environ
    if not environ.get("SQLITE_PATH"):
        return None
    return _build(environ)


def settings_for(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> Settings | None:
    """The settings of the pair whose SQLite file is `path`, or None: that file is not ours."""
    global _from_environment
    if _from_environment is None:
        with _lock:
            if _from_environment is None:
                found = from_environment()
                _from_environment = {} if found is None else {found.sqlite_path: found}
    if not _configured and not _from_environment:
        return None
    real = resolve_path(path)
    return _configured.get(real) or _from_environment.get(real)


def reset_for_tests() -> None:
    """Forget everything: the next `connect` reads the environment again."""
    global _from_environment
    with _lock:
        _configured.clear()
        _from_environment = None


def _build(environ: Mapping[str, str]) -> Settings:
    url = environ.get("DATABASE_URL") or None
    kind = _choice(DatabaseType, environ, "DATABASE_TYPE", DatabaseType.SHADOW if url else DatabaseType.SQLITE)
    if kind is not DatabaseType.SQLITE and url is None:
        raise ConfigError(
            f"DATABASE_TYPE={kind} needs DATABASE_URL, a PostgreSQL DSN; set it or use DATABASE_TYPE=sqlite"
        )
    schema = environ.get("SHADOW_PG_SCHEMA") or "public"
    if schema in ("shadow", "pg_catalog", "information_schema") or len(schema.encode()) > 48 or "\0" in schema:
        raise ConfigError(
            f"SHADOW_PG_SCHEMA={schema!r} cannot hold the app's tables;"
            " choose a name of at most 48 bytes that PostgreSQL and shadow do not use"
        )
    return Settings(
        sqlite_path=resolve_path(environ["SQLITE_PATH"]),
        database_url=url,
        database_type=kind,
        pg_schema=schema,
        pg_mode=_choice(PgMode, environ, "SHADOW_PG_MODE", PgMode.CONCURRENT),
        sample_rate=_number(environ, "SHADOW_SAMPLE_RATE", 1.0, 0.0, 1.0),
        samples_per_second_max=int(_number(environ, "SHADOW_SAMPLES_PER_SECOND_MAX", 200, 0, 1_000_000)),
        pool_max=int(_number(environ, "SHADOW_POOL_MAX", 10, 1, 1000)),
        switch_wait_seconds=_number(environ, "SHADOW_SWITCH_WAIT_SECONDS", 30.0, 0.0, 3600.0),
    )


_E = TypeVar("_E", DatabaseType, PgMode)


def _choice(enum: type[_E], environ: Mapping[str, str], name: str, default: _E) -> _E:
    raw = environ.get(name)
    if not raw:
        return default
    try:
        return enum(raw.strip().lower())
    except ValueError:
        raise ConfigError(f"{name}={raw!r} is not one of {', '.join(enum)}") from None


def _number(environ: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    raw = environ.get(name)
    if not raw:
        return default
    try:
        value = float(raw)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise ConfigError(f"{name}={raw!r} is not a number from {low:g} to {high:g}")
    return value
