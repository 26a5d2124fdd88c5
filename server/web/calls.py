"""`/calls`: what clients sent of late and what they were answered, whole, for whoever builds a client.

A client often shows its developer neither what it sent nor what came back. With `KEEP_CALLS`, which
production refuses, the last calls of the doors are kept in memory, refused ones too, without tokens:

GET /calls                      the newest first; `q` finds a text in address or bodies
GET /calls/{id}                 one, by its key, or the newest of that request id: what was wrong, why it was
                                decided so, both bodies
GET /calls/{id}/sent            the body as it came
GET /calls/{id}/answered        the body as it went
"""

from __future__ import annotations

import datetime as dt
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from fastapi import APIRouter
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.fhir import json
from server.fhir.elements import elements, nodes
from server.fhir.errors import FhirError, Issue, NotFound
from server.services import Services, Version
from server.validation.guides import validator_of
from server.validation.routes import outcome
from server.web.pages import templates

MOST_BYTES = 2_000_000
"""Of one body; what is larger is kept up to here."""

_DOORS = re.compile(r"/r(\d\.\d)/(cds-services|fhir)/.")
_TELLS = "authorization|cookie|token|key"
"""In the name of a header: it says who calls."""

_SECRET = re.compile(
    rb'(?i)(access_token=)[^&"]+|("access_token"\s*:\s*"|"[\w-]{0,40}(?:%s)\s*:)(?:[^"\\]|\\.)+'
    % _TELLS.encode()
)
"""A token as a member, as a parameter, or in a header that a Subscription wants sent."""

_WHY = frozenset({"preAuthRef", "coverage-assertion-id"})


@dataclass(slots=True)
class Call:
    """One request and its answer, as they went over the wire. Its id may be the client's, who may send
    several of one id; `key` is its alone."""

    id: str
    at: dt.datetime
    method: str
    path: str
    headers: list[tuple[str, str]]
    sent: bytearray = field(default_factory=bytearray)
    client: str = ""
    status: int = 0
    milliseconds: float = 0.0
    kind: str = ""
    answered: bytearray = field(default_factory=bytearray)
    key: str = field(default_factory=lambda: uuid4().hex)

    @property
    def about(self) -> str:
        """The hook or the type that was sent."""
        body = _object(bytes(self.sent))
        return str(body.get("hook") or body.get("resourceType") or "")

    def says(self, words: str) -> bool:
        sought = words.encode()
        return words in self.path or sought in self.sent or sought in self.answered


Calls = deque[Call]


class Listening:
    """A middleware that keeps each call of the doors."""

    def __init__(self, app: ASGIApp, calls: Calls, clock: Callable[[], dt.datetime]) -> None:
        self.app, self.calls, self.clock = app, calls, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _DOORS.match(scope["path"]):
            await self.app(scope, receive, send)
            return
        query = _without_tokens(scope["query_string"]).decode("latin-1")
        call = Call(
            id=str(scope["state"]["request_id"]),
            at=self.clock(),
            method=scope["method"],
            path=scope["path"] + (f"?{query}" if query else ""),
            headers=[(name, _told(name, value)) for name, value in Headers(scope=scope).items()],
        )
        began = time.perf_counter()

        async def heard() -> Message:
            message = await receive()
            _keep(call.sent, message.get("body", b""))
            return message

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
                call.kind = Headers(raw=message["headers"]).get("content-type", "")
            else:
                _keep(call.answered, message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, heard, answer)
        finally:
            call.sent, call.answered = map(_without_tokens, (call.sent, call.answered))
            call.client = str(scope["state"].get("client", ""))
            call.milliseconds = round((time.perf_counter() - began) * 1000, 1)
            self.calls.append(call)


def _told(name: str, value: str) -> str:
    """A header; of what says who calls, the scheme alone."""
    if not re.search(_TELLS, name):
        return value
    scheme, more, _ = value.partition(" ")
    return f"{scheme} ..." if more and name == "authorization" else "..."


def _without_tokens(body: bytes | bytearray) -> bytearray:
    return bytearray(_SECRET.sub(rb"\1\2...", body))


def _keep(kept: bytearray, part: bytes) -> None:
    kept += part[: MOST_BYTES - len(kept)]


def router(services: Services, calls: Calls) -> APIRouter:
    routes = APIRouter(prefix="/calls", include_in_schema=False)
    pages = templates()
    base = services.settings.base_url

    def found(call_id: str) -> Call:
        for call in reversed(tuple(calls)):
            if call_id in (call.key, call.id):
                return call
        raise NotFound(f"No call of this id is kept. The last {calls.maxlen} are, in memory.")

    @routes.get("", response_class=HTMLResponse)
    def listed(q: str = "") -> HTMLResponse:
        shown = [call for call in reversed(tuple(calls)) if not q or call.says(q)]
        return HTMLResponse(pages.get_template("calls.html").render(base=base, calls=shown, q=q))

    @routes.get("/{call_id}", response_class=HTMLResponse)
    def one(call_id: str) -> HTMLResponse:
        call = found(call_id)
        answered = _object(bytes(call.answered))
        return HTMLResponse(
            pages.get_template("call.html").render(
                base=base,
                call=call,
                issues=list(elements(answered, "issue")),
                findings=_findings(services, call),
                numbers=list(dict.fromkeys(_numbers(answered))),
            )
        )

    @routes.get("/{call_id}/sent")
    async def sent(call_id: str) -> Response:
        # A client's word that it is HTML would have its script run as a page of ours.
        return PlainTextResponse(bytes(found(call_id).sent))

    @routes.get("/{call_id}/answered")
    async def answered(call_id: str) -> Response:
        call = found(call_id)
        return Response(bytes(call.answered), media_type=call.kind or "text/plain")

    return routes


def _findings(services: Services, call: Call) -> list[Issue]:
    """What the profiles have to say of a resource that was sent, where there are packages."""
    address = _DOORS.match(call.path)
    sent = _object(bytes(call.sent))
    if address is None or address[2] != "fhir" or "resourceType" not in sent:
        return []
    version: Version = address[1]  # type: ignore[assignment]
    return outcome(validator_of(services.settings.fhir_packages, version), sent, [])


def _numbers(content: Any) -> Iterator[str]:
    """What `/why` can be asked about: authorization numbers, assertion ids."""
    for node in nodes(content):
        if node.get("url") in _WHY:
            yield str(node.get("valueString", ""))
        yield from (str(node[name]) for name in _WHY & node.keys())


def _object(body: bytes) -> dict[str, Any]:
    try:
        return json.decode_object(body)
    except FhirError:
        return {}
