"""The order's own facts as a client answers them, and the FHIR resources the policy reads them from.

No order reaches the payer while an adaptive form is filled, so service, side, diagnoses, place, age and plan
are questions too (`ORDER.*`, `PATIENT.age`, `PLAN.id`). A question about faulty coding (COD-*) asks for the
same fact again: its answer is the newer word. The order follows the conventions of `server.policy.request`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from typing import Any

from dateutil.relativedelta import relativedelta

from server.dtr.form import Answers
from server.fhir.extensions import value
from server.fhir.systems import CPT, ICD, PLACE_OF_SERVICE, TERMINOLOGY, concept
from server.policy.catalog import PLAN_CLASS

Resource = dict[str, Any]

PATIENT = "Patient/answered"
_UNPOINTED = re.compile(r"[A-Z]\d[0-9A-Z]{2,5}")


def order_of(answers: Answers) -> Resource:
    """The ServiceRequest that the answers describe."""
    service, side = _first(answers, "ORDER.cpt"), _first(answers, "COD-LAT") or _first(answers, "ORDER.side")
    codings = [{"system": CPT, "code": service}] if service else []
    if service and side:
        codings.append({"system": CPT, "code": f"{service}-{side}"})
    sites = [value(answer) for answer in answers.get("COD-CPT", [])]
    place = _first(answers, "ORDER.pos")
    return {
        "resourceType": "ServiceRequest",
        "id": "answered",
        "status": "draft",
        "intent": "order",
        "code": {"coding": codings},
        "subject": {"reference": PATIENT},
        **({"bodySite": [{"coding": sites}]} if sites else {}),
        **({"reasonCode": reasons} if (reasons := list(_reasons(answers))) else {}),
        **({"locationCode": [concept(PLACE_OF_SERVICE, place)]} if place else {}),
    }


def patient_of(answers: Answers, today: dt.date, reference: str = PATIENT) -> Resource:
    """A Patient of the age given, so old since today; without an age where none is given."""
    age = _first(answers, "PATIENT.age")
    years = min(max(int(age), 0), today.year - dt.MINYEAR) if age is not None else None
    born = today - relativedelta(years=years) if years is not None else None
    return {
        "resourceType": "Patient",
        "id": reference.rpartition("/")[2],
        **({"birthDate": born.isoformat()} if born else {}),
    }


def coverage_of(plan: str) -> Resource:
    """An active Coverage of a plan."""
    kind = concept(f"{TERMINOLOGY}/coverage-class", PLAN_CLASS)
    return {
        "resourceType": "Coverage",
        "id": "answered",
        "status": "active",
        "beneficiary": {"reference": PATIENT},
        "class": [{"type": kind, "value": plan}],
    }


def plan_of(answers: Answers, default: str) -> str:
    return str(_first(answers, "PLAN.id") or default)


def _reasons(answers: Answers) -> Iterator[Mapping[str, Any]]:
    """Diagnoses, corrected ones first."""
    for link_id in ("COD-SPEC", "COD-ICD", "ORDER.dx"):
        for answer in answers.get(link_id, []):
            given = value(answer)
            code = given.get("code") if isinstance(given, Mapping) else given
            yield concept(ICD, _as_coded(str(code)))


def _as_coded(typed: str) -> str:
    """An ICD-10-CM code as it is published: capitals, a point after the third place. Claims write none."""
    code = "".join(typed.upper().split())
    return f"{code[:3]}.{code[3:]}" if _UNPOINTED.fullmatch(code) else code


def _first(answers: Answers, link_id: str) -> Any:
    """The first answer as a plain value: a coding as its code."""
    for answer in answers.get(link_id, []):
        given = value(answer)
        return given.get("code") if isinstance(given, Mapping) else given
    return None
