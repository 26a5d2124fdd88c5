"""Invariants made into functions mean what fhirpathpy says of them; what they do not mean is left to it."""

from __future__ import annotations

from typing import Any

import fhirpathpy
import pytest
from fhirpathpy.models import models

from server.validation import fhirpath, invariants

SAID = {
    "resourceType": "Basic",
    "extension": [
        {"url": "covered", "valueCode": "covered"},
        {"url": "pa-needed", "valueCode": "satisfied"},
        {"url": "satisfied-pa-id", "valueString": "PA1"},
        {"url": "doc-purpose", "_valueCode": {"extension": [{"url": "why", "valueCode": "unknown"}]}},
        {"url": "reason"},
    ],
}
FORM = {
    "resourceType": "QuestionnaireResponse",
    "item": [
        {"linkId": "1", "answer": [{"valueBoolean": True, "item": [{"linkId": "1.1"}, {"linkId": "1.1"}]}]},
        {"linkId": "2", "item": [{"linkId": "2.1", "answer": [{"valueString": "a"}]}]},
    ],
}
TWICE = {
    **FORM,
    "item": [
        {"linkId": each, "item": [{"linkId": "x", "answer": [{"valueInteger": 1}]}] * 2} for each in "ab"
    ],
}
CLAIM = {
    "resourceType": "Claim",
    "use": "preauthorization",
    "_created": {"extension": [{"url": "why", "valueCode": "unknown"}]},
    "item": [
        {"sequence": 1, "servicedDate": "2026-11-20"},
        {"sequence": 2, "servicedPeriod": {"start": "2026"}},
    ],
    "type": {"coding": [{"system": "s", "code": "institutional"}, {"code": "b"}]},
}
RULES = (
    "extension.where(url = 'covered').exists()",
    "extension.where(url = 'pa-needed' and value = 'satisfied').exists() "
    "= extension.where(url = 'satisfied-pa-id').exists()",
    "extension.where(url = 'doc-purpose' and value != 'withpa').exists()",
    "extension.where(url = 'reason' and value != 'x').exists() implies item.empty()",
    "extension.where((url = 'covered' or url = 'reason') and value = 'covered').count() >= 1",
    "extension.where(url = 'a' and value = 'b').exists() implies extension.where(url = 'c').all(value = 'd')",
    "extension.where(value.exists()).count() != 4",
    "item.linkId.isDistinct() and item.exists(answer.exists())",
    "(item.exists() and use.exists()).not()",
    "use = 'preauthorization' implies $this.type.coding.where(code = 'institutional').exists()",
    "type.coding.code = 'institutional'",
    "type.coding.where(system = 's').code = 'institutional'",
    "created.exists() or item.serviced.empty()",
    "item.serviced.count() = 2",
    "item.all(serviced.exists())",
    "Claim.use.exists()",
)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_means_what_fhirpath_says(rule: str) -> None:
    ours, theirs = fhirpath.condition(rule), fhirpathpy.compile(rule, models["r4"])
    assert ours is not None
    for resource in (SAID, FORM, TWICE, CLAIM):
        told = ours(resource)
        assert ([] if told is None else [told]) == theirs(resource, {}), resource["resourceType"]


def test_a_question_answered_in_two_items_is_noticed_at_any_depth() -> None:
    """SDC: one item for each linkId that has answers. fhirpathpy does not find values in repeated parts."""
    rule = (
        "(QuestionnaireResponse|repeat(answer|item))"
        ".select(item.where(answer.value.exists()).linkId.isDistinct()).allTrue()"
    )
    test = fhirpath.condition(rule)
    assert test is not None
    assert test(FORM) is True
    assert test(TWICE) is False


@pytest.mark.parametrize(
    "rule",
    [
        "descendants().linkId.isDistinct()",
        "status in ('proposed' | 'cancelled')",
        "lastModified >= authoredOn",
        "identifier.value.matches('^[0-9]{5}$')",
        "value > 0.5",
        "resolve().exists()",
        "extension.where(url = 'a')",
    ],
)
def test_what_may_be_neither_true_nor_false_is_left_to_fhirpathpy(rule: str) -> None:
    assert fhirpath.condition(rule) is None


@pytest.mark.parametrize(("purpose", "holds"), [([], True), (["withpa"], False), (["withclaim"], True)])
def test_a_premise_may_be_something_that_is_there(purpose: list[str], holds: bool) -> None:
    """CRD 2.2, crd-ci-q4, which fhirpathpy cannot evaluate: it wants truth where one thing is found."""
    rule = (
        "extension.where(url = 'pa-needed' and value = 'satisfied') and extension.where(url = 'doc-purpose')"
        ".exists() implies extension.where(url = 'doc-purpose').all(value != 'withpa')"
    )
    test = invariants.compiled("crd-ci-q4", rule)
    assert test is not None
    parts: list[dict[str, Any]] = [{"url": "doc-purpose", "valueCode": each} for each in purpose]
    needed = {"url": "pa-needed", "valueCode": "satisfied"}
    assert test({"extension": [needed, *parts]}, None) is holds
    assert test({"extension": parts}, None) is True
