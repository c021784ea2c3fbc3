"""The one response class of the API: JSON that cannot fail on what a report holds."""

from __future__ import annotations

from starlette.responses import Response

from .jsonable import dumps


class JsonResponse(Response):
    """ASCII JSON of anything (`jsonable`)."""

    media_type = "application/json"

    def __init__(self, content: object, status_code: int = 200, headers: dict[str, str] | None = None) -> None:
        super().__init__(dumps(content), status_code, {"Cache-Control": "no-store", **(headers or {})})
