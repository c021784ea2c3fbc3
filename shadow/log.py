"""Logs: events are `noun.verb` with key-values, never a row's value. structlog is never configured at import."""

from __future__ import annotations

import logging
import sys
from typing import Any


def get(name: str) -> Any:
    """A logger in structlog's way; structlog itself is loaded at the first event, not when an app imports the shim."""
    return _Logger(name)


class _Logger:
    """Decides at each event, because the host may configure structlog after us.

    Where nobody did, events go to the standard `logging`: structlog's own default prints to stdout, which belongs to
    the app (and to `--json`).
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, method: str) -> Any:
        import structlog

        if structlog.is_configured():
            return getattr(structlog.get_logger(self._name), method)
        plain = structlog.wrap_logger(
            logging.getLogger(self._name),
            wrapper_class=structlog.stdlib.BoundLogger,
            processors=[
                structlog.stdlib.filter_by_level,
                structlog.processors.format_exc_info,
                structlog.processors.KeyValueRenderer(key_order=["event"]),
            ],
        )
        return getattr(plain, method)


def configure_for_service() -> None:
    """For the agent and the command line only: to stderr, JSON when that is not a terminal."""
    import structlog

    renderer = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
