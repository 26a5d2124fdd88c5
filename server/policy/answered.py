"""Answers of an adaptive form, as answers to the standard form of the region that it asked about.

An adaptive form travels inside its response (`questionnaire` is "#id"), with the questions of one region that
bear the names of that region's standard form. The policies read answers by their form (cql/MRIAnswers), so
such a response is told to be one to theirs, where it is about their region and their services.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from server.fhir.canonical import canonical
from server.fhir.elements import elements
from server.policy.catalog import Catalog, Policy
from server.policy.request import Resource

SERVICE, PLAN = "ORDER.cpt", "PLAN.id"
"""The questions for the service and the plan, where the form was begun without an order."""


def in_form(resources: Iterable[Resource], policy: Policy, catalog: Catalog) -> list[Resource]:
    """The resources, responses to an adaptive form of ours among them as responses to the policy's."""
    return [
        {**resource, "questionnaire": policy.questionnaire}
        if "questionnaire" in resource and _is_about(resource, policy, catalog)
        else resource
        for resource in resources
    ]


def _is_about(resource: Resource, policy: Policy, catalog: Catalog) -> bool:
    """An interview asks for the immediate indications of its region, which no other region does, unless
    they are known; then the form tells by the CQL that its questions are filled by."""
    named = resource["questionnaire"]
    if resource.get("resourceType") != "QuestionnaireResponse" or not str(named).startswith("#"):
        return False
    form = next((each for each in elements(resource, "contained") if named == f"#{each.get('id')}"), {})
    derived = form.get("derivedFrom")
    origins = [form.get("url"), *(derived if isinstance(derived, list) else [])]
    ours = any(isinstance(name, str) and catalog.questionnaire(name) is not None for name in origins)
    if not ours:
        return False
    answered = {str(item.get("linkId")): item for item in _items(resource) if item.get("answer")}
    services = [each.get("valueCoding") for each in elements(answered.get(SERVICE, {}), "answer")]
    asked = {each.immediate for each in catalog.policies} & answered.keys()
    return (policy.immediate in asked if asked else _is_filled_by(form, policy, catalog)) and all(
        isinstance(each, dict) and str(each.get("code")) in policy.codes for each in services
    )


def _is_filled_by(form: Resource, policy: Policy, catalog: Catalog) -> bool:
    url = catalog.library(policy.prefill)["url"]
    named = (str(each.get("valueCanonical")) for each in elements(form, "extension"))
    return any(canonical(name).url == url for name in named)


def _items(element: Resource) -> Iterator[Resource]:
    for item in elements(element, "item"):
        yield item
        yield from _items(item)
        for answer in elements(item, "answer"):
            yield from _items(answer)
