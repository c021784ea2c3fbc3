"""Write one journal record inside the app's write transaction.

A record is one row, or several parts with consecutive positions: a big transaction spills parts while it runs
(`append_part`), so its memory stays bounded, and `append` closes the record. Parts are rows of the same
transaction: a rollback, also to a savepoint, takes them back together with the data.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Sequence

from .record import Item, encode

#: sqlite3's own, whatever `shadow.install()` puts in its place later: no factory, no shim in between.
_Cursor = sqlite3.Cursor
#: It makes its own cursor, and more cheaply so; a statement without rows meets no factory.
_run = sqlite3.Connection.execute

_APPEND = "INSERT INTO main._shadow_append (last, nonce, record) VALUES (?, ?, ?)"
_WITHDRAW = "DELETE FROM main._shadow_journal WHERE position > (SELECT max(position) FROM main._shadow_journal) - ?"


#: Of our own: an app that seeds `random` must not make two processes draw alike, nor must a fork.
_random = random.Random()
os.register_at_fork(after_in_child=_random.seed)


def new_nonce() -> bytes:
    """6 bytes of Unix time in ms, big-endian, and 6 random bytes."""
    return (time.time_ns() // 1_000_000 << 48 | _random.getrandbits(48)).to_bytes(12, "big")


def nonce_time(nonce: bytes) -> float:
    """Unix time, in seconds, at which the record was written."""
    return int.from_bytes(nonce[:6], "big") / 1000


def append_encoded(conn: sqlite3.Connection, record: bytes, nonce: bytes, *, last: bool) -> None:
    """One row, its items joined already."""
    _run(conn, _APPEND, (1 if last else 0, nonce, record))


def append(conn: sqlite3.Connection, items: Sequence[Item], *, nonce: bytes | None = None) -> bytes:
    """Close the transaction's record with `items`; `nonce` is that of the parts already spilled, if any."""
    nonce = nonce or new_nonce()
    _Cursor(conn).execute(_APPEND, (1, nonce, encode(items)))
    return nonce


def append_part(conn: sqlite3.Connection, items: Sequence[Item], *, nonce: bytes) -> None:
    """Spill `items` as one more part; `append` with the same nonce must follow before COMMIT."""
    _Cursor(conn).execute(_APPEND, (0, nonce, encode(items)))


def withdraw(conn: sqlite3.Connection) -> None:
    """Take back the row that `append` wrote, because COMMIT was refused and the transaction goes on."""
    _Cursor(conn).execute(_WITHDRAW, (1,))
