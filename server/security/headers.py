"""What every answer tells a browser: keep nothing, guess no type, come back by TLS only, show it in no page
of another site, where somebody might be led to decide what they do not see.

What is told here is about patients, and a browser, or a proxy between, keeps what nobody forbids. An answer
that says itself how long it holds, such as the discovery of the CDS services, is left as it is.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STATIC = "/static/"
"""Nobody's data, and wanted with every page."""

FRAMED = "/appropriateness/"
"""In the path of the pages that an EHR shows within its own."""

A_YEAR = "max-age=31536000"


class Careful:
    """A middleware; `tls` says that links begin with https."""

    def __init__(self, app: ASGIApp, tls: bool) -> None:
        self.app = app
        self.tls = tls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def carefully(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                if not scope["path"].startswith(STATIC):
                    headers.setdefault("Cache-Control", "no-store")
                if FRAMED not in scope["path"]:
                    headers["Content-Security-Policy"] = "frame-ancestors 'none'"
                if self.tls:
                    headers["Strict-Transport-Security"] = A_YEAR
            await send(message)

        await self.app(scope, receive, carefully)
