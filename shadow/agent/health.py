"""Is the agent alive, and can it do its work?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .state import StateReader
from .worker import Worker


@dataclass(frozen=True, slots=True)
class Health:
    """An answer for /healthz or /readyz."""

    ok: bool
    #: What is checked -> 'ok' or what is wrong, in one line.
    checks: dict[str, str]


def liveness(workers: Sequence[Worker]) -> Health:
    """Every worker runs. One that waits for a database is alive: a restart of the agent would not help it."""
    checks = {worker.name: "ok" if worker.alive else "does not run" for worker in workers}
    return Health(all(worker.alive for worker in workers), checks)


def readiness(reader: StateReader, workers: Sequence[Worker]) -> Health:
    """Both databases can be reached. What a worker waits for is told, but does not make the agent unready."""
    sqlite_up, postgres_up = reader.reachable()
    checks = {
        "sqlite": "ok" if sqlite_up else "cannot be read",
        "postgres": "ok" if postgres_up else "cannot be reached",
        **{worker.name: worker.trouble or "ok" for worker in workers},
    }
    return Health(sqlite_up and postgres_up, checks)
