"""The patients of the CRD preset: each a member of their own, with an order, a chart and a visit, valid by
the profiles of CRD 2.0.1 and US Core 3.1.1."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

from server.fhir.systems import (
    CPT,
    ICD,
    LOINC,
    NPI,
    NUCC,
    PLACE_OF_SERVICE,
    RXNORM,
    SNOMED,
    TERMINOLOGY,
    UCUM,
    concept,
)
from server.policy.case_draft import bundle

Resource = dict[str, Any]


BACK_PAIN, TORN_CUFF, CLAUSTROPHOBIA = "M54.16", "S43.421A", "F40.240"
RIGHT = "24028007"


class Patient:
    """Somebody with an order, what the EHR has on them, and who is involved."""

    def __init__(
        self, name: str, day: dt.date, order: Resource, chart: Sequence[Resource], plan: str
    ) -> None:
        self.name, self.day, self.chart = name, day, list(chart)
        self.patient = _patient(name)
        self.coverage = _coverage(name, day, plan)
        self.order = {
            "resourceType": "ServiceRequest",
            "id": f"order-{name}",
            "status": "draft",
            "intent": "order",
            **order,
            "quantityQuantity": {"value": 1},
            "subject": {"reference": f"Patient/{name}"},
            "authoredOn": day.isoformat(),
            "requester": {"reference": "Practitioner/orderer"},
            "insurance": [{"reference": f"Coverage/coverage-{name}"}],
        }

    @property
    def reference(self) -> str:
        return f"ServiceRequest/{self.order['id']}"

    @property
    def prefetch(self) -> Resource:
        """Keyed as it comes: the server reads what is there, not what it is called."""
        by_type: dict[str, list[Resource]] = {}
        for resource in self.chart:
            by_type.setdefault(resource["resourceType"], []).append(resource)
        return {
            "patient": self.patient,
            "user": _practitioner(),
            "payer": _payer(),
            "coverage": bundle("searchset", [self.coverage]),
            **{kind: bundle("searchset", found) for kind, found in by_type.items()},
        }


def back_pain(name: str, day: dt.date) -> Patient:
    """Nothing documented, a fear of narrow places on record, an insurance record that names no plan."""
    order = {"code": concept(CPT, "72148"), "locationCode": [concept(PLACE_OF_SERVICE, "11")]}
    name = f"back-{name}"
    chart = [_problem(name, CLAUSTROPHOBIA, "problem-list-item")]
    return Patient(name, day, {**order, "reasonCode": [concept(ICD, BACK_PAIN)]}, chart, plan="")


def torn_cuff(name: str, day: dt.date) -> Patient:
    """An injury under first treatment: who pays is to be asked."""
    return Patient(f"cuff-{name}", day, _shoulder(TORN_CUFF), [], plan="evicore")


def treated_shoulder(name: str, day: dt.date) -> Patient:
    """Everything that the plan asks for is documented."""
    name = f"treated-{name}"
    return Patient(name, day, _shoulder("M25.511"), list(_six_weeks(name, day)), plan="evicore")


def spared(name: str, day: dt.date) -> Patient:
    """A plan that asks for no authorization of imaging."""
    return Patient(f"spared-{name}", day, _shoulder("M25.511"), [], plan="no-imaging-pa")


def _shoulder(diagnosis: str) -> Resource:
    return {
        "code": concept(CPT, "73221", "73221-RT"),
        "bodySite": [concept(SNOMED, RIGHT)],
        "locationCode": [concept(PLACE_OF_SERVICE, "11")],
        "reasonCode": [concept(ICD, diagnosis)],
    }


# ---- resources, by their profiles of CRD 2.0.1 and US Core 3.1.1


def _patient(name: str) -> Resource:
    return {
        "resourceType": "Patient",
        "id": name,
        "identifier": [{"system": "https://ehr.example/mrn", "value": name}],
        "name": [{"family": "Example", "given": [name.partition("-")[0].title()]}],
        "gender": "female",
        "birthDate": "1974-03-02",
    }


def _practitioner() -> Resource:
    return {
        "resourceType": "Practitioner",
        "id": "orderer",
        "identifier": [{"system": NPI, "value": "1457362880"}],
        "name": [{"family": "Lee", "given": ["Kim"]}],
        "qualification": [{"code": concept(NUCC, "207Q00000X")}],
    }


def _payer() -> Resource:
    return _organization("payer", "1234567893", "Example Health")


def imaging_centre() -> Resource:
    return _organization("imaging", "1992800001", "Riverside Imaging")


def _organization(name: str, npi: str, title: str) -> Resource:
    return {
        "resourceType": "Organization",
        "id": name,
        "identifier": [{"system": NPI, "value": npi}],
        "active": True,
        "name": title,
    }


def _coverage(name: str, day: dt.date, plan: str) -> Resource:
    kind = {"type": concept(f"{TERMINOLOGY}/coverage-class", "plan"), "value": plan}
    return {
        "resourceType": "Coverage",
        "id": f"coverage-{name}",
        "status": "active",
        "subscriberId": f"M-{name}",
        "beneficiary": {"reference": f"Patient/{name}"},
        "relationship": concept(f"{TERMINOLOGY}/subscriber-relationship", "self"),
        "period": {"start": day.replace(month=1, day=1).isoformat(), "end": f"{day.year + 4}-12-31"},
        "payor": [{"reference": "Organization/payer"}],
        **({"class": [kind]} if plan else {}),
    }


def appointment(who: Patient) -> Resource:
    planned = who.day + dt.timedelta(days=10)
    start, end = (f"{planned.isoformat()}T{time}:00Z" for time in ("09:00", "09:30"))
    return {
        "resourceType": "Appointment",
        "id": f"appointment-{who.name}",
        "status": "proposed",
        "serviceType": [who.order["code"]],
        "reasonCode": who.order["reasonCode"],
        "start": start,
        "end": end,
        "participant": [
            {"actor": {"reference": f"Patient/{who.name}"}, "status": "accepted"},
            {
                "type": [concept(f"{TERMINOLOGY}/v3-ParticipationType", "PPRF")],
                "actor": {"reference": "Practitioner/orderer"},
                "status": "accepted",
            },
        ],
        "requestedPeriod": [{"start": start, "end": end}],
    }


def encounter(who: Patient) -> Resource:
    return {
        "resourceType": "Encounter",
        "id": f"visit-{who.name}",
        "identifier": [{"system": "https://ehr.example/visit", "value": who.name}],
        "status": "in-progress",
        "class": {"system": f"{TERMINOLOGY}/v3-ActCode", "code": "AMB"},
        "type": [concept(CPT, "99213")],
        "subject": {"reference": f"Patient/{who.name}"},
        "participant": [{"individual": {"reference": "Practitioner/orderer"}}],
        "period": {"start": who.day.isoformat()},
        "reasonCode": who.order["reasonCode"],
    }


def _problem(name: str, code: str, category: str) -> Resource:
    return _fact(
        name,
        "Condition",
        code,
        clinicalStatus=concept(f"{TERMINOLOGY}/condition-clinical", "active"),
        verificationStatus=concept(f"{TERMINOLOGY}/condition-ver-status", "confirmed"),
        category=[concept(f"{TERMINOLOGY}/condition-category", category)],
        code=concept(ICD, code),
    )


def _six_weeks(name: str, day: dt.date) -> Iterator[Resource]:
    """Therapy, a drug, a film, an examination, a score and a visit, as the plan asks for them, with no
    immediate indication asked after."""

    def before(days: int) -> str:
        return (day - dt.timedelta(days=days)).isoformat()

    for days in range(49, 6, -7):
        yield _fact(
            name,
            "Procedure",
            f"therapy-{days}",
            status="completed",
            code=concept(CPT, "97110"),
            performedDateTime=before(days),
        )
    yield _fact(
        name,
        "MedicationRequest",
        "drug",
        status="completed",
        intent="order",
        medicationCodeableConcept=concept(RXNORM, "5640"),
        authoredOn=before(49),
        requester={"reference": "Practitioner/orderer"},
    )
    yield _fact(
        name,
        "DiagnosticReport",
        "film",
        status="final",
        code=concept(CPT, "73030"),
        effectiveDateTime=before(45),
        conclusionCode=[concept("https://payer.example/CodeSystem/mri-answer", "normal")],
    )
    yield _fact(
        name,
        "Observation",
        "examined",
        status="final",
        category=[concept(f"{TERMINOLOGY}/observation-category", "exam")],
        code=concept("https://payer.example/CodeSystem/mri-exam-finding", "empty-can"),
        effectiveDateTime=before(5),
        valueCodeableConcept=concept(SNOMED, "10828004"),
    )
    yield _fact(
        name,
        "Observation",
        "score",
        status="final",
        code=concept("https://payer.example/CodeSystem/mri-score", "quickdash"),
        effectiveDateTime=before(5),
        valueQuantity=_score(41),
    )
    yield _fact(
        name,
        "Observation",
        "pain",
        status="final",
        code=concept(LOINC, "72514-3"),
        effectiveDateTime=before(5),
        valueQuantity=_score(6),
    )
    yield _fact(
        name,
        "Encounter",
        "seen",
        status="finished",
        **{"class": {"system": f"{TERMINOLOGY}/v3-ActCode", "code": "AMB"}},
        type=[concept(CPT, "99213")],
        period={"start": before(5), "end": before(5)},
        participant=[{"individual": {"reference": "Practitioner/orderer"}}],
    )


def _score(points: int) -> Resource:
    return {"value": points, "unit": "{score}", "system": UCUM, "code": "{score}"}


def _fact(name: str, kind: str, number: str, **elements: Any) -> Resource:
    subject = {"reference": f"Patient/{name}"}
    return {"resourceType": kind, "id": f"{name}-{number}".replace(".", "-"), "subject": subject, **elements}
