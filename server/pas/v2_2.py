"""PAS 2.2.1: what it says in its own way. See `version.Version` for what each entry decides."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from server.fhir.extensions import extension, value
from server.fhir.systems import NPI, NUCC, concept
from server.pas import v2_0
from server.pas.case import Case, Item
from server.pas.information import UNTIL_SERVICE, asked_for
from server.pas.intake import Demands
from server.pas.response import authorized_line, collection
from server.pas.terms import extension_url
from server.pas.verdict import Review, Verdict, pended
from server.pas.version import Service, Version

Resource = dict[str, Any]

TRANSMISSION = extension_url("TransmissionIdentifiers")

SUBMIT = Demands(
    claim=v2_0.SUBMIT.claim,
    item=v2_0.SUBMIT.item,
    item_extensions={
        "serviceItemRequestType": "whether services, an admission or a referral are asked for",
        "certificationType": "whether this is a first request, a change or a cancellation",
    },
    pointers=v2_0.SUBMIT.pointers,
)
INQUIRY = Demands(claim={"insurer": "the payer", "identifier": "the name of the inquiry"})


def outcome(verdicts: Sequence[Verdict]) -> str:
    """`queued` is gone; what is wholly pended is complete, as the guide's own example has it."""
    waiting = [pended(verdict) for verdict in verdicts]
    return "partial" if any(waiting) and not all(waiting) else "complete"


def response_facts(case: Case) -> list[Resource]:
    """Who reviewed, and the identifiers of the transmission turned round: the asker now receives."""
    return [
        {
            "url": extension_url("claimResponseReviewer"),
            "extension": [
                {"url": "wasHumanReviewedFlag", "valueBoolean": case.review is not None},
                *_credentials(case.review),
            ],
        },
        *_turned_round(extension(case.read.claim, TRANSMISSION) if case.request else None),
    ]


def _credentials(review: Review | None) -> list[Resource]:
    if review is None:
        return []
    npi = {"url": "reviewerNPI", "valueIdentifier": {"system": NPI, "value": review.npi}}
    specialty = {
        "url": "reviewerSpecialty",
        "valueCodeableConcept": concept(NUCC, review.specialty),
    }
    return [*([npi] if review.npi else []), *([specialty] if review.specialty else [])]


def _turned_round(sent: Resource | None) -> list[Resource]:
    turned = {
        "applicationSenderCode": "applicationReceiverCode",
        "applicationReceiverCode": "applicationSenderCode",
        "interchangeSenderID": "interchangeReceiverID",
        "interchangeReceiverID": "interchangeSenderID",
    }
    parts = [
        {"url": turned[part["url"]], "valueString": value(part)}
        for part in (sent or {}).get("extension", [])
        if part.get("url") in turned
    ]
    return [{"url": TRANSMISSION, "extension": parts}] if parts else []


def requested_detail(item: Item, service: Service) -> list[Resource]:
    """Here extension-itemAuthorizedDetail repeats what was asked; what was authorized stands in addItem."""
    quantity = item.requested.get("quantity")
    return [
        {
            "url": extension_url("itemAuthorizedDetail"),
            "extension": [
                {
                    "url": "productOrServiceCode",
                    "valueCodeableConcept": item.requested["productOrService"],
                },
                *(
                    {"url": "modifier", "valueCodeableConcept": modifier}
                    for modifier in item.requested.get("modifier") or []
                ),
                *([{"url": "quantity", "valueQuantity": quantity}] if quantity else []),
            ],
        }
    ]


def authorized_lines(item: Item, service: Service) -> list[Resource]:
    return [authorized_line(item, service)]


def error_element(element: str, note: int) -> Resource:
    return {
        "url": extension_url("errorElement"),
        "extension": [
            {"url": "processNote", "valuePositiveInt": note},
            {"url": "error", "valueString": element},
        ],
    }


def pend_number(tracking: str) -> list[Resource]:
    return [{"url": extension_url("administrationReferenceNumber"), "valueString": tracking}]


def line_on_request(sequence: int) -> tuple[list[Resource], list[Resource]]:
    return [task_line(sequence)], []


def task_line(sequence: int) -> Resource:
    return {"url": extension_url("serviceLineNumber"), "valuePositiveInt": sequence}


def task_form(tracking: Resource) -> tuple[str, Resource]:
    return "questionnaire-context", {"valueString": tracking["value"]}


NO_REQUEST = {
    "request": {
        "extension": [
            {
                "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
                "valueCode": "unknown",
            }
        ]
    }
}
"""ClaimResponse.request is 1..1."""


def one_bundle_a_case(cases: list[list[Resource]], outcomes: list[Resource], now: dt.datetime) -> Resource:
    """Parameters, one `return` a case; none where nothing was found."""
    answers = [
        {"name": "return", "resource": collection("pas-inquiry-response-bundle", entries, now)}
        for entries in cases
    ]
    return {"resourceType": "Parameters", **({"parameter": answers} if answers else {})}


VERSION = Version(
    name="2.2",
    submit_demands=SUBMIT,
    inquiry_demands=INQUIRY,
    identifier_names=False,
    outcome=outcome,
    response_facts=response_facts,
    partial={},
    authorized_detail=requested_detail,
    authorized_lines=authorized_lines,
    error_element=error_element,
    pend_number=pend_number,
    line_on_request=line_on_request,
    # The words of each criterion stand in the processNotes.
    information=asked_for,
    task_line=task_line,
    task_window=(UNTIL_SERVICE,),
    task_form=task_form,
    no_request=NO_REQUEST,
    inquiry_answer=one_bundle_a_case,
)
