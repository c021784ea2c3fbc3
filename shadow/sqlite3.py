"""The door for apps: `from shadow import sqlite3`, a drop-in for the standard module.

Everything the standard module exports is here. `connect` gives a shadowed connection for the files that
`shadow.config` names, and hands every other call to the standard module untouched. `install()` puts this module's
`connect`, `Connection` and `Cursor` in place of the standard ones for the whole process.
"""

from __future__ import annotations

import sqlite3 as _standard
from sqlite3 import *  # noqa: F403
from sqlite3 import adapt as adapt  # what the star leaves out of sight of type checkers
from typing import Any

from .shim import start as _start
from .shim.connection import Connection as Connection
from .shim.connection import factory_for as _factory_for
from .shim.connection import shadowed as _shadowed
from .shim.cursor import Cursor as Cursor


def _install_capture(cursor: Any, catalog: Any) -> None:
    """A pair that starts on PostgreSQL captures its changes from the first one on."""
    from .reverse.capture import install as install_capture

    install_capture(cursor, catalog)


_start.prepare_target = _install_capture
_standard_connect = _standard.connect
_FACTORY, _URI = 5, 7


def connect(database: Any, *args: Any, **kwargs: Any) -> Any:  # type: ignore[no-redef]
    """As `sqlite3.connect`."""
    uri = bool(args[_URI - 1] if len(args) >= _URI else kwargs.get("uri", False))
    if _shadowed(database, uri=uri) is None:
        return _standard_connect(database, *args, **kwargs)
    if len(args) >= _FACTORY:
        args = (*args[: _FACTORY - 1], _factory_for(args[_FACTORY - 1]), *args[_FACTORY:])
    else:
        kwargs["factory"] = _factory_for(kwargs.get("factory"))
    return _standard_connect(database, *args, **kwargs)


def install() -> None:
    """Stand in for `sqlite3` in the whole process: both `sqlite3` and `sqlite3.dbapi2`. Before the app's imports."""
    from sqlite3 import dbapi2

    for module in (_standard, dbapi2):
        for name in ("connect", "Connection", "Cursor"):
            setattr(module, name, globals()[name])


def uninstall() -> None:
    """Give the standard module its own back."""
    from sqlite3 import dbapi2

    for module in (_standard, dbapi2):
        module.connect = _standard_connect  # type: ignore[attr-defined]
        module.Connection = Connection._stands_for  # type: ignore[attr-defined]
        module.Cursor = Cursor._stands_for  # type: ignore[attr-defined]


def __getattr__(name: str) -> Any:
    """Names that the standard module computes (`version`, ...)."""
    return getattr(_standard, name)


def __dir__() -> list[str]:
    return sorted({*dir(_standard), *globals()})
