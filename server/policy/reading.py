"""What the rules may read: of the chart what is the patient's, of the payer's records what proves a thing.

A chart may hold more than was asked for: another patient's report, a subscriber's Patient beside the
child's, an ExplanationOfBenefit the sender wrote. Another patient's data never decides, and what only the
payer can prove comes from the payer's records alone. Those name the patient by ids of the payer's own; only
what is this member's is handed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from server.fhir.elements import elements
from server.fhir.extensions import extension, value
from server.fhir.modifiers import reversible
from server.fhir.references import local_reference, type_and_id
from server.fhir.systems import ICD, billed_parts, coding_key, is_billed
from server.policy.line import codings
from server.policy.request import Chart, Member, Resource

PAYER_ONLY = frozenset({"Claim", "ExplanationOfBenefit", "ClaimResponse"})
ENROLMENT = frozenset({"Patient", "Coverage", "Group"})
CLOSED = frozenset({"inactive", "suspended"})
"""Status of a Location that is no site of the network now."""

DISTANCE = "http://hl7.org/fhir/StructureDefinition/location-distance"
_SUBJECTS = frozenset({"subject", "patient", "individual"})
_OTHERS = frozenset({"Patient", "RelatedPerson", "Group"})
"""Who may be the focus of what stands in a patient's record: the mother, the donor, the household."""


def miles_away(site: Resource) -> Any:
    """The distance that the payer's directory has of a Location; None where it has none."""
    distance = value(extension(site, DISTANCE))
    return distance.get("value") if isinstance(distance, dict) else None


def intelligible(chart: Chart) -> Chart:
    """The chart without what something unknown may reverse, of which a note tells."""
    odd = [each for each in chart.resources if reversible(each)]
    if not odd:
        return chart
    told = (
        f"Left out: {local_reference(each)}, with a modifier extension or rules that are unknown here"
        for each in odd
    )
    rest = [each for each in chart.resources if not reversible(each)]
    return replace(chart, resources=rest, notes=(*chart.notes, *told))


def readable(order: Resource, chart: Chart, member: Member) -> list[Resource]:
    """The data of one evaluation: the order's patient, what is known of them, and the payer's records."""
    named = type_and_id(order.get("subject"))
    patient = named[1] if named and named[0] == "Patient" else ""
    numbers = _numbers(patient, chart.resources)
    sent = [each for each in chart.resources if _is_of(each, patient, numbers)]
    inside = (part for part in apart(order)[1:] if _is_of(part, patient, numbers))
    parts = (part for each in sent for part in apart(each) if part is each or _is_of(part, patient, numbers))
    own = [part for part in (*inside, *parts) if _is_clients(part)]
    kept = (record for record in member.records if record.get("resourceType") not in ENROLMENT)
    proven = [_as_answered(record) for record in kept if record.get("status") not in CLOSED]
    return [unfolded(each) for each in (*_one_patient(own), *proven)]


def unfolded(resource: Resource) -> Resource:
    """A service that has modifiers ("97530-KX-GO") also without them and with each alone ("97530-GO"), as
    value sets have it: they cannot list every modifier, nor two in whatever order. A diagnosis, for which
    small letters and the point make no difference, is spelt as ICD-10-CM spells it."""
    coded = _CODED.get(str(resource.get("resourceType")))
    if coded is None:
        return resource
    plain = {
        name: [_plain(each) for each in content] if isinstance(content, list) else _plain(content)
        for name in coded
        if (content := resource.get(name)) is not None
    }
    return {**resource, **plain} if any(plain[name] != resource[name] for name in plain) else resource


_CODED: Mapping[str, tuple[str, ...]] = {
    "Condition": ("code",),
    "DeviceRequest": ("codeCodeableConcept", "reasonCode"),
    "DiagnosticReport": ("code", "conclusionCode"),
    "Encounter": ("serviceType", "type", "reasonCode"),
    "ImagingStudy": ("procedureCode",),
    "MedicationRequest": ("reasonCode",),
    "Procedure": ("code", "reasonCode"),
    "ServiceRequest": ("code", "reasonCode"),
}
"""Where resources say what was done, by the codes that are billed, and what for."""


def _plain(concept: Any) -> Any:
    told = [plain for coding in codings([concept]) for plain in _each_spelling(coding)]
    return {**concept, "coding": told} if told else concept


