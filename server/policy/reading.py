"""What the rules may read: of the chart what is the patient's, of the payer's records what proves a thing.

A chart may hold more than was asked for: another patient's report, a subscriber's Patient beside the
child's, an ExplanationOfBenefit the sender wrote. Another patient's data never decides, and what only the
payer can prove comes from the payer's records alone. Those name the patient by ids of the payer's own; only
what is this member's is handed in. A form that was answered for the left knee says nothing of the right one.
"""

from __future__ import annotations

from collections.abc import Mapping

from server.fhir.extensions import values
from server.fhir.references import type_and_id
from server.policy.line import side
from server.policy.request import Chart, Member, Resource

PAYER_ONLY = frozenset({"Claim", "ExplanationOfBenefit", "ClaimResponse"})
ENROLMENT = frozenset({"Patient", "Coverage", "Group"})
DISTANCE = "http://hl7.org/fhir/StructureDefinition/location-distance"
QR_CONTEXT = "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition/qr-context"
ORDER, FORM = "ServiceRequest", "QuestionnaireResponse"
_SUBJECTS = ("subject", "patient", "individual")


def readable(order: Resource, chart: Chart, member: Member) -> list[Resource]:
    """The data of one evaluation: the order's patient, what is known of them, and the payer's records."""
    named = type_and_id(order.get("subject"))
    patient = named[1] if named and named[0] == "Patient" else ""
    orders = {str(each.get("id")): each for each in chart.resources if each.get("resourceType") == ORDER}
    own = [
        resource
        for resource in chart.resources
        if _is_clients(resource)
        and _is_of(resource, patient)
        and not (resource.get("resourceType") == FORM and _is_of_other_side(resource, order, orders))
    ]
    proven = [record for record in member.records if record.get("resourceType") not in ENROLMENT]
    return [*_one_patient(own), *proven]


def _is_clients(resource: Resource) -> bool:
    if resource.get("resourceType") in PAYER_ONLY:
        return False
    told = resource.get("extension")
    return not told or all(each.get("url") != DISTANCE for each in told)


def _is_of(resource: Resource, patient: str) -> bool:
    """Whatever names no patient, or names one in a way that tells nothing, counts as the patient's."""
    if not patient:
        return True
    if resource.get("resourceType") == "Patient":
        return resource.get("id") in (patient, None)
    own = f"Patient/{patient}"
    for name in _SUBJECTS:
        reference = resource.get(name)
        if isinstance(reference, dict) and reference.get("reference") != own:
            subject = type_and_id(reference)
            if subject and subject[0] == "Patient" and subject[1] != patient:
                return False
    return True


def _is_of_other_side(form: Resource, order: Resource, orders: Mapping[str, Resource]) -> bool:
    """Whether a form was answered for orders that are at hand, all of the side that is not ordered now. An
    order may have got another id since, so one that is not at hand tells nothing."""
    told = (each for each in values(form, QR_CONTEXT) if isinstance(each, dict))
    contexts = (type_and_id(reference) for reference in told)
    named = {context[1] for context in contexts if context and context[0] == ORDER}
    if not named or order.get("id") in named or not named <= orders.keys():
        return False
    ordered = side(order)
    return all({ordered, side(orders[each])} == {"RT", "LT"} for each in named)


def _one_patient(resources: list[Resource]) -> list[Resource]:
    """Where the order does not say whose it is and several people are there, nobody's age and sex count."""
    people = [resource for resource in resources if resource.get("resourceType") == "Patient"]
    if len(people) < 2:
        return resources
    alike = all(person == people[0] for person in people)
    others = [resource for resource in resources if resource.get("resourceType") != "Patient"]
    return [*people[:1], *others] if alike else others
