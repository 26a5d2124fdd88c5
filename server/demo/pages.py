"""`/try`: the demo in a browser. Whoever is to point an EHR or a test kit here plays an order first, one of
the demo's or their own, and sees each call that an EHR would make, with its answer.

The page plays as the demo does, from outside: its calls reach the application without a socket. For servers
in development alone, since what is played is kept like any other order.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import msgspec
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import HTMLResponse

from server import inside
from server.demo.ehr import Ehr, Refused
from server.demo.stories import Story, as_written, laid_out, play
from server.demo.tell import Step, told
from server.policy.cases import CaseError
from server.services import GUIDES, Services
from server.web.pages import fields, templates


@dataclass(frozen=True)
class Call:
    """One request of the EHR, and what it was answered."""

    method: str
    path: str
    status: int
    kind: str
    sent: bytes
    answered: bytes


@dataclass
class Performance:
    """An order that was played: its steps, every call, and what stopped it, if anything did."""

    steps: list[Step] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    stopped: str = ""

    def calls_of(self, step: Step) -> list[Call]:
        return [call for call in self.calls if any(part in call.path for part in step.addresses)]

    @property
    def others(self) -> list[Call]:
        """The calls of no step: where it stopped."""
        told_of = [call for step in self.steps for call in self.calls_of(step)]
        return [call for call in self.calls if call not in told_of]


def router(app: FastAPI) -> APIRouter:
    routes = APIRouter(include_in_schema=False)
    services: Services = app.state.services
    page, written = templates().get_template("try.html"), as_written()

    def shown(text: str, status: int = 200, **more: Any) -> HTMLResponse:
        base = services.settings.base_url
        shown_as = page.render(base=base, guides=GUIDES, stories=written, text=text, **more)
        return HTMLResponse(shown_as, status_code=status)

    @routes.get("/try", response_class=HTMLResponse)
    def begin(story: str = "") -> HTMLResponse:
        chosen = next((each for each in written if each["case"]["id"] == story), written[0])
        return shown(msgspec.json.format(msgspec.json.encode(chosen), indent=2).decode())

    @routes.post("/try", response_class=HTMLResponse)
    async def perform(request: Request) -> HTMLResponse:
        sent = await fields(request)
        text, version = (sent.get(name, "") for name in ("story", "version"))
        if version not in GUIDES:
            return shown(text, 400, problem=f"There is no base {version!r}.")
        try:
            story = msgspec.json.decode(text, type=Story)
            story.case.check_plan(services.catalog.plans)
            day = services.clock().date()
            # In a task of its own: what the calls are known by is not this request's.
            performed = await asyncio.create_task(_performed(app, story, version, day))
        except (msgspec.MsgspecError, CaseError) as error:
            return shown(text, 400, problem=f"This is no order to play: {error}.")
        return shown(text, played=performed, version=version)

    return routes


async def _performed(app: FastAPI, story: Story, version: str, day: dt.date) -> Performance:
    services: Services = app.state.services
    performed = Performance()

    async def heard(response: httpx.Response) -> None:
        body = await response.aread()
        request = response.request
        performed.calls.append(
            Call(
                request.method,
                str(request.url.raw_path, "ascii"),
                response.status_code,
                request.headers.get("content-type", ""),
                request.content,
                body,
            )
        )

    async with inside.client(app) as http:
        http.event_hooks = {"response": [heard]}
        ehr = Ehr(http, version)
        try:
            case = laid_out(story, day, services.catalog.payer, uuid4().hex[:8])
            played = await play(story, case, ehr)
            performed.steps = list(told(played, await ehr.why(played.decided)))
        except Refused as refused:
            performed.stopped = str(refused)
    return performed
