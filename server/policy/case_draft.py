"""A case while it is being built: its patient, coverage, order and the parties to it, as FHIR R4."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from dateutil.relativedelta import relativedelta

from server.fhir.references import entry_at, local_reference
from server.fhir.systems import (
    CPT,
    ICD,
    IDENTIFIER_TYPE,
    NPI,
    NUCC,
    PLACE_OF_SERVICE,
    SNOMED,
    TERMINOLOGY,
    concept,
)
from server.policy.request import Resource

Json = dict[str, Any]

EHR = "https://ehr.example/fhir"
PAYER = "https://payer.example"
PHYSICIAN = "207Q00000X"
SIDES = {"RT": "24028007", "LT": "7771000", "50": "51440002"}
SITES = {
    "shoulder": "16982005",
    "upper arm": "40983000",
    "elbow": "76248009",
    "elbow joint": "16953009",
    "forearm": "14975008",
    "wrist": "8205005",
    "wrist joint": "74670003",
    "hand": "85562004",
    "hip": "29836001",
    "hip joint": "24136001",
    "thigh": "68367000",
    "knee": "72696002",
    "knee joint": "49076000",
    "lower leg": "30021000",
    "ankle": "70258002",
    "ankle joint": "70258002",
    "foot": "56459004",
    "cervical": "122494005",
    "cervical spine": "122494005",
    "thoracic": "122495006",
    "thoracic spine": "122495006",
    "lumbar": "122496007",
    "lumbar spine": "122496007",
    "brain": "12738006",
}
ORDINARY_NPI = "1457362880"
ORGANIZATION_NPI = "1992800001"


class UnknownFact(ValueError):
    """A fact that the format does not know, or a value it does not allow."""


class Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fact: `date` is days before day zero, None where undated."""

    type: str
    code: str
    system: str
    date: int | None = None
    value: Any = None
    patch: dict[str, Any] | None = None

    @property
    def given(self) -> Mapping[str, Any]:
        """The value as an object; empty where there is none."""
        return self.value if isinstance(self.value, Mapping) else {}


@dataclass(slots=True)
class Draft:
    """A case while it is being built."""

    day_zero: dt.date
    region: str
    patient: Json
    coverage: Json
    order: Json
    practitioner: Json
    role: Json
    parties: list[Resource]
    clinical: list[Resource] = field(default_factory=list)
    siblings: list[Resource] = field(default_factory=list)
    records: list[Resource] = field(default_factory=list)
    forms: dict[int | None, Json] = field(default_factory=dict)
    injured: dt.date | None = None

    @classmethod
    def begin(
        cls,
        *,
        case_id: str,
        region: str,
        day_zero: dt.date,
        plan: str,
        payer: Resource,
        age: int,
        sex: str,
        cpt: str,
        modifiers: Iterable[str],
        diagnoses: Iterable[str],
        place: str | None,
    ) -> Draft:
        member = "M-" + re.sub(r"[^A-Za-z0-9]+", "-", case_id)
        born = day_zero - relativedelta(years=age)
        patient = _patient(member, born, {"F": "female", "M": "male"}.get(sex, "unknown"))
        practitioner, organization = _practitioner(), _organization()
        role = _role("role", practitioner, organization, PHYSICIAN)
        order = _order(cpt, tuple(modifiers), diagnoses, place, patient, role, day_zero)
        return cls(
            day_zero=day_zero,
            region=region,
            patient=patient,
            coverage=_coverage(member, plan, patient, payer, day_zero),
            order=order,
            practitioner=practitioner,
            role=role,
            parties=[patient, practitioner, role, organization, dict(payer)],
        )

    def day(self, before: int | None) -> str | None:
        """ISO date so many days before day zero; None for an undated fact."""
        return None if before is None else (self.day_zero - dt.timedelta(days=before)).isoformat()

    def chart(self, kind: str, dated: str | None, fact: Fact, **elements: Any) -> Json:
        """A resource of this patient, added to the chart; `dated` names the element of its date."""
        resource: Json = {
            "resourceType": kind,
            "id": f"{kind.lower()}-{len(self.clinical) + 1}",
            **elements,
            "subject": ref(self.patient),
        }
        if dated and fact.date is not None:
            resource[dated] = self.day(fact.date)
        self.clinical.append(resource)
        return resource

    def therapist(self) -> Json:
        """The occupational therapist, made once."""
        for party in self.parties:
            if party.get("id") == "therapist":
                return dict(party)
        therapist = {**_practitioner(), "id": "therapist", "name": [{"family": "Ode", "given": ["Ira"]}]}
        therapist["identifier"] = [{"system": NPI, "value": "1679576722"}]
        self.parties.append(therapist)
        return therapist


