"""The PAS door: `Claim/$submit`, `Claim/$inquire`, and reading again what an answer named by URL."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request

from server.fhir.capability import Contribution
from server.fhir.errors import NotFound
from server.fhir.parameters import taking
from server.fhir.requests import FhirBody, wants_json
from server.fhir.responses import FhirResponse
from server.fhir.search import honoured, page_of
from server.pas import behaviours, casebook
from server.pas.attachment import SubmitAttachment
from server.pas.behaviours import Behaviour
from server.pas.deadlines import Deadlines
from server.pas.handover import assign_of
from server.pas.inquire import Inquire
from server.pas.response import pas_response_bundle
from server.pas.search import FILTERS, KEYS, SEARCHED, Search, search_parameters
from server.pas.settling import settle
from server.pas.submit import Submit
from server.pas.terms import profile
from server.pas.versions import VERSIONS
from server.security.caller import calling
from server.services import GUIDES, Services, Version

SUBMIT_ATTACHMENT = "http://hl7.org/fhir/us/davinci-cdex/OperationDefinition/submit-attachment"
ATTACHMENTS = (
    "For what was asked for of a prior authorization, under its tracking number. Final is honoured: what is "
    "too large for one call, which is answered 413, comes in several."
)


def capability(version: Version) -> Contribution:
    """What this door adds to the CapabilityStatement of the base."""
    guide = "http://hl7.org/fhir/us/davinci-pas"
    operations = {"submit": "Claim-submit", "inquire": "Claim-inquiry"}
    return Contribution(
        resources=[
            {
                "type": "Claim",
                "supportedProfile": [profile(name) for name in ("claim", "claim-update", "claim-inquiry")],
                "operation": [
                    {"name": name, "definition": f"{guide}/OperationDefinition/{definition}"}
                    for name, definition in operations.items()
                ],
            },
            {
                "type": "ClaimResponse",
                "supportedProfile": [profile(name) for name in ("claimresponse", "claiminquiryresponse")],
                "interaction": [{"code": "read"}, {"code": "search-type"}],
                "searchParam": search_parameters(),
            },
            *(
                {
                    "type": kind,
                    "supportedProfile": [profile(kind.lower())],
                    "interaction": [{"code": "read"}],
                }
                for kind in ("CommunicationRequest", "Task")
            ),
        ],
        operations=[
            {"name": "submit-attachment", "definition": SUBMIT_ATTACHMENT, "documentation": ATTACHMENTS}
        ],
        instantiates=[f"{guide}/CapabilityStatement/IntermediaryCapabilities"],
        guides=[f"{guide}/ImplementationGuide/hl7.fhir.us.davinci-pas|{GUIDES[version]['PAS']}"],
    )


def router(services: Services, version: Version) -> APIRouter:
    """The routes of one guide version, below its FHIR base."""
    Deadlines.load().check_plans(services.catalog.plans)
    spoken, base = VERSIONS[version], services.fhir_base(version)
    assign, settled = assign_of(services), partial(settle, services)
    counted = services.metrics.decision
    submit = Submit(spoken, base, services.store, services.adjudicator, assign, settled, count=counted)
    held = replace(submit, assign=behaviours.approved_soon(services), hold=True)
    inquire = Inquire(spoken, base, services.store, services.catalog)
    attach = SubmitAttachment(services.store, services.adjudicator, settled)
    search = Search(spoken, base, services.store)
    routes = APIRouter(tags=[f"PAS {version}"], dependencies=[Depends(wants_json)])

    async def behaving(body: FhirBody) -> frozenset[Behaviour]:
        """What a tester asks for; a slow answer takes its time here, where it holds up no other."""
        asked = behaviours.wished_by(services, body)
        await behaviours.before_answering(asked)
        return asked

    @routes.post("/Claim/$submit", summary="Ask for prior authorization", response_class=FhirResponse)
    def submit_claim(
        body: FhirBody,
        asked: Annotated[frozenset[Behaviour], Depends(behaving)],
        dry_run: Annotated[
            bool, Header(alias="X-Dry-Run", description="Say what would be decided; store nothing.")
        ] = False,
    ) -> FhirResponse:
        """A PAS request Bundle in, a PAS response Bundle out: decided, or pended with what is asked. The
        decision is stored before it is answered."""
        now = services.clock()
        deciding = replace(held if Behaviour.PEND in asked else submit, dry=dry_run)
        return FhirResponse(deciding.answer(body, calling().client, now))

    @routes.post("/Claim/$inquire", summary="Ask what was decided", response_class=FhirResponse)
    def inquire_claim(body: FhirBody) -> FhirResponse:
        """A PAS inquiry Bundle in; every case of the member that matches it and concerns the asker out."""
        return FhirResponse(inquire.answer(body, calling().client, services.clock()))

    @routes.get("/ClaimResponse/{resource_id}", summary="Read a decision again", response_class=FhirResponse)
    def read_claim_response(resource_id: str) -> FhirResponse:
        """The ClaimResponse as it stands now, under the URL that an answer gave it."""
        return FhirResponse(read_again("ClaimResponse", resource_id))

    # There are readers of payer-url who take it for a base.
    @routes.post("/$submit-attachment/$submit-attachment", include_in_schema=False)
    @routes.post("/$submit-attachment", summary="Send what was asked for", response_class=FhirResponse)
    def submit_attachment(body: FhirBody) -> FhirResponse:
        """Documents or a filled form, under the tracking number of the pend; the lines that wait for it are
        judged again."""
        return FhirResponse(attach.answer(body, calling().client, services.clock()))

    @routes.get(
        "/ClaimResponse",
        summary="Search decisions",
        response_class=FhirResponse,
        openapi_extra=taking(*KEYS, *FILTERS, "_count"),
    )
    def search_claim_responses(request: Request) -> FhirResponse:
        """By _id, identifier, patient.identifier or request (the Claim's URL); outcome, status and use
        narrow."""
        asked = honoured(request, "ClaimResponse", SEARCHED)
        return FhirResponse(search.answer(asked, page_of(request), services.clock()))

    @routes.get(
        "/CommunicationRequest/{resource_id}",
        summary="Read what was asked again",
        response_class=FhirResponse,
    )
    def read_communication_request(resource_id: str) -> FhirResponse:
        return FhirResponse(read_again("CommunicationRequest", resource_id))

    @routes.get(
        "/Task/{resource_id}", summary="Read which forms are asked again", response_class=FhirResponse
    )
    def read_task(resource_id: str) -> FhirResponse:
        return FhirResponse(read_again("Task", resource_id))

    def read_again(kind: str, resource_id: str) -> dict[str, Any]:
        with services.store.reading() as tx:
            found = casebook.by_resource_id(tx, resource_id)
        if found is not None:
            wanted = f"{base}/{kind}/{resource_id}"
            for entry in pas_response_bundle(spoken, found, base, services.clock())["entry"]:
                if entry["fullUrl"] == wanted:
                    return dict(entry["resource"])
            if kind != "ClaimResponse":
                here = f"ClaimResponse/{found.id}"
                raise NotFound(f"Nothing is asked under this id, or no more; {here} says how it stands.")
        raise NotFound(f"There is no {kind} with this id. Use the URL that the answer gave it.")

    return routes
