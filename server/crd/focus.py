"""Which resources a call asks about, and each of them as one order line.

Orders are read from the context alone; what prefetch repeats of them is the same order, perhaps an older
copy. `order_line` turns every order type into the one `ServiceRequest` that `server.policy.request`
describes; the client's own resource is what goes back, so nothing of it is lost on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from server.fhir import structure
from server.fhir.errors import InvalidRequest, Issue
from server.fhir.references import Entry, local_reference

Resource = dict[str, Any]

NOT_TO_BE_DONE = frozenset({"revoked", "cancelled", "entered-in-error", "completed", "noshow", "stopped"})


@dataclass(frozen=True, slots=True)
class Focus:
    """A resource the call asks about. `resource` is the client's, `line` what is judged in its stead."""

    resource: Resource
    line: Resource

    @property
    def reference(self) -> str:
        return local_reference(self.resource)


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
    if not entry.resource.get("id"):
        place = f"{entry.path}.id"
        faults.append(Issue("required", place, f"{place} is missing. The answer names orders by their id."))
    return faults


def _to_be_done(resource: Resource) -> bool:
    return resource.get("status") not in NOT_TO_BE_DONE and resource.get("doNotPerform") is not True


def order_line(resource: Resource) -> Resource:
    """The order as a ServiceRequest; a ServiceRequest is its own line."""
    line = _LINES.get(resource["resourceType"])
    return line(resource) if line else resource


def appointment_line(appointment: Resource, order: Resource | None) -> Resource:
    """The booked service: that of the order it was made for, on the day of the appointment, else what the
    appointment itself names."""
    line = order or {
        **_line(appointment, "Appointment", _appointment_service(appointment)),
        **_booked_for(appointment),
        "reasonCode": appointment.get("reasonCode", []),
    }
    return {**line, "occurrenceDateTime": appointment["start"]} if "start" in appointment else line


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
    )
    return {
        "resourceType": "ServiceRequest",
        **{name: resource[name] for name in copied if name in resource},
        "status": "draft",
        "intent": "order",
        "category": [{"text": kind}],
        **({"code": code} if isinstance(code, dict) else {}),
    }


def _device_request(resource: Resource) -> Resource:
    reasons: Resource = {
        name: resource[name] for name in ("reasonCode", "reasonReference") if name in resource
    }
    return {**_line(resource, "DeviceRequest", resource.get("codeCodeableConcept")), **reasons}


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
    kinds = [kind for kind in resource.get("type", []) if isinstance(kind, dict)]
    line = _line(resource, "Encounter", kinds[0] if kinds else None)
    start = (resource.get("period") or {}).get("start")
    reasons: Resource = {
        name: resource[name] for name in ("reasonCode", "reasonReference") if name in resource
    }
    return {**line, **reasons, **({"authoredOn": start} if start else {})}


def _appointment_service(appointment: Resource) -> Any:
    kinds = [kind for kind in appointment.get("serviceType", []) if isinstance(kind, dict)]
    return kinds[0] if kinds else None


_LINES: Mapping[str, Callable[[Resource], Resource]] = {
    "DeviceRequest": _device_request,
    "MedicationRequest": _medication_request,
    "NutritionOrder": _nutrition_order,
    "VisionPrescription": _vision_prescription,
    "CommunicationRequest": _communication_request,
    "Encounter": _encounter,
}