Kind = Callable[[Fact, Draft], Json]
"""What a kind of fact does to a draft; gives the resource that it made or changed."""


# Shapes of the parties


def ref(resource: Mapping[str, Any]) -> Json:
    return {"reference": local_reference(resource)}


def bundle(kind: str, resources: Iterable[Mapping[str, Any]]) -> Json:
    """As the EHR sends them."""
    return {"resourceType": "Bundle", "type": kind, "entry": [entry_at(EHR, each) for each in resources]}


def _patient(member: str, born: dt.date, gender: str) -> Json:
    return {
        "resourceType": "Patient",
        "id": "patient",
        "identifier": [
            {
                "type": concept(IDENTIFIER_TYPE, "MB"),
                "system": f"{PAYER}/member-id",
                "value": member,
            }
        ],
        "name": [{"family": "Sample", "given": ["Robin"]}],
        "gender": gender,
        "birthDate": born.isoformat(),
    }


def _practitioner() -> Json:
    return {
        "resourceType": "Practitioner",
        "id": "clinician",
        "identifier": [{"system": NPI, "value": ORDINARY_NPI}],
        "active": True,
        "name": [{"family": "Lund", "given": ["Kai"]}],
    }


def _organization() -> Json:
    return {
        "resourceType": "Organization",
        "id": "clinic",
        "identifier": [{"system": NPI, "value": ORGANIZATION_NPI}],
        "active": True,
        "type": [concept(f"{TERMINOLOGY}/organization-type", "prov")],
        "name": "Harbour Clinic",
        "telecom": [{"system": "phone", "value": "1-800-555-0101"}],
        "address": [{"line": ["2 Quay"], "city": "Springfield", "state": "IL", "postalCode": "62701"}],
    }


def _role(name: str, practitioner: Resource, organization: Resource, taxonomy: str) -> Json:
    return {
        "resourceType": "PractitionerRole",
        "id": name,
        "active": True,
        "practitioner": ref(practitioner),
        "organization": ref(organization),
        "code": [concept(NUCC, taxonomy)],
        "specialty": [concept(NUCC, taxonomy)],
        "telecom": [{"system": "phone", "value": "1-800-555-0102"}],
    }


def _coverage(member: str, plan: str, patient: Resource, payer: Resource, day_zero: dt.date) -> Json:
    return {
        "resourceType": "Coverage",
        "id": "coverage",
        "identifier": [
            {
                "type": concept(IDENTIFIER_TYPE, "MB"),
                "system": f"{PAYER}/member-id",
                "value": member,
            }
        ],
        "status": "active",
        "subscriberId": member,
        "subscriber": ref(patient),
        "beneficiary": ref(patient),
        "relationship": concept(f"{TERMINOLOGY}/subscriber-relationship", "self"),
        "period": {
            "start": (day_zero - dt.timedelta(days=365)).isoformat(),
            "end": (day_zero + dt.timedelta(days=365)).isoformat(),
        },
        "payor": [ref(payer)],
        "class": [{"type": concept(f"{TERMINOLOGY}/coverage-class", "plan"), "value": plan, "name": plan}],
    }


def _order(
    cpt: str,
    modifiers: tuple[str, ...],
    diagnoses: Iterable[str],
    place: str | None,
    patient: Resource,
    role: Resource,
    day_zero: dt.date,
) -> Json:
    """The draft order: sides as body sites, other modifiers as further codings."""
    sides = [concept(SNOMED, SIDES[modifier]) for modifier in modifiers if modifier in SIDES]
    others = [f"{cpt}-{modifier}" for modifier in modifiers if modifier not in SIDES]
    return {
        "resourceType": "ServiceRequest",
        "id": "order",
        "status": "draft",
        "intent": "order",
        "category": [concept(SNOMED, "363679005")],
        "priority": "routine",
        "code": concept(CPT, cpt, *others),
        "quantityQuantity": {"value": 1},
        "subject": ref(patient),
        "authoredOn": day_zero.isoformat(),
        "requester": ref(role),
        **({"locationCode": [concept(PLACE_OF_SERVICE, place)]} if place else {}),
        "reasonCode": [concept(ICD, code) for code in diagnoses],
        "insurance": [{"reference": "Coverage/coverage"}],
        **({"bodySite": sides} if sides else {}),
    }
