"""`AuditEvent`: reading the trail, for whoever has the scope `payer/audit`. It is written by nobody but the
server itself."""

from __future__ import annotations

from itertools import groupby
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from fastapi import APIRouter, Depends, Request

from server.audit.resource import PARAMETERS, audit_event, criteria
from server.fhir.capability import Contribution
from server.fhir.errors import NotFound
from server.fhir.parameters import number, taking
from server.fhir.references import entry_at
from server.fhir.requests import wants_json
from server.fhir.responses import FhirResponse
from server.fhir.search import RESULT_PARAMETERS, page_of
from server.services import Services, Version
from server.store import Transaction, ledger

MOST, USUAL = 1000, 100


def capability(version: Version) -> Contribution:
    """What this door adds to the CapabilityStatement of the base."""
    return Contribution(
        resources=[
            {
                "type": "AuditEvent",
                "interaction": [{"code": "read"}, {"code": "search-type"}],
                "searchParam": [{"name": name, "type": kind} for name, kind in PARAMETERS.items()],
            }
        ]
    )


def router(services: Services, version: Version) -> APIRouter:
    base = services.fhir_base(version)
    routes = APIRouter(prefix="/AuditEvent", tags=["audit"], dependencies=[Depends(wants_json)])

    @routes.get(
        "", summary="Search the audit trail", response_class=FhirResponse, openapi_extra=taking(*PARAMETERS)
    )
    def search(request: Request) -> FhirResponse:
        """Newest first, in pages."""
        asked = [(name, text) for name, text in request.query_params.multi_items() if text]
        before = number(dict(asked), "before")
        count = page_of(request).count
        most = USUAL if count is None else min(count, MOST)
        wanted = [(name, text) for name, text in asked if name not in ("before", *RESULT_PARAMETERS)]
        with services.store.reading() as tx:
            total, found = ledger.search(tx, criteria(wanted), before, most)
            events = _told(tx, found)
        links = [{"relation": "self", "url": f"{base}/AuditEvent?{urlencode(asked)}"}]
        if found and len(found) == most:
            page = urlencode([*wanted, ("_count", most), ("before", found[-1].id)])
            links.append({"relation": "next", "url": f"{base}/AuditEvent?{page}"})
        bundle: dict[str, Any] = {
            "resourceType": "Bundle",
            "id": str(uuid4()),
            "type": "searchset",
            "total": total,
            "link": links,
        }
        entries = [{**entry_at(base, each), "search": {"mode": "match"}} for each in events]
        return FhirResponse({**bundle, "entry": entries} if entries else bundle)

    @routes.get("/{event_id}", summary="Read one entry", response_class=FhirResponse)
    def read(event_id: str) -> FhirResponse:
        with services.store.reading() as tx:
            usable = event_id.isdecimal() and len(event_id) < 18
            found = ledger.by_id(tx, int(event_id)) if usable else None
            if found is None:
                raise NotFound("There is no AuditEvent with this id.")
            return FhirResponse(_told(tx, [found])[0])

    return routes


def _told(tx: Transaction, found: Any) -> list[dict[str, Any]]:
    touched = ledger.subjects(tx, [access.id for access in found])
    by_access = {key: list(group) for key, group in groupby(touched, key=lambda each: each.access_id)}
    return [audit_event(access, by_access.get(access.id, [])) for access in found]
