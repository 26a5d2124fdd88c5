"""What a clinic knows of Anna's shoulder, as chart resources. Day zero is 2026-11-20."""

import datetime as dt
from typing import Any

from tests.pas.builders import CPT, Resource, concept

DAY_ZERO = dt.date(2026, 11, 20)
OWN = "https://payer.example/CodeSystem"
FORM = "https://payer.example/Questionnaire/mri-shoulder"
ANNA = {"reference": "Patient/anna"}

SHORT_TRIAL = {
    "SH-IMM": "none",
    "CC-DUR.start": dt.date(2026, 10, 23),
    "CC-DUR.end": dt.date(2026, 11, 19),
    "CC-DUR.modalities": "pt",
}
"""Four weeks, attested, where the plan asks for six; nothing urgent."""


def day(before: int) -> str:
    return (DAY_ZERO - dt.timedelta(days=before)).isoformat()


def physiotherapy(before: int) -> Resource:
    return {
        "resourceType": "Procedure",
        "id": f"pt-{before}",
        "status": "completed",
        "code": concept(CPT, "97110"),
        "subject": ANNA,
        "performedDateTime": day(before),
    }


def film(before: int = 40) -> Resource:
    return {
        "resourceType": "DiagnosticReport",
        "id": "film",
        "status": "final",
        "code": concept(CPT, "73030"),
        "subject": ANNA,
        "effectiveDateTime": day(before),
        "conclusionCode": [concept(f"{OWN}/mri-answer", "normal")],
    }


def finding(name: str = "hawkins") -> Resource:
    return {
        "resourceType": "Observation",
        "id": f"exam-{name}",
        "status": "final",
        "category": [concept("http://terminology.hl7.org/CodeSystem/observation-category", "exam")],
        "code": concept(f"{OWN}/mri-exam-finding", name),
        "subject": ANNA,
        "effectiveDateTime": day(0),
        "valueCodeableConcept": concept("http://snomed.info/sct", "10828004"),
    }


def quickdash(score: int = 30) -> Resource:
    return {
        "resourceType": "Observation",
        "id": "quickdash",
        "status": "final",
        "code": concept(f"{OWN}/mri-score", "quickdash"),
        "subject": ANNA,
        "effectiveDateTime": day(0),
        "valueQuantity": {
            "value": score,
            "unit": "{score}",
            "system": "http://unitsofmeasure.org",
            "code": "{score}",
        },
    }


def visit(before: int = 0) -> Resource:
    return {
        "resourceType": "Encounter",
        "id": f"visit-{before}",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "type": [concept(CPT, "99213")],
        "subject": ANNA,
        "period": {"start": day(before), "end": day(before)},
    }


def answers(**given: Any) -> Resource:
    """A completed form. `answers(**{"CC-OUT": "no-change"})`"""
    return {
        "resourceType": "QuestionnaireResponse",
        "id": "form",
        "questionnaire": FORM,
        "status": "completed",
        "subject": ANNA,
        "authored": f"{day(0)}T09:00:00Z",
        "item": [{"linkId": name, "answer": [_answer(value)]} for name, value in given.items()],
    }


def _answer(value: Any) -> Resource:
    if isinstance(value, bool):
        return {"valueBoolean": value}
    if isinstance(value, dt.date):
        return {"valueDate": value.isoformat()}
    return {"valueCoding": {"system": f"{OWN}/mri-answer", "code": value}}


def film_and_examination() -> list[Resource]:
    return [film(), finding(), quickdash(), visit()]


def meets_every_criterion() -> list[Resource]:
    """Six weeks of physiotherapy without success, a film, an examination, a score, a visit."""
    return [
        *(physiotherapy(before) for before in range(0, 43, 7)),
        *film_and_examination(),
        answers(**{"CC-OUT": "no-change", "SH-IMM": "none"}),
    ]
