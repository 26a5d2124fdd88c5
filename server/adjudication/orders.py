"""The order's own facts, as far as records are found by them: service, side, days.

They follow the conventions of `server.policy.request`. Everything clinical is read by the policy itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from server.fhir.dates import first_day
from server.fhir.elements import elements
from server.fhir.errors import Issue
from server.fhir.modifiers import flagged
from server.fhir.references import among, contained, contents, local_reference, reference_text, type_and_id
from server.fhir.systems import BILLED, CPT, NPI, billed_parts, coding_key, is_billed, npis
from server.policy.line import codings, in_words, planned_day, side

MODIFIER = 2
"""Places of a billing modifier; the codes that it modifies have five."""

MOST_UNITS = 999_999

VOID = frozenset({"refuted", "ruled out", "entered-in-error", "entered in error"})
"""What a Condition's verification status says, in codes or in words, where nobody has it."""

WITHDRAWN = frozenset({"revoked", "cancelled", "entered-in-error", "noshow", "stopped"})
"""What the status of an order, of whatever type, says where nobody wants it any more."""

DO_NOT_PERFORM = "http://hl7.org/fhir/StructureDefinition/request-doNotPerform"
"""The modifier extension by which a NutritionOrder, which lacks the element, says so."""


def withdrawn(order: Mapping[str, Any]) -> bool:
    """Whether an order, or appointment, is not to be carried out."""
    forbidden = order.get("doNotPerform") is True or flagged(order, DO_NOT_PERFORM)
    return forbidden or order.get("status") in WITHDRAWN


def service_code(order: Mapping[str, Any]) -> str:
    """The billed code (CPT or HCPCS) without its modifiers; "" where the order names none."""
    coding = service_coding(order)
    return coding["code"] if coding else ""


def service_coding(order: Mapping[str, Any]) -> dict[str, str] | None:
    """The billed code with its system, as a Coding without modifiers and display."""
    for coding in codings([order.get("code")]):
        if is_billed(coding):
            return {"system": coding["system"], "code": billed_parts(coding)[0]}
    return None


def plainly_coded(order: Mapping[str, Any]) -> Mapping[str, Any]:
    """The order with every modifier behind its code and a hyphen, a coding each ("73221-RT"). HL7 writes the
    expression "73221:RT,26", CPT has modifiers as codes of their own, and clinics write small letters; what
    comes from X12 has CPT, which is a level of HCPCS, under the name of that. CPT says what is done, HCPCS
    beside it what is used, such as a contrast agent: that comes last."""
    listed = [dict(coding) for coding in codings([order.get("code")])]
    plain, base = list[dict[str, Any]](), ""
    for coding in listed:
        first, *modifiers = billed_parts(coding)
        if coding.get("system") in BILLED and len(first) == MODIFIER and base:
            first, modifiers = base, [first]
        if not is_billed({**coding, "code": first}):
            plain.append(coding)
            continue
        base = first
        coded = [f"{base}-{each}" for each in modifiers] or [base]
        system = CPT if base[0].isdigit() else coding["system"]
        plain += [{**coding, "system": system, "code": code} for code in coded]
    plain.sort(key=lambda coding: is_billed(coding) and coding_key(coding)[0] != CPT)
    return {**order, "code": {**order["code"], "coding": plain}} if plain != listed else order


def with_days(order: Mapping[str, Any]) -> Mapping[str, Any]:
    """The order with the days of its Timing as the rules read them: the day of its only event, the Period
    from the first to the last, else the Period that bounds it. PAS has orders timed by a Timing alone."""
    timing = order.get("occurrenceTiming")
    if not isinstance(timing, dict):
        return order
    repeat, events = timing.get("repeat"), timing.get("event")
    days = sorted(day for each in (events if isinstance(events, list) else []) if (day := first_day(each)))
    bounds = repeat.get("boundsPeriod") if isinstance(repeat, dict) else None
    period = {"start": days[0].isoformat(), "end": days[-1].isoformat()} if days else bounds
    if not isinstance(period, dict):
        return order
    rest = {name: content for name, content in order.items() if name != "occurrenceTiming"}
    when = {"occurrenceDateTime": period["start"]} if len(days) == 1 else {"occurrencePeriod": period}
    return {**rest, **when}


