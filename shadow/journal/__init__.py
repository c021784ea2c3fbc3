"""The outbox in SQLite: append inside the app's transaction, read in order, trim what PostgreSQL has."""

from __future__ import annotations

from .append import append, append_part, new_nonce, nonce_time, withdraw
from .read import Backlog, Record, backlog, head, nonce_at, read
from .trim import trim

__all__ = [
    "Backlog",
    "Record",
    "append",
    "append_part",
    "backlog",
    "head",
    "new_nonce",
    "nonce_at",
    "nonce_time",
    "read",
    "trim",
    "withdraw",
]
