"""Search by POST: `[type]/_search` with the parameters as a form means what the GET means, and keeps who was
looked for out of addresses (FHIR R4, http.html#search: whoever supports search supports both).

`PostedSearch` is a middleware, so it holds for every type; whoever stands behind it sees a GET.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from server.fhir.errors import TooLarge, UnsupportedMediaType
from server.fhir.requests import FORM, is_form, read_limited
from server.fhir.responses import error_response

SEARCH = "/_search"

MAX_BYTES = 60_000
"""Of a form: what an address has room for, since whoever stands behind takes it for one."""


class PostedSearch:
    """Below a FHIR base."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not _is_search(scope["path"]):
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            form = await read_limited(request, MAX_BYTES)
        except TooLarge as too_large:
            await error_response(too_large)(scope, receive, send)
            return
        if form and not is_form(request):
            foreign = UnsupportedMediaType(f"The parameters of a search are a form. Send them as {FORM}.")
            await error_response(foreign)(scope, receive, send)
            return
        # Whoever logs the request reads this very scope.
        scope.update(
            method="GET",
            path=scope["path"].removesuffix(SEARCH),
            raw_path=scope.get("raw_path", b"").removesuffix(SEARCH.encode()),
            query_string=b"&".join(part for part in (scope["query_string"], form) if part),
        )
        await self.app(scope, receive, send)


def _is_search(path: str) -> bool:
    return "/fhir/" in path and path.endswith(SEARCH)
