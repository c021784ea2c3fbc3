"""A cursor that serves rows from elsewhere takes another class for that long, and then its own again.

So the path on which SQLite answers overrides no fetch method and costs nothing. A twin is derived from the cursor's
own class, which may be an app's, and has the same layout: Python allows the assignment to `__class__`.
"""

from __future__ import annotations

import sqlite3
from typing import Any

_twins: dict[tuple[type, type], type] = {}


def become(cursor: sqlite3.Cursor, mixin: type) -> None:
    """Put `mixin` (a subclass of `shim.cursor.Cursor`) before the cursor's own class."""
    restore(cursor)
    own = type(cursor)
    twin = _twins.get((own, mixin))
    if twin is None:
        twin = type(own.__name__, (mixin, own), {"__module__": own.__module__, "_shadow_own_class": own})
        _twins[own, mixin] = twin
    cursor.__class__ = twin


def restore(cursor: sqlite3.Cursor) -> None:
    """Give the cursor its own class back, if it has another."""
    own: Any = getattr(cursor, "_shadow_own_class", None)
    if own is not None:
        cursor.__class__ = own
