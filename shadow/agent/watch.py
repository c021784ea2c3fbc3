"""The gates, looked at every few seconds, as gauges."""

from __future__ import annotations

from ..cutover.gates import evaluate
from ..cutover.status import collect
from .metrics import Metrics
from .settings import AgentSettings

_GATES_SECONDS = 5.0


class GatesStep:
    """A full status is heavier than what a scrape may cost, so it has a worker of its own."""

    def __init__(self, settings: AgentSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics

    def once(self) -> float:
        gates = evaluate(collect(self._settings.pair))
        self._metrics.replace("shadow_gate_open", "gate", {gate.name: float(gate.open) for gate in gates})
        return _GATES_SECONDS

    def reset(self) -> None:
        """Keeps nothing."""
