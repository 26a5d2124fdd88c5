"""`/` for people, `/health` and `/metrics` for whoever runs the server."""

import datetime as dt
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Request
from fastapi.openapi.docs import get_swagger_ui_html
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from server.fhir.errors import NotFound
from server.fhir.responses import JsonResponse
from server.fhir.systems import billed_by
from server.pas import casebook
from server.policy.policies import BY_NAME
from server.security.caller import calling
from server.security.scopes import OPERATE
from server.services import GUIDES, Services
from server.store import Transaction, assertions, authorizations, cases, subscriptions
from server.web.pages import Accept, for_people, templates


def router(services: Services) -> APIRouter:
    routes = APIRouter(tags=["server"])
    pages = templates()

    @routes.get("/", response_class=HTMLResponse, include_in_schema=False)
    def index(request: Request) -> HTMLResponse:
        """What this is and where to point what."""
        page = pages.get_template("index.html")
        return HTMLResponse(
            page.render(
                version=request.app.version,
                base=services.settings.base_url,
                bases=[(services.base(version), guides) for version, guides in GUIDES.items()],
                settings=services.settings,
            )
        )

    @routes.get("/docs", response_class=HTMLResponse, include_in_schema=False)
    def docs() -> HTMLResponse:
        """Every address, to try out. What the page needs lies beside it, whatever a proxy puts before."""
        page = get_swagger_ui_html(
            title="Da Vinci payer: every address",
            openapi_url="openapi.json",
            swagger_js_url="static/docs/swagger-ui-bundle.js",
            swagger_css_url="static/docs/swagger-ui.css",
            swagger_favicon_url="static/docs/favicon.png",
        )
        # FastAPI's page names no language, by which a screen reader chooses its voice.
        return HTMLResponse(bytes(page.body).replace(b"<html>", b'<html lang="en">', 1))

    # However many requests wait for their turn, whether the server is well is answered now.
    beside = CapacityLimiter(1)

    @routes.get("/health", summary="200 when the server answers and its database can be read")
    async def health(request: Request) -> Response:
        await to_thread.run_sync(reads, limiter=beside)
        return JsonResponse({"status": "ok", "version": request.app.version, "database": "ok"})

    def reads() -> None:
        with services.store.reading() as tx:
            tx.execute(text("SELECT 1"))

    @routes.get(
        "/metrics",
        summary="Prometheus",
        response_class=PlainTextResponse,
        dependencies=[Depends(services.admission.holding(OPERATE))],
    )
    def metrics() -> Response:
        exposed = services.metrics.exposition(_waiting(services))
        return Response(exposed, media_type="text/plain; version=0.0.4; charset=utf-8")

    @routes.get("/policies", summary="The coverage policies in force")
    def policies() -> Response:
        return JsonResponse(
            [
                {
                    "id": each.id,
                    "title": each.title,
                    "library": each.canonical,
                    "region": each.region,
                    "services": sorted(each.codes),
                    "questionnaire": each.questionnaire,
                    "guideline": each.guideline,
                    "owner": each.owner,
                    "effective": {"start": each.effective.start, "end": each.effective.end},
                    "criteria": [
                        {"id": c.id, "title": c.title, "theme": c.theme, "guideline": c.guideline}
                        for c in (text.spoken(BY_NAME) for text in each.criteria.values())
                    ],
                }
                for each in services.catalog.policies
            ]
        )

    @routes.get("/services", summary="What needs prior authorization")
    def covered() -> Response:
        return JsonResponse(
            [
                {
                    "code": service.code,
                    "system": billed_by(service.code),
                    "title": service.title,
                    "plans": plans,
                }
                for service, plans in services.catalog.needing_authorization()
            ]
        )

    @routes.get(
        "/why/{number}",
        summary="The determination behind an authorization, a line of a request or an assertion",
        dependencies=[Depends(services.admission.identified)],
    )
    def why(number: str, accept: Accept = "") -> Response:
        """`number` is an authorization number, our reference number of a line (which is its tracking number
        where it is pended) or an assertion id. What the rules determined is not always what came of it:
        `answered` says how a line stands, whether rules, the clock or a reviewer decided it last, and with
        what words. A browser is shown a page."""
        with services.store.reading() as tx:
            found = _determined(tx, number)
        if found is None or not calling().sees(found[0]):
            raise NotFound("There is no authorization, line of a request or assertion of this number.")
        if not for_people(accept):
            return JsonResponse(found[1])
        page = pages.get_template("why.html")
        return HTMLResponse(page.render(base=services.settings.base_url, number=number, why=found[1]))

    return routes


def _waiting(services: Services) -> dict[str, int]:
    """What waits now; nothing where the database is away, which is when the other figures are looked at."""
    now = services.clock()
    try:
        with services.store.reading() as tx:
            late, near, every = cases.open_until(tx, now, now + dt.timedelta(days=1))
            owed = subscriptions.owed(tx)
    except (DBAPIError, PoolTimeout):
        return {}
    return {
        "lines-late": late,
        "lines-due-within-a-day": near - late,
        "lines-due-later": every - near,
        "notifications": owed,
    }


def _determined(tx: Transaction, number: str) -> tuple[str, dict[str, Any]] | None:
    """Whose it is, and the determination, with what was answered where a request asked for it; None where
    nothing has this number."""
    asserted = assertions.by_id(tx, number)
    if asserted is not None:
        return asserted.client, asserted.determination
    granted = authorizations.by_number(tx, number)
    found = cases.line_granted(tx, granted) if granted is not None else cases.line_called(tx, number)
    answered = {"answered": casebook.answered(tx, *found)} if found is not None else {}
    if granted is not None:
        return granted.client, {**granted.determination, **answered}
    return (found[0].client, {**found[1].determination, **answered}) if found is not None else None
