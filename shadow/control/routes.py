"""/api/v1: what the commands do, over HTTP. Reads pass `access.check_read`, changes `access.check_change`."""

from __future__ import annotations

import threading
import time
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from ..agent.settings import AgentSettings
from ..config import Settings
from ..cutover.outcome import Outcome, Result
from ..cutover.rollback import rollback
from ..cutover.switch import cutover
from . import access, mismatches
from .jsonable import jsonable
from .overview import Overview, look
from .responses import JsonResponse
from .verification import verify_pair

#: Several open pages ask at once; a look costs two connections.
_LOOK_SECONDS_MIN = 0.5


class Body(BaseModel):
    """Unknown fields are refused: a misspelt `dry_run` must not become a cutover."""

    model_config = ConfigDict(extra="forbid")


class CutoverBody(Body):
    dry_run: bool = False
    no_fence: bool = False
    force: list[str] = Field(default_factory=list)
    reason: str = ""
    drain_timeout: float = Field(2.0, ge=0, le=60)


class RollbackBody(Body):
    dry_run: bool = False
    force: bool = False
    terminate_holders: bool = False
    reason: str = ""
    drain_timeout: float = Field(2.0, ge=0, le=60)


class VerifyBody(Body):
    tables: list[str] = Field(default_factory=list)


class NoBody(Body):
    """Nothing to say; {} all the same, so that a cross-site form cannot say it."""


def router(settings: AgentSettings) -> APIRouter:
    """The routes of one pair."""
    pair = settings.pair
    token = settings.token.get_secret_value() if settings.token else None
    recent = _Recent(pair)

    def may_read(request: Request) -> None:
        access.check_read(request, token)

    def may_change(request: Request) -> None:
        access.check_change(request, token)

    api = APIRouter(prefix="/api/v1")
    reads, changes = [Depends(may_read)], [Depends(may_change)]

    @api.get("/status", dependencies=reads)
    def status() -> Response:
        """Primary, positions, lag, parity, gates with reasons. Answers with either database out of reach."""
        return JsonResponse(recent.look().as_json())

    @api.get("/mismatches", dependencies=reads)
    def list_mismatches(
        resolved: bool = False, limit: Annotated[int, Query(ge=1, le=mismatches.LIST_MAX)] = 100
    ) -> Response:
        """Open mismatches with both results, newest first; with `resolved` the settled ones behind them."""
        return JsonResponse({"mismatches": mismatches.listed(pair, resolved_too=resolved, limit=limit)})

    @api.post("/mismatches/{mismatch_id}/resolve", dependencies=changes)
    def resolve(mismatch_id: int, body: NoBody) -> Response:
        """A person says this one is settled; it comes back by itself when it is seen again."""
        count = mismatches.resolve(pair, [mismatch_id])
        return JsonResponse({"ok": bool(count), "resolved": count}, 200 if count else 404)

    @api.post("/cutover", dependencies=changes)
    def post_cutover(request: Request, body: CutoverBody) -> Response:
        """Make PostgreSQL primary. 200 done or rehearsed; 409 refused or called off, the app goes on on SQLite."""
        outcome = cutover(
            pair,
            drain_timeout=body.drain_timeout,
            dry_run=body.dry_run or body.no_fence,
            no_fence=body.no_fence,
            force_gates=tuple(body.force),
            reason=body.reason,
            who=_who(request),
        )
        recent.forget()
        return _outcome(outcome)

    @api.post("/rollback", dependencies=changes)
    def post_rollback(request: Request, body: RollbackBody) -> Response:
        """Make SQLite primary again. 200 done; 409 refused or called off, the app goes on on PostgreSQL."""
        outcome = rollback(
            pair,
            drain_timeout=body.drain_timeout,
            terminate_holders=body.terminate_holders,
            dry_run=body.dry_run,
            force_unreachable=body.force,
            reason=body.reason,
            who=_who(request),
        )
        recent.forget()
        return _outcome(outcome)

    @api.post("/verify", dependencies=changes)
    def post_verify(body: VerifyBody) -> Response:
        """Compare tables (none named: all) at one position; 200 also when rows differ, `equal` says so."""
        report = verify_pair(pair, body.tables or None)
        recent.forget()
        shown = {"verified": report.verified, "equal": report.equal, "rows_wrong": report.rows_wrong}
        fields = jsonable(report)
        assert isinstance(fields, dict)
        return JsonResponse({"ok": report.equal, **shown, **fields})

    return api


def _who(request: Request) -> str:
    """For the audit trail: HTTP has no user, but it has an address."""
    return f"http:{request.client.host if request.client else 'local'}"


def _outcome(outcome: Outcome) -> Response:
    fields = jsonable(outcome)
    assert isinstance(fields, dict)
    status = 200 if outcome.ok else 500 if outcome.result is Result.UNCERTAIN else 409
    return JsonResponse({"ok": outcome.ok, **fields}, status)


class _Recent:
    """The last look, shared by those who ask at about the same time."""

    def __init__(self, pair: Settings) -> None:
        self._pair = pair
        self._lock = threading.Lock()  # guards both below
        self._overview: Overview | None = None
        self._at = 0.0

    def look(self) -> Overview:
        with self._lock:
            if self._overview is None or time.monotonic() - self._at > _LOOK_SECONDS_MIN:
                self._overview = look(self._pair)
                self._at = time.monotonic()
            return self._overview

    def forget(self) -> None:
        with self._lock:
            self._overview = None
