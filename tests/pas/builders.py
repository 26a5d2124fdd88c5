"""PAS requests for tests, one function a noun; Anna's shoulder unless something else is said."""

import copy
from collections.abc import Callable
from typing import Any

from server.adjudication.order_lines import COVERAGE_INFORMATION
from server.fhir import json
from server.fhir.systems import CPT, IDENTIFIER_TYPE, NPI, concept
from server.pas.terms import CERTIFICATION, PAS_CODES, X12, extension_url, profile

Resource = dict[str, Any]

HOST = "https://ehr.example/fhir"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
SNOMED = "http://snomed.info/sct"
PLACE = "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set"
SHOULDER, RIGHT = "16982005", "24028007"


def anna(**changes: Any) -> Resource:
    return {
        "resourceType": "Patient",
        "id": "anna",
        "meta": {"profile": [profile("beneficiary")]},
        "identifier": [member("M-ANNA")],
        "name": [{"family": "Roth", "given": ["Anna"]}],
        "gender": "female",
        "birthDate": "1974-03-02",
        **changes,
    }


def member(number: str) -> Resource:
    """The number on a member's card."""
    return {
        "type": concept(IDENTIFIER_TYPE, "MB"),
        "system": "https://payer.example/member",
        "value": number,
    }


def payer(**changes: Any) -> Resource:
    return organization("payer", "Example Health Plan", "1234567893", "PR", "insurer", **changes)


def clinic(**changes: Any) -> Resource:
    return organization("clinic", "Harbour Orthopaedics", "1992999999", "X3", "requestor", **changes)


def organization(own_id: str, name: str, npi: str, kind: str, profile_name: str, **changes: Any) -> Resource:
    return {
        "resourceType": "Organization",
        "id": own_id,
        "meta": {"profile": [profile(profile_name)]},
        "identifier": [{"system": NPI, "value": npi}],
        "active": True,
        "type": [concept(f"{X12}/98", kind)],
        "name": name,
        **changes,
    }


def coverage(plan: str = "evicore", **changes: Any) -> Resource:
    return {
        "resourceType": "Coverage",
        "id": "card",
        "meta": {"profile": [profile("coverage")]},
        "status": "active",
        "subscriberId": "M-ANNA",
        "beneficiary": {"reference": "Patient/anna"},
        "relationship": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/subscriber-relationship", "code": "self"},
                {"system": f"{X12}/1069", "code": "18"},
            ]
        },
        "payor": [{"reference": "Organization/payer"}],
        "class": [
            {
                "type": concept("http://terminology.hl7.org/CodeSystem/coverage-class", "plan"),
                "value": plan,
            }
        ],
        **changes,
    }


def order(**changes: Any) -> Resource:
    """MRI of the right shoulder without contrast."""
    return {
        "resourceType": "ServiceRequest",
        "id": "mri",
        "meta": {"profile": [profile("servicerequest")]},
        "status": "active",
        "intent": "order",
        "code": concept(CPT, "73221"),
        "subject": {"reference": "Patient/anna"},
        "authoredOn": "2026-11-20",
        "bodySite": [concept(SNOMED, SHOULDER), concept(SNOMED, RIGHT)],
        **changes,
    }


def coverage_information(assertion_id: str) -> Resource:
    """What CRD put on the order, as far as PAS reads it."""
    return {
        "url": COVERAGE_INFORMATION,
        "extension": [
            {"url": "coverage", "valueReference": {"reference": "Coverage/card"}},
            {"url": "covered", "valueCode": "covered"},
            {"url": "date", "valueDate": "2026-11-20"},
            {"url": "coverage-assertion-id", "valueString": assertion_id},
        ],
    }


def item(sequence: int = 1, service: str = "73221", **changes: Any) -> Resource:
    return {
        "extension": [
            {
                "url": extension_url("itemTraceNumber"),
                "valueIdentifier": {"system": "https://ehr.example/trace", "value": f"T-{sequence}"},
            },
            {
                "url": extension_url("serviceItemRequestType"),
                "valueCodeableConcept": concept(f"{X12}/1525", "HS"),
            },
            {
                "url": extension_url("certificationType"),
                "valueCodeableConcept": concept(f"{X12}/1322", "I"),
            },
            {"url": extension_url("requestedService"), "valueReference": {"reference": "ServiceRequest/mri"}},
        ],
        "sequence": sequence,
        "diagnosisSequence": [1],
        "category": concept(f"{X12}/1365", "62"),
        "productOrService": concept(CPT, service),
        "modifier": [concept(CPT, "RT")],
        "servicedDate": "2026-12-01",
        "locationCodeableConcept": concept(PLACE, "11"),
        "quantity": {"value": 1, "unit": "unit"},
        **changes,
    }


