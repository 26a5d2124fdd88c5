"""Where a service is to be done, as the rules read it: a CMS place of service. Orders say it otherwise too.

CRD 2.0.1 has no place of service on an order but a Location, whose type is one of its "CMS mappable" codes;
2.2 has a bill type and a facility's taxonomy beside the CMS code, PAS a bill type. What does not tell a
hospital from a freestanding site (a radiology unit, an outpatient clinic) is left open, for a person to say.
In 2.2 an order's category names the kind of encounter that the service is for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from server.adjudication.orders import named
from server.fhir.dates import over
from server.fhir.elements import elements
from server.fhir.systems import NUCC, PLACE_OF_SERVICE, TERMINOLOGY, coding_key, concept, is_place_of_service
from server.policy.line import codings, planned_day

Resource = Mapping[str, Any]

OFFICE, MOBILE, URGENT_CARE, INPATIENT, OUTPATIENT, EMERGENCY, SURGERY, CLINIC = (
    "11",
    "15",
    "20",
    "21",
    "22",
    "23",
    "24",
    "49",
)

HOSPITAL = "hospital"
"""Nobody's place of service: whoever lies there, or came as an emergency, is known by the encounter of the
order, as `cql/MRIGate` reads it; to anybody else it is an outpatient hospital."""

IN_HOSPITAL = frozenset({"EMER", "IMP", "ACUTE", "OBSENC"})
"""HL7's ActEncounterCode, of the encounter that an order is written in."""

ENCOUNTERS = {"EMER": EMERGENCY, "IMP": INPATIENT, "ACUTE": INPATIENT, "NONAC": INPATIENT}
"""HL7's ActEncounterCode: emergency, inpatient, inpatient acute and not acute."""

ROLES = {
    "PROFF": OFFICE,
    "MOBL": MOBILE,
    "ER": EMERGENCY,
    "HOSP": HOSPITAL,
    "GACH": HOSPITAL,
    "HU": HOSPITAL,
    "HRAD": HOSPITAL,
}
"""HL7's ServiceDeliveryLocationRoleType: office, mobile unit, emergency room; hospital, general acute care
hospital, hospital unit, its radiology."""

TAXONOMY = {
    "261QM1200X": CLINIC,
    "261QR0200X": CLINIC,
    "261QR0208X": MOBILE,
    "261QA1903X": SURGERY,
    "261QU0200X": URGENT_CARE,
    "261QE0002X": EMERGENCY,
    "282N00000X": HOSPITAL,
    "282NC0060X": HOSPITAL,
    "282NC2000X": HOSPITAL,
    "282NR1301X": HOSPITAL,
    "282NW0100X": HOSPITAL,
}
"""NUCC, not individual: centers for MRI, radiology, mobile radiology, ambulatory surgery, urgent and
emergency care; acute care hospitals (general, critical access, children's, rural, women's)."""

BILL_TYPES = {"11": INPATIENT, "12": INPATIENT, "13": OUTPATIENT, "83": SURGERY, "85": OUTPATIENT}
"""NUBC by facility and class of care, without the leading zero: hospital inpatient (parts A and B) and
outpatient, ambulatory surgery center, critical access hospital."""

_CRD = "http://hl7.org/fhir/us/davinci-crd/CodeSystem/temp"
_BILL_TYPE = "https://www.nubc.org/CodeSystem/TypeOfBill"
_STANDS_FOR = {
    (system, code): place
    for system, places in (
        (f"{TERMINOLOGY}/v3-ActCode", ENCOUNTERS),
        (f"{TERMINOLOGY}/v3-RoleCode", ROLES),
        (NUCC, TAXONOMY),
        (_BILL_TYPE, BILL_TYPES),
    )
    for code, place in places.items()
}


def with_place(order: Resource, resources: Iterable[Resource]) -> Resource:
    """The order with the place of service that its category, its other codes of a place or the type of a
    Location among `resources` stand for, the one it names or else that of the role it is to be done in, as a
    `locationCode` of its own. It stays as it is where it has one already, where nothing tells, and where
    Locations are of different kinds."""
    concepts = order.get("locationCode") or []
    if any(is_place_of_service(coding) for coding in codings(concepts)):
        return order
    category = order.get("category") or []
    listed = list(resources)
    said = set(_places(category)) or set(_places(concepts)) or set(_of_locations(order, listed))
    said = said or set(_of_roles(order, listed))
    if HOSPITAL in said:
        if _in_hospital(order, listed):
            return order
        said = said - {HOSPITAL} | {OUTPATIENT}
    if len(said) != 1:
        return order
    place = concept(PLACE_OF_SERVICE, said.pop())
    return {**order, "locationCode": [*concepts, place]}


def at_sites(order: dict[str, Any], sites: list[Any], resources: Iterable[Resource]) -> dict[str, Any]:
    """The order at these Locations, where there are any; a place that they tell goes before its own. That
    they are a hospital leaves open as what the patient comes there."""
    if not sites:
        return order
    there = {**order, "locationReference": sites}
    told, own = set(_of_locations(there, list(resources))), set(_places(order.get("locationCode") or []))
    if not told or (told == {HOSPITAL} and own <= {INPATIENT, OUTPATIENT, EMERGENCY, HOSPITAL}):
        return there
    return {name: there[name] for name in there if name != "locationCode"}


def _in_hospital(order: Resource, resources: Iterable[Resource]) -> bool:
    """Whether it is written for somebody who is in a hospital on the planned day."""
    reference, planned = order.get("encounter"), planned_day(order)
    stay = named(reference, order, resources) if isinstance(reference, dict) else {}
    kind = stay.get("class")
    inside = isinstance(kind, dict) and kind.get("code") in IN_HOSPITAL
    return inside and not (planned is not None and over(stay.get("period"), planned))


def _of_locations(order: Resource, resources: Iterable[Resource]) -> Iterator[str]:
    for reference in order.get("locationReference") or []:
        location = named(reference, order, resources) if isinstance(reference, dict) else {}
        if location.get("resourceType") == "Location":
            yield from islice(_places(location.get("type") or []), 1)


def _of_roles(order: Resource, resources: list[Resource]) -> Iterator[str]:
    for performer in elements(order, "performer"):
        role = named(performer, order, resources)
        yield from _of_locations({**order, "locationReference": elements(role, "location")}, resources)


def _places(concepts: Iterable[Any]) -> Iterator[str]:
    """The CMS places of service that these are, then those that they stand for."""
    for coding in sorted(codings(concepts), key=is_place_of_service, reverse=True):
        system, code = coding_key(coding)
        if is_place_of_service(coding):
            yield code
        elif system == _CRD and code.isdigit():  # the guide's places that HL7 has no code for, by CMS number
            yield code.zfill(2)
        elif place := _STANDS_FOR.get((system, code.lstrip("0")[:2] if system == _BILL_TYPE else code)):
            yield place
