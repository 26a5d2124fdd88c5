"""What a call asks about, and under which Coverages.

    for focus in asked(version, call, in_context, sight):
        for reference, coverage in coverages(focus.resource, sight): …

Which resources those are depends on the hook; each becomes one order line (`focus`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from server.adjudication.order_lines import (
    appointment_line,
    by_code,
    dispatched_line,
    order_line,
    orders_of,
)
from server.adjudication.orders import service_code
from server.adjudication.patience import MOST
from server.crd.focus import Focus, asked_about, selected
from server.crd.hooks import REQUESTS
from server.crd.intake import Call
from server.crd.sight import Sight
from server.crd.version import Version
from server.fhir.elements import elements
from server.fhir.errors import Issue, PreconditionFailed
from server.fhir.references import Entry, Resolver, local_reference, reference_text, type_and_id
from server.policy.request import Chart

Resource = dict[str, Any]


def asked(version: Version, call: Call, in_context: Resolver, sight: Sight) -> list[Focus]:
    """The orders, appointments or the encounter of a call that are meant to happen. Raises InvalidRequest,
    PreconditionFailed."""
    if call.hook.focal == ("Encounter",):
        return [_of_patient(focus, call) for focus in _encounters(call, sight)]
    sent = call.hook.name != "order-dispatch"
    found = _sent(version, call, in_context, sight) if sent else _dispatched(version, call, sight)
    # What is more is refused in any case, and an appointment may name thousands of orders.
    foci = [_of_patient(focus, call) for focus in islice(found, MOST + 1)]
    if not version.repeats:
        return foci
    return [replace(focus, line=line) for focus in _told_apart(foci) for line in by_code(focus.line)]


def _of_patient(focus: Focus, call: Call) -> Focus:
    """What says for whom it is in another way than by the patient's id, or not at all, is for the call's."""
    named = type_and_id(focus.line.get("subject"))
    if named and named[0] == "Patient":
        return focus
    return replace(focus, line={**focus.line, "subject": {"reference": f"Patient/{call.patient_id}"}})


def _told_apart(foci: list[Focus]) -> Iterator[Focus]:
    """What is said of an order for one appointment need not hold for another: each answer names its own."""
    times = Counter(id(focus.resource) for focus in foci)
    yield from (focus if times[id(focus.resource)] > 1 else replace(focus, booked="") for focus in foci)


def coverages(resource: Resource, sight: Sight) -> list[tuple[str, Resource]]:
    """The Coverages to answer under, each with the reference the client knows it by: those seen, and those
    that the order alone brings along."""
    named: dict[int, tuple[str, Resource]] = {}
    for reference in elements(resource, "insurance"):
        coverage = sight.resolver.resolve(reference, resource)
        if coverage is not None and coverage.get("resourceType") == "Coverage":
            named[id(coverage)] = (reference_text(reference), coverage)
    seen = {id(coverage): (local_reference(coverage), coverage) for coverage in sight.coverages}
    found = {**seen, **{key: named[key] for key in named if key in seen or not seen}}
    return [(reference, coverage) for reference, coverage in found.values() if reference]


def chart_of(focus: Focus, sight: Sight) -> Chart:
    """The record without the order itself, and what of it could not be had."""
    own = {focus.reference, local_reference(focus.line)}
    beside = [resource for resource in sight.record if local_reference(resource) not in own]
    return Chart(resources=beside, notes=sight.notes)


def _sent(version: Version, call: Call, in_context: Resolver, sight: Sight) -> Iterator[Focus]:
    """The drafts and appointments that come in the call itself."""
    resources = asked_about(in_context.entries, call.hook.focal, call.patient_id)
    if call.hook.name == "order-select":
        resources = selected(resources, call.context["selections"], in_context)
    for resource in resources:
        if resource["resourceType"] == "Appointment":
            holder = in_context.entry_of(resource)
            place = f"{holder.path if holder else 'Appointment'}.basedOn.resolve()"
            yield from _booked(version, call, resource, place, sight)
        else:
            yield Focus(resource, _in_encounter(order_line(resource, sight.record), call))


def _booked(version: Version, call: Call, appointment: Resource, place: str, sight: Sight) -> Iterator[Focus]:
    """Every order that an appointment is for, unless it is not to be done any more. The answer stands on the
    appointment where the version wants it there and it is for one order alone (of two, one may need what the
    other does not), or where the order exists nowhere else."""
    named = orders_of(appointment)
    orders = [found for text in named if (found := _order(sight.resolver.resolve(text, appointment)))]
    on_appointment = version.on_appointment and len(named) == 1
    entries = [Entry(order, path=place) for order in _each_once(orders)]
    for order in asked_about(entries, REQUESTS, call.patient_id):
        inside = any(order is each for each in appointment.get("contained", []))
        line = appointment_line(appointment, order, sight.record)
        answered = appointment if on_appointment or inside else order
        booked = local_reference(appointment) if version.repeats and answered is order else ""
        yield Focus(answered, line, order, booked=booked)
    if not named or len(orders) < len(named):
        line = appointment_line(appointment, None)
        yield Focus(appointment, line, blank=bool(named) and not service_code(line))


def _each_once(resources: Iterable[Resource]) -> list[Resource]:
    """One that is named twice, by its id and by its address say, is one."""
    return list({id(resource): resource for resource in resources}.values())


def _order(found: Resource | None) -> Resource | None:
    return found if found is not None and found["resourceType"] in REQUESTS else None


def unread(call: Call, sight: Sight) -> tuple[str, ...]:
    """The dispatched orders that were neither sent nor can be read, as the call names them."""
    return tuple(text for text in call.dispatched if sight.resolver.resolve(text) is None)


def _dispatched(version: Version, call: Call, sight: Sight) -> Iterator[Focus]:
    """The orders, for the performer they are sent to, whomever they were written for, as their Tasks ask for
    them; without those that are not to be done any more. What cannot be read does not keep the others
    from being answered."""
    named, place = call.dispatched, f"context.{version.dispatched}"
    if named and unread(call, sight) == named:
        words = "What is dispatched is not prefetched and could not be read. Prefetch it."
        raise PreconditionFailed(Issue("not-found", place, words))
    there = (found for text in named if (found := sight.resolver.resolve(text)) is not None)
    for found in _each_once(there):
        if asked_about([Entry(found, path=place)], call.hook.focal, call.patient_id):
            tasks = (task for task in call.tasks if _is_about(task, found, sight))
            line = dispatched_line(found, tasks, sight.record)
            yield Focus(found, {**line, "performer": [{"reference": call.context["performer"]}]})


def _is_about(task: Resource, order: Resource, sight: Sight) -> bool:
    """Whether a Task asks for this order to be carried out."""
    focus = task.get("focus")
    return isinstance(focus, dict) and sight.resolver.resolve(focus) is order


def _in_encounter(line: Resource, call: Call) -> Resource:
    """An order that names no encounter is written in the one the call names."""
    encounter = call.context.get("encounterId")
    if not encounter or "encounter" in line:
        return line
    return {**line, "encounter": {"reference": f"Encounter/{str(encounter).rpartition('/')[2]}"}}


def _encounters(call: Call, sight: Sight) -> Iterator[Focus]:
    """The encounter of the call, where it can be seen; without it there is nothing to put an answer on."""
    wanted = str(call.context["encounterId"]).rpartition("/")[2]
    for resource in sight.resolver.of_type("Encounter"):
        if resource.get("id") == wanted:
            entry = Entry(resource, path="prefetch.encounter")
            for found in asked_about([entry], call.hook.focal, call.patient_id):
                yield Focus(found, order_line(found))
