"""Cases as data: one order, the chart around it, and the outcome the policy must give.

Reads the vignette format (one file, many cases; days counted back from day zero) and makes the FHIR
resources of each case. The policy sees those resources and nothing of the case.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server.fhir import json
from server.policy.request import Authorization, Chart, Member

CPT = "http://www.ama-assn.org/go/cpt"
HCPCS = "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
NUCC = "http://nucc.org/provider-taxonomy"
POS = "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set"
OWN = "https://payer.example/CodeSystem"
ANSWER = f"{OWN}/mri-answer"
FORM = "https://payer.example/Questionnaire"
TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
SIDES = {"RT": "24028007", "LT": "7771000", "50": "51440002"}
SITES = {
    "shoulder": "16982005",
    "upper arm": "40983000",
    "elbow": "76248009",
    "forearm": "14975008",
    "wrist": "8205005",
    "hand": "85562004",
    "hip": "29836001",
    "thigh": "68367000",
    "knee": "72696002",
    "lower leg": "30021000",
    "ankle": "70258002",
    "foot": "56459004",
    "cervical": "122494005",
    "thoracic": "122495006",
    "lumbar": "122496007",
    "brain": "12738006",
}
SLUGS = {
    "SH": "shoulder",
    "EL": "elbow",
    "WH": "wrist-hand",
    "HI": "hip",
    "KN": "knee",
    "AF": "ankle-foot",
    "CS": "cervical-spine",
    "TS": "thoracic-spine",
    "LS": "lumbar-spine",
    "BR": "brain",
}
SURGEON_SITES = {"SH": "shoulder", "EL": "elbow", "WH": "wrist", "HI": "hip", "KN": "knee", "AF": "ankle"}
PHYSICIAN, GOLD_CARD, PLAIN_NPI = "207Q00000X", "1888888884", "1999999992"

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Expected:
    pa_needed: bool
    decision: str
    unmet: frozenset[str]
    unknown: frozenset[str]
    theme: str | None


@dataclass(slots=True)
class Case:
    """One case made into FHIR: `order`, `coverage`, `patient`, what the client has, what the payer has."""

    id: str
    region: str
    plan: str
    day_zero: dt.date
    expected: Expected
    why: str
    order: Resource
    coverage: Resource
    patient: Resource
    chart: list[Resource] = field(default_factory=list)
    records: list[Resource] = field(default_factory=list)
    authorizations: list[Authorization] = field(default_factory=list)

    def member(self) -> Member:
        return Member(
            key=f"case|{self.id}",
            coverage=self.coverage,
            records=self.records,
            authorizations=self.authorizations,
        )

    def whole_chart(self) -> Chart:
        return Chart([self.patient, *self.chart])


def read_cases(path: Path, day_zero: dt.date) -> list[Case]:
    """Every case of a file, on that day zero. ValueError naming the case and the fact that is not known."""
    told = json.decode_object(path.read_bytes())
    return [make_case(each, day_zero) for each in told["vignettes"]]


def make_case(told: Mapping[str, Any], day_zero: dt.date) -> Case:
    maker = _Maker(told, day_zero)
    for number, fact in enumerate(told["facts"], 1):
        made = maker.fact(number, fact)
        if made is not None:
            maker.place(fact, merged(made, fact.get("patch") or {}))
    return maker.finished()


def merged(resource: Resource, patch: Mapping[str, Any]) -> Resource:
    """JSON merge patch (RFC 7396): objects merge, null takes away, everything else replaces."""
    result = dict(resource)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def concept(system: str, *codes: str) -> Resource:
    return {"coding": [{"system": system, "code": code} for code in codes]}


class _Maker:
    def __init__(self, told: Mapping[str, Any], day_zero: dt.date) -> None:
        self.told, self.day_zero = told, day_zero
        case = told["id"].lower()
        self.subject = {"reference": f"Patient/{case}"}
        plan = told.get("plan") or told["rbm"]
        wanted = told["expected"]
        sides = [SIDES[m] for m in told["modifiers"] if m in SIDES]
        codes = [told["cpt"], *(f"{told['cpt']}-{m}" for m in told["modifiers"] if m not in SIDES)]
        self.answers: dict[str, list[Resource]] = {}
        self.case = Case(
            id=told["id"],
            region=told["region"],
            plan=plan,
            day_zero=day_zero,
            expected=Expected(
                wanted["pa_needed"],
                wanted["decision"],
                frozenset(wanted["unmet"]),
                frozenset(wanted["unknown"]),
                wanted["denial_theme"],
            ),
            why=told["why"],
            order={
                "resourceType": "ServiceRequest",
                "id": f"{case}-order",
                "status": "active",
                "intent": "order",
                "priority": "routine",
                "code": concept(CPT, *codes),
                "subject": self.subject,
                "authoredOn": day_zero.isoformat(),
                "requester": {"reference": f"PractitionerRole/{case}-role"},
                "performer": [{"reference": f"Organization/{case}-imaging"}],
                "reasonCode": [concept(ICD, code) for code in told["icd10"]],
                **({"bodySite": [concept(SNOMED, side) for side in sides]} if sides else {}),
                **(
                    {"locationCode": [concept(POS, told["place_of_service"])]}
                    if told["place_of_service"]
                    else {}
                ),
                "quantityQuantity": {"value": 1},
            },
            coverage={
                "resourceType": "Coverage",
                "id": f"{case}-coverage",
                "identifier": [
                    {
                        "type": concept(f"{TERMINOLOGY}/v2-0203", "MB"),
                        "system": "https://payer.example/member",
                        "value": f"M-{told['id']}",
                    }
                ],
                "status": "active",
                "subscriberId": f"M-{told['id']}",
                "beneficiary": self.subject,
                "relationship": concept(f"{TERMINOLOGY}/subscriber-relationship", "self"),
                "period": {"start": self.day(400)},
                "payor": [{"reference": f"Organization/{case}-payer"}],
                "class": [{"type": concept(f"{TERMINOLOGY}/coverage-class", "plan"), "value": plan}],
            },
            patient={
                "resourceType": "Patient",
                "id": case,
                "identifier": [
                    {
                        "type": concept(f"{TERMINOLOGY}/v2-0203", "MB"),
                        "system": "https://payer.example/member",
                        "value": f"M-{told['id']}",
                    }
                ],
                "name": [{"family": "Case", "given": [told["id"]]}],
                "gender": {"F": "female", "M": "male"}[told["sex"]],
                "birthDate": _years_before(day_zero, told["age"]).isoformat(),
            },
        )
        self.role: Resource = {
            "resourceType": "PractitionerRole",
            "id": f"{case}-role",
            "active": True,
            "practitioner": {"reference": f"Practitioner/{case}-clinician"},
            "organization": {"reference": f"Organization/{case}-clinic"},
            "code": [concept(NUCC, PHYSICIAN)],
        }
        self.clinician: Resource = {
            "resourceType": "Practitioner",
            "id": f"{case}-clinician",
            "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": PLAIN_NPI}],
            "name": [{"family": "Orderer"}],
        }

    def day(self, before: int | None) -> str | None:
        return None if before is None else (self.day_zero - dt.timedelta(days=before)).isoformat()

    def value(self, given: Any) -> Any:
        return self.day(int(given[2:])) if isinstance(given, str) and given.startswith("D-") else given

    def fact(self, number: int, fact: Mapping[str, Any]) -> Resource | None:
        """The resource a fact becomes; None where it changes the order, the coverage or the file."""
        kind, code, value = fact["type"], fact["code"], fact["value"]
        day = self.day(fact["date"])
        base: Resource = {"resourceType": kind, "id": f"{self.case.id.lower()}-{number}"}
        options = value if isinstance(value, dict) else {}
        about = {**base, "subject": self.subject}
        match kind, fact["system"]:
            case "Procedure", _:
                return self.procedure(about, code, day, options)
            case "MedicationRequest", _:
                return {
                    **about,
                    "status": "active" if options.get("active") else "completed",
                    "intent": "order",
                    "medicationCodeableConcept": concept(RXNORM, code),
                    **_dated("authoredOn", day),
                    **(
                        {
                            "dispenseRequest": {
                                "expectedSupplyDuration": {
                                    "value": options["supplyDays"],
                                    "unit": "d",
                                    "system": "http://unitsofmeasure.org",
                                    "code": "d",
                                }
                            }
                        }
                        if "supplyDays" in options
                        else {}
                    ),
                }
            case "DeviceRequest", _:
                return {
                    **about,
                    "status": "completed",
                    "intent": "order",
                    "codeCodeableConcept": concept(HCPCS, code),
                    **_dated("authoredOn", day),
                }
            case "DiagnosticReport", _:
                side = options.get("side")
                return {
                    **about,
                    "status": "final",
                    "code": concept(CPT, code, *([f"{code}-{side}"] if side else [])),
                    **_dated("effectiveDateTime", day),
                    "conclusionCode": [concept(ANSWER, options["result"])],
                }
            case "Observation", system:
                return self.observation(about, code, system, day, value)
            case "Condition", _:
                return {**about, **self.problem(concept(ICD, code)), **_dated("recordedDate", day)}
            case "Encounter", _:
                return {
                    **about,
                    "status": "finished",
                    "class": {"system": f"{TERMINOLOGY}/v3-ActCode", "code": "AMB"},
                    "type": [concept(CPT, code)],
                    "participant": [{"individual": {"reference": f"Practitioner/{self.clinician['id']}"}}],
                    "period": {"start": day, "end": day},
                }
            case "QuestionnaireResponse", _:
                given = value if isinstance(value, list) else [value]
                self.answers[code] = [_answer(self.value(each), code) for each in given]
                return None
            case "CarePlan", _:
                order = {"reference": f"ServiceRequest/{self.case.order['id']}"}
                return {
                    **about,
                    "status": "active",
                    "intent": "plan",
                    "category": [concept(SNOMED, "84478008")],
                    **({"goal": [{"display": "Goals of therapy"}]} if options.get("goals") else {}),
                    **({"activity": [{"reference": order}]} if options.get("referencesOrder") else {}),
                }
            case "Goal", _:
                return {
                    **about,
                    "lifecycleStatus": "active",
                    "achievementStatus": concept(f"{TERMINOLOGY}/goal-achievement", code),
                    "description": {"text": "Goal for the problem of this order"},
                    **_dated("statusDate", day),
                }
            case "Location", _:
                return {
                    **base,
                    "name": "Nearest freestanding MRI",
                    "extension": [
                        {
                            "url": "http://hl7.org/fhir/StructureDefinition/location-distance",
                            "valueDistance": {
                                "value": options["nearestFreestandingMiles"],
                                "unit": "miles",
                                "system": "http://unitsofmeasure.org",
                                "code": "[mi_us]",
                            },
                        }
                    ],
                }
            case "ServiceRequest", _:
                return self.of_order(base, code, self.value(value))
            case "Coverage", _:
                self.case.coverage["period"]["end"] = self.day(1)
                return None
            case "ClaimResponse", _:
                start = self.day_zero - dt.timedelta(days=fact["date"])
                side = next((m for m in self.told["modifiers"] if m in SIDES), None)
                held = Authorization("PA-ON-FILE", code, side, start, start + dt.timedelta(days=60))
                self.case.authorizations.append(held)
                return None
            case "Practitioner", _:
                self.clinician["identifier"][0]["value"] = GOLD_CARD
                return None
        raise ValueError(f"{self.case.id}: the format has no fact of type {kind}.")

    def procedure(self, about: Resource, code: str, day: str | None, options: Resource) -> Resource:
        modifier, side, surgery = options.get("modifier"), options.get("side"), options.get("surgery")
        by_therapist = {"performer": [{"function": concept(NUCC, "225X00000X"), "actor": {"display": "OT"}}]}
        there = {"performer": [{"actor": dict(self.case.order["performer"][0])}]}
        site = SITES[SURGEON_SITES[surgery]] if surgery in SURGEON_SITES else SIDES.get(side or "")
        return {
            **about,
            "status": "completed",
            "code": concept(CPT, code, *([f"{code}-{modifier}"] if modifier else [])),
            **_dated("performedDateTime", day),
            **(by_therapist if modifier == "GO" else {}),
            **(there if options.get("sameOrganization") else {}),
            **({"bodySite": [concept(SNOMED, site)]} if site else {}),
        }

    def observation(self, about: Resource, code: str, system: str, day: str | None, value: Any) -> Resource:
        category = "survey" if system == "score" else "exam"
        result: Resource = (
            {
                "valueCodeableConcept": concept(
                    SNOMED, {"positive": "10828004", "negative": "260385009"}[value]
                )
            }
            if isinstance(value, str)
            else {"valueInteger": value}
            if system == "exam"
            else {"valueQuantity": {"value": value, "unit": "{score}"}}
        )
        systems = {"exam": f"{OWN}/mri-exam-finding", "score": f"{OWN}/mri-score", "loinc": LOINC}
        return {
            **about,
            "status": "final",
            "category": [concept(f"{TERMINOLOGY}/observation-category", category)],
            "code": concept(systems[system], code),
            **_dated("effectiveDateTime", day),
            **result,
        }

    def problem(self, code: Resource) -> Resource:
        return {
            "clinicalStatus": concept(f"{TERMINOLOGY}/condition-clinical", "active"),
            "verificationStatus": concept(f"{TERMINOLOGY}/condition-ver-status", "confirmed"),
            "code": code,
        }

    def of_order(self, base: Resource, code: str, value: Any) -> Resource | None:
        order, first = self.case.order, concept(ICD, self.told["icd10"][0])
        condition = {**base, "resourceType": "Condition", "subject": self.subject}
        match code:
            case "bodySite":
                order.setdefault("bodySite", []).append(concept(SNOMED, SITES[value]))
            case "bodySiteSide":
                order.setdefault("bodySite", []).append(concept(SNOMED, SIDES[value]))
            case "priority":
                order["priority"] = value
            case "requester":
                self.role["code"] = [concept(NUCC, value)]
            case "note":
                order["note"] = [{"text": value}]
            case "injuryDate":
                return {**condition, **self.problem(first), "onsetDateTime": value}
            case "newOnset":
                return {**condition, **self.problem(first), "onsetDateTime": self.day(20)}
            case "newSymptoms":
                return {
                    **condition,
                    **self.problem({"text": "New or worse symptoms"}),
                    "recordedDate": self.day(7),
                }
            case "otLinked":
                therapy = {**base, "status": "active", "intent": "order", "subject": self.subject}
                order.setdefault("basedOn", []).append({"reference": f"ServiceRequest/{base['id']}"})
                return {**therapy, "category": [concept(SNOMED, "84478008")], "code": {"text": "Therapy"}}
            case "multi":
                other = "72148" if self.told["cpt"] == "72141" else "72141"
                same = {k: v for k, v in order.items() if k not in ("code", "bodySite")}
                return {**same, "id": base["id"], "code": concept(CPT, other)}
            case _:
                raise ValueError(f"{self.case.id}: the format has no element {code} of the order.")
        return None

    def place(self, fact: Mapping[str, Any], resource: Resource) -> None:
        own = fact["type"] in ("Location", "ExplanationOfBenefit")
        (self.case.records if own else self.case.chart).append(resource)

    def finished(self) -> Case:
        if self.answers:
            self.case.chart.append(
                {
                    "resourceType": "QuestionnaireResponse",
                    "id": f"{self.case.id.lower()}-answers",
                    "questionnaire": f"{FORM}/mri-{SLUGS[self.case.region]}",
                    "status": "completed",
                    "subject": self.subject,
                    "authored": self.day_zero.isoformat(),
                    "item": [{"linkId": link, "answer": given} for link, given in self.answers.items()],
                }
            )
        self.case.chart += [self.role, self.clinician]
        return self.case


def _answer(value: Any, link: str) -> Resource:
    if isinstance(value, bool):
        return {"valueBoolean": value}
    if link.endswith((".date", ".start", ".end")):
        return {"valueDate": value}
    if link.endswith(".text"):
        return {"valueString": value}
    if isinstance(value, str):
        return {"valueCoding": {"system": ANSWER, "code": value}}
    return {"valueDecimal": value}


def _dated(element: str, day: str | None) -> Resource:
    return {} if day is None else {element: day}


def _years_before(day: dt.date, years: int) -> dt.date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return day.replace(year=day.year - years, day=28)


def misses(case: Case, said: Any) -> Iterator[str]:
    """What a determination says otherwise than the case expects, in words."""
    wanted = case.expected
    pairs = (
        ("decision", wanted.decision, str(said.recommended or said.decision)),
        ("unmet", sorted(wanted.unmet), sorted(said.unmet)),
        ("unknown", sorted(wanted.unknown), sorted(said.unknown)),
        ("theme", wanted.theme, said.theme.value if said.theme else None),
        ("pa needed", wanted.pa_needed, said.pa_needed or said.gate == "G-COV"),
    )
    for name, expected, found in pairs:
        if expected != found:
            yield f"{name}: expected {expected}, found {found}"
