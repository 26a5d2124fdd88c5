"""What DTRMetricData (DTR 2.0.1, 2.2.0) wants to know of a call, in the words of that model.

Kept in the exchange's summary when the call is answered; `davinci-payer report metrics` puts the calls of a
session together. Nothing of an answer or of the patient is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from server.adjudication.order_lines import COVERAGE_INFORMATION
from server.fhir.elements import elements
from server.fhir.extensions import extensions, value
from server.fhir.references import Resolver
from server.fhir.systems import npis

Resource = dict[str, Any]

COVERAGE = {
    "covered": "covered",
    "pa-needed": "paNeeded",
    "coverage-assertion-id": "assertionId",
    "satisfied-pa-id": "satisfiedId",
}
"""Parts of the coverage-information extension, and what the model calls them."""


def form_measure(canonical: str, *, adaptive: bool, populated: bool) -> Resource:
    """`populated`: the payer answered something of it beforehand."""
    return {"reference": canonical, "adaptive": adaptive, "populated": populated}


def ordered(orders: Iterable[Mapping[str, Any]]) -> list[Resource]:
    """What was ordered: codes alone, since a text may say anything."""
    return [
        {"coding": [{"system": coding.get("system", ""), "code": coding.get("code", "")}]}
        for order in orders
        if isinstance(code := order.get("code"), Mapping)
        for coding in (code.get("coding") or [])[:1]
    ]


def provider(orders: Iterable[Resource], referenced: Iterable[Resource]) -> str:
    """NPI of whoever ordered, where it was sent."""
    resolver = Resolver.of(list(referenced))
    for order in orders:
        requester = resolver.resolve(order.get("requester")) or {}
        for number in npis(elements(requester, "identifier")):
            return number
    return ""


def coverage_measure(response: Resource) -> Resource | None:
    """DTRMetricData.coverageInfo of a completed adaptive form: the newest, which stands last."""
    told = [*extensions(response, COVERAGE_INFORMATION)][-1:]
    parts = [part for each in told for part in elements(each, "extension")]
    return {COVERAGE[part["url"]]: value(part) for part in parts if part.get("url") in COVERAGE} or None
