"""The request that has everything a client must be able to say: each element filled as a clinic would, in a
case that the policy approves all the same.

Two lines: the MRI, planned for a day, and the film beside it, planned for a week.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from server.fhir.dates import instant
from server.fhir.systems import CPT, ICD, PLACE_OF_SERVICE, SNOMED, TERMINOLOGY, concept
from server.inferno.pas_request import Request, care_team, diagnosis, item_extensions
from server.pas.terms import CLAIM_ENCOUNTER, LEVEL_OF_SERVICE, PAS_CODES, X12, coded, extension_url, profile
from server.policy.case_draft import EHR

Resource = dict[str, Any]

QUOTED = [
    {"url": extension_url("authorizationNumber"), "valueString": "OLD-4711"},
    {"url": extension_url("administrationReferenceNumber"), "valueString": "REF-4711"},
]
"""Numbers of an earlier request, as the clinic has them; the answer tells them again."""

NURSING_HOME = [
    coded("nursingHomeResidentialStatus", f"{X12}/1345", "2"),
    coded("nursingHomeLevelOfCare", f"{X12}/1337", "2"),
]


def full_request(request: Request) -> Resource:
    """profile-pas-request-bundle."""
    extensions = [*request.dialect.claim, *_claim_extensions(request)]
    claim = request.claim(
        mri(request),
        film(request),
        extension=extensions,
        careTeam=[care_team(1, overall=True), care_team(2, overall=False)],
        supportingInfo=[*supporting(request)],
        diagnosis=[
            {**diagnosis(1, request.study.diagnosis, "principal"), **_recorded(request.day)},
            diagnosis(2, "M25.511", "admitting"),
        ],
        accident={
            "date": (request.day - dt.timedelta(days=90)).isoformat(),
            "type": concept(f"{TERMINOLOGY}/v3-ActCode", "MVA"),
            **({"locationAddress": {"state": "IL", "country": "US"}} if request.dialect.document else {}),
        },
    )
    return request.bundle(claim, encounter(request), location(), condition())


def mri(request: Request) -> Resource:
    return request.item(
        1,
        *QUOTED,
        {"url": extension_url("epsdtIndicator"), "valueBoolean": False},
        *NURSING_HOME,
        {"url": extension_url("revenueUnitRateLimit"), "valueDecimal": 900},
        careTeamSequence=[1, 2],
        informationSequence=[1],
        revenue=concept(request.dialect.revenue, "0610"),
        unitPrice={"value": 640, "currency": "USD"},
    )


def film(request: Request) -> Resource:
    """The X-ray beside it: a line of its own, of two views, in the week of the MRI."""
    ended = [coded("productOrServiceCodeEnd", CPT, "73030")] if request.dialect.document else []
    week = request.day + dt.timedelta(days=20)
    return {
        "extension": [*item_extensions(request.member, 2, "I"), *ended],
        "sequence": 2,
        "diagnosisSequence": [1],
        "category": concept(f"{X12}/1365", "4"),
        "productOrService": concept(CPT, "73030"),
        "modifier": [concept(CPT, "RT")],
        "servicedPeriod": {"start": request.planned, "end": week.isoformat()},
        "locationCodeableConcept": concept(PLACE_OF_SERVICE, "11"),
        "quantity": {"value": 1, **request.dialect.quantity},
    }


def supporting(request: Request) -> list[Resource]:
    """One of every kind of supporting information."""
    week = (request.day + dt.timedelta(days=20)).isoformat()
    period = {"start": request.planned, "end": week}
    return [
        request.documented(),
        {"sequence": 2, "category": concept(PAS_CODES, "patientEvent"), "timingPeriod": period},
        {"sequence": 3, "category": concept(PAS_CODES, "admissionDates"), "timingPeriod": period},
        {"sequence": 4, "category": concept(PAS_CODES, "dischargeDates"), "timingDate": week},
        {
            "sequence": 5,
            "category": concept(PAS_CODES, "freeFormMessage"),
            "valueString": "Please answer before the visit in two weeks.",
        },
    ]


def encounter(request: Request) -> Resource:
    """profile-encounter: the visit that is planned for the study."""
    period = {"start": request.planned, "end": request.planned}
    return {
        "resourceType": "Encounter",
        "id": "visit",
        "meta": {
            "lastUpdated": instant(dt.datetime.combine(request.day, dt.time(9), dt.UTC)),
            "profile": [profile("encounter")],
        },
        "extension": [
            coded("patientStatus", "https://www.nubc.org/CodeSystem/PatDischargeStatus", "30"),
            NURSING_HOME[0],
        ],
        "identifier": [{"system": f"{EHR}/visit", "value": f"V-{request.member}"}],
        "status": "planned",
        "class": {"system": f"{TERMINOLOGY}/v3-ActCode", "code": "AMB"},
        "type": [concept(SNOMED, "308335008")],
        "subject": {"reference": "Patient/patient"},
        "participant": [
            {
                "type": [concept(f"{TERMINOLOGY}/v3-ParticipationType", "ATND")],
                "period": period,
                "individual": {"reference": "Practitioner/clinician"},
            }
        ],
        "period": period,
        "reasonCode": [concept(ICD, request.study.diagnosis)],
        "reasonReference": [{"reference": "Condition/problem"}],
        "hospitalization": {
            "admitSource": concept("https://www.nubc.org/CodeSystem/PointOfOrigin", "5"),
            "dischargeDisposition": concept("https://www.nubc.org/CodeSystem/PatDischargeStatus", "30"),
        },
        "location": [{"location": {"reference": "Location/imaging"}}],
        "serviceProvider": {"reference": "Organization/clinic"},
    }


def location() -> Resource:
    """profile-location."""
    return {
        "resourceType": "Location",
        "id": "imaging",
        "meta": {"profile": [profile("location")]},
        "status": "active",
        "name": "Harbour Clinic, imaging",
        "type": [concept(f"{TERMINOLOGY}/v3-RoleCode", "RADDX")],
        "address": {"line": ["2 Quay"], "city": "Springfield", "state": "IL", "postalCode": "62701"},
    }


def condition() -> Resource:
    """US Core condition; it names no encounter, since the visit names it."""
    return {
        "resourceType": "Condition",
        "id": "problem",
        "meta": {"profile": ["http://hl7.org/fhir/StructureDefinition/Condition"]},
        "clinicalStatus": concept(f"{TERMINOLOGY}/condition-clinical", "active"),
        "verificationStatus": concept(f"{TERMINOLOGY}/condition-ver-status", "confirmed"),
        "category": [concept(f"{TERMINOLOGY}/condition-category", "encounter-diagnosis")],
        "code": concept(ICD, "M75.111"),
        "subject": {"reference": "Patient/patient"},
    }


def _claim_extensions(request: Request) -> list[Resource]:
    both: list[Resource] = [
        coded("levelOfServiceCode", LEVEL_OF_SERVICE, "E"),
        {"url": CLAIM_ENCOUNTER, "valueReference": {"reference": "Encounter/visit"}},
    ]
    newer: list[Resource] = [
        {
            "url": extension_url("conditionCode"),
            "extension": [
                {"url": "category", "valueCodeableConcept": concept(f"{X12}/1136", "07")},
                {"url": "indicator", "valueBoolean": True},
                {"url": "code", "valueCodeableConcept": concept(f"{X12}/1321", "09")},
            ],
        },
        {
            "url": extension_url("homeHealthCareInformation"),
            "extension": [
                {"url": "prognosis", "valueCodeableConcept": concept(f"{X12}/923", "1")},
                {"url": "date", "valueDate": request.day.isoformat()},
            ],
        },
        *QUOTED,
    ]
    return [*both, *(newer if request.dialect.document else [])]


def _recorded(day: dt.date) -> Resource:
    return {"extension": [{"url": extension_url("diagnosisRecordedDate"), "valueDate": day.isoformat()}]}
