"""shadow moves a live Python application from SQLite to PostgreSQL without stopping it.

    from shadow import sqlite3          # in place of `import sqlite3`
    shadow.configure(sqlite_path=..., database_url=...)   # or the environment: SQLITE_PATH, DATABASE_URL
    shadow.translate("SELECT datetime('now')", catalog)

Importing this package loads nothing; each name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import configure as configure
    from .sqlite3 import install as install
    from .translate import translate as translate

__all__ = ["configure", "install", "translate"]

_HOMES = {"configure": "config", "install": "sqlite3", "translate": "translate"}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{home}"), name)
