"""CDS Hooks: discovery, the six services, feedback.

GET  /cds-services                 what there is; open, cacheable
POST /cds-services/{id}            a hook call
POST /cds-services/{id}/feedback   what became of its cards
"""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool

from server.crd import appropriateness, discovery, exchange, feedback
from server.crd.answer import Desk
from server.crd.exchange import Arrival
from server.crd.hooks import HOOKS, Hook
from server.crd.intake import read_call
from server.crd.v2_0 import V2_0
from server.crd.v2_2 import V2_2
from server.crd.version import Version
from server.fhir import json
from server.fhir.errors import FhirError, NotFound, answered_as, operation_outcome
from server.fhir.requests import FhirBody, beside, wants_json
from server.fhir.responses import JsonResponse
from server.security.caller import calling
from server.services import Services
from server.store import exchanges

TABLES: Mapping[str, Version] = {"2.0": V2_0, "2.2": V2_2}


def router(services: Services, version: str) -> APIRouter:
    """The CRD addresses of one guide version, to be mounted under its base."""
    table = TABLES[version]
    desk = Desk(table, services)
    listed = discovery.services(table)
    whole = APIRouter(tags=[f"CRD {version}"])
    admission = services.admission
    whole.include_router(appropriateness.router(services.store, admission.failed, admission.registry))
    routes = APIRouter(prefix="/cds-services", dependencies=[Depends(wants_json)])

    @routes.get("", summary="CDS Hooks discovery")
    def discover() -> JsonResponse:
        return JsonResponse(listed, headers={"Cache-Control": "public, max-age=3600"})

    @routes.post("/{service}", summary="Call a CDS service")
    async def call(service: str, request: Request, body: FhirBody) -> JsonResponse:
        started = services.clock()
        decoded = await beside(body, json.decode_object, body)
        arrival = Arrival(request.state.request_id, calling().client, started, decoded)
        try:
            with answered_as(table.statuses):
                hook = _hook(service)
                asked = read_call(decoded, hook, table)
                laid_out = await beside(body, desk.laid_out, asked)
                return JsonResponse(await desk.answer(laid_out, arrival))
        except FhirError as error:
            await run_in_threadpool(_record_refusal, services, table, service, arrival, error)
            raise

    @routes.post("/{service}/feedback", summary="Report what became of cards")
    def report(service: str, body: FhirBody) -> JsonResponse:
        with answered_as(table.statuses):
            _hook(service)
            decoded = json.decode_object(body)
            with services.store.transaction() as tx:
                return JsonResponse({"kept": feedback.keep(tx, decoded, services.clock())})

    whole.include_router(routes)
    return whole


def _hook(service: str) -> Hook:
    if service not in HOOKS:
        raise NotFound(f"There is no service of this name. There are {', '.join(HOOKS)}.")
    return HOOKS[service]


def _record_refusal(
    services: Services, version: Version, service: str, arrival: Arrival, error: FhirError
) -> None:
    """A refused call is kept as well: it may be what a dispute is about."""
    outcome: dict[str, Any] = operation_outcome(error.issues)
    summary = exchange.summary_of_error(error)
    now = services.clock()
    with services.store.transaction() as tx:
        exchanges.record(
            tx, exchange.exchange(version, service[:40], arrival, error.status, outcome, summary, now)
        )
