"""Prometheus collectors for the table in `shadow.metrics`, in a registry of their own.

Counters and histograms grow as the workers report. Gauges are state: read from both databases by `state.read_state`
when somebody scrapes, at most once a second, and left as they were when a side cannot be reached (its `_up` gauge says
so). A gauge never invents a healthy value: what was never read is not exported.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ..metrics import METRICS
from .state import State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_REFRESH_SECONDS_MIN = 1.0
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """One agent's metrics. Safe between threads."""

    def __init__(self, read_state: Callable[[], State] | None = None) -> None:
        self.registry = CollectorRegistry()
        self._read_state = read_state
        self._refreshed_at = -_REFRESH_SECONDS_MIN
        self._lock = threading.Lock()  # one scrape refreshes at a time
        self._gauges: dict[str, Gauge] = {}
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        for metric in METRICS:
            if metric.kind == "gauge":
                self._gauges[metric.name] = Gauge(metric.name, metric.help, metric.labels, registry=None)
            elif metric.kind == "counter":
                self._counters[metric.name] = Counter(metric.name, metric.help, metric.labels, registry=self.registry)
            else:
                self._histograms[metric.name] = Histogram(
                    metric.name, metric.help, metric.labels, registry=self.registry, buckets=_BUCKETS
                )
        self._shown: set[str] = set()

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter; nothing for 0, so that a label value appears with its first event."""
        if amount:
            counter = self._counters[name]
            (counter.labels(**labels) if labels else counter).inc(amount)

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        histogram = self._histograms[name]
        (histogram.labels(**labels) if labels else histogram).observe(seconds)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        gauge = self._gauges[name]
        if name not in self._shown:
            self._shown.add(name)
            self.registry.register(gauge)
        (gauge.labels(**labels) if labels else gauge).set(value)

    def replace(self, name: str, label: str, values: dict[str, float]) -> None:
        """All series of a gauge with one label: what is not among `values` is gone."""
        self._gauges[name].clear()
        for key, value in values.items():
            self.gauge(name, value, **{label: key})

    def exposition(self) -> bytes:
        """What /metrics answers."""
        with self._lock:
            if self._read_state is not None and time.monotonic() - self._refreshed_at >= _REFRESH_SECONDS_MIN:
                self._show(self._read_state())
                self._refreshed_at = time.monotonic()
        return generate_latest(self.registry)

    def _show(self, state: State) -> None:
        self.gauge("shadow_sqlite_up", int(state.sqlite_up))
        self.gauge("shadow_postgres_up", int(state.postgres_up))
        for name, value in state.gauges.items():
            self.gauge(name, value)
        for name, (label, values) in state.labelled.items():
            self.replace(name, label, values)
        for labels, total in state.switches.items():
            direction, outcome = labels
            counter = self._counters["shadow_switches_total"].labels(direction=direction, outcome=outcome)
            missing = total - counter._value.get()
            if missing > 0:  # the audit trail counts; other processes switch as well
                counter.inc(missing)
