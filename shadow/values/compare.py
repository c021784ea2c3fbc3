"""Are two values the same, as the app would see them?"""

from __future__ import annotations

import struct

from ..types import SqliteRow, SqliteValue

_DOUBLE = struct.Struct("<d")


def same(a: SqliteValue, b: SqliteValue) -> bool:
    """Type and value; floats bit for bit (1 and 1.0 differ, and so do 0.0 and -0.0)."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float) and isinstance(b, float):
        return _DOUBLE.pack(a) == _DOUBLE.pack(b)
    return a == b


def same_rows(a: SqliteRow, b: SqliteRow) -> bool:
    """Two rows, value by value."""
    return len(a) == len(b) and all(map(same, a, b))
