"""Each `Claim.item` as the one ServiceRequest shape that policy reads (see `server.policy.request`).

What is billed comes from the item; what only the order knows (body site, side, notes, therapy it is based on)
comes from the requested service. Where both speak, the Claim decides: it is what is being authorized.

Read of `Claim.item`: sequence, productOrService, modifier, diagnosisSequence, careTeamSequence, location[x],
serviced[x], quantity, bodySite, the requestedService extension; informationSequence tells which forms were
answered for another item (`judging`), all else of the Bundle is everybody's chart. An item that names no day
is for that of the patient event (supportingInfo), and where the order names none either, for the Claim's
billable period. Left aside, since no rule turns on them: revenue,
unitPrice, net, encounter, detail, programCode, udi.
"""

from collections.abc import Callable, Iterator
from typing import Any

from server.adjudication.order_lines import COVERAGE_INFORMATION, order_line
from server.adjudication.orders import void
from server.fhir.dates import first_day
from server.fhir.elements import elements
from server.fhir.extensions import extension, value
from server.fhir.systems import BILLED, TERMINOLOGY, concept
from server.pas.chart import LocalChart
from server.pas.marks import cancelled
from server.pas.terms import (
    CLAIM_ENCOUNTER,
    ENTITY,
    LEVEL_OF_SERVICE,
    PAS_CODES,
    PROCESS_PRIORITY,
    extension_url,
)
from server.policy.determine import URGENT
from server.policy.request import INJURY

Resource = dict[str, Any]
Find = Callable[[Any], Resource | None]

_MERGED = (
    "category",
    "note",
    "supportingInfo",
    "basedOn",
    "reasonReference",
    "locationReference",
    "performerType",
    "quantityQuantity",
    "quantityRatio",
    "quantityRange",
    "contained",
)
"""Elements of the requested service that hold as they are, the quantity where the item has none."""

URGENT_LEVELS = {(LEVEL_OF_SERVICE, "03"), (LEVEL_OF_SERVICE, "U")}
"""Emergency, urgent."""

ORDERING = {(ENTITY, "DK"), (ENTITY, "DN")}
"""Roles in a care team: ordering physician, referring provider."""

PERFORMING = {(ENTITY, code) for code in ("77", "AAJ", "FA", "QB", "SJ")}
"""Service location, admitting services, facility, purchase service provider, service provider: who carries
out what another ordered, and where."""

ASKED_ON = "https://payer.example/StructureDefinition/asked-on"
"""Extension of the order (valueDate): the day authorization was asked for, by which a request is late or not.
It is the Claim's own affair: orders are written before."""


def order_of(claim: Resource, item: Resource, chart: LocalChart, asked_on: str | None = None) -> Resource:
    """The ServiceRequest of one item; `claim`, `item` and `chart` in local form. `asked_on` is the day it was
    asked for, None where only an earlier Claim tells."""
    found = chart.find(value(extension(item, extension_url("requestedService")))) or {}
    requested = {**found, **order_line(found, chart.resources)} if found else found
    return {
        "resourceType": "ServiceRequest",
        "id": requested.get("id") or f"{claim['id']}-{item['sequence']}",
        "status": "active",
        "intent": "order",
        "subject": claim["patient"],
        **_kept(requested),
        **_occurrence(claim, item, requested),
        **_given(
            code=_code(item, requested),
            reasonCode=_reasons(claim, item, requested, chart),
            bodySite=requested.get("bodySite") or ([item["bodySite"]] if "bodySite" in item else None),
            locationCode=_location(item, requested),
            quantityQuantity=item.get("quantity"),
            authoredOn=requested.get("authoredOn") or claim["created"],
            priority=_priority(claim, item, requested),
            requester=_requester(claim, item, requested),
            performer=[_by_number(each, chart) for each in elements(requested, "performer")],
            encounter=_encounter(claim, requested, chart),
            extension=[
                *requested.get("extension", []),
                *([{"url": ASKED_ON, "valueDate": asked_on}] if asked_on else []),
            ],
        ),
    }


def assertion_id(order: Resource) -> str | None:
    """The coverage-assertion-id that CRD gave this order, as the order carries it along."""
    carried = value(extension(extension(order, COVERAGE_INFORMATION), "coverage-assertion-id"))
    return carried if isinstance(carried, str) and carried else None


def injury(claim: Resource, item: Resource, chart: LocalChart) -> Resource | None:
    """Claim.accident as the onset of the item's first diagnosis, by an injury: how a chart tells of it."""
    date = (claim.get("accident") or {}).get("date")
    diagnosis = next(diagnoses(claim, item, chart.find), None)
    if date is None or diagnosis is None:
        return None
    return {
        "resourceType": "Condition",
        "id": f"{claim['id']}-accident-{item['sequence']}",
        "clinicalStatus": concept(f"{TERMINOLOGY}/condition-clinical", "active"),
        "code": {**diagnosis, "coding": [*(diagnosis.get("coding") or []), INJURY]},
        "subject": claim["patient"],
        "onsetDateTime": date,
    }


def _kept(requested: Resource) -> Resource:
    return {name: requested[name] for name in _MERGED if name in requested}


def _given(**elements: Any) -> Resource:
    return {name: content for name, content in elements.items() if content}


def _code(item: Resource, requested: Resource) -> Resource:
    """The billed code first, then its modifiers post-coordinated, `73221-RT`. An item about no particular
    code (data absent) takes the order's."""
    for service in (item["productOrService"], requested.get("code") or {}):
        codings = [coding for coding in service.get("coding") or [] if coding.get("code")]
        billed = next((coding for coding in codings if coding.get("system") in BILLED), None)
        if billed is not None:
            return _modified(service, codings, billed, item)
    return dict(requested.get("code") or item["productOrService"])


