"""The same defines over the same charts in cql-execution: the same values.

Over charts drawn at random the policies are compared live; over one chart, and the stories, stored answers
stand in where Node is not installed. A define the oracle itself fails at is not compared; too many of those
fail the test.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from server.app import the_catalog
from server.elm import Engine, EvaluationError, to_json
from tests.elm import charts, stories
from tests.elm.test_engine_stories import CHART, NOW, ORDER, VALUE_SETS
from tests.oracle import Oracle, available, recorded

ANSWERS = Path(__file__).with_name("oracle_answers.json")
POLICY_ANSWERS = Path(__file__).with_name("oracle_policies.json")
WHEN = "2026-03-02T12:00:00Z"
POLICIES = (
    *(library for policy in the_catalog().policies for library in (policy.library, policy.prefill)),
    "MRICare",
    "MRIPlan",
    "MRIAdvice",
)
FAULTS = {
    "G-AUTH": "a parameter neither given nor defaulted is not null there",
    "Message": "the operator is not implemented there",
    "Films": "a list is not flattened there when one of its elements is null",
    "Earlier studies": "as Films",
    "Made": "an instance is not a resource there",
    "Newest first": "a sort removes duplicates there",
}

needs_oracle = pytest.mark.skipif(
    not available() and os.environ.get("CI") != "true",
    reason="cql-execution is not installed: run `make elm`",
)


def normal(value: Any) -> Any:
    """A value as the oracle's runner writes it: resources by reference, nulls left out, numbers as floats."""
    if isinstance(value, dict):
        if isinstance(value.get("resourceType"), str):
            return {"reference": f"{value['resourceType']}/{value.get('id')}"}
        return {name: normal(part) for name, part in value.items() if part is not None}
    if isinstance(value, list):
        return [normal(item) for item in value]
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        return value.replace("+00:00", "Z").replace(".000Z", "Z")
    if value is None or isinstance(value, bool):
        return value
    return normal(to_json(value))


def differences(ours: Any, answers: dict[str, Any]) -> tuple[list[str], int]:
    """Defines that differ, and how many were compared."""
    wrong, compared = [], 0
    for name, answer in answers.items():
        if name == "Patient" or name in FAULTS or _failed(answer):
            continue
        compared += 1
        try:
            value = normal(ours[name].value)
        except EvaluationError as error:
            value = str(error)
        if value != normal(answer):
            wrong.append(f"{name}: {value} here, {normal(answer)} there")
    return wrong, compared


def _failed(answer: Any) -> bool:
    if isinstance(answer, dict):
        return "error" in answer or any(_failed(part) for part in answer.values())
    return isinstance(answer, list) and any(_failed(part) for part in answer)


@pytest.fixture(scope="module")
def oracle_of_policies() -> Iterator[Callable[[], Oracle]]:
    """One process for all, started at first asking: reading the libraries takes longer than answering."""
    with ExitStack() as stack:
        yield cache(lambda: stack.enter_context(Oracle(charts.libraries(), charts.value_sets())))


@needs_oracle
def test_every_define_of_the_policies_is_what_the_oracle_says(
    oracle_of_policies: Callable[[], Oracle],
) -> None:
    """With evidence recorded and without."""
    sets, oracle = charts.value_sets(), oracle_of_policies()
    engine = Engine(charts.libraries(), sets)
    wrong: list[str] = []
    compared = 0
    for seed in (1, 2):
        drawer = charts.Drawer(seed, sets)
        chart, order = drawer.chart(16 * (seed + 1)), drawer.order()
        for policy in POLICIES:
            answer = oracle.evaluate(policy, {"one": chart}, now=WHEN, parameters={"Order": order})
            for evidence in (False, True):
                ours = engine.evaluate(
                    policy, data=chart, parameters={"Order": order}, now=charts.NOW, evidence=evidence
                )
                differing, count = differences(ours, answer.results["one"])
                wrong += [f"{policy} {seed} {each}" for each in differing]
                compared += count
    assert wrong == []
    assert compared > 2_000


def test_every_define_of_the_policies_is_what_the_oracle_said(
    oracle_of_policies: Callable[[], Oracle],
) -> None:
    drawer = charts.Drawer(7, charts.value_sets())
    chart, order = drawer.chart(24), drawer.order()

    def ask() -> dict[str, Any]:
        oracle = oracle_of_policies()
        said = {
            policy: oracle.evaluate(policy, {"one": chart}, now=WHEN, parameters={"Order": order})
            for policy in POLICIES
        }
        return {policy: _compared(answer.results["one"]) for policy, answer in said.items()}

    engine = the_catalog().engine
    wrong, compared = [], 0
    for policy, answers in recorded(POLICY_ANSWERS, ask).items():
        ours = engine.evaluate(policy, data=chart, parameters={"Order": order}, now=charts.NOW)
        differing, count = differences(ours, answers)
        wrong += [f"{policy} {each}" for each in differing]
        compared += count
    assert wrong == []
    assert compared > 700


def _compared(answers: dict[str, Any]) -> dict[str, Any]:
    """Answers as they are compared; the oracle's failures are not."""
    return {name: normal(answer) for name, answer in answers.items() if not _failed(answer)}


def test_every_define_of_the_stories_is_what_the_oracle_says() -> None:
    def ask() -> dict[str, Any]:
        with Oracle(stories.libraries(), VALUE_SETS) as oracle:
            parameters = {"Order": ORDER, "Names": ["anna", "bert"]}
            answer = oracle.evaluate("Therapy", {"anna": CHART}, now=WHEN, parameters=parameters)
        return answer.results["anna"]

    engine = Engine(stories.libraries(), VALUE_SETS)
    ours = engine.evaluate(
        "Therapy", data=CHART, parameters={"Order": ORDER, "Names": ["anna", "bert"]}, now=NOW
    )
    wrong, compared = differences(ours, recorded(ANSWERS, ask))
    assert wrong == []
    assert compared > 30
