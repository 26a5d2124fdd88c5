"""CRD 2.0.1."""

from __future__ import annotations

from collections.abc import Mapping

from server.crd.intake import CONTEXTS, IDENTIFIER, ORDER, REFERENCE, Member
from server.crd.saying import Cause, Information
from server.crd.version import Element, Version
from server.fhir.errors import InvalidRequest
from server.fhir.systems import concept

TEMP = "http://hl7.org/fhir/us/davinci-crd/CodeSystem/temp"

_DISPATCH: Mapping[str, Member] = {"patientId": IDENTIFIER, "order": ORDER, "performer": REFERENCE}

_PATIENT = {
    "patient": "Patient/{{context.patientId}}",
    "coverage": "Coverage?patient={{context.patientId}}&status=active",
}
_ENCOUNTER = {
    **_PATIENT,
    "encounter": "Encounter?_id={{context.encounterId}}&_include=Encounter:service-provider"
    "&_include=Encounter:practitioner&_include=Encounter:location",
}


def _detail(code: str, value: Element) -> Element:
    return {
        "url": "detail",
        "extension": [
            {"url": "code", "valueCodeableConcept": concept(TEMP, code)},
            {"url": "value", **value},
        ],
    }


def _contact(name: str, telephone: str) -> Element:
    return {"url": "contact", "valueContactPoint": {"system": "phone", "value": telephone}}


def _measured(requests: list[Element]) -> Element:
    """Orders and responses side by side."""
    return {
        "orderDetail": [request["orderDetail"] for request in requests],
        "response": [response for request in requests for response in request["response"]],
    }


V2_0 = Version(
    name="2.0",
    contexts={**CONTEXTS, "order-dispatch": _DISPATCH},
    dispatched="order",
    # Every token is a plain member of the context: a client of CDS Hooks 2.0 need know no other kind.
    prefetch={
        "order-sign": {**_PATIENT, "user": "{{context.userId}}"},
        "order-select": {**_PATIENT, "user": "{{context.userId}}"},
        "appointment-book": {**_PATIENT, "user": "{{context.userId}}"},
        "order-dispatch": {**_PATIENT, "order": "{{context.order}}", "performer": "{{context.performer}}"},
        "encounter-start": _ENCOUNTER,
        "encounter-discharge": _ENCOUNTER,
    },
    # Only what is no JSON is a 400; broken CDS Hooks or FHIR is a 422.
    statuses={InvalidRequest: 422},
    topics=TEMP,
    # The guide writes it in two ways ("Linking cards to requests"): a client may look for either.
    associated=lambda references: {
        "davinci-associated-resource": references,
        "davinci-crd.associated-resource": references,
    },
    unreadable="conditional",
    information={
        Information.CODE: ("OTH",),
        Information.RECORDS: ("OTH",),
        Information.ELSEWHERE: ("OTH",),
    },
    causes={Cause.GOLD_CARD: {"system": TEMP, "code": "gold-card"}},
    details=_detail,
    contact=_contact,
    expiry=False,
    service_extension={},
    on_appointment=True,
    one_coverage=False,
    # One assertion a Coverage and order is all that this version allows.
    repeats=False,
    # The profile wants to know what becomes of the answered form.
    form_inputs=(
        {
            "type": concept(TEMP, "after-completion-action", display="After-completion action"),
            "valueCodeableConcept": concept(
                TEMP, "initial-claim-include", display="Include in initial claim"
            ),
        },
    ),
    measured=_measured,
)
