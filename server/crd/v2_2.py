"""CRD 2.2.1.

Where the guide contradicts itself: `davinci-crd.version` is declared as "2.2" alone, since the invariant on
it refuses "2.0", which the prose names; `doc-purpose` is never sent, since the invariant on it refuses the
plainest case under strict evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from server.crd.intake import CONTEXTS, IDENTIFIER, ORDERS, REFERENCE, Member, optional
from server.crd.saying import Cause, Information
from server.crd.version import Element, Version
from server.fhir.systems import concept

TEMP = "http://hl7.org/fhir/us/davinci-crd/CodeSystem/temp"
CARD_TYPE = "http://terminology.hl7.org/CodeSystem/cdshooks-card-type"
COVERAGE_DETAIL = "http://terminology.hl7.org/CodeSystem/crd-coverage-detail"

_TASKS = Member("an array of Tasks", lambda value: isinstance(value, list))

_DISPATCH: Mapping[str, Member] = {
    "patientId": IDENTIFIER,
    "dispatchedOrders": ORDERS,
    "performer": REFERENCE,
    "fulfillmentTasks": optional(_TASKS),
}


def _detail(code: str, value: Element) -> Element:
    return {
        "url": "detail",
        "extension": [
            {"url": "category", "valueCode": "cat-limitation"},
            {"url": "code", "valueCodeableConcept": concept(COVERAGE_DETAIL, code)},
            {"url": "value", **value},
        ],
    }


def _contact(name: str, telephone: str) -> Element:
    telecom = [{"system": "phone", "value": telephone}]
    return {"url": "contact", "valueContactDetail": {"name": name, "telecom": telecom}}


# ---- prefetch: the guide's own expressions, from which a server may take but not deviate

_REQUESTS = {
    "communicationRequests": "CommunicationRequest",
    "deviceRequests": "DeviceRequest",
    "medicationRequests": "MedicationRequest",
    "nutritionOrders": "NutritionOrder",
    "serviceRequests": "ServiceRequest",
    "visionPrescriptions": "VisionPrescription",
}
_PATIENT = {
    "patient": "Patient/{{context.patientId}}",
    "coverage": "Coverage?patient={{context.patientId}}&status=active",
}
_ENCOUNTER = {"encounter": "Encounter/{{context.encounterId}}"}


def _by_id(kind: str, operands: Iterable[str]) -> str:
    return f"{kind}?_id={{{{{'|'.join(operands)}}}}}"


def _of_type(kind: str, paths: Iterable[str]) -> list[str]:
    return [f"{path}.resolve().ofType({kind}).id" for path in paths]


def _any_type(paths: Iterable[str]) -> list[str]:
    return [f"{path}.resolve().id" for path in paths]


def _people(paths: list[str], visit: bool = True) -> dict[str, str]:
    """practitionerRoles and practitioners, over the same paths; as below, `visit` where the hook tells an
    encounter: where none is fetched, no operand may name it."""
    roles = [*(["%encounter.participant.individual"] if visit else []), *paths]
    return {
        "practitionerRoles": _by_id("PractitionerRole", _of_type("PractitionerRole", roles)),
        "practitioners": _by_id(
            "Practitioner",
            [
                *_any_type(["%practitionerRoles.entry.resource.practitioner"]),
                *_of_type("Practitioner", roles),
            ],
        ),
    }


def _organizations(any_type: list[str], typed: list[str], visit: bool = True) -> dict[str, str]:
    operands = [
        *_any_type(["%practitionerRoles.entry.resource.organization"]),
        *_of_type("Organization", ["%encounter.serviceProvider"] if visit else []),
        *_any_type(any_type),
        *_of_type("Organization", typed),
    ]
    return {"organizations": _by_id("Organization", operands)}


def _locations(any_type: list[str], typed: list[str], visit: bool = True) -> dict[str, str]:
    operands = [
        *_any_type(["%practitionerRoles.entry.resource.location"]),
        *_any_type(["%encounter.location.location"] if visit else []),
        *_any_type(any_type),
        *_of_type("Location", typed),
    ]
    return {"locations": _by_id("Location", operands)}


_DRAFTS = "context.draftOrders.entry.resource"
_ORDERING = {
    **_PATIENT,
    **_ENCOUNTER,
    **_people(
        [
            f"{_DRAFTS}.{name}"
            for name in ("sender", "recipient", "requester", "performer", "orderer", "prescriber")
        ]
    ),
    **_organizations(
        [f"{_DRAFTS}.dispenseRequest.performer"],
        [f"{_DRAFTS}.{name}" for name in ("sender", "recipient", "performer")],
    ),
    **_locations([f"{_DRAFTS}.locationReference"], []),
}
_DISPATCHING = {
    **_PATIENT,
    **{key: _by_id(kind, _of_type(kind, ["context.dispatchedOrders"])) for key, kind in _REQUESTS.items()},
    **_people(
        [
            *(
                f"%communicationRequests.entry.resource.{name}"
                for name in ("sender", "recipient", "requester")
            ),
            *(
                f"%{key}.entry.resource.{name}"
                for key in ("deviceRequests", "medicationRequests", "serviceRequests")
                for name in ("performer", "requester")
            ),
            "%nutritionOrders.entry.resource.orderer",
            "%visionPrescriptions.entry.resource.prescriber",
        ],
        visit=False,
    ),
    **_organizations(
        ["%medicationRequests.entry.resource.dispenseRequest.performer"],
        [
            "%communicationRequests.entry.resource.recipient",
            "%communicationRequests.entry.resource.sender",
            "%serviceRequests.entry.resource.performer",
        ],
        visit=False,
    ),
    **_locations(["%serviceRequests.entry.resource.locationReference"], [], visit=False),
}
_BASED_ON = "context.appointments.entry.resource.basedOn"
_ALTERNATE = f"{_BASED_ON}.extension('http://hl7.org/fhir/StructureDefinition/alternate-reference').value"
_BOOKING = {
    **_PATIENT,
    **_ENCOUNTER,
    "serviceRequests": _by_id("ServiceRequest", _of_type("ServiceRequest", [_BASED_ON])),
    "deviceRequests": _by_id("DeviceRequest", _of_type("DeviceRequest", [_ALTERNATE])),
    "medicationRequests": _by_id("MedicationRequest", _of_type("MedicationRequest", [_ALTERNATE])),
    **_people(
        [
            "context.appointments.entry.resource.participant.actor",
            *(
                f"%{key}.entry.resource.{name}"
                for key in ("deviceRequests", "medicationRequests", "serviceRequests")
                for name in ("performer", "requester")
            ),
        ]
    ),
    **_organizations(
        [],
        [
            "%medicationRequests.entry.resource.dispenseRequest.performer",
            "%serviceRequests.entry.resource.performer",
        ],
    ),
    **_locations(
        [],
        [
            "context.appointments.entry.resource.participant.actor",
            "%serviceRequests.entry.resource.locationReference",
        ],
    ),
}
_VISITING = {**_PATIENT, **_ENCOUNTER, **_people([]), **_organizations([], []), **_locations([], [])}

V2_2 = Version(
    name="2.2",
    contexts={**CONTEXTS, "order-dispatch": _DISPATCH},
    dispatched="dispatchedOrders",
    prefetch={
        "order-sign": _ORDERING,
        "order-select": _ORDERING,
        "order-dispatch": _DISPATCHING,
        "appointment-book": _BOOKING,
        "encounter-start": _VISITING,
        "encounter-discharge": _VISITING,
    },
    # Broken CDS Hooks or FHIR is a 400, a broken rule of the guide a 422: as the classes say themselves.
    statuses={},
    topics=CARD_TYPE,
    associated=lambda references: {
        "davinci-crd.associated-resource": [{"reference": reference} for reference in references]
    },
    unreadable="indeterminate",
    # What could not be read is said by `indeterminate` and its reason; there is nothing to ask for.
    information={
        Information.CODE: ("detail-code",),
        Information.RECORDS: (),
        Information.ELSEWHERE: ("OTH",),
    },
    causes={
        Cause.GOLD_CARD: {"system": TEMP, "code": "gold-card"},
        Cause.NO_MEMBER: {"system": TEMP, "code": "no-member-found"},
        Cause.NO_ACTIVE_COVERAGE: {"system": TEMP, "code": "no-active-coverage"},
        Cause.TECHNICAL: {"system": TEMP, "code": "technical"},
    },
    details=_detail,
    contact=_contact,
    expiry=True,
    service_extension={"davinci-crd.version": ["2.2"]},
    on_appointment=False,
    one_coverage=True,
    repeats=True,
    form_inputs=(),
    measured=lambda requests: {"request": requests},
)
