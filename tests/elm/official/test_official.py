"""The official CQL tests pass, but for a list that says whose fault each exception is."""

from __future__ import annotations

import os
from decimal import Decimal
from typing import Any

import pytest

from server.elm.values import Date, Interval, Long, Quantity, Uncertainty
from tests.elm.official.judge import Verdict, judge, runs, same
from tests.elm.official.report import FAULTS, PAGE, reasons, section, with_section
from tests.elm.official.suite import Case, Unavailable, load


@pytest.fixture(scope="module")
def verdicts() -> list[Verdict]:
    try:
        return list(runs(*load()))
    except Unavailable as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))


def test_every_test_passes_or_is_listed_with_its_reason(verdicts: list[Verdict]) -> None:
    listed = {test for reason in reasons() for test in reason.tests}
    surprises = [
        f"{v.case.id}: {v.said}" for v in verdicts if v.outcome != "passed" and v.case.id not in listed
    ]
    assert surprises == []


def test_a_listed_test_that_passes_leaves_the_list(verdicts: list[Verdict]) -> None:
    failing = {verdict.case.id for verdict in verdicts if verdict.outcome != "passed"}
    assert [test for reason in reasons() for test in reason.tests if test not in failing] == []


def test_the_bar_is_met(verdicts: list[Verdict]) -> None:
    assert sum(verdict.outcome == "passed" for verdict in verdicts) >= 1750


def test_the_page_shows_this_run(verdicts: list[Verdict]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_section(page, section(verdicts)) == page, "write it: python -m tests.elm.official"


def test_each_reason_names_a_fault_and_no_test_twice() -> None:
    tests = [test for reason in reasons() for test in reason.tests]
    assert len(tests) == len(set(tests))
    assert {reason.fault for reason in reasons()} <= set(FAULTS)
    assert all(len(reason.why) > 30 for reason in reasons())


def test_the_judge_fails_every_passing_test_whose_expected_value_is_spoilt(verdicts: list[Verdict]) -> None:
    """The negative control: a judge that read nothing would pass everything."""
    cases, translations = load()
    by_id = {case.id: translation for case, translation in zip(cases, translations, strict=True)}
    kept = [
        verdict.case.id
        for verdict in verdicts
        if verdict.outcome == "passed" and verdict.case.output is not None and not verdict.case.invalid
        if judge(verdict.case, spoilt(by_id[verdict.case.id])).outcome == "passed"
    ]
    assert kept == []


def spoilt(translation: dict[str, Any]) -> dict[str, Any]:
    """The same test expecting a tuple no test expects."""
    library = translation["elm"]["library"]
    text = {"type": "Literal", "valueType": "{urn:hl7-org:elm-types:r1}String", "value": "expected"}
    nowhere = {"type": "Tuple", "element": [{"name": "nowhere", "value": text}]}
    statements = [
        {"name": "expected", "context": "Unfiltered", "expression": nowhere}
        if definition["name"] == "expected"
        else definition
        for definition in library["statements"]["def"]
    ]
    return {"elm": {"library": {**library, "statements": {"def": statements}}}}


DIFFERENT = [
    (None, False),
    (0, None),
    (True, False),
    (1, 2),
    (1, Decimal("1.0")),  # an Integer where a Decimal is due
    (Long(1), 2),
    ("a", "A"),
    (Decimal("0.33333333"), Decimal("0.33333334")),
    (Date.of(2026, 1, 5), Date.of(2026, 1)),
    (Quantity(Decimal(1), "cm"), Quantity(Decimal(10), "mm")),  # the same length, another answer
    (Interval(1, 5), Interval(1, 6)),
    (Interval(1, None), Interval(1, 5)),
    (Interval(1, 5), Interval(1, 5, True, False)),
    (Uncertainty(1, 5), 3),
    ([1, 2], [2, 1]),
    ([1], [1, 1]),
    ([], None),
    ({"id": 1}, {"id": 1, "name": None}),
    ({"id": 1}, {"id": "1"}),
]


@pytest.mark.parametrize(("actual", "expected"), DIFFERENT)
def test_the_judge_sees_a_difference(actual: Any, expected: Any) -> None:
    assert not same(actual, expected)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (None, None),
        (Decimal("1.50"), Decimal("1.5")),
        (Decimal("1.0"), 1),  # converts as it would in `actual = expected`
        (Uncertainty(1, 5), Interval(1, 5)),
        (Interval(1, 5), Interval(1, 6, True, False)),
        ([1, None], [1, None]),
        ({"id": None}, {"id": None}),
    ],
)
def test_the_judge_knows_the_same_value_again(actual: Any, expected: Any) -> None:
    assert same(actual, expected)


def test_an_invalid_expression_that_gives_a_value_fails() -> None:
    value = {"type": "Literal", "valueType": "{urn:hl7-org:elm-types:r1}Integer", "value": "1"}
    library = {
        "identifier": {"id": "T"},
        "schemaIdentifier": {"id": "urn:hl7-org:elm", "version": "r1"},
        "statements": {
            "def": [
                {"name": "actual", "context": "Unfiltered", "expression": value},
                {"name": "expected", "context": "Unfiltered", "expression": {"type": "Null"}},
            ]
        },
    }
    case = Case("file", "group", "name", "1", None, "true")
    assert judge(case, {"elm": {"library": library}}).outcome == "failed"