def _modified(service: Resource, codings: list[Resource], billed: Resource, item: Resource) -> Resource:
    modifiers = [
        {"system": billed["system"], "code": f"{billed['code']}-{coding['code']}"}
        for modifier in item.get("modifier") or []
        for coding in modifier.get("coding") or []
        if coding.get("code")
    ]
    others = [coding for coding in codings if coding is not billed]
    return {**service, "coding": [billed, *modifiers, *others]}


def diagnoses(claim: Resource, item: Resource, find: Find) -> Iterator[Resource]:
    """The item's diagnoses in the order it points at them; all of the Claim's where it points at none. Of a
    line that a change left out, those that the Claim still lists. CodeableConcepts; `find` follows a
    reference to a Condition, which is none if it was refuted."""
    listed = {entry["sequence"]: entry for entry in claim.get("diagnosis") or []}
    for sequence in item.get("diagnosisSequence") or listed:
        entry = listed.get(sequence, {})
        condition = find(entry.get("diagnosisReference")) or {}
        concept = entry.get("diagnosisCodeableConcept") or (
            None if void(condition) else condition.get("code")
        )
        if concept:
            yield concept


def _reasons(claim: Resource, item: Resource, requested: Resource, chart: LocalChart) -> list[Resource]:
    """Diagnoses of the Claim, then what the order names besides."""
    reasons = list(diagnoses(claim, item, chart.find))
    named = {code for reason in reasons for code in _codes(reason)}
    reasons += [reason for reason in requested.get("reasonCode") or [] if not named & set(_codes(reason))]
    return reasons


def _codes(concept: Resource) -> list[tuple[Any, Any]]:
    return [(coding.get("system"), coding.get("code")) for coding in concept.get("coding") or []]


def _location(item: Resource, requested: Resource) -> list[Resource] | None:
    place = item.get("locationCodeableConcept")
    return [place] if place else requested.get("locationCode")


def _by_number(performer: Resource, chart: LocalChart) -> Resource:
    """A reference to who is to do it, with the number of whom it leads to: of a role that of its
    organization. By that they are known in a later version, whatever it calls them."""
    found = chart.find(performer) or {}
    behind = chart.find(found.get("organization")) or found
    number = next(iter(elements(behind, "identifier")), None)
    return {"identifier": number, **performer} if number else performer


def _encounter(claim: Resource, requested: Resource, chart: LocalChart) -> Resource | None:
    """The encounter that the order was written in, where that came along; else the Claim's."""
    own, whole = requested.get("encounter"), value(extension(claim, CLAIM_ENCOUNTER))
    return own if chart.find(own) else whole or own


def _occurrence(claim: Resource, item: Resource, requested: Resource) -> Resource:
    """The planned date of the item, else of the patient event; else the order's, in whatever form; else the
    period that the Claim is to be billed for."""
    for date, period in ((item.get("servicedDate"), item.get("servicedPeriod")), patient_event(claim)):
        if date:
            return {"occurrenceDateTime": date}
        if period:
            return {"occurrencePeriod": period}
    ordered = {name: content for name, content in requested.items() if name.startswith("occurrence")}
    return ordered or _billed(claim)


def _billed(claim: Resource) -> Resource:
    """PAS names it among what an update may revise. One that had begun when it was sent says no more than
    that the service is asked for now."""
    start, sent = first_day(billable(claim).get("start")), first_day(claim["created"])
    return {"occurrencePeriod": billable(claim)} if start and sent and sent < start else {}


def billable(claim: Resource) -> Resource:
    """The period that the Claim is to be billed for; empty where it tells none."""
    return dict(claim.get("billablePeriod") or {})


def patient_event(claim: Resource) -> tuple[Any, Any]:
    """The date, or the Period, of the event that the Claim asks for as a whole; items repeat it only where
    theirs is another (PAS, supportingInfo PatientEvent; X12 2000E-DTP)."""
    for piece in claim.get("supportingInfo") or []:
        if (PAS_CODES, "patientEvent") in _codes(piece.get("category") or {}) and not cancelled(piece):
            return piece.get("timingDate"), piece.get("timingPeriod")
    return None, None


def _priority(claim: Resource, item: Resource, requested: Resource) -> str | None:
    """A Claim marked `stat` is; else the order's own word, but that what is asked for at an urgent level
    of service, on the item or the Claim, is urgent at least."""
    if (PROCESS_PRIORITY, "stat") in _codes(claim["priority"]):
        return "stat"
    levels = (value(extension(each, extension_url("levelOfServiceCode"))) or {} for each in (item, claim))
    urgent = any(code in URGENT_LEVELS for level in levels for code in _codes(level))
    own = requested.get("priority")
    return "urgent" if urgent and own not in URGENT else own


def _requester(claim: Resource, item: Resource, requested: Resource) -> Resource:
    """Who ordered: the order says; else of the care team, on this item before on the whole Claim, who is said
    to order or refer; else the first that is not said to do it; else who asks for the authorization."""
    if requested.get("requester"):
        return dict(requested["requester"])
    team = claim.get("careTeam") or []
    pointers = item.get("careTeamSequence") or []
    of_item = [member for member in team if member["sequence"] in pointers]
    overall = [
        member for member in team if value(extension(member, extension_url("careTeamClaimScope"))) is True
    ]
    roles = [(member, set(_codes(member.get("role") or {}))) for member in (*of_item, *overall)]
    ordering = (member for member, role in roles if role & ORDERING)
    others = (member for member, role in roles if not role & PERFORMING)
    member = next(ordering, None) or next(others, None)
    return dict(member["provider"] if member else claim["provider"])
