"""A pair that starts with PostgreSQL as primary, and sessions on it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from shadow.config import Settings
from shadow.flag.setup import init_pair
from shadow.postgres.pool import close_pools
from shadow.reverse import capture
from shadow.shim.remote.schema import forget_schemas
from shadow.shim.remote.session import RemoteSession
from shadow.types import DatabaseType, PgMode, Side
from tests.integration.remote.helpers import NewSession


@pytest.fixture(params=[PgMode.CONCURRENT, PgMode.SERIAL])
def mode(request: pytest.FixtureRequest) -> PgMode:
    """Both settings of SHADOW_PG_MODE, unless a test names one."""
    return PgMode(request.param)


@pytest.fixture
def settings(pg_dsn: str, tmp_path: Path, mode: PgMode) -> Iterator[Settings]:
    """A new empty pair, PostgreSQL primary."""
    settings = Settings(
        sqlite_path=str(tmp_path / "app.db"),
        database_url=pg_dsn,
        database_type=DatabaseType.POSTGRES,
        pg_schema=f"app_{uuid.uuid4().hex[:8]}",
        pg_mode=mode,
    )
    init_pair(settings, Side.POSTGRES, prepare_target=capture.install)
    yield settings
    close_pools()
    forget_schemas()


@pytest.fixture
def new_session(settings: Settings) -> Iterator[NewSession]:
    """Sessions of this process; in another mode with `new_session(pg_mode=...)`."""
    made: list[RemoteSession] = []

    def make(**changes: object) -> RemoteSession:
        session = RemoteSession(replace(settings, **changes))  # type: ignore[arg-type]
        made.append(session)
        return session

    yield make
    for session in made:
        session.close()


@pytest.fixture
def session(new_session: NewSession) -> RemoteSession:
    session = new_session()
    session.execute(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b INTEGER CHECK (b > 0), c REAL UNIQUE)", ()
    )
    return session
