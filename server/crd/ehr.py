"""Asking the EHR for what prefetch did not bring (CRD, "FHIR data access").

Three rounds under one deadline, every round in parallel: what the patient's record holds, then what the
orders and the first answers refer to, then who has the roles among that, and where, and which drugs were
prescribed. The record is asked for only where an order needs it, a type at a time, and only of types that
nobody fetched; where the EHR gives no search for all of a type, the round after asks for its parts.
`_include` is not relied on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import structlog

from server.adjudication.order_lines import orders_of, sites_of
from server.crd.intake import Access, Call
from server.crd.sight import CHART, Prefetch, once
from server.fhir.client import Client, Failed, Found, Outcome, Withheld
from server.fhir.elements import elements
from server.fhir.references import Resolver, type_and_id
from server.security.outbound import Outbound
from server.store.touched import note

Resource = dict[str, Any]

DEADLINE = 4.0
"""Seconds for everything that is asked of the EHR; the guide wants nine answers of ten within five."""

METADATA = "metadata"
MOST_SERVERS = 1000
"""How many EHR servers are remembered, before the memory begins anew."""

REFERRED_TO = frozenset(
    {
        "Coverage",
        "Device",
        "Encounter",
        "Location",
        "Medication",
        "Organization",
        "Practitioner",
        "PractitionerRole",
    }
)
"""Types read by reference, where an order, a Coverage, a role or a prescription names one."""

_SEEN, _FILED = ("exam", "survey", "functional-status", "vital-signs"), ("imaging", "laboratory", "procedure")

PARTS: Mapping[str, tuple[str, ...]] = {
    "CarePlan": ("category=assess-plan",),
    "MedicationRequest": ("intent=order", "intent=plan"),
    "Observation": tuple(f"category={each}" for each in (*_SEEN, *_FILED, "therapy")),
}
"""By type: the searches that US Core has servers support of what they need not give for the patient alone.
Together they are less than the whole."""


class Batches:
    """Which EHR servers take a batch, as their CapabilityStatement says. It is asked for beside the first
    call's queries, so that nobody waits for it, and again when the server starts anew."""

    def __init__(self) -> None:
        self._offered: dict[str, bool] = {}

    def __contains__(self, base: str) -> bool:
        return self._offered.get(base, False)

    def unasked(self, base: str) -> list[str]:
        """The request that tells, where it was not made yet."""
        return [] if base in self._offered else [METADATA]

    def learn(self, base: str, outcome: Outcome | None) -> None:
        """Takes note of the answer; one that failed leaves the question open."""
        if isinstance(outcome, Found | Withheld):
            if len(self._offered) >= MOST_SERVERS:
                self._offered.clear()
            stated = outcome.resources[0] if isinstance(outcome, Found) and outcome.resources else {}
            self._offered[base] = _takes_batches(stated)

    def give_up(self, base: str) -> None:
        """One of that server's batches took all the time there is: it is asked piece by piece from now on."""
        self._offered[base] = False


def _takes_batches(statement: Resource) -> bool:
    told = (each for side in elements(statement, "rest") for each in elements(side, "interaction"))
    return any(each.get("code") == "batch" for each in told)


async def completed(
    call: Call,
    context: Sequence[Resource],
    named: Sequence[str],
    prefetch: Prefetch,
    needs_record: Callable[[Iterable[Resource]], bool],
    guard: Outbound,
    batches: Batches,
) -> Prefetch:
    """The prefetch with what the EHR's server adds to it; unchanged where the call names no server.

    `named` is what `named_by_context`; `needs_record` tells from the orders whether the patient's record is
    needed for them.
    """
    if call.access is None:
        return prefetch
    end = time.monotonic() + DEADLINE
    async with guard.client(DEADLINE) as http:
        client = Client(http, call.access.base, call.access.token)
        in_one = call.access.base in batches
        ask = client.batch if in_one else client.all
        needed = needs_record([*context, *_resolved(named, prefetch)])
        queries = [
            *_patient(call, prefetch),
            *_unsent(named, prefetch),
            *(_record(call, prefetch) if needed else ()),
        ]
        beside = batches.unasked(call.access.base) if queries else []
        note("fhir-server", call.access.base)
        first = dict(await ask([*queries, *beside], DEADLINE))
        batches.learn(call.access.base, first.pop(METADATA, None))
        if in_one and first and all(outcome == Failed("deadline") for outcome in first.values()):
            batches.give_up(call.access.base)
        seen = _joined(prefetch, first)
        needed_now = not needed and needs_record(_resolved(named, seen))
        every = [*context, *call.tasks, *seen.resources]
        second = await ask(
            [
                *(_record(call, seen) if needed_now else ()),
                *_parts(first),
                *_referred_to(every, every, call.access),
            ],
            end - time.monotonic(),
        )
        seen = _joined(seen, second)
        late = [each for each in seen.resources if each.get("resourceType") in _READ_LATE]
        behind = _referred_to(late, seen.resources, call.access)
        further = [*_parts(second), *(text for text in behind if text not in second)]
        third = await ask(further, end - time.monotonic())
    _log({**first, **second, **third}, DEADLINE - (end - time.monotonic()))
    return _joined(seen, third)


def _patient(call: Call, prefetch: Prefetch) -> Iterator[str]:
    if "Patient" not in prefetch.held | prefetch.failed:
        yield f"Patient/{call.patient_id}"
    if "Coverage" not in prefetch.held | prefetch.failed:
        yield f"Coverage?patient={call.patient_id}"


