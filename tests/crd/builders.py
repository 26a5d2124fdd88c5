"""Orders, charts and hook calls as an EHR sends them. Days count back from DAY, the day of the order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import uuid4

from server.policy.case_draft import concept as concept
from server.policy.case_draft import ref

Resource = dict[str, Any]

DAY = dt.date(2026, 11, 20)
CPT = "http://www.ama-assn.org/go/cpt"
SNOMED = "http://snomed.info/sct"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
POS = "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set"
US_CORE_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
SIDES = {"RT": "24028007", "LT": "7771000", "50": "51440002"}

PATIENT: Resource = {
    "resourceType": "Patient",
    "id": "anna",
    "identifier": [{"system": "https://ehr.example/mrn", "value": "4711"}],
    "name": [{"family": "Berg", "given": ["Anna"]}],
    "gender": "female",
    "birthDate": "1974-03-02",
}
PHYSICIAN: Resource = {
    "resourceType": "Practitioner",
    "id": "dr-lee",
    "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1457362880"}],
    "name": [{"family": "Lee", "given": ["Kim"]}],
    "qualification": [
        {"code": {"coding": [{"system": "http://nucc.org/provider-taxonomy", "code": "207Q00000X"}]}}
    ],
}
PAYOR: Resource = {
    "resourceType": "Organization",
    "id": "payer",
    "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}],
    "active": True,
    "name": "Example Health Plan",
}
_ids = count(1)


def day(before: int) -> str:
    """ISO date so many days before DAY."""
    return (DAY - dt.timedelta(days=before)).isoformat()


def coverage(member: str = "", plan: str = "evicore", **changes: Any) -> Resource:
    return {
        "resourceType": "Coverage",
        "id": "cov-1",
        "status": "active",
        "subscriberId": member or f"M{next(_ids)}",
        "beneficiary": ref(PATIENT),
        "relationship": concept("http://terminology.hl7.org/CodeSystem/subscriber-relationship", "self"),
        "period": {"start": "2026-01-01", "end": "2027-12-31"},
        "payor": [ref(PAYOR)],
        "class": [
            {"type": concept("http://terminology.hl7.org/CodeSystem/coverage-class", "plan"), "value": plan}
        ],
        **changes,
    }


def mri(code: str, *diagnoses: str, side: str = "", place: str = "11", **changes: Any) -> Resource:
    """A draft MRI order, complete."""
    site = {"bodySite": [concept(SNOMED, SIDES[side])]} if side else {}
    return {
        "resourceType": "ServiceRequest",
        "id": f"sr-{next(_ids)}",
        "status": "draft",
        "intent": "order",
        "priority": "routine",
        "code": concept(CPT, code),
        "quantityQuantity": {"value": Decimal("1.0")},
        "subject": ref(PATIENT),
        "authoredOn": DAY.isoformat(),
        "requester": ref(PHYSICIAN),
        "locationCode": [concept(POS, place)],
        "reasonCode": [concept(ICD, diagnosis) for diagnosis in diagnoses],
        "insurance": [{"reference": "Coverage/cov-1"}],
        **site,
        **changes,
    }


def shoulder(**changes: Any) -> Resource:
    return mri("73221", "M25.511", **{"side": "RT", **changes})


def lumbar(*diagnoses: str, **changes: Any) -> Resource:
    return mri("72148", *(diagnoses or ("M54.16",)), **changes)


def blood_test() -> Resource:
    """An order that no policy is about."""
    order = mri("80053", id="lab")
    for name in ("priority", "quantityQuantity", "locationCode", "reasonCode", "insurance"):
        del order[name]
    return order


def procedure(cpt: str, before: int, **changes: Any) -> Resource:
    return _fact(
        "Procedure",
        **{
            "status": "completed",
            "code": concept(CPT, cpt),
            "performedDateTime": day(before),
            **changes,
        },
    )


def therapy(first: int, last: int, every: int = 7) -> list[Resource]:
    """Physical therapy visits from so many to so many days before."""
    return [procedure("97110", before) for before in range(first, last - 1, -every)]


def occupational_therapy(first: int, last: int, every: int = 7) -> list[Resource]:
    therapist = {
        "actor": {"display": "Hand clinic"},
        "function": concept("http://nucc.org/provider-taxonomy", "225X00000X"),
    }
    return [
        procedure("97530", before, code=concept(CPT, "97530", "97530-GO"), performer=[therapist])
        for before in range(first, last - 1, -every)
    ]


def nsaid(before: int, days: int = 30) -> Resource:
    return _fact(
        "MedicationRequest",
        status="completed",
        intent="order",
        medicationCodeableConcept=concept("http://www.nlm.nih.gov/research/umls/rxnorm", "5640"),
        authoredOn=day(before),
        dispenseRequest={
            "expectedSupplyDuration": {
                "value": days,
                "unit": "day",
                "system": "http://unitsofmeasure.org",
                "code": "d",
            }
        },
    )


def film(code: str, before: int, result: str = "normal") -> Resource:
    return _fact(
        "DiagnosticReport",
        status="final",
        code=concept(CPT, code),
        effectiveDateTime=day(before),
        conclusionCode=[concept("https://payer.example/CodeSystem/mri-answer", result)],
    )


def finding(code: str, before: int, positive: bool = True) -> Resource:
    return _fact(
        "Observation",
        status="final",
        category=[concept(US_CORE_CATEGORY, "exam")],
        code=concept("https://payer.example/CodeSystem/mri-exam-finding", code),
        effectiveDateTime=day(before),
        valueCodeableConcept=concept(SNOMED, "10828004" if positive else "260385009"),
    )


def score(
    code: str, value: int, before: int, system: str = "https://payer.example/CodeSystem/mri-score"
) -> Resource:
    points = {"unit": "{score}", "system": "http://unitsofmeasure.org", "code": "{score}"}
    return _fact(
        "Observation",
        status="final",
        code=concept(system, code),
        effectiveDateTime=day(before),
        valueQuantity={"value": value, **points},
    )


def pain(value: int, before: int) -> Resource:
    return score("72514-3", value, before, "http://loinc.org")


def answered(**given: Resource) -> Resource:
    """The form of the shoulder, completed on the day: an answer a question."""
    return {
        "resourceType": "QuestionnaireResponse",
        "id": "qr-1",
        "status": "completed",
        "questionnaire": "https://payer.example/Questionnaire/mri-shoulder",
        "authored": f"{DAY.isoformat()}T09:00:00Z",
        "subject": ref(PATIENT),
        "item": [{"linkId": name, "answer": [answer]} for name, answer in given.items()],
    }


NO_IMMEDIATE_INDICATION = {
    "SH-IMM": {"valueCoding": {"system": "https://payer.example/CodeSystem/mri-answer", "code": "none"}}
}


def visit(before: int) -> Resource:
    return _fact(
        "Encounter",
        status="finished",
        **{"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}},
        type=[concept(CPT, "99213")],
        period={"start": day(before), "end": day(before)},
        participant=[{"individual": ref(PHYSICIAN)}],
    )


def therapy_plan(order: Resource) -> list[Resource]:
    """An OT plan of care with a goal that names the order."""
    goal = _fact(
        "Goal",
        lifecycleStatus="active",
        description={"text": "Reach overhead without pain"},
    )
    plan = _fact(
        "CarePlan",
        status="active",
        intent="plan",
        category=[concept(SNOMED, "84478008")],
        goal=[ref(goal)],
        activity=[{"reference": ref(order)}],
    )
    return [goal, plan]


def six_weeks_of_care(order: Resource) -> list[Resource]:
    """A chart that meets every criterion for a shoulder MRI by itself."""
    return [
        *occupational_therapy(70, 14),
        nsaid(70),
        film("73030", 65),
        finding("empty-can", 5),
        score("quickdash", 41, 5),
        pain(6, 5),
        visit(5),
        *therapy_plan(order),
    ]


def _fact(kind: str, **elements: Any) -> Resource:
    whole = {"resourceType": kind, "id": f"f-{next(_ids)}", "subject": ref(PATIENT), **elements}
    return whole


def searchset(resources: Iterable[Resource]) -> Resource:
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [{"resource": resource} for resource in resources],
    }


def collection(resources: Iterable[Resource]) -> Resource:
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {
                "fullUrl": f"https://ehr.example/fhir/{resource['resourceType']}/{resource['id']}",
                "resource": resource,
            }
            for resource in resources
        ],
    }


KEYS = {
    "Condition": "conditions",
    "Observation": "observations",
    "Procedure": "procedures",
    "MedicationRequest": "medicationRequests",
    "DiagnosticReport": "diagnosticReports",
    "Encounter": "encounters",
    "CarePlan": "carePlans",
    "Goal": "goals",
}


def prefetch(chart: Iterable[Resource] = (), insurance: Resource | None = None) -> dict[str, Any]:
    """Patient, coverage, people, and the chart a key a type."""
    by_key: dict[str, list[Resource]] = {}
    for resource in chart:
        kind = resource["resourceType"]
        by_key.setdefault(KEYS.get(kind, kind), []).append(resource)
    return {
        "patient": PATIENT,
        "coverage": searchset([insurance or coverage()]),
        "practitioner": PHYSICIAN,
        "payer": PAYOR,
        **{key: searchset(resources) for key, resources in by_key.items()},
    }


def problem(code: str) -> Resource:
    """An entry of the problem list."""
    return {
        "resourceType": "Condition",
        "id": f"problem-{code}",
        "clinicalStatus": concept("http://terminology.hl7.org/CodeSystem/condition-clinical", "active"),
        "verificationStatus": concept(
            "http://terminology.hl7.org/CodeSystem/condition-ver-status", "confirmed"
        ),
        "category": [
            concept("http://terminology.hl7.org/CodeSystem/condition-category", "problem-list-item")
        ],
        "code": concept(ICD, code),
        "subject": ref(PATIENT),
    }


def sign(*orders: Resource, sent: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """An order-sign call."""
    context = {"userId": "Practitioner/dr-lee", "patientId": "anna", "draftOrders": collection(orders)}
    return call("order-sign", context, sent, **changes)


def select(
    *orders: Resource, chosen: Iterable[Resource], sent: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    """An order-select call."""
    context = {
        "userId": "Practitioner/dr-lee",
        "patientId": "anna",
        "selections": [ref(order)["reference"] for order in chosen],
        "draftOrders": collection(orders),
    }
    return call("order-select", context, sent, **changes)


def dispatch(order: Resource, sent: dict[str, Any], version: str) -> dict[str, Any]:
    """An order-dispatch call, in the shape of the version."""
    reference = ref(order)["reference"]
    named = {"2.0": {"order": reference}, "2.2": {"dispatchedOrders": [reference]}}[version]
    context = {"patientId": "anna", "performer": "Organization/imaging", **named}
    return call("order-dispatch", context, {**sent, "order": order})


def appointment(code: str = "", *orders: Resource, **changes: Any) -> Resource:
    start = f"{(DAY + dt.timedelta(days=10)).isoformat()}T09:00:00Z"
    end = f"{(DAY + dt.timedelta(days=10)).isoformat()}T09:30:00Z"
    return {
        "resourceType": "Appointment",
        "id": f"a-{next(_ids)}",
        "status": "proposed",
        **({"serviceType": [concept(CPT, code)]} if code else {}),
        "start": start,
        "end": end,
        **({"basedOn": [ref(order) for order in orders]} if orders else {}),
        "participant": [{"actor": ref(PATIENT), "status": "accepted"}],
        "requestedPeriod": [{"start": start, "end": end}],
        **changes,
    }


def book(*appointments: Resource, sent: dict[str, Any] | None = None) -> dict[str, Any]:
    context = {"userId": "Practitioner/dr-lee", "patientId": "anna", "appointments": collection(appointments)}
    return call("appointment-book", context, sent)


def encounter_call(hook: str, encounter: Resource, sent: dict[str, Any] | None = None) -> dict[str, Any]:
    context = {"userId": "Practitioner/dr-lee", "patientId": "anna", "encounterId": encounter["id"]}
    return call(hook, context, {**(prefetch() if sent is None else sent), "encounter": encounter})


def call(
    hook: str, context: dict[str, Any], sent: dict[str, Any] | None = None, **changes: Any
) -> dict[str, Any]:
    return {
        "hook": hook,
        "hookInstance": str(uuid4()),
        "context": context,
        **({} if sent is None else {"prefetch": sent}),
        **changes,
    }
