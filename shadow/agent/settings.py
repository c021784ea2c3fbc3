"""Settings of the agent: the pair, as `shadow.config` reads it, and what only the agent needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Self

from pydantic import Field, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from ..config import Settings, from_environment
from ..errors import ConfigError

_PREFIX = "SHADOW_"


class AgentSettings(BaseSettings):
    """What `shadow agent` reads from the environment beside the pair's own variables; names begin with SHADOW_."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="ignore", frozen=True)

    #: Address on which the agent serves HTTP. Beyond loopback, changing calls need SHADOW_TOKEN.
    http_host: str = "127.0.0.1"
    http_port: int = Field(8787, ge=0, le=65535)
    #: Bearer token for changing calls (cutover, rollback, repair, resolve).
    token: SecretStr | None = None
    #: How often the agent looks for new journal records when there were none, in seconds.
    apply_interval_seconds: float = Field(0.02, gt=0, le=60)
    #: Fenced pairs are taken at most this often, in seconds; 0 turns comparing off.
    compare_interval_seconds: float = Field(0.2, ge=0, le=3600)
    #: Samples compared on one fenced pair at most.
    compare_samples_max: int = Field(500, ge=1, le=100_000)
    #: Longest time one fenced pair is kept for comparing, in seconds: it holds back the WAL and vacuum.
    compare_budget_seconds: float = Field(1.0, gt=0, le=60)
    #: Whether dirty tables are repaired by the agent as they appear.
    auto_repair: bool = True
    repair_interval_seconds: float = Field(5.0, gt=0, le=3600)
    #: Journal records kept behind the applied position.
    journal_keep_rows: int = Field(2_000, ge=2)

    _pair: Settings = PrivateAttr()

    @property
    def pair(self) -> Settings:
        """The shadowed pair: SQLite file, DSN, schema."""
        return self._pair

    @property
    def dsn(self) -> str:
        """The pair's DSN; `load` made sure there is one."""
        assert self._pair.database_url is not None
        return self._pair.database_url

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, **overrides: object) -> Self:
        """The pair and the agent's own from the environment; `overrides` win. Raises `ConfigError`."""
        found = dict(os.environ if environ is None else environ)
        pair = _pair_settings(found)
        given: dict[str, object] = {
            name: found[variable] for name in cls.model_fields if found.get(variable := f"{_PREFIX}{name.upper()}")
        }
        given.update({name: value for name, value in overrides.items() if value is not None})
        try:
            settings = cls(**given)  # type: ignore[arg-type]
        except ValidationError as error:
            first = error.errors()[0]
            name = _PREFIX + str(first["loc"][0]).upper() if first["loc"] else "the agent's settings"
            raise ConfigError(f"{name} is not usable: {first['msg'].lower()}") from None
        settings._pair = pair
        return settings


def _pair_settings(environ: Mapping[str, str]) -> Settings:
    found = from_environment(environ)
    if found is None:
        raise ConfigError("no SQLite file is named; set SQLITE_PATH")
    if found.database_url is None:
        raise ConfigError("no PostgreSQL database is named; set DATABASE_URL")
    return found
