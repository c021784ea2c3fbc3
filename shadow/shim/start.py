"""What a process checks when it connects: only `DATABASE_TYPE=postgres` asks anything."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from ..config import Settings
from ..errors import ShadowError
from ..types import DatabaseType, Side
from .plain import PlainConnection, bypass
from .routing import Verdict, router_for

#: What a pair that starts on PostgreSQL needs besides its tables; the door sets it (capture, which is `reverse`'s).
prepare_target: Callable[[Any, Any], None] | None = None


def check(conn: sqlite3.Connection, settings: Settings) -> None:
    """PostgreSQL must be primary; a new empty pair starts there. Raises `sqlite3.OperationalError` in one line."""
    if settings.database_type is not DatabaseType.POSTGRES:
        return
    router = router_for(settings)
    control = router.control(conn)
    if control is None:
        from ..flag.setup import init_pair

        try:
            with bypass():
                init_pair(settings, Side.POSTGRES, prepare_target=prepare_target)
        except ShadowError as error:
            PlainConnection.close(conn)
            raise sqlite3.OperationalError(str(error)) from error
        router.refresh()
        return
    if control.verdict is Verdict.HERE:
        PlainConnection.close(conn)
        raise sqlite3.OperationalError(
            f"DATABASE_TYPE=postgres, but SQLite is primary for {settings.sqlite_path}; run `shadow cutover` first"
        )
