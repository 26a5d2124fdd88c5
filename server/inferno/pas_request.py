"""Requests of a clinic to this payer, as its EHR would send them: the parties, the order, a filled form.

Every payload has a member of its own and the same clinic. What differs between guide versions is a `Dialect`.
Addresses have no port, references are relative to the entries' common base, and every resource names its
profile: the kit resolves and validates by these.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.adjudication.order_lines import COVERAGE_INFORMATION
from server.fhir.dates import instant
from server.fhir.references import entry_at
from server.fhir.systems import CPT, ICD, NUCC, PLACE_OF_SERVICE, TERMINOLOGY, concept
from server.inferno.pas_parties import clinic, clinician, coverage, patient, payer, role
from server.pas.terms import PAS_CODES, PROCESS_PRIORITY, X12, coded, extension_url, profile
from server.policy.case_draft import EHR

Resource = dict[str, Any]

FORMS = "https://payer.example/Questionnaire"
ANSWERS = "https://payer.example/CodeSystem/mri-answer"


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a request has in one guide version and not in the other.

    revenue       code system of revenue codes
    identifier    further elements of Claim.identifier
    claim         extensions of every Claim
    document      extensions of supporting information that points to a document
    payer         further identifiers of the payer
    quantity      the unit of a quantity
    person        extensions of the patient
    brings_prior  whether an update brings the Claim before along, or only names it
    """

    name: str
    revenue: str
    identifier: Resource
    claim: Sequence[Resource]
    document: Sequence[Resource]
    payer: Sequence[Resource]
    quantity: Resource
    person: Sequence[Resource]
    brings_prior: bool


@dataclass(frozen=True, slots=True)
class Study:
    """What is asked for: CPT, side or none, diagnosis, and the region's form."""

    cpt: str
    side: str
    diagnosis: str
    form: str


SHOULDER = Study("73221", "RT", "M75.111", "mri-shoulder")
LUMBAR = Study("72148", "", "M54.16", "mri-lumbar-spine")


@dataclass(frozen=True, slots=True)
class Request:
    """One request: whose, when, for what, who asks, and the answers of the form that come with it. A thorough
    one says also what validators stumble over: tax and payer numbers, under systems or types that they do not
    know without further packages, and the end of a range of services, in a place that the extension's own
    context forbids."""

    dialect: Dialect
    member: str
    day: dt.date
    study: Study
    answers: Mapping[str, Any]
    provider: str = "Organization/clinic"
    thorough: bool = False

    @property
    def planned(self) -> str:
        return (self.day + dt.timedelta(days=14)).isoformat()

    def bundle(self, claim: Resource, *besides: Resource) -> Resource:
        """profile-pas-request-bundle, the Claim first."""
        chart = [self.form] if self.answers else []
        return bundle(
            "pas-request-bundle", self.member, self.day, [claim, *self.parties, self.order, *chart, *besides]
        )

    @property
    def parties(self) -> list[Resource]:
        return [
            patient(self.member, self.dialect.person),
            coverage(self.member, self.day),
            payer(self.dialect.payer, thorough=self.thorough),
            clinic(tax_number=self.thorough),
            clinician(),
            role(),
        ]

    @property
    def order(self) -> Resource:
        """profile-servicerequest."""
        return {
            "resourceType": "ServiceRequest",
            "id": "order",
            "meta": {"profile": [profile("servicerequest")]},
            "extension": [
                _coverage_information(self.day),
                *([coded("productOrServiceCodeEnd", CPT, self.study.cpt)] if self.thorough else []),
            ],
            "status": "active",
            "intent": "order",
            "code": concept(CPT, self.study.cpt),
            "quantityQuantity": {"value": 1, **self.dialect.quantity},
            "subject": {"reference": "Patient/patient"},
            "occurrenceTiming": {"repeat": {"count": 1}},
            "authoredOn": self.day.isoformat(),
            "requester": {"reference": "Practitioner/clinician"},
        }

    @property
    def form(self) -> Resource:
        """The filled form, in the order of its answers."""
        return {
            "resourceType": "QuestionnaireResponse",
            "id": "form",
            "meta": {"profile": ["http://hl7.org/fhir/StructureDefinition/QuestionnaireResponse"]},
            "questionnaire": f"{FORMS}/{self.study.form}",
            "status": "completed",
            "subject": {"reference": "Patient/patient"},
            "authored": instant(dt.datetime.combine(self.day, dt.time(9), dt.UTC)),
            "item": [
                {"linkId": name, "answer": [_answer(content)]} for name, content in self.answers.items()
            ],
        }

    def claim(self, *items: Resource, **elements: Any) -> Resource:
        """profile-claim; elements named here are added, or take the place of its own."""
        information = [self.documented()] if self.answers else []
        return {
            "resourceType": "Claim",
            "id": "claim",
            "meta": {"profile": [profile("claim")]},
            **({"extension": list(self.dialect.claim)} if self.dialect.claim else {}),
            "identifier": [
                {"system": f"{EHR}/claim", "value": f"PA-{self.member}", **self.dialect.identifier}
            ],
            "status": "active",
            "type": concept(f"{TERMINOLOGY}/claim-type", "professional"),
            "use": "preauthorization",
            "patient": {"reference": "Patient/patient"},
            "created": self.day.isoformat(),
            "insurer": {"reference": "Organization/payer"},
            "provider": {"reference": self.provider},
            "priority": concept(PROCESS_PRIORITY, "normal"),
            "careTeam": [care_team(1, overall=True)],
            **({"supportingInfo": information} if information else {}),
            "diagnosis": [diagnosis(1, self.study.diagnosis, "principal")],
            "insurance": [{"sequence": 1, "focal": True, "coverage": {"reference": "Coverage/coverage"}}],
            "item": list(items) or [self.item(1)],
            **elements,
        }

    def item(self, sequence: int, *extensions: Resource, **elements: Any) -> Resource:
        """Claim.item, asking for the study for the first time."""
        own = item_extensions(self.member, sequence, "I")
        service = {
            "url": extension_url("requestedService"),
            "valueReference": {"reference": "ServiceRequest/order"},
        }
        return {
            "extension": [*own, service, *extensions],
            "sequence": sequence,
            "diagnosisSequence": [1],
            "category": concept(f"{X12}/1365", "62"),
            "productOrService": concept(CPT, self.study.cpt),
            **({"modifier": [concept(CPT, self.study.side)]} if self.study.side else {}),
            "servicedDate": self.planned,
            "locationCodeableConcept": concept(PLACE_OF_SERVICE, "11"),
            "quantity": {"value": 1, **self.dialect.quantity},
            **elements,
        }

    def documented(self) -> Resource:
        """Claim.supportingInfo that points to the filled form, the first of it."""
        return {
            **({"extension": list(self.dialect.document)} if self.dialect.document else {}),
            "sequence": 1,
            "category": concept(PAS_CODES, "additionalInformation"),
            "valueReference": {"reference": "QuestionnaireResponse/form"},
        }


