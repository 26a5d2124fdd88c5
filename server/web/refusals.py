"""What went wrong, as a page where a browser asks for one: elsewhere it is an OperationOutcome, and stays one
at the guides' own addresses, whoever asks.

`Refusals` is a middleware outside of all others, since each of them may refuse.
"""

from __future__ import annotations

import http
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.fhir import json
from server.fhir.responses import FHIR_JSON
from server.web.pages import for_people, templates

_GUIDES = re.compile(r"/r\d\.\d/")


class Refusals:
    def __init__(self, app: ASGIApp, base: str) -> None:
        self.app, self.base = app, base
        self.page = templates().get_template("refusal.html")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _by_a_browser(scope):
            await self.app(scope, receive, send)
            return
        held: list[Message] = []
        body = bytearray()

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_refusal(message):
                held.append(message)
            elif not held:
                await send(message)
            else:
                body.extend(message.get("body", b""))
                if not message.get("more_body"):
                    await self._show(held[0], bytes(body), send)

        await self.app(scope, receive, told)

    async def _show(self, start: Message, outcome: bytes, send: Send) -> None:
        title = http.HTTPStatus(start["status"]).phrase
        issues = json.decode_object(outcome)["issue"]
        shown = self.page.render(base=self.base, title=title, issues=issues).encode()
        headers = MutableHeaders(scope=start)
        headers["Content-Type"], headers["Content-Length"] = "text/html; charset=utf-8", str(len(shown))
        await send(start)
        await send({"type": "http.response.body", "body": shown})


def _by_a_browser(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] == "HEAD" or _GUIDES.match(scope["path"]):
        return False
    return for_people(Headers(scope=scope).get("accept", ""))


def _is_refusal(start: Message) -> bool:
    kind = Headers(raw=start["headers"]).get("content-type", "")
    return start["status"] >= http.HTTPStatus.BAD_REQUEST and kind.startswith(FHIR_JSON)
