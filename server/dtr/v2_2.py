"""DTR 2.2.0."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from server.dtr.render import (
    at_base,
    derived,
    with_compiled_expressions,
    with_labelled_links,
    with_library_references,
    with_links_in_help,
    with_plain_conditions,
)
from server.dtr.response import DTR, drafted
from server.dtr.version import Draft, Resource, Version
from server.fhir.errors import Issue, operation_outcome
from server.fhir.systems import concept

COVERAGE_DETAIL = "http://terminology.hl7.org/CodeSystem/crd-coverage-detail"
CRD_CODES = "http://hl7.org/fhir/us/davinci-crd/CodeSystem/coverage-information-codes"
VERSION_ALGORITHM = {
    "url": "http://hl7.org/fhir/StructureDefinition/artifact-versionAlgorithm",
    "valueCoding": {"system": "http://hl7.org/fhir/version-algorithm", "code": "semver"},
}
"""SDC 4 wants it of whatever has a version (sdc-2)."""

MOST_CODES_IN_PACKAGE = 40
"""From here on a value set is expanded by `$expand`, not in the package."""


def library_reference(library: str, without_version: bool) -> str:
    """Always with version."""
    return library


def dtr_std_questionnaire(form: Resource, reference: Callable[[str], str]) -> Resource:
    """dtr-std-questionnaire, 2.2.0: expressions are identifiers of defines, with their ELM beside them; what
    kind of form it is and how long it takes is said in extensions."""
    compiled = _items(form)
    named = with_library_references(compiled, reference)
    return {
        "resourceType": "Questionnaire",
        "id": named["id"],
        "meta": {"profile": [f"{DTR}/dtr-std-questionnaire"]},
        **{name: content for name, content in named.items() if name not in ("resourceType", "id")},
        "extension": [VERSION_ALGORITHM, *named["extension"], *ABOUT_THE_FORM],
    }


def _items(form: Resource) -> Resource:
    """The form with its items in the guide's words."""
    shown = with_plain_conditions(with_labelled_links(with_links_in_help(form)))
    return with_compiled_expressions(shown, f"{DTR}/alternativeExpression", "text/cql-identifier")


def dtr_questionnaire_adapt_search(form: Resource, reference: Callable[[str], str], base: str) -> Resource:
    """dtr-questionnaire-adapt-search, 2.2.0: no items; those come by `$next-question`."""
    named = at_base(with_library_references(form, reference), base)
    return {
        **{name: content for name, content in named.items() if name != "item"},
        "meta": {"profile": [f"{DTR}/dtr-questionnaire-adapt-search"]},
        "extension": [VERSION_ALGORITHM, *named["extension"], *ABOUT_THE_FORM],
    }


def dtr_questionnaire_adapt(form: Resource, reference: Callable[[str], str], base: str) -> Resource:
    """dtr-questionnaire-adapt, 2.2.0: has a url and may have conditions."""
    compiled = _items(form)
    named = derived(at_base(with_library_references(compiled, reference), base))
    return {**named, "meta": {"profile": [f"{DTR}/dtr-questionnaire-adapt"]}, "url": form["url"]}


def adaptive_draft(draft: Draft, contained: Resource) -> Resource:
    """dtr-questionnaireresponse-adapt, 2.2.0."""
    made = {name: content for name, content in dtr_questionnaireresponse(draft).items() if name != "item"}
    return {
        **made,
        "meta": {"profile": [f"{DTR}/dtr-questionnaireresponse-adapt"]},
        "contained": [contained],
        "questionnaire": f"#{contained['id']}",
    }


ABOUT_THE_FORM: tuple[Resource, ...] = (
    {"url": f"{DTR}/questionnaireAudience", "valueCode": "clinical"},
    {"url": f"{DTR}/request-specific", "valueBoolean": True},
    {
        "url": f"{DTR}/estimated-completion-time",
        "extension": [
            {"url": "clinicalTime", "valueCode": "under-3min"},
            {"url": "totalTime", "valueCode": "under-5min"},
        ],
    },
)


def library(resource: Resource) -> Resource:
    """sdc-library of SDC 4: as the catalog has it, with the algorithm of its version."""
    return {**resource, "extension": [VERSION_ALGORITHM, *resource.get("extension", [])]}


def packs(value_set: Resource) -> bool:
    """Large value sets stay out of the package."""
    return len(value_set["expansion"].get("contains", [])) < MOST_CODES_IN_PACKAGE


def dtr_questionnaireresponse(draft: Draft) -> Resource:
    """dtr-questionnaireresponse, 2.2.0: the Coverage has an extension of its own; qr-context holds what was
    ordered."""
    context = (
        *({"url": f"{DTR}/qr-coverage", "valueReference": coverage} for coverage in draft.coverages),
        *({"url": f"{DTR}/qr-context", "valueReference": order} for order in draft.orders),
    )
    return drafted(draft, context, CRD_CODES)


def package(bundles: Sequence[Any], issues: Sequence[Issue]) -> Resource:
    """dtr-qpackage-output-parameters, 2.2.0: always Parameters, with one outcome at most."""
    said = [{"name": "outcome", "resource": operation_outcome(list(issues))}] if issues else []
    return {
        "resourceType": "Parameters",
        "meta": {"profile": [f"{DTR}/dtr-qpackage-output-parameters"]},
        "parameter": [*({"name": "packagebundle", "resource": bundle} for bundle in bundles), *said],
    }


def span(start: dt.date, end: dt.date) -> list[Resource]:
    code = concept(COVERAGE_DETAIL, "allowed-period")
    period = {"start": start.isoformat(), "end": end.isoformat()}
    told = [
        {"url": "category", "valueCode": "cat-limitation"},
        {"url": "code", "valueCodeableConcept": code},
        {"url": "value", "valuePeriod": period},
    ]
    return [{"url": "detail", "extension": told}, {"url": "expiry-date", "valueDate": period["end"]}]


V2_2 = Version(
    name="2.2",
    coverages=1,
    refuses_foreign=True,
    by_code=True,
    library_reference=library_reference,
    questionnaire=dtr_std_questionnaire,
    library=library,
    packs=packs,
    draft=dtr_questionnaireresponse,
    adaptive=dtr_questionnaire_adapt_search,
    contained=dtr_questionnaire_adapt,
    adaptive_draft=adaptive_draft,
    conditions=True,
    package=package,
    from_server="auto-server",
    from_client="auto-client",
    next_question="http://hl7.org/fhir/us/davinci-dtr/OperationDefinition/DTR-Questionnaire-next-question",
    span=span,
)
