"""The appropriateness page: a small SMART app that shows, for the order it was launched for, criteria,
evidence and what is missing.

    GET /appropriateness/launch?iss=…&launch=…     begins the EHR launch (PKCE, no secret)
    GET /appropriateness/                          where the EHR comes back to; shows the determination
    GET /appropriateness/criteria/{assertion id}   what it shows, as JSON

The order is known by its assertion id, which travels as the link's app context and comes back with the EHR's
token; an EHR registers the client `davinci-payer-appropriateness` with this redirect address. The browser
has no token of ours: the id opens the criteria to whoever quotes it, so it is a random UUID, and what it
opens names no patient.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Request
from msgspec import convert
from starlette.responses import HTMLResponse, Response

from server.fhir import json
from server.fhir.errors import Forbidden, Issue, NotFound
from server.fhir.references import local_reference
from server.fhir.responses import JsonResponse
from server.policy.determination import Evidence
from server.policy.words import speaking, together
from server.security.clients import Registry
from server.store import Store, assertions

PREFIX = "/appropriateness"
LABEL = "Compare this order with the imaging criteria"


def router(store: Store, failed: Callable[[Request], None], registry: Registry) -> APIRouter:
    """The pages, to be mounted beside the CDS services. `failed` counts a guess against whoever guessed."""
    pages = files("server.crd") / "pages"
    launch, shown, script = (
        (pages / name).read_text("utf-8") for name in ("launch.html", "app.html", "appropriateness.js")
    )
    routes = APIRouter(prefix=PREFIX, include_in_schema=False)

    @routes.get("/launch")
    def begin(request: Request) -> HTMLResponse:
        # Every one that is named: the script takes the first.
        if not all(registry.keeps_charts_at(iss) for iss in request.query_params.getlist("iss")):
            # The page would lead whoever clicked on a link wherever the link says.
            words = "The page opens from registered EHRs only. Have this one's FHIR server registered."
            raise Forbidden(Issue("forbidden", "iss", words))
        return HTMLResponse(launch)

    @routes.get("/")
    def come_back() -> HTMLResponse:
        return HTMLResponse(shown)

    @routes.get("/appropriateness.js")
    def act() -> Response:
        return Response(script, media_type="text/javascript")

    @routes.get("/criteria/{assertion_id}")
    def criteria(request: Request, assertion_id: str) -> JsonResponse:
        with store.reading() as tx:
            kept = assertions.by_id(tx, assertion_id)
        if kept is None:
            failed(request)
            raise NotFound("The plan does not know this order.")
        shown = _shown(kept.determination, local_reference(kept.order))
        return JsonResponse(shown, headers={"Cache-Control": "no-store"})

    return routes


def _shown(said: dict[str, Any], order: str) -> dict[str, Any]:
    """What the page needs of a determination."""
    shown = ("title", "value", "sentence", "would_satisfy", "guideline", "in_the_way")
    return {
        "title": said["title"],
        "reason": said["reason"],
        "criteria": [
            {
                **{name: criterion[name] for name in shown},
                "evidence": together(speaking(convert(criterion["evidence"], list[Evidence]), order)),
            }
            for criterion in said["criteria"]
        ],
    }


def link(base: str, assertion_id: str) -> dict[str, Any]:
    """The card's link: type smart, launched by the EHR with its own launch context."""
    return {
        "label": LABEL,
        "url": f"{base}{PREFIX}/launch",
        "type": "smart",
        "appContext": json.encode({"assertion": assertion_id}).decode(),
    }
