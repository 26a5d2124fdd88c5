"""Every type of order as the one `ServiceRequest` that `server.policy.request` describes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from server.adjudication.orders import named, plainly_coded, service_code
from server.adjudication.places import at_sites
from server.fhir.dates import begun, over
from server.fhir.elements import elements
from server.fhir.extensions import extension, extensions, value, values
from server.fhir.references import local_reference, reference_text
from server.fhir.systems import is_billed
from server.policy.line import codings, planned_day

Resource = dict[str, Any]

ALTERNATE_REFERENCE = "http://hl7.org/fhir/StructureDefinition/alternate-reference"
BILLING_OPTIONS = "http://hl7.org/fhir/us/davinci-crd/StructureDefinition/ext-billing-options"
"""On the concept that says what is ordered: what it may be billed as (CRD 2.2). A payer considers that."""
COVERAGE_INFORMATION = "http://hl7.org/fhir/us/davinci-crd/StructureDefinition/ext-coverage-information"
_PAYLOAD = "http://hl7.org/fhir/5.0/StructureDefinition/extension-CommunicationRequest.payload.content"
PAYLOADS = (f"{_PAYLOAD}[x]", f"{_PAYLOAD}%5Bx%5D")
"""What is to be communicated, as a concept: as FHIR names it, and as the guide's own example does."""


def order_line(resource: Resource, resources: Iterable[Resource] = ()) -> Resource:
    """The order as a ServiceRequest, of an appointment the service that it names itself; a ServiceRequest is
    its own line. The codes it may be billed as are codes of the service. What is ordered by reference, a
    Device or a Medication, is looked for in the order and among `resources`."""
    line = _LINES.get(resource["resourceType"])
    return line(_with_product(resource, resources)) if line else resource


def reference_of(line: Mapping[str, Any]) -> str:
    """What the client knows the order by that a line is of, or any other resource: `Appointment/1`."""
    kept = (str(category["text"]) for category in elements(line, "category") if [*category] == ["text"])
    kind = next((text for text in kept if text in _LINES), "")
    return local_reference({**line, "resourceType": kind} if kind else line)


def appointment_line(
    appointment: Resource, order: Resource | None, resources: Iterable[Resource] = ()
) -> Resource:
    """The booked service: that of the order it was made for, on the day and at the site of the appointment,
    else what the appointment itself names. `resources` as with `order_line`. An order inside the appointment
    points to what lies there beside it."""
    inside = elements(appointment, "contained")
    beside = [each for each in inside if each is not order]
    if order is not None and len(beside) < len(inside):
        order = {**order, "contained": beside}
    line = _timed(order_line(order or appointment, resources), _booked_time(appointment))
    return at_sites(line, sites_of(appointment), resources)


def dispatched_line(order: Resource, tasks: Iterable[Resource], resources: Iterable[Resource]) -> Resource:
    """The order as it is sent to be carried out: in the period and at the sites that its Tasks name (CRD 2.2,
    CRD Task Dispatch), of which the order's own day may be one. `resources` as with `order_line`."""
    listed, line = list(tasks), order_line(order, resources)
    sites = [task["location"] for task in listed if isinstance(task.get("location"), dict)]
    restrictions = (task.get("restriction") for task in listed)
    periods = [each.get("period") for each in restrictions if isinstance(each, dict)]
    period, own = next((each for each in periods if isinstance(each, dict)), {}), planned_day(line)
    kept = own is not None and begun(period, own) and not over(period, own)
    return at_sites(line if kept else _timed(line, {"occurrencePeriod": period}), sites, resources)


def _timed(line: Resource, when: Resource) -> Resource:
    """The line at that time, where it tells from when."""
    if planned_day(when) is None:
        return line
    return {**{name: line[name] for name in line if name not in _OCCURRENCE}, **when}


def _booked_time(appointment: Resource) -> Resource:
    """When it begins; of one that is only proposed the period that it is looked for in."""
    if "start" in appointment:
        return {"occurrenceDateTime": appointment["start"]}
    return next(({"occurrencePeriod": each} for each in elements(appointment, "requestedPeriod")), {})


def sites_of(appointment: Resource) -> list[Resource]:
    """References to the Locations that an appointment is at, which are among those that take part."""
    actors = (each.get("actor") or {} for each in elements(appointment, "participant"))
    return [actor for actor in actors if "Location/" in reference_text(actor)]


def by_code(line: Resource) -> list[Resource]:
    """One line a billing code, where the order leaves open which of several will be billed."""
    plain = plainly_coded(line)
    listed = [dict(coding) for coding in codings([plain.get("code")])]
    billed = [coding for coding in listed if is_billed(coding)]
    bases = list(dict.fromkeys(str(coding["code"]).partition("-")[0] for coding in billed))
    if len(bases) < 2:
        return [line]

    def of(base: str) -> list[Resource]:
        return [c for c in listed if c not in billed or str(c["code"]).partition("-")[0] == base]

    return [{**line, "code": {**line["code"], "coding": of(base)}} for base in bases]


def orders_of(appointment: Resource) -> list[str]:
    """References to the orders an appointment is for; one that is no ServiceRequest stands in an extension
    (CRD 2.2.1, appointment-book)."""
    named = (reference_text(each) or _alternate(each) for each in elements(appointment, "basedOn"))
    return [text for text in named if text]


