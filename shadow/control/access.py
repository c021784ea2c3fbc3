"""Who may call what over HTTP.

With `SHADOW_TOKEN` set, changing calls need `Authorization: Bearer TOKEN`, from wherever they come. Without one they
are open to this machine only: the peer must be loopback, and because a browser on this machine also runs pages of
strangers, the request must name a loopback host (DNS rebinding), come from our own page if it names an origin, and
carry JSON (cross-site forms cannot). Reads are open to whoever can reach the port, but for a page of a stranger.
"""

from __future__ import annotations

import hmac
import ipaddress
from urllib.parse import urlsplit

from fastapi import HTTPException, Request

_LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})


def check_change(request: Request, token: str | None) -> None:
    """Let a changing call through, or raise 401, 403 or 415 with a line that says what is missing."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "send the body as application/json ({} when there is nothing to say)")
    if token:
        _check_token(request, token)
        _check_origin(request)
        return
    if not is_loopback(request.client.host if request.client else ""):
        raise HTTPException(403, "changing calls need a token: set SHADOW_TOKEN for the agent and send it as Bearer")
    _check_host(request)
    _check_origin(request)


def check_read(request: Request, token: str | None) -> None:
    """Results of the app's reads are not for a stranger's page that a browser here was made to open."""
    if token is None and is_loopback(request.client.host if request.client else ""):
        _check_host(request)


def is_loopback(host: str) -> bool:
    """Whether an address or name means this machine and nothing else."""
    if host.lower().rstrip(".") in _LOOPBACK_NAMES:
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _check_token(request: Request, token: str) -> None:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
        return
    raise HTTPException(401, "send Authorization: Bearer SHADOW_TOKEN", {"WWW-Authenticate": "Bearer"})


def _check_host(request: Request) -> None:
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    if not is_loopback(host):
        raise HTTPException(403, f"host {host!r} is not this machine: call 127.0.0.1, or set SHADOW_TOKEN")


def _check_origin(request: Request) -> None:
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise HTTPException(403, "calls from another site's page are refused")
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host", ""):
        raise HTTPException(403, "calls from another site's page are refused")