def certified(code: str) -> Resource:
    return {"url": extension_url("certificationType"), "valueCodeableConcept": concept(CERTIFICATION, code)}


def diagnosis(code: str = "M75.111", sequence: int = 1) -> Resource:
    return {
        "sequence": sequence,
        "diagnosisCodeableConcept": concept(ICD, code),
        "type": [concept(PAS_CODES, "principal")],
    }


def claim(*items: Resource, **changes: Any) -> Resource:
    return {
        "resourceType": "Claim",
        "id": "pa-1",
        "meta": {"profile": [profile("claim")]},
        "identifier": [{"system": "https://ehr.example/pa", "value": "PA-1"}],
        "status": "active",
        "type": concept("http://terminology.hl7.org/CodeSystem/claim-type", "professional"),
        "use": "preauthorization",
        "patient": {"reference": "Patient/anna"},
        "created": "2026-11-25",
        "insurer": {"reference": "Organization/payer"},
        "provider": {"reference": "Organization/clinic"},
        "priority": concept("http://terminology.hl7.org/CodeSystem/processpriority", "normal"),
        "diagnosis": [diagnosis()],
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"reference": "Coverage/card"}}],
        "item": list(items) or [item()],
        **changes,
    }


def request(*chart: Resource, **replaced: Resource) -> Resource:
    """The Bundle: Claim, parties, order and whatever chart resources come along.

    `request(physiotherapy, claim=claim(priority=…), coverage=coverage("reviewed"))`
    """
    standard = {
        "claim": claim(),
        "patient": anna(),
        "insurer": payer(),
        "provider": clinic(),
        "coverage": coverage(),
        "order": order(),
    }
    return bundle(*{**standard, **replaced}.values(), *chart)


def bundle(*resources: Resource, profile_name: str = "pas-request-bundle") -> Resource:
    return {
        "resourceType": "Bundle",
        "id": "request-1",
        "meta": {"profile": [profile(profile_name)]},
        "identifier": {"system": "https://ehr.example/tx", "value": "TX-1"},
        "type": "collection",
        "timestamp": "2026-11-25T10:00:00Z",
        "entry": [{"fullUrl": f"{HOST}/{name(one)}", "resource": one} for one in resources],
    }


def billed(number: str) -> Resource:
    """On the payer's file: the service was done, on this authorization."""
    return {
        "resourceType": "ExplanationOfBenefit",
        "id": "bill",
        "use": "claim",
        "insurance": [{"focal": True, "preAuthRef": [number]}],
    }


def authorized_before(number: str) -> Resource:
    """On the payer's file: what another payer authorized."""
    return {
        "resourceType": "ClaimResponse",
        "id": "before",
        "use": "preauthorization",
        "created": "2026-10-20",
        "insurer": {"identifier": {"system": "https://payer.example/payer-id", "value": "OTHER"}},
        "preAuthRef": number,
        "addItem": [{"productOrService": concept(CPT, "73221"), "modifier": [concept(CPT, "RT")]}],
    }


def inquiry(**claim_changes: Any) -> Resource:
    """Anna's clinic asks after everything that was decided for her."""
    asked = claim(
        {"sequence": 1, "productOrService": concept(DATA_ABSENT, "not-applicable")},
        identifier=[{"system": "https://ehr.example/inquiry", "value": "Q-1"}],
        meta={"profile": [profile("claim-inquiry")]},
    )
    del asked["diagnosis"]
    return bundle(
        {**asked, **claim_changes},
        anna(),
        payer(),
        clinic(),
        coverage(),
        profile_name="pas-inquiry-request-bundle",
    )


DATA_ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"


def name(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def with_absolute_references(bundle: Resource) -> Resource:
    """The same Bundle with every reference as the URL of its entry."""
    return _renamed(bundle, lambda local: f"{HOST}/{local}")


def with_uuids(bundle: Resource) -> Resource:
    """The same Bundle with `urn:uuid:` names."""
    names = {
        name(entry["resource"]): f"urn:uuid:{number:08d}-0000-4000-8000-000000000000"
        for number, entry in enumerate(bundle["entry"], start=1)
    }
    return _renamed(bundle, lambda local: names.get(local, local))


def _renamed(bundle: Resource, rename: Callable[[str], str]) -> Resource:
    changed: Resource = _with_references(copy.deepcopy(bundle), rename)
    for entry in changed["entry"]:
        entry["fullUrl"] = rename(name(entry["resource"]))
    return changed


def _with_references(element: Any, rename: Callable[[str], str]) -> Any:
    if isinstance(element, dict):
        return {
            key: rename(content) if key == "reference" else _with_references(content, rename)
            for key, content in element.items()
        }
    return [_with_references(one, rename) for one in element] if isinstance(element, list) else element


def raw(body: Resource) -> bytes:
    return json.encode(body)
