"""Runs the official tests through the engine and says what became of each.

A test passes when actual and expected value are the same: of the same type, equal where CQL can tell, both
null where both are. An uncertain number counts as the closed interval the tests write for it. A test marked
invalid passes when the engine, or the translator, refuses it with an error of its own.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from server.elm import ElmError, Engine
from server.elm.operators.comparison import equal
from server.elm.values import Date, DateTime, Interval, Long, Quantity, Uncertainty, literal
from tests.elm.official.suite import Case

NOW = datetime.datetime(2026, 3, 4, 10, 30, 15, 250_000, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one test: passed, failed with what it said, or refused by the translator."""

    case: Case
    outcome: str  # "passed", "failed" or "untranslated"
    said: str = ""


def judge(case: Case, translation: Mapping[str, Any]) -> Verdict:
    """Evaluate one translated test; an exception that is not the engine's own goes through."""
    if "elm" not in translation:
        said = translation["errors"][0]["message"]
        return Verdict(case, "passed" if case.invalid else "untranslated", said)
    try:
        engine = Engine(libraries=[translation["elm"]])
        run = engine.evaluate(engine.libraries[0], now=NOW)
        actual = run["actual"].value
    except ElmError as error:
        return Verdict(case, "passed" if case.invalid else "failed", f"raised {error.message}")
    if case.invalid:
        return Verdict(case, "failed", f"gave {literal(actual)} where an error is due")
    if case.output is None:
        return Verdict(case, "passed")
    expected = run["expected"].value
    if same(actual, expected):
        return Verdict(case, "passed")
    return Verdict(case, "failed", f"gave {literal(actual)}, expected {literal(expected)}")


def same(actual: Any, expected: Any) -> bool:
    """Whether the engine gave what the test wants: stricter than CQL's `=`, which is null between nulls."""
    if actual is None or expected is None:
        return actual is expected
    if isinstance(actual, Uncertainty):
        actual = Interval(actual.low, actual.high)
    if isinstance(actual, dict) or isinstance(expected, dict):
        if not isinstance(actual, dict) or not isinstance(expected, dict):
            return False
        return {*actual} == {*expected} and all(same(actual[name], expected[name]) for name in actual)
    if isinstance(actual, list) or isinstance(expected, list):
        if not isinstance(actual, list) or not isinstance(expected, list) or len(actual) != len(expected):
            return False
        return all(same(a, b) for a, b in zip(actual, expected, strict=True))
    if not _one_type(actual, expected):
        return False
    if isinstance(actual, Interval) and (actual.low is None or actual.high is None):
        return actual == expected or equal(actual, expected) is True
    if isinstance(actual, Quantity) and actual.unit != expected.unit:
        return False  # equal after conversion is not what was asked
    return equal(actual, expected) is True


_CONVERTS = frozenset({(int, Long), (int, Decimal), (Long, Decimal), (Date, DateTime)})


def _one_type(actual: Any, expected: Any) -> bool:
    """Of one type, or the expected value converts to the actual type as it would in `actual = expected`."""
    if isinstance(actual, Interval) and isinstance(expected, Interval):
        bounds = ((actual.low, expected.low), (actual.high, expected.high))
        return all(a is None or b is None or _one_type(a, b) for a, b in bounds)
    return type(actual) is type(expected) or (type(expected), type(actual)) in _CONVERTS


def runs(cases: list[Case], translations: list[dict[str, Any]]) -> Iterator[Verdict]:
    """Every test in turn."""
    for case, translation in zip(cases, translations, strict=True):
        yield judge(case, translation)
