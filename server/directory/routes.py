"""The addresses of this payer, for directories and for clients that look before they call.

GET /Endpoint         the FHIR base and the CDS Hooks base of this version
GET /Endpoint/{id}

GET /.well-known/davinci-configuration, beside the bases: every guide's address in every version (HRex 1.2,
"Endpoint Discovery").

Open to anyone: an address is no secret, and a client needs it before it has a token.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request

from server.fhir.capability import Contribution
from server.fhir.errors import NotFound
from server.fhir.parameters import taking
from server.fhir.requests import wants_json
from server.fhir.responses import FHIR_JSON, FhirResponse, JsonResponse
from server.fhir.search import honoured, is_one_of, page_of, searchset
from server.fhir.systems import concept
from server.services import GUIDES, Services, Version

CONNECTION = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
DISCOVERY = "http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-endpoint-discovery"
PAYLOAD = "http://terminology.hl7.org/CodeSystem/endpoint-payload-type"
STATUS = "http://hl7.org/fhir/endpoint-status"
SEARCHED = ("_id", "status", "connection-type")

SUNSET = {
    "2.0": "CRD, DTR and PAS 2.0.1 are what certified systems speak today. By the rule proposed in 2026 "
    "(CMS-0062-P) they expire on 2028-01-01, and the releases at /r2.2 take their place.",
}
"""What the documentation of a base says about its end (91 FR 19890: a proposal, not yet law)."""


def capability(version: Version) -> Contribution:
    """What this door adds to the CapabilityStatement of the base."""
    return Contribution(
        resources=[
            {
                "type": "Endpoint",
                "interaction": [{"code": "read"}, {"code": "search-type"}],
                "searchParam": [{"name": name, "type": "token"} for name in SEARCHED],
            }
        ],
        documentation=SUNSET.get(version, ""),
    )


SERVED = {
    "CRD": ("davinci_crd_hook_endpoint", "cds-services"),
    "DTR": ("davinci_dtr_qpackage_endpoint", "fhir"),
    "PAS": ("davinci_pas_submission_endpoint", "fhir"),
}
"""What HRex calls a guide's address (CodeSystem hrex-endpoint-discovery), and where it is below a base."""


def endpoint(
    services: Services, version: Version, own_id: str, name: str, connection: Any, mime: str, path: str
) -> Any:
    """Endpoint (R4) of one address, below the version's base; `connection` is its type as a Coding."""
    guides = ", ".join(f"{guide} {number}" for guide, number in GUIDES[version].items())
    return {
        "resourceType": "Endpoint",
        "id": own_id,
        "status": "active",
        "connectionType": connection,
        "name": f"{name}: {guides}",
        "managingOrganization": {"identifier": services.catalog.payer["identifier"][0]},
        "payloadType": [concept(PAYLOAD, "any")],
        "payloadMimeType": [mime],
        "address": f"{services.base(version)}/{path}",
    }


def discovery(services: Services) -> APIRouter:
    """HRexWellknownDefinition: the payer's identifier, and addresses by a guide's code and `#major.minor`."""
    endpoints = {
        f"{code}#{'.'.join(number.split('.')[:2])}": f"{services.base(version)}/{path}"
        for version, guides in GUIDES.items()
        for guide, number in guides.items()
        for code, path in [SERVED[guide]]
    }
    routes = APIRouter(tags=["directory"])

    @routes.get("/.well-known/davinci-configuration", summary="The address of each guide")
    def configuration() -> JsonResponse:
        return JsonResponse({"identifier": services.catalog.payer["identifier"][0], "endpoints": endpoints})

    return routes


def router(services: Services, version: Version) -> APIRouter:
    base = services.fhir_base(version)
    rest = {"system": CONNECTION, "code": "hl7-fhir-rest"}
    hooks = {"system": DISCOVERY, "code": "davinci_crd_hook_endpoint"}
    listed = (
        endpoint(services, version, "fhir", "FHIR base", rest, FHIR_JSON, "fhir"),
        endpoint(services, version, "cds-hooks", "CDS Hooks", hooks, "application/json", "cds-services"),
    )
    held = {each["id"]: each for each in listed}
    routes = APIRouter(prefix="/Endpoint", tags=["directory"], dependencies=[Depends(wants_json)])

    @routes.get(
        "",
        summary="The addresses of this payer",
        response_class=FhirResponse,
        openapi_extra=taking(*SEARCHED, "_count"),
    )
    def search(request: Request) -> FhirResponse:
        used = honoured(request, "Endpoint", SEARCHED)
        found = [each for each in held.values() if all(_matches(each, *parameter) for parameter in used)]
        return FhirResponse(searchset(base, "Endpoint", used, found, page_of(request)))

    @routes.get("/{endpoint_id}", summary="One address of this payer", response_class=FhirResponse)
    def read(endpoint_id: str) -> FhirResponse:
        if endpoint_id not in held:
            raise NotFound(f"There is no Endpoint with this id. GET {base}/Endpoint lists all.")
        return FhirResponse(held[endpoint_id])

    return routes


def _matches(found: dict[str, Any], name: str, text: str) -> bool:
    match name:
        case "connection-type":
            connection = found["connectionType"]
            return is_one_of(connection["code"], text, connection["system"])
        case "status":
            return is_one_of(found["status"], text, STATUS)
    return is_one_of(found["id"], text)