def _record(call: Call, prefetch: Prefetch) -> Iterator[str]:
    """The patient's record, a search a type, without the types that were sent or tried already."""
    for kind in CHART:
        if kind not in prefetch.held | prefetch.failed:
            yield f"{kind}?patient={call.patient_id}"


def _parts(outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    """The parts of what the EHR does not give whole."""
    for text, outcome in outcomes.items():
        if outcome == Withheld(400) and "&" not in text:
            yield from (f"{text}&{part}" for part in PARTS.get(_type(text), ()))


def named_by_context(call: Call, context: Iterable[Resource]) -> Iterator[str]:
    """What the call is about and does not bring: its encounter, dispatched orders and to whom they go, the
    order that an appointment is for."""
    encounter = call.context.get("encounterId")
    references = [f"Encounter/{str(encounter).rpartition('/')[2]}"] if encounter else []
    performer = call.context.get("performer")
    references += [*call.dispatched, *([performer] if isinstance(performer, str) else [])]
    for resource in context:
        if resource.get("resourceType") == "Appointment":
            references += orders_of(resource)
    for text in references:
        found = type_and_id(text)
        if found:
            yield "/".join(found)


def _resolved(named: Iterable[str], prefetch: Prefetch) -> list[Resource]:
    resolver = Resolver.of(prefetch.resources)
    return [resource for text in named if (resource := resolver.resolve(text)) is not None]


def _unsent(named: Iterable[str], prefetch: Prefetch) -> list[str]:
    resolver = Resolver.of(prefetch.resources)
    return [text for text in named if resolver.resolve(text) is None]


def _referred_to(resources: Iterable[Resource], known: Iterable[Resource], access: Access) -> Iterator[str]:
    """What orders, Coverages, appointments, roles and prescriptions refer to, and is not among what is
    `known`."""
    resolver = Resolver.of(known)
    for resource in resources:
        for reference in _references(resource):
            found = type_and_id(reference)
            elsewhere = str(reference.get("reference", "")).startswith("http") and not str(
                reference["reference"]
            ).startswith(access.base + "/")
            if found and found[0] in REFERRED_TO and not elsewhere and resolver.resolve(reference) is None:
                yield "/".join(found)


_READ_LATE = frozenset({"MedicationDispense", "MedicationRequest", "PractitionerRole"})
"""What may be had in the second round only, and refers to more."""

DRUG = "medicationReference"

_ELEMENTS: Mapping[str, tuple[str, ...]] = {
    "ServiceRequest": ("requester", "performer", "insurance", "encounter", "locationReference"),
    "DeviceRequest": ("requester", "performer", "insurance", "encounter", "codeReference"),
    "MedicationRequest": ("requester", "insurance", "encounter", DRUG),
    "NutritionOrder": ("orderer", "encounter"),
    "VisionPrescription": ("prescriber", "encounter"),
    "CommunicationRequest": ("sender", "requester", "encounter"),
    "Task": ("location",),
    "Coverage": ("payor",),
    "MedicationDispense": (DRUG,),
    "PractitionerRole": ("practitioner", "organization", "location"),
}


def _references(resource: Resource) -> Iterator[Resource]:
    """Only drafts ask for their people: of the orders of years ago nobody needs to know who wrote them, but
    what was taken counts."""
    kind = str(resource.get("resourceType"))
    if kind == "Appointment":
        yield from sites_of(resource)
    is_old_order = kind.endswith(("Request", "Order")) and resource.get("status") not in ("draft", "active")
    for element in _ELEMENTS.get(kind, ()):
        if is_old_order and element != DRUG:
            continue
        content = resource.get(element)
        for reference in content if isinstance(content, list) else [content]:
            if isinstance(reference, dict):
                yield reference


_REFUSALS = (Withheld(401), Withheld(403))


def _joined(prefetch: Prefetch, outcomes: Mapping[str, Outcome]) -> Prefetch:
    """What was found joins what was sent. A search for all that found nothing is known to be empty; what was
    withheld stays unseen, what failed is unreadable."""
    answers = [outcome.resources for outcome in outcomes.values() if isinstance(outcome, Found)]
    found = list(once(resource for answer in answers for resource in answer))
    searched = {text: outcome for text, outcome in outcomes.items() if "?" in text}
    whole = {text: outcome for text, outcome in searched.items() if "&" not in text}
    held = {_type(text) for text, outcome in whole.items() if isinstance(outcome, Found)}
    failed = {_type(text) for text, outcome in searched.items() if isinstance(outcome, Failed)}
    refused = {_type(text) for text, outcome in searched.items() if outcome in _REFUSALS}
    return Prefetch(
        resources=(*prefetch.resources, *found),
        held=prefetch.held | held,
        failed=(prefetch.failed | failed) - held - prefetch.held,
        queried=(*prefetch.queried, *found),
        refused=prefetch.refused | refused,
        rejected=prefetch.rejected or Withheld(401) in outcomes.values(),
    )


def _type(text: str) -> str:
    return text.partition("?")[0].partition("/")[0]


def _log(outcomes: Mapping[str, Outcome], seconds: float) -> None:
    lost = {
        _type(text): outcome.why if isinstance(outcome, Failed) else str(outcome.status)
        for text, outcome in outcomes.items()
        if not isinstance(outcome, Found)
    }
    structlog.get_logger().info(
        "read from the EHR", asked=len(outcomes), lost=lost, milliseconds=round(seconds * 1000, 1)
    )
