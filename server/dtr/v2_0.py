"""DTR 2.0.1."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from server.dtr.render import (
    at_base,
    derived,
    narrative,
    with_library_references,
    with_links_in_help,
    with_plain_conditions,
)
from server.dtr.response import DTR, drafted
from server.dtr.version import Draft, Resource, Version
from server.fhir.canonical import canonical
from server.fhir.errors import Issue, operation_outcome
from server.fhir.systems import concept

CRD_TEMP = "http://hl7.org/fhir/us/davinci-crd/CodeSystem/temp"


def library_reference(library: str, without_version: bool) -> str:
    """The guide wants versions; the test kit for it compares with `Library.url` letter by letter."""
    return canonical(library).url if without_version else library


def dtr_std_questionnaire(form: Resource, reference: Callable[[str], str]) -> Resource:
    """dtr-std-questionnaire, 2.0.1: narrative is mandatory.

    The guide wants compiled ELM beside inline logic. Our expressions hold none: they name a define, and its
    ELM is in the library that travels with the form.
    """
    shown = with_plain_conditions(with_links_in_help(form))
    named = with_library_references(shown, reference)
    return {
        "resourceType": "Questionnaire",
        "id": named["id"],
        "meta": {"profile": [f"{DTR}/dtr-std-questionnaire"]},
        "text": narrative(form),
        **{name: content for name, content in named.items() if name not in ("resourceType", "id")},
    }


def dtr_questionnaire_adapt_search(form: Resource, reference: Callable[[str], str], base: str) -> Resource:
    """dtr-questionnaire-adapt-search, 2.0.1. The profile lets it have items, and the test kit wants one that
    CQL fills: the order's facts, which come first anyway. They stand here without their group, since the
    profile has no place for expressions in items of items."""
    groups = [item for item in form["item"] if item["type"] == "group"]
    questions = [question for group in groups for question in group["item"]]
    shown = with_links_in_help({**form, "item": questions})
    named = at_base(with_library_references(shown, reference), base)
    return {**named, "meta": {"profile": [f"{DTR}/dtr-questionnaire-adapt-search"]}, "text": narrative(form)}


def dtr_questionnaire_adapt(form: Resource, reference: Callable[[str], str], base: str) -> Resource:
    """dtr-questionnaire-adapt, 2.0.1: has no url of its own, but narrative, and no conditions."""
    shown = with_links_in_help(form)
    named = derived(at_base(with_library_references(shown, reference), base))
    return {**named, "text": narrative(form)}


def adaptive_draft(draft: Draft, contained: Resource) -> Resource:
    """A response with the form inside. 2.0.1 has no profile for one without items."""
    made = {k: v for k, v in dtr_questionnaireresponse(draft).items() if k not in ("meta", "item")}
    return {**made, "contained": [contained], "questionnaire": f"#{contained['id']}"}


def library(resource: Resource) -> Resource:
    """As the catalog has it: 2.0.1 asks for nothing more."""
    return resource


def packs(value_set: Resource) -> bool:
    """Every value set, whatever its size: a form must fill without a network."""
    return True


def dtr_questionnaireresponse(draft: Draft) -> Resource:
    """dtr-questionnaireresponse, 2.0.1: Coverage and order both stand in qr-context, and at least one of
    each must, so a draft made without an order does not claim the profile."""
    named = (*draft.coverages, *draft.orders)
    made = drafted(draft, ({"url": f"{DTR}/qr-context", "valueReference": each} for each in named), CRD_TEMP)
    return made if draft.subject and draft.orders else {k: v for k, v in made.items() if k != "meta"}


def package(bundles: Sequence[Any], issues: Sequence[Issue]) -> Resource:
    """dtr-qpackage-output-parameters, 2.0.1, or the bare Bundle where there is one and nothing to say. The
    profile wants a bundle, so without one the remarks go alone."""
    if not bundles:
        return operation_outcome(list(issues))
    if len(bundles) == 1 and not issues:
        return bundles[0]  # type: ignore[no-any-return]
    said = [{"name": "operationOutcome", "resource": operation_outcome(list(issues))}] if issues else []
    return {
        "resourceType": "Parameters",
        "meta": {"profile": [f"{DTR}/dtr-qpackage-output-parameters"]},
        "parameter": [*({"name": "PackageBundle", "resource": bundle} for bundle in bundles), *said],
    }


def span(start: dt.date, end: dt.date) -> list[Resource]:
    code = concept(CRD_TEMP, "allowed-period")
    period = {"start": start.isoformat(), "end": end.isoformat()}
    told = [{"url": "code", "valueCodeableConcept": code}, {"url": "value", "valuePeriod": period}]
    return [{"url": "detail", "extension": told}]


V2_0 = Version(
    name="2.0",
    coverages=None,
    refuses_foreign=False,
    by_code=False,
    library_reference=library_reference,
    questionnaire=dtr_std_questionnaire,
    library=library,
    packs=packs,
    draft=dtr_questionnaireresponse,
    adaptive=dtr_questionnaire_adapt_search,
    contained=dtr_questionnaire_adapt,
    adaptive_draft=adaptive_draft,
    conditions=False,
    package=package,
    from_server="auto",
    from_client="auto",
    next_question="http://hl7.org/fhir/uv/sdc/OperationDefinition/Questionnaire-next-question",
    span=span,
)
