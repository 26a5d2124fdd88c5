"""The appropriateness page: a small SMART app that shows, for the order it was launched for, criteria,
evidence and what is missing.

    GET /appropriateness/launch?iss=…&launch=…     begins the EHR launch (PKCE, no secret)
    GET /appropriateness/                          where the EHR comes back to; shows the determination

The order is known by its assertion id, which travels as the link's app context; an EHR registers the client
`davinci-payer-appropriateness` with this redirect address. What is shown is read from `/why/{assertion id}`.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from server.fhir import json

PREFIX = "/appropriateness"
LABEL = "Compare this order with the imaging criteria"


def router() -> APIRouter:
    """The pages, to be mounted beside the CDS services."""
    pages = files("server.crd") / "pages"
    launch, shown, script = (
        (pages / name).read_text("utf-8") for name in ("launch.html", "app.html", "appropriateness.js")
    )
    routes = APIRouter(prefix=PREFIX, include_in_schema=False)

    @routes.get("/launch")
    def begin() -> HTMLResponse:
        return HTMLResponse(launch)

    @routes.get("/")
    def come_back() -> HTMLResponse:
        return HTMLResponse(shown)

    @routes.get("/appropriateness.js")
    def act() -> Response:
        return Response(script, media_type="text/javascript")

    return routes


def link(base: str, assertion_id: str) -> dict[str, Any]:
    """The card's link: type smart, launched by the EHR with its own launch context."""
    return {
        "label": LABEL,
        "url": f"{base}{PREFIX}/launch",
        "type": "smart",
        "appContext": json.encode({"assertion": assertion_id}).decode(),
    }
