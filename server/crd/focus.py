"""Which resources a call asks about.

Orders are read from the context alone; what prefetch repeats of them is the same order, perhaps an older
copy. Each is judged as an order line (`server.adjudication.order_lines`); the client's own resource is what
goes back, so nothing of it is lost on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from server.adjudication.orders import DO_NOT_PERFORM, quantity_faults, withdrawn
from server.fhir import structure
from server.fhir.elements import elements
from server.fhir.errors import InvalidRequest, Issue
from server.fhir.modifiers import unknown_modifiers
from server.fhir.references import Entry, Resolver, local_reference, type_and_id

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Focus:
    """A resource the call asks about. `resource` is the client's, `line` what is judged in its stead; of an
    appointment `order` is what it was made for. `blank` says that it is for an order which could not be read,
    and names no service itself; `booked` is the appointment, where several of the call are for one order."""

    resource: Resource
    line: Resource
    order: Resource | None = None
    blank: bool = False
    booked: str = ""

    @property
    def reference(self) -> str:
        return local_reference(self.resource)

    @property
    def kind(self) -> str:
        """The type of what is ordered."""
        return str((self.order or self.resource)["resourceType"])


def refuse_untyped(entries: Iterable[Entry]) -> None:
    """Raises InvalidRequest where an entry of the context does not say what it is."""
    untyped = [entry for entry in entries if not isinstance(entry.resource.get("resourceType"), str)]
    if untyped:
        raise InvalidRequest(
            *(fault for entry in untyped for fault in structure.faults(entry.resource, entry.path))
        )


def asked_about(entries: Iterable[Entry], types: tuple[str, ...], patient_id: str) -> list[Resource]:
    """The resources of these types that are meant to happen, each once. Raises InvalidRequest where one is
    no valid FHIR, has no id of its own by which the answer could name it, or is for another patient."""
    found = [entry for entry in entries if entry.resource.get("resourceType") in types]
    faults = [fault for entry in found for fault in (*_faults(entry), *_foreign(entry, patient_id))]
    if faults:
        raise InvalidRequest(*faults)
    once: dict[str, Entry] = {}
    for entry in found:
        if once.setdefault(local_reference(entry.resource), entry).resource != entry.resource:
            words = "Another one of the call has this id, by which the answer names it. Send each once."
            raise InvalidRequest(Issue("duplicate", f"{entry.path}.id", words))
    return [entry.resource for entry in once.values() if _to_be_done(entry.resource)]


def selected(resources: Iterable[Resource], selections: list[str], drafts: Resolver) -> list[Resource]:
    """Those that order-select speaks about; a selection may be `Type/id`, an absolute reference, the fullUrl
    among the drafts, or an id, each with or without a version."""
    pointed = [drafts.resolve(text) for text in selections]
    names = {tuple(text.partition("/_history/")[0].split("/")[-2:]) for text in selections}
    return [
        resource
        for resource in resources
        if (resource["resourceType"], resource["id"]) in names
        or (resource["id"],) in names
        or any(found is resource for found in pointed)
    ]


def _faults(entry: Entry) -> list[Issue]:
    faults = structure.faults(entry.resource, entry.path)
    faults += unknown_modifiers(entry.resource, entry.path, {DO_NOT_PERFORM})
    faults += quantity_faults(entry.resource.get("quantityQuantity"), f"{entry.path}.quantityQuantity")
    if not entry.resource.get("id"):
        place = f"{entry.path}.id"
        faults.append(Issue("required", place, f"{place} is missing. The answer names orders by their id."))
    return faults


def _foreign(entry: Entry, patient_id: str) -> Iterator[Issue]:
    """What is known of the call's patient says nothing of another."""
    element, named = _owners(entry.resource)
    meant = [found for each in named if isinstance(each, dict) and (found := type_and_id(each))]
    patients = {name for kind, name in meant if kind == "Patient"}
    if patients and patient_id not in patients:
        words = "This is for another patient than the call. Make a call for each patient."
        yield Issue("value", f"{entry.path}.{element}", words)


def _owners(resource: Resource) -> tuple[str, list[Any]]:
    """Whom it is for, with the element that says so; to an appointment several may come."""
    if resource["resourceType"] == "Appointment":
        return "participant", [part.get("actor") for part in elements(resource, "participant")]
    element = "subject" if "subject" in resource else "patient"
    return element, [resource.get(element)]


def _to_be_done(resource: Resource) -> bool:
    return not withdrawn(resource) and resource.get("status") != "completed"
