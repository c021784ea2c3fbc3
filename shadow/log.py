"""Logs: events are `noun.verb` with key-values, never a row's value. structlog is never configured at import."""

from __future__ import annotations

import sys
from typing import Any


def get(name: str) -> Any:
    """A structlog logger; structlog itself is loaded at the first call, not when an app imports the shim."""
    import structlog

    return structlog.get_logger(name)


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
