"""Small words of the tests of PostgreSQL mode."""

from __future__ import annotations

from collections.abc import Callable

from shadow.shim.remote.session import RemoteSession

NewSession = Callable[..., RemoteSession]


def rows(session: RemoteSession, sql: str, params: object = ()) -> list[tuple[object, ...]]:
    return list(session.execute(sql, params).rows)
