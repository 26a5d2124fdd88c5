"""Which resources a call asks about, and each of them as one order line.

Orders are read from the context alone; what prefetch repeats of them is the same order, perhaps an older
copy. `order_line` turns every order type into the one `ServiceRequest` that `server.policy.request`
describes; the client's own resource is what goes back, so nothing of it is lost on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from server.adjudication.orders import quantity_faults, service_code
from server.fhir import structure
from server.fhir.errors import InvalidRequest, Issue
from server.fhir.extensions import extension, value
from server.fhir.references import Entry, local_reference, reference_text

Resource = dict[str, Any]

ALTERNATE_REFERENCE = "http://hl7.org/fhir/StructureDefinition/alternate-reference"

NOT_TO_BE_DONE = frozenset({"revoked", "cancelled", "entered-in-error", "completed", "noshow", "stopped"})


@dataclass(frozen=True, slots=True)
class Focus:
    """A resource the call asks about. `resource` is the client's, `line` what is judged in its stead. `blank`
    says that it is for an order which could not be read, and names no service itself."""

    resource: Resource
    line: Resource
    blank: bool = False

    @property
    def reference(self) -> str:
        return local_reference(self.resource)


def refuse_untyped(entries: Iterable[Entry]) -> None:
    """Raises InvalidRequest where an entry of the context does not say what it is."""
    untyped = [entry for entry in entries if not isinstance(entry.resource.get("resourceType"), str)]
    if untyped:
        raise InvalidRequest(
            *(fault for entry in untyped for fault in structure.faults(entry.resource, entry.path))
        )


def asked_about(entries: Iterable[Entry], types: tuple[str, ...]) -> list[Resource]:
    """The resources of these types that are meant to happen. Raises InvalidRequest where one of them is
    no valid FHIR, or has no id by which the answer could name it."""
    found = [entry for entry in entries if entry.resource.get("resourceType") in types]
    faults = [fault for entry in found for fault in _faults(entry)]
    if faults:
        raise InvalidRequest(*faults)
    return [entry.resource for entry in found if _to_be_done(entry.resource)]


def selected(resources: Iterable[Resource], selections: list[str]) -> list[Resource]:
    """Those that order-select speaks about; a selection may be `Type/id`, an absolute reference or an id."""
    names = {tuple(text.split("/")[-2:]) for text in selections}
    return [
        resource
        for resource in resources
        if (resource["resourceType"], resource["id"]) in names or (resource["id"],) in names
    ]


def _faults(entry: Entry) -> list[Issue]:
    faults = structure.faults(entry.resource, entry.path)
    faults += quantity_faults(entry.resource.get("quantityQuantity"), f"{entry.path}.quantityQuantity")
    if not entry.resource.get("id"):
        place = f"{entry.path}.id"
        faults.append(Issue("required", place, f"{place} is missing. The answer names orders by their id."))
    return faults


def _to_be_done(resource: Resource) -> bool:
    return resource.get("status") not in NOT_TO_BE_DONE and resource.get("doNotPerform") is not True


def order_line(resource: Resource) -> Resource:
    """The order as a ServiceRequest, of an appointment the service that it names itself; a ServiceRequest is
    its own line."""
    line = _LINES.get(resource["resourceType"])
    return line(resource) if line else resource


def appointment_line(appointment: Resource, order: Resource | None) -> Resource:
    """The booked service: that of the order it was made for, on the day of the appointment, else what the
    appointment itself names."""
    line = order_line(order or appointment)
    return {**line, "occurrenceDateTime": appointment["start"]} if "start" in appointment else line


def orders_of(appointment: Resource) -> list[str]:
    """References to the orders an appointment is for; one that is no ServiceRequest stands in an extension
    (CRD 2.2.1, appointment-book)."""
    based_on = (each for each in appointment.get("basedOn", []) if isinstance(each, dict))
    named = (reference_text(each) or _alternate(each) for each in based_on)
    return [text for text in named if text]


def _alternate(reference: Resource) -> str:
    other = value(extension(reference, ALTERNATE_REFERENCE))
    return reference_text(other) if isinstance(other, dict) else ""


def _booked_itself(appointment: Resource) -> Resource:
    return {
        **_line(appointment, "Appointment", _named_service(appointment, "serviceType")),
        **_booked_for(appointment),
        **_reasons(appointment),
    }


def _booked_for(appointment: Resource) -> Resource:
    """The patient, who is one of those that take part."""
    actors = (each.get("actor", {}) for each in appointment.get("participant", []))
    patients = [actor for actor in actors if str(actor.get("reference", "")).startswith("Patient/")]
    return {"subject": patients[0]} if patients else {}


def _line(resource: Mapping[str, Any], kind: str, code: Any) -> Resource:
    """What all order types share. `category` keeps the type, for whoever asks what was ordered."""
    copied = (
        "id",
        "subject",
        "encounter",
        "authoredOn",
        "requester",
        "insurance",
        "supportingInfo",
        "basedOn",
        "contained",
    )
    return {
        "resourceType": "ServiceRequest",
        **{name: resource[name] for name in copied if name in resource},
        "status": "draft",
        "intent": "order",
        "category": [{"text": kind}],
        **({"code": code} if isinstance(code, dict) else {}),
    }


def _reasons(resource: Resource) -> Resource:
    return {name: resource[name] for name in ("reasonCode", "reasonReference") if name in resource}


def _device_request(resource: Resource) -> Resource:
    return {**_line(resource, "DeviceRequest", resource.get("codeCodeableConcept")), **_reasons(resource)}


def _medication_request(resource: Resource) -> Resource:
    return _line(resource, "MedicationRequest", resource.get("medicationCodeableConcept"))


def _nutrition_order(resource: Resource) -> Resource:
    line = _line(resource, "NutritionOrder", None)
    renamed = {"authoredOn": "dateTime", "requester": "orderer", "subject": "patient"}
    return {**line, **{name: resource[of] for name, of in renamed.items() if of in resource}}


def _vision_prescription(resource: Resource) -> Resource:
    line = _line(resource, "VisionPrescription", None)
    renamed = {"authoredOn": "dateWritten", "requester": "prescriber", "subject": "patient"}
    return {**line, **{name: resource[of] for name, of in renamed.items() if of in resource}}


def _communication_request(resource: Resource) -> Resource:
    return _line(resource, "CommunicationRequest", None)


def _encounter(resource: Resource) -> Resource:
    line = _line(resource, "Encounter", _named_service(resource, "type"))
    start = (resource.get("period") or {}).get("start")
    return {**line, **_reasons(resource), **({"authoredOn": start} if start else {})}


def _named_service(resource: Resource, element: str) -> Any:
    """Of several words for what is done, the one that bills it."""
    kinds = [kind for kind in resource.get(element, []) if isinstance(kind, dict)]
    return next((kind for kind in kinds if service_code({"code": kind})), kinds[0] if kinds else None)


_LINES: Mapping[str, Callable[[Resource], Resource]] = {
    "Appointment": _booked_itself,
    "DeviceRequest": _device_request,
    "MedicationRequest": _medication_request,
    "NutritionOrder": _nutrition_order,
    "VisionPrescription": _vision_prescription,
    "CommunicationRequest": _communication_request,
    "Encounter": _encounter,
}
