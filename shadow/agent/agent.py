"""The agent: one process per pair that applies, compares, repairs and brings changes back, and serves HTTP.

Each task is a worker thread that is watched and goes on after any error. Nothing the agent holds is needed by the app:
killed at any point, it goes on from what both databases say.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

from .. import log
from ..compare.samples import Queue, Receiver
from ..config import Settings
from .health import Health, liveness, readiness
from .http import HttpServer
from .metrics import Metrics
from .repair import RepairStep
from .settings import AgentSettings
from .state import StateReader
from .steps import ApplyStep, CompareStep, ReconcileStep, ReverseStep, TrimStep
from .watch import GatesStep
from .worker import Step, Worker

_log = log.get(__name__)

_STOP_SECONDS = 10.0

#: `control.app.create_app`, handed in by the command line: the agent does not import what stands above it.
AppFactory = Callable[["Agent"], Any]


class Agent:
    """What `shadow agent` runs; `control.app.AgentPort` is what its HTTP side sees of it."""

    def __init__(self, settings: AgentSettings) -> None:
        self.settings = settings
        pair = settings.pair
        self.state = StateReader(pair.sqlite_path, settings.dsn, pair.pg_schema)
        self.metrics = Metrics(self.state.read)
        self.queue = Queue()
        self._receiver = Receiver(pair.socket_path, self.queue, mode_like=pair.sqlite_path)
        self._workers = [Worker(name, make, self.metrics) for name, make in self._steps().items()]
        self._stop = threading.Event()
        self._http: HttpServer | None = None

    def _steps(self) -> dict[str, Callable[[], Step]]:
        settings, metrics = self.settings, self.metrics
        return {
            "apply": lambda: ApplyStep(settings, metrics),
            "compare": lambda: CompareStep(settings, metrics, self.queue),
            "repair": lambda: RepairStep(settings, metrics),
            "reverse": lambda: ReverseStep(settings, metrics),
            "reconcile": lambda: ReconcileStep(settings, metrics),
            "trim": lambda: TrimStep(settings, metrics),
            "gates": lambda: GatesStep(settings, metrics),
        }

    @property
    def pair(self) -> Settings:
        return self.settings.pair

    def exposition(self) -> bytes:
        """What /metrics answers."""
        return self.metrics.exposition()

    def liveness(self) -> Health:
        return liveness(self._workers)

    def readiness(self) -> Health:
        return readiness(self.state, self._workers)

    def start(self, app_factory: AppFactory | None = None) -> None:
        """Start everything. Raises `OriginError` when another agent serves this file, `ConfigError` for a bad port."""
        self._receiver.start()
        if app_factory is not None:
            self._http = HttpServer(app_factory(self), self.settings.http_host, self.settings.http_port)
            self._http.start()
        for worker in self._workers:
            worker.start()
        _log.info(
            "agent.started",
            pair=self.settings.pair.pg_schema,
            sqlite=self.settings.pair.sqlite_path,
            http=self.http_address,
        )

    def stop(self) -> None:
        """End every worker after the step it is in; what is then still running dies with the process, harmlessly."""
        for worker in self._workers:
            worker.stop()
        if self._http is not None:
            self._http.stop()
        self._receiver.stop()
        late = [worker.name for worker in self._workers if not worker.join(_STOP_SECONDS)]
        self.state.close()
        _log.info("agent.stopped", late=late)

    @property
    def http_address(self) -> str | None:
        """`host:port` that is really served, None without HTTP."""
        return None if self._http is None else self._http.address

    def run(self, app_factory: AppFactory | None = None) -> None:
        """Run until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        self.start(app_factory)
        try:
            while not self._stop.wait(1.0):
                pass  # a wait with a timeout lets signals through on every platform
        finally:
            self.stop()