def bundle(profile_name: str, name: str, day: dt.date, resources: Iterable[Resource]) -> Resource:
    return {
        "resourceType": "Bundle",
        "id": name.lower(),
        "meta": {"profile": [profile(profile_name)]},
        "identifier": {"system": f"{EHR}/bundle", "value": name},
        "type": "collection",
        "timestamp": instant(dt.datetime.combine(day, dt.time(10), dt.UTC)),
        "entry": [entry_at(EHR, each) for each in resources],
    }


def item_extensions(member: str, sequence: int, certification: str) -> list[Resource]:
    return [
        {
            "url": extension_url("itemTraceNumber"),
            "valueIdentifier": {"system": f"{EHR}/trace", "value": f"{member}-{sequence}"},
        },
        coded("serviceItemRequestType", f"{X12}/1525", "HS"),
        coded("certificationType", f"{X12}/1322", certification),
    ]


def diagnosis(sequence: int, code: str, kind: str) -> Resource:
    return {
        "sequence": sequence,
        "diagnosisCodeableConcept": concept(ICD, code),
        "type": [concept(PAS_CODES, kind)],
    }


def care_team(sequence: int, *, overall: bool) -> Resource:
    """Claim.careTeam, of the whole Claim or of an item."""
    return {
        "extension": [{"url": extension_url("careTeamClaimScope"), "valueBoolean": overall}],
        "sequence": sequence,
        "provider": {"reference": "PractitionerRole/role"},
        "role": concept(f"{TERMINOLOGY}/claimcareteamrole", "primary"),
        "qualification": concept(NUCC, "207X00000X"),
    }


def _coverage_information(day: dt.date) -> Resource:
    """What CRD of another day left on the order."""
    return {
        "url": COVERAGE_INFORMATION,
        "extension": [
            {"url": "coverage", "valueReference": {"reference": "Coverage/coverage"}},
            {"url": "covered", "valueCode": "covered"},
            {"url": "pa-needed", "valueCode": "auth-needed"},
            {"url": "date", "valueDate": day.isoformat()},
            {"url": "coverage-assertion-id", "valueString": "told-elsewhere"},
        ],
    }


def _answer(content: Any) -> Resource:
    if isinstance(content, bool):
        return {"valueBoolean": content}
    if isinstance(content, int):
        return {"valueDecimal": content}
    if isinstance(content, dt.date):
        return {"valueDate": content.isoformat()}
    if content.startswith("text:"):
        return {"valueString": content.removeprefix("text:").strip()}
    return {"valueCoding": {"system": ANSWERS, "code": content}}
