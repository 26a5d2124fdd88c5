"""The order's own facts, as far as records are found by them: service, side, days.

They follow the conventions of `server.policy.request`. Everything clinical is read by the policy itself.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from server.fhir.dates import first_day
from server.fhir.errors import Issue
from server.fhir.references import contained, reference_text, type_and_id
from server.fhir.systems import BILLED as BILLED
from server.fhir.systems import CPT as CPT
from server.policy.line import SIDE_BY_SITE
from server.policy.line import planned_day as planned_day

SIDE_BY_MODIFIER = {"RT": "RT", "LT": "LT", "50": "50"}


def service_code(order: Mapping[str, Any]) -> str:
    """The billed code (CPT or HCPCS) without its modifiers; "" where the order names none."""
    coding = service_coding(order)
    return coding["code"] if coding else ""


def service_coding(order: Mapping[str, Any]) -> dict[str, str] | None:
    """The billed code with its system, as a Coding without modifiers and display."""
    for coding in _codings([order.get("code")]):
        if coding.get("system") in BILLED and isinstance(coding.get("code"), str):
            return {"system": coding["system"], "code": coding["code"].partition("-")[0].strip()}
    return None


def side(order: Mapping[str, Any]) -> str | None:
    """ "RT", "LT" or "50" (both) by modifier, else by body site; None where no side is stated."""
    modifiers = {
        part
        for coding in _codings([order.get("code")])
        if coding.get("system") in BILLED
        for part in str(coding.get("code", "")).split("-")[1:]
    }
    by_modifier = {SIDE_BY_MODIFIER[part] for part in modifiers if part in SIDE_BY_MODIFIER}
    sites = order.get("bodySite")
    by_site = {
        SIDE_BY_SITE[str(coding.get("code"))]
        for coding in _codings(sites if isinstance(sites, list) else [sites])
        if str(coding.get("code")) in SIDE_BY_SITE
    }
    return _one(by_modifier) or _one(by_site)


def quantity_faults(quantity: Any, place: str) -> Iterator[Issue]:
    """What is wrong with the amount that is asked for, a Quantity or None where nothing is said of it: of
    nothing, or less, none could be given."""
    amount = quantity.get("value") if isinstance(quantity, dict) else None
    if isinstance(amount, int | Decimal) and amount <= 0:
        words = "A quantity is more than 0. Send how many are asked for, or leave it out where it is one."
        yield Issue("value", f"{place}.value", words)


def with_diagnoses(order: Mapping[str, Any], resources: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The order, or visit, with the codes of the Conditions that are its reason as codes of its own, after
    those it has: which part it is about must be told where the Conditions are not at hand any more."""
    references = [
        reference for reference in order.get("reasonReference") or [] if isinstance(reference, dict)
    ]
    if not references:
        return order
    listed = list(resources)
    meant = (_condition(reference, order, listed) for reference in references)
    concepts = [condition["code"] for condition in meant if isinstance(condition.get("code"), dict)]
    own = order.get("reasonCode") or []
    further = [concept for concept in concepts if concept not in own]
    return {**order, "reasonCode": [*own, *further]} if further else order


def _condition(
    reference: Mapping[str, Any], order: Mapping[str, Any], resources: list[Mapping[str, Any]]
) -> Mapping[str, Any]:
    text = reference_text(reference)
    if text.startswith("#"):
        return contained(dict(order), text[1:]) or {}
    named = type_and_id(reference)
    found = (each for each in resources if (each.get("resourceType"), each.get("id")) == named)
    return next(found, {}) if named and named[0] == "Condition" else {}


def day_zero(order: Mapping[str, Any], now: dt.datetime) -> dt.date:
    """The day evidence windows count from: `authoredOn`, else today."""
    return first_day(order.get("authoredOn")) or now.date()


def order_key(member_key: str, order: Mapping[str, Any], code: str = "") -> str:
    """Member, service, side and planned day: the same order, however often it is sent. With `code` the key of
    the order that asks for that service instead."""
    planned = planned_day(order)
    return "|".join(
        (member_key, code or service_code(order), side(order) or "", planned.isoformat() if planned else "")
    )


def _one(sides: set[str]) -> str | None:
    """Right and left together are both sides."""
    return ("50" if len(sides) > 1 else next(iter(sides))) if sides else None


def _codings(concepts: list[Any]) -> Iterator[Mapping[str, Any]]:
    for concept in concepts:
        codings = concept.get("coding") if isinstance(concept, dict) else None
        for coding in codings if isinstance(codings, list) else []:
            if isinstance(coding, dict):
                yield coding
