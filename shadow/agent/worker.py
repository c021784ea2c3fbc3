"""A worker thread that does one step again and again, and is started again when it fails.

An error of the world (PostgreSQL away, a file locked) is waited out with growing pauses; the app does not notice and
nothing is lost. Any other error is a bug of ours: it is logged with its traceback, counted, and the worker goes on.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Protocol

import psycopg2

from .. import log
from ..errors import ShadowError
from .metrics import Metrics

_log = log.get(__name__)

_BACKOFF_SECONDS_MIN = 0.2
_BACKOFF_SECONDS_MAX = 5.0
#: No step takes that long; a worker that is silent for longer hangs.
SILENCE_SECONDS_MAX = 300.0

WORLD = (ShadowError, psycopg2.Error, sqlite3.Error, OSError)


class Step(Protocol):
    """What a worker does over and over."""

    def once(self) -> float:
        """Do one step; gives the seconds to wait before the next one."""

    def reset(self) -> None:
        """After an error: let go of connections, the next step opens new ones."""


class Worker:
    """One thread."""

    def __init__(self, name: str, make: Callable[[], Step], metrics: Metrics) -> None:
        self.name = name
        self._make = make
        self._metrics = metrics
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"shadow-{name}", daemon=True)
        #: One line while the worker cannot do its work, else None.
        self.trouble: str | None = None
        self._beat = time.monotonic()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end after the step it is in."""
        self._stop.set()

    def join(self, seconds: float) -> bool:
        """Whether it ended in time."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and time.monotonic() - self._beat < SILENCE_SECONDS_MAX

    def _run(self) -> None:
        backoff = _BACKOFF_SECONDS_MIN
        step = self._make()
        while not self._stop.is_set():
            self._beat = time.monotonic()
            try:
                pause = step.once()
            except WORLD as error:
                self._troubled(error)
            except Exception:  # noqa: BLE001 - the last line of defence of a thread nobody waits for
                _log.exception("worker.failed", worker=self.name)
                self.trouble = "an unexpected error; see the log"
            else:
                backoff = _BACKOFF_SECONDS_MIN
                if self.trouble is not None:
                    _log.info("worker.recovered", worker=self.name)
                    self.trouble = None
                self._stop.wait(pause)
                continue
            self._metrics.count("shadow_worker_restarts_total", worker=self.name)
            step.reset()
            self._stop.wait(backoff)
            backoff = min(backoff * 2, _BACKOFF_SECONDS_MAX)
        step.reset()

    def _troubled(self, error: Exception) -> None:
        line = " ".join(str(error).split())
        if line != self.trouble:  # once, not at every attempt
            _log.warning("worker.waiting", worker=self.name, error=type(error).__name__, message=line)
        self.trouble = line