def _each_spelling(coding: Resource) -> Iterator[Resource]:
    """A diagnosis as it is spelt here; any other coding as it is, and after it, where it is billed, the bare
    code and the code with each modifier."""
    system, code = coding_key(coding)
    if system == ICD:
        yield {**coding, "system": system, "code": code} if code else coding
        return
    yield coding
    if is_billed(coding):
        base, *modifiers = billed_parts(coding)
        plain = (base, *(f"{base}-{each}" for each in modifiers))
        yield from ({**coding, "code": each} for each in plain if each != coding["code"])


def _as_answered(record: Resource) -> Resource:
    """A bill as it came in says what was done as the payer's answer to it does, for which the rules look."""
    is_bill = record.get("resourceType") == "Claim" and record.get("use") == "claim"
    return {**record, "resourceType": "ExplanationOfBenefit"} if is_bill else record


def apart(resource: Resource) -> list[Resource]:
    """A resource, then what it contains, as if that had come along by itself: the rules follow references by
    type and id. A form stays whole."""
    listed = elements(resource, "contained") if "contained" in resource else []
    inside = [each for each in listed if each.get("id") and each.get("resourceType") not in _KEPT_INSIDE]
    if not inside:
        return [resource]
    whose = f"{resource.get('resourceType')}.{resource.get('id', 'it')}"
    names = {f"#{each['id']}": f"{whose}.{each['id']}" for each in inside}
    paths = {own: f"{each['resourceType']}/{names[own]}" for own, each in zip(names, inside, strict=True)}
    parts = [{**each, "id": names[f"#{each['id']}"]} for each in inside]
    return [_pointing(part, paths) for part in (resource, *parts)]


_KEPT_INSIDE = frozenset({None, "Patient", "Questionnaire"})
"""A contained Patient has no record, and whoever points to it names nobody else."""


def _pointing(element: Any, paths: dict[str, str]) -> Any:
    """An element whose references inside lead to these paths."""
    if isinstance(element, list):
        return [_pointing(each, paths) for each in element]
    if not isinstance(element, dict):
        return element
    return {
        name: paths.get(content, content)
        if name == "reference" and isinstance(content, str)
        else _pointing(content, paths)
        for name, content in element.items()
    }


def _is_clients(resource: Resource) -> bool:
    if resource.get("resourceType") in PAYER_ONLY:
        return False
    told = resource.get("extension")
    return not told or all(each.get("url") != DISTANCE for each in told)


def _numbers(patient: str, resources: Sequence[Resource]) -> list[Resource]:
    """The identifiers of the patient, as far as they came along."""
    own = (each for each in resources if each.get("resourceType") == "Patient" and each.get("id") == patient)
    return [number for each in own for number in elements(each, "identifier") if number.get("system")]


def _is_of(resource: Resource, patient: str, numbers: Sequence[Resource]) -> bool:
    """Whatever names nobody, or names somebody in a way that tells nothing, counts as the patient's."""
    if not patient:
        return True
    if resource.get("resourceType") == "Patient":
        return resource.get("id") in (patient, None)
    own = f"Patient/{patient}"
    for name in resource.keys() & _SUBJECTS:
        reference = resource[name]
        if isinstance(reference, dict) and reference.get("reference") != own:
            subject = type_and_id(reference)
            if subject != ("Patient", patient) and (subject or _is_anothers(reference, numbers)):
                return False
    if "focus" not in resource:
        return True
    focus = map(type_and_id, elements(resource, "focus"))
    return all(each is None or each[0] not in _OTHERS or each == ("Patient", patient) for each in focus)


def _is_anothers(reference: Resource, numbers: Sequence[Resource]) -> bool:
    """Whether it gives a number by which whoever gives such numbers does not know the patient."""
    given = reference.get("identifier")
    if not isinstance(given, dict) or not given.get("value"):
        return False
    known = [each.get("value") for each in numbers if each["system"] == given.get("system")]
    return bool(known) and given["value"] not in known


def _one_patient(resources: list[Resource]) -> list[Resource]:
    """Where the order does not say whose it is and several people are there, nobody's age and sex count."""
    people = [resource for resource in resources if resource.get("resourceType") == "Patient"]
    if len(people) < 2:
        return resources
    alike = all(person == people[0] for person in people)
    others = [resource for resource in resources if resource.get("resourceType") != "Patient"]
    return [*people[:1], *others] if alike else others
