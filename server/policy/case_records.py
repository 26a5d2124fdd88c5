"""Facts of the payer's own records, one function each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from server.fhir.systems import CPT, SNOMED, TERMINOLOGY, UCUM, concept
from server.policy.case_draft import SIDES, Draft, Fact, Json, Kind, ref
from server.policy.reading import DISTANCE
from server.policy.rulings import lapses


def _authorization(fact: Fact, draft: Draft) -> Json:
    given = fact.given
    side = given.get("side") or next(
        (name for name, code in SIDES.items() if concept(SNOMED, code) in draft.order.get("bodySite", [])),
        None,
    )
    number = f"OLD-{len(draft.records) + 1}"
    start = draft.day_zero - dt.timedelta(days=fact.date or 0)
    end = lapses(start)
    response: Json = {
        "resourceType": "ClaimResponse",
        "id": f"authorization-{len(draft.records) + 1}",
        "status": "active",
        "type": concept(f"{TERMINOLOGY}/claim-type", "professional"),
        "use": "preauthorization",
        "patient": ref(draft.patient),
        "created": start.isoformat(),
        "insurer": draft.coverage["payor"][0],
        "outcome": "complete",
        "preAuthRef": number,
        "preAuthPeriod": {"start": start.isoformat(), "end": end.isoformat()},
        "addItem": [
            {
                "productOrService": concept(CPT, fact.code),
                **({"modifier": [concept(CPT, side)]} if side else {}),
                "adjudication": [{"category": concept(f"{TERMINOLOGY}/adjudication", "submitted")}],
            }
        ],
    }
    draft.records.append(response)
    return response


def _location(fact: Fact, draft: Draft) -> Json:
    miles = fact.given.get("nearestFreestandingMiles")
    distance = {"value": miles, "unit": "mi", "system": UCUM, "code": "[mi_i]"}
    location: Json = {
        "resourceType": "Location",
        "id": f"location-{len(draft.records) + 1}",
        "extension": [{"url": DISTANCE, "valueDistance": distance}],
        "status": "active",
        "name": "Nearest freestanding MRI of the network",
        "mode": "instance",
    }
    draft.records.append(location)
    return location


KINDS: Mapping[tuple[str, str], Kind] = {
    ("ClaimResponse", "cpt"): _authorization,
    ("Location", "network"): _location,
}
"""By type and system, whatever the code."""
