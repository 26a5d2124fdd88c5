"""HEAD of whatever a GET reads: its status and headers (RFC 9110, 9.1: every server supports both). Load
balancers ask so whether a server is well.

`Heads` is a middleware: whoever stands behind it sees a GET, whoever stands before it what was asked.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Heads:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            # Whoever logs the request, records it or sends the answer reads this very scope.
            scope["method"] = "HEAD"
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        scope["method"] = "GET"
        try:
            await self.app(scope, receive, without_body)
        finally:  # where nothing was answered, whoever answers instead
            scope["method"] = "HEAD"
