"""The agent's HTTP side: metrics, health, the API and the live page.

    GET  /metrics  /healthz  /readyz            for Prometheus and the container's supervisor
    GET  /api/v1/status  /api/v1/mismatches     what `shadow status` and `shadow mismatches` say
    POST /api/v1/cutover  /api/v1/rollback  /api/v1/verify  /api/v1/mismatches/{id}/resolve
    GET  /                                      the page

Changing calls need a token (`access`). Errors are {"ok": false, "error": one line}. Routes are plain functions: each
runs in a thread, so that a slow database holds up nobody else.
"""

from __future__ import annotations

from typing import Protocol

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ..agent.health import Health
from ..agent.metrics import CONTENT_TYPE
from ..agent.settings import AgentSettings
from ..errors import GateClosed, ShadowError, TargetUnavailable
from . import page, routes
from .responses import JsonResponse


class AgentPort(Protocol):
    """The part of `agent.Agent` that HTTP needs."""

    @property
    def settings(self) -> AgentSettings: ...
    def exposition(self) -> bytes: ...
    def liveness(self) -> Health: ...
    def readiness(self) -> Health: ...


def create_app(agent: AgentPort) -> FastAPI:
    """The ASGI app of one agent."""
    app = FastAPI(
        title="shadow",
        description="SQLite to PostgreSQL and back: status, mismatches, the flag.",
        docs_url=None,  # would load scripts from elsewhere; /openapi.json is there
        redoc_url=None,
        default_response_class=JsonResponse,
    )
    app.state.agent = agent

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(agent.exposition(), media_type=CONTENT_TYPE)

    @app.get("/healthz")
    def healthz() -> Response:
        """200 while every worker of the agent runs, also while a database is away; 503 otherwise."""
        return _health(agent.liveness())

    @app.get("/readyz")
    def readyz() -> Response:
        """200 while both databases can be reached; 503 otherwise."""
        return _health(agent.readiness())

    app.include_router(routes.router(agent.settings))
    app.include_router(page.router(agent.settings))
    app.add_exception_handler(ShadowError, _shadow_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _bad_request)
    return app


def _health(health: Health) -> Response:
    return JsonResponse({"ok": health.ok, "checks": health.checks}, 200 if health.ok else 503)


def _shadow_error(request: Request, error: Exception) -> Response:
    status = 409 if isinstance(error, GateClosed) else 503 if isinstance(error, TargetUnavailable) else 500
    return JsonResponse({"ok": False, "error": " ".join(str(error).split())}, status)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JsonResponse({"ok": False, "error": error.detail}, error.status_code, dict(error.headers or {}))


def _bad_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    return JsonResponse({"ok": False, "error": f"{where or 'the body'}: {first['msg']}"}, 422)