def quantity_faults(quantity: Any, place: str) -> Iterator[Issue]:
    """What is wrong with the amount that is asked for, a Quantity or None where nothing is said of it: of
    nothing, or less, none could be given, and so many no number is for."""
    amount = quantity.get("value") if isinstance(quantity, dict) else None
    if isinstance(amount, int | Decimal) and not 0 < amount <= MOST_UNITS:
        words = (
            f"A quantity is more than 0 and at most {MOST_UNITS}. Send how many are asked for, or leave it "
            "out where it is one."
        )
        yield Issue("value", f"{place}.value", words)


def with_diagnoses(order: Mapping[str, Any], resources: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The order, or visit, with the codes of the Conditions that are its reason as codes of its own, after
    those it has: which part it is about must be told where the Conditions are not at hand any more. One that
    was refuted or entered in error is no reason."""
    references = elements(order, "reasonReference")
    if not references:
        return order
    by_name = {**_by_name(resources), **contents(order)}
    meant = (by_name.get(_name(reference), {}) for reference in references)
    counting = (each for each in meant if each.get("resourceType") == "Condition" and not void(each))
    concepts = [condition["code"] for condition in counting if isinstance(condition.get("code"), dict)]
    own = order.get("reasonCode") or []
    further = [concept for concept in concepts if concept not in own]
    return {**order, "reasonCode": [*own, *further]} if further else order


def with_orderer(order: Mapping[str, Any], resources: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The order with the NPI of who ordered beside the reference, where that leads into the order itself, or
    to a role which names the person by identifier alone: neither is a Practitioner among `resources`."""
    requester = order.get("requester")
    if not isinstance(requester, dict) or "identifier" in requester:
        return order
    listed = list(resources)
    found = named(requester, order, listed)
    holder = found.get("practitioner")
    holder = holder if isinstance(holder, dict) else {}
    person = named(holder, order, listed) if holder else found
    told = [holder.get("identifier"), *elements(person, "identifier")]
    number = next(npis(told), None)
    hidden = reference_text(requester).startswith("#") or (holder and not reference_text(holder))
    if number is None or not hidden:
        return order
    return {**order, "requester": {**requester, "identifier": {"system": NPI, "value": number}}}


def named(
    reference: Mapping[str, Any], order: Mapping[str, Any], resources: Iterable[Mapping[str, Any]]
) -> Mapping[str, Any]:
    """What a reference of the order leads to, in the order itself or among `resources`; else {}."""
    text = reference_text(reference)
    if text.startswith("#"):
        return contained(dict(order), text[1:]) or {}
    return among(resources, reference)


def _by_name(resources: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The first of each type and id."""
    found: dict[str, Mapping[str, Any]] = {}
    for each in resources:
        if name := local_reference(each):
            found.setdefault(name, each)
    return found


def _name(reference: Mapping[str, Any]) -> str:
    """As `_by_name` and `contents` have what it leads to."""
    return "/".join(type_and_id(reference) or ()) or reference_text(reference)


def void(condition: Mapping[str, Any]) -> bool:
    """Whether a Condition says that the patient does not have it."""
    status = [condition.get("verificationStatus")]
    told = (*(str(each.get("code")) for each in codings(status)), *in_words(status))
    return any(each.lower() in VOID for each in told)


def order_key(member_key: str, order: Mapping[str, Any], code: str = "") -> str:
    """Member, service, side and planned day: the same order, however often it is sent. With `code` the key of
    the order that asks for that service instead."""
    planned = planned_day(order)
    return "|".join(
        (member_key, code or service_code(order), side(order) or "", planned.isoformat() if planned else "")
    )
