"""The live page: one template, one script, one style sheet, all from this package; nothing is loaded from elsewhere."""

from __future__ import annotations

from functools import cache
from importlib import resources

from fastapi import APIRouter
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ..agent.settings import AgentSettings

_TYPES = {"page.js": "text/javascript; charset=utf-8", "page.css": "text/css; charset=utf-8"}
# Rows of the app's database are shown: no script but ours may run, and no other site may frame the buttons.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def router(settings: AgentSettings) -> APIRouter:
    """`/` and its two files."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/")
    def page() -> Response:
        html = _templates().get_template("page.html").render(needs_token=settings.token is not None)
        return Response(html, media_type="text/html; charset=utf-8", headers=_HEADERS)

    @pages.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in _TYPES:
            raise HTTPException(404, f"there is no {name!r} here")
        return Response(_file(name), media_type=_TYPES[name], headers=_HEADERS)

    return pages


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader(__package__, "templates"), autoescape=select_autoescape(), undefined=StrictUndefined
    )


@cache
def _file(name: str) -> bytes:
    return resources.files(__package__).joinpath("static", name).read_bytes()
