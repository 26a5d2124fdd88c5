"""The DTR door of one FHIR base: packages of forms, and the artefacts they are made of.

POST /Questionnaire/$questionnaire-package     forms for an order, with all that filling them takes
POST /Questionnaire/$next-question             what an adaptive form asks next
POST /Questionnaire/$log-questionnaire-errors  what an app could not make of a form
GET  /Questionnaire[/{id}]                     search and read; so for Library and ValueSet
GET  /ValueSet[/{id}]/$expand, POST as well    codes of a value set

Operations are declared before reads, so that `$expand` is never taken for an id.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from server.dtr.artefacts import Artefacts, artefacts_of
from server.dtr.complaints import read_complaints
from server.dtr.exchange import exchange
from server.dtr.next_question import RESPONSE, Interviewer, context_of, read_next_question
from server.dtr.package import Packager
from server.dtr.request import read_package_request
from server.dtr.terminology import expand
from server.dtr.v2_0 import V2_0
from server.dtr.v2_2 import V2_2
from server.dtr.version import Version
from server.fhir import json
from server.fhir.canonical import Canonical, canonical
from server.fhir.capability import Contribution
from server.fhir.errors import FhirError, NotFound, placed
from server.fhir.parameters import Posted, taking
from server.fhir.requests import FhirBody, wants_json
from server.fhir.responses import FhirResponse
from server.fhir.search import honoured, is_one_of, page_of, searchset
from server.security.caller import calling
from server.services import GUIDES, Services
from server.services import Version as Name
from server.store import exchanges, questionnaire_errors

TABLES: Mapping[Name, Version] = {"2.0": V2_0, "2.2": V2_2}
KINDS = ("Questionnaire", "Library", "ValueSet")
PACKAGE = "$questionnaire-package"
NEXT = "$next-question"
COMPLAINT = "$log-questionnaire-errors"
PUBLICATION_STATUS = "http://hl7.org/fhir/publication-status"
SEARCHED = {
    "_id": "token",
    "url": "uri",
    "version": "token",
    "name": "string",
    "title": "string",
    "status": "token",
}
"""Search parameters with their types: strings match beginnings, whatever the case, the others match whole."""


def capability(version: Name) -> Contribution:
    """What this door adds to the CapabilityStatement of the base."""
    guide = "http://hl7.org/fhir/us/davinci-dtr"
    operations = {
        "Questionnaire": {
            "questionnaire-package": f"{guide}/OperationDefinition/questionnaire-package",
            "next-question": TABLES[version].next_question,
            "log-questionnaire-errors": f"{guide}/OperationDefinition/log-questionnaire-errors",
        },
        "ValueSet": {"expand": "http://hl7.org/fhir/OperationDefinition/ValueSet-expand"},
    }
    return Contribution(
        resources=[
            *(
                {
                    "type": kind,
                    "interaction": [{"code": "read"}, {"code": "search-type"}],
                    "conditionalRead": "not-match",
                    "searchParam": [{"name": name, "type": type_} for name, type_ in SEARCHED.items()],
                }
                for kind in KINDS
            ),
            *(
                {"type": kind, "operation": [{"name": name, "definition": url} for name, url in of.items()]}
                for kind, of in operations.items()
            ),
        ],
        instantiates=[f"{guide}/CapabilityStatement/dtr-payer-service"],
        guides=[f"{guide}/ImplementationGuide/hl7.fhir.us.davinci-dtr|{GUIDES[version]['DTR']}"],
    )


def router(services: Services, version: Name) -> APIRouter:
    """The DTR addresses of one guide version, to be mounted under its FHIR base."""
    table, base = TABLES[version], services.fhir_base(version)
    without_version = services.settings.unversioned_libraries
    artefacts = artefacts_of(services.catalog, table, base, without_version=without_version)
    interviewer = Interviewer(table, artefacts, services.adjudicator)
    packager = Packager(table, artefacts, services.adjudicator)
    routes = APIRouter(tags=[f"DTR {version}"], dependencies=[Depends(wants_json)])

    def package(request: Request, body: FhirBody) -> FhirResponse:
        """Forms for an order, a context or by name, with draft responses, libraries and value sets."""
        return packaged(request, body)

    def package_of(request: Request, body: FhirBody, form: str) -> FhirResponse:
        """The same for the one form of this id, as where its canonical is named."""
        return packaged(request, body, form)

    def packaged(request: Request, body: bytes, form: str = "") -> FhirResponse:
        started = services.clock()
        try:
            found = [_by_id(artefacts, base, "Questionnaire", form)] if form else []
            named = [f"{each['url']}|{each['version']}" for each in found]
            asked = read_package_request(json.decode_object(body), table.coverages, named)
            with services.store.reading() as tx:
                answer = packager.answer(tx, asked, started)
        except FhirError as error:
            record(request, PACKAGE, body, started, status=error.status, issues=error.issues)
            raise
        record(
            request,
            PACKAGE,
            body,
            started,
            context=asked.context,
            sent=answer.sent,
            issues=answer.issues,
            measures=answer.measures,
        )
        return FhirResponse(answer.body)

    def record(request: Request, operation: str, body: bytes, started: dt.datetime, **said: Any) -> None:
        kept = exchange(
            table,
            operation,
            request.state.request_id,
            calling().client,
            body,
            started,
            services.clock(),
            **said,
        )
        with services.store.transaction() as tx:
            exchanges.record(tx, kept)

    def ask_next(request: Request, body: FhirBody) -> FhirResponse:
        """What an adaptive form asks next, or the completed form with the decision."""
        started = services.clock()
        try:
            sent, place = read_next_question(json.decode_object(body))
            with placed(RESPONSE, place), services.store.reading() as tx:
                outcome = interviewer.answer(tx, sent, started)
            answer = outcome.response
            if outcome.judged is not None:
                with services.store.transaction() as tx:
                    answer = interviewer.concluded(tx, outcome, calling().client, started)
        except FhirError as error:
            record(request, NEXT, b"", started, status=error.status, issues=error.issues)
            raise
        # Of an interview nothing is kept but its end (DTR: no answers on the way).
        kept = body if outcome.judged is not None else b""
        record(
            request,
            NEXT,
            kept,
            started,
            context=context_of(sent),
            sent=interviewer.canonicals,
            measures=interviewer.measures(outcome, answer),
        )
        return FhirResponse(answer)

    # Both belong to the type; the narrative of 2.0.1 has them on the base, older servers on an instance.
    for path, answering, summary in (
        (f"/Questionnaire/{PACKAGE}", package, "Get the forms for an order"),
        (f"/Questionnaire/{{form}}/{PACKAGE}", package_of, ""),
        (f"/{PACKAGE}", package, ""),
        (f"/Questionnaire/{NEXT}", ask_next, "Get the next question"),
        (f"/{NEXT}", ask_next, ""),
    ):
        routes.add_api_route(
            path,
            answering,
            methods=["POST"],
            summary=summary,
            response_class=FhirResponse,
            include_in_schema=bool(summary),
        )

    @routes.post(f"/Questionnaire/{COMPLAINT}", summary="Report errors of a form", status_code=204)
    def complain(body: FhirBody) -> Response:
        """What an app could not make of a form. Kept for its author, without anything about the patient."""
        rows = read_complaints(json.decode_object(body), table, calling().client, services.clock())
        with services.store.transaction() as tx:
            for row in rows:
                questionnaire_errors.keep(tx, row)
        return Response(status_code=204)

    def expanded(asked: Mapping[str, str]) -> FhirResponse:
        return FhirResponse(expand(artefacts.of_type("ValueSet"), asked, services.clock()))

    @routes.get(
        "/ValueSet/$expand",
        summary="Codes of a value set",
        response_class=FhirResponse,
        openapi_extra=taking("url", "valueSetVersion", "filter", "count", "offset"),
    )
    def expand_by_query(request: Request) -> FhirResponse:
        return expanded(dict(request.query_params))

    @routes.post("/ValueSet/$expand", summary="Codes of a value set", response_class=FhirResponse)
    def expand_by_body(asked: Posted) -> FhirResponse:
        return expanded(dict(asked))

    # The operation of FHIR, which 2.0.1 takes as it is, is one of an instance too.
    @routes.get("/ValueSet/{resource_id}/$expand", include_in_schema=False)
    def expand_one(request: Request, resource_id: str) -> FhirResponse:
        return expanded(
            {**request.query_params, "url": _by_id(artefacts, base, "ValueSet", resource_id)["url"]}
        )

    @routes.post("/ValueSet/{resource_id}/$expand", include_in_schema=False)
    def expand_one_by_body(asked: Posted, resource_id: str) -> FhirResponse:
        return expanded({**dict(asked), "url": _by_id(artefacts, base, "ValueSet", resource_id)["url"]})

    for kind in KINDS:
        _add_reading(routes, artefacts, base, kind)
    return routes


def _add_reading(routes: APIRouter, artefacts: Artefacts, base: str, kind: str) -> None:
    """Search and read of one type."""
    held = artefacts.of_type(kind)

    @routes.get(
        f"/{kind}",
        summary=f"Search {kind}",
        response_class=FhirResponse,
        openapi_extra=taking(*SEARCHED, "_count"),
    )
    def search(request: Request) -> FhirResponse:
        used = honoured(request, kind, SEARCHED)
        found = [each for each in held.values() if all(_matches(each, *parameter) for parameter in used)]
        return FhirResponse(searchset(base, kind, used, found, page_of(request)))

    @routes.get(f"/{kind}/{{resource_id}}", summary=f"Read a {kind}", response_class=FhirResponse)
    def read(request: Request, resource_id: str) -> Response:
        """304 where the client names the version it has."""
        found = _by_id(artefacts, base, kind, resource_id)
        version = found["meta"]["versionId"]
        tag = {"ETag": f'W/"{version}"'}
        if version in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=tag)
        return FhirResponse(found, headers=tag)


def _by_id(artefacts: Artefacts, base: str, kind: str, resource_id: str) -> dict[str, Any]:
    """Raises NotFound."""
    held = artefacts.of_type(kind).values()
    found = next((resource for resource in held if resource["id"] == resource_id), None)
    if found is None:
        raise NotFound(f"There is no {kind} with this id. GET {base}/{kind} lists all.")
    return found


def _matches(resource: Mapping[str, Any], name: str, text: str) -> bool:
    held = str(resource.get(name.removeprefix("_"), ""))
    if name == "url":
        # Clients also ask by the canonical as a draft or a library names it, the version in it.
        itself = Canonical(held, resource["version"])
        return any(canonical(wanted).names(itself) for wanted in text.split(","))
    if SEARCHED[name] == "string":
        return any(held.lower().startswith(wanted.lower()) for wanted in text.split(","))
    return is_one_of(held, text, PUBLICATION_STATUS if name == "status" else "")
