"""The exception tree.

    ShadowError                     anything of ours that a person should read; `exit_code` for the CLI
    ├── ConfigError                 a setting is missing or wrong
    ├── OriginError                 the SQLite side cannot be used as it is
    ├── TargetError                 the PostgreSQL side cannot be used as it is
    │   └── TargetUnavailable       PostgreSQL cannot be reached just now; trying again may help
    ├── JournalBroken               journal and applied position do not fit (power loss, restored copy)
    ├── GateClosed                  a gate does not let the command through
    ├── FenceTimeout                the write lock could not be had in time; nothing was changed
    └── NotPrimary                  the flag says the other side is primary

Messages are one line: what is wrong, where, what to do next. In the app's process none of these is raised in
shadow mode; with PostgreSQL primary the app sees only sqlite3's own classes (`postgres.errors`).
"""

from __future__ import annotations


class ShadowError(Exception):
    """Something shadow could not do, said in one line."""

    exit_code: int = 2

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip().splitlines()[0])


class ConfigError(ShadowError):
    """A setting is missing or wrong."""


class OriginError(ShadowError):
    """The SQLite file cannot be used as it is."""


class TargetError(ShadowError):
    """The PostgreSQL database cannot be used as it is."""


class TargetUnavailable(TargetError):
    """PostgreSQL cannot be reached."""


class JournalBroken(ShadowError):
    """The journal and the applied position do not fit together; run `shadow verify --repair`."""


class GateClosed(ShadowError):
    """A gate is closed."""

    exit_code = 1


class FenceTimeout(ShadowError):
    """The fence could not be taken in time; the app goes on where it was."""

    exit_code = 1


class NotPrimary(ShadowError):
    """The other side is primary."""