_PRODUCTS = {
    "DeviceRequest": ("codeReference", "codeCodeableConcept", "type"),
    "MedicationRequest": ("medicationReference", "medicationCodeableConcept", "code"),
}
"""By type of order: where it refers to what is ordered, where it says so itself, and which element of the
resource that is referred to says it."""


def _with_product(order: Resource, resources: Iterable[Resource]) -> Resource:
    """The order with what it only refers to in words of its own."""
    refers, says, element = _PRODUCTS.get(order["resourceType"], ("", "", ""))
    reference = order.get(refers)
    product = named(reference, order, resources) if isinstance(reference, dict) else {}
    concept = product.get(element) or {}
    options = [*elements(concept, "extension"), *extensions(product, BILLING_OPTIONS)]
    return {**order, says: {**concept, "extension": options}} if concept or options else order


def _alternate(reference: Resource) -> str:
    other = value(extension(reference, ALTERNATE_REFERENCE))
    return reference_text(other) if isinstance(other, dict) else ""


def _booked_itself(appointment: Resource) -> Resource:
    line = _line(appointment, "Appointment", _billing(appointment.get("serviceType", [])))
    return {
        **line,
        "category": [*elements(appointment, "serviceCategory"), *line["category"]],
        **_booked_for(appointment),
        **_reasons(appointment),
    }


def _booked_for(appointment: Resource) -> Resource:
    """The patient, who is one of those that take part."""
    actors = (each.get("actor", {}) for each in appointment.get("participant", []))
    patients = [actor for actor in actors if str(actor.get("reference", "")).startswith("Patient/")]
    return {"subject": patients[0]} if patients else {}


_OCCURRENCE = ("occurrenceDateTime", "occurrencePeriod", "occurrenceTiming")


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
        *_OCCURRENCE,
    )
    return {
        "resourceType": "ServiceRequest",
        **{name: resource[name] for name in copied if name in resource},
        "status": "draft",
        "intent": "order",
        "category": [{"text": kind}],
        **({"code": _billable(code)} if isinstance(code, dict) else {}),
    }


def _reasons(resource: Resource) -> Resource:
    return {name: resource[name] for name in ("reasonCode", "reasonReference") if name in resource}


def _service_request(resource: Resource) -> Resource:
    code = _billable(resource.get("code"))
    return resource if code is resource.get("code") else {**resource, "code": code}


def _device_request(resource: Resource) -> Resource:
    return {**_line(resource, "DeviceRequest", resource.get("codeCodeableConcept")), **_reasons(resource)}


def _medication_request(resource: Resource) -> Resource:
    return _line(resource, "MedicationRequest", resource.get("medicationCodeableConcept"))


def _nutrition_order(resource: Resource) -> Resource:
    options = _options(resource)
    line = _line(resource, "NutritionOrder", {"coding": options} if options else None)
    renamed = {"authoredOn": "dateTime", "requester": "orderer", "subject": "patient"}
    return {**line, **{name: resource[of] for name, of in renamed.items() if of in resource}}


def _vision_prescription(resource: Resource) -> Resource:
    lenses = elements(resource, "lensSpecification")
    options = [each for lens in lenses for each in _options(lens.get("product") or {})]
    line = _line(resource, "VisionPrescription", {"coding": options} if options else None)
    renamed = {"authoredOn": "dateWritten", "requester": "prescriber", "subject": "patient"}
    return {**line, **{name: resource[of] for name, of in renamed.items() if of in resource}}


def _communication_request(resource: Resource) -> Resource:
    payloads = elements(resource, "payload")
    contents = [content for each in payloads for url in PAYLOADS for content in values(each, url)]
    options = [each for content in contents if isinstance(content, dict) for each in _options(content)]
    return _line(resource, "CommunicationRequest", {"coding": options} if options else None)


def _encounter(resource: Resource) -> Resource:
    kinds = [*resource.get("type", []), resource.get("serviceType")]
    line = _line(resource, "Encounter", _billing(kinds))
    start = (resource.get("period") or {}).get("start")
    diagnosed = (each.get("condition") for each in elements(resource, "diagnosis"))
    problems = [*elements(resource, "reasonReference"), *(each for each in diagnosed if each)]
    return {
        **line,
        **_reasons(resource),
        **({"reasonReference": problems} if problems else {}),
        **({"authoredOn": start} if start else {}),
    }


def _billable(concept: Any) -> Any:
    """A concept with the codes that it may be billed as, after its own."""
    if not isinstance(concept, dict) or not (options := _options(concept)):
        return concept
    own = concept.get("coding", [])
    return {**concept, "coding": [*own, *(each for each in options if each not in own)]}


def _options(element: Resource) -> list[Mapping[str, Any]]:
    return list(codings(values(element, BILLING_OPTIONS)))


def _billing(kinds: Iterable[Any]) -> Any:
    """Of several words for what is done, the one that bills it."""
    words = [_billable(kind) for kind in kinds if isinstance(kind, dict)]
    return next((kind for kind in words if service_code({"code": kind})), words[0] if words else None)


_LINES: Mapping[str, Callable[[Resource], Resource]] = {
    "ServiceRequest": _service_request,
    "Appointment": _booked_itself,
    "DeviceRequest": _device_request,
    "MedicationRequest": _medication_request,
    "NutritionOrder": _nutrition_order,
    "VisionPrescription": _vision_prescription,
    "CommunicationRequest": _communication_request,
    "Encounter": _encounter,
}
