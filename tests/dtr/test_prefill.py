"""Prefill really works: another engine, as a DTR client runs it, fills the forms as ours does.

`cql-execution` gets nothing but what a package brings (its ELM, its value sets, what `$expand` gives of the
large ones) and charts of an example EHR; the filled forms must be the same. Where Node is not installed, its
answers of an earlier run stand in.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from server.dtr.form import Element, define_of
from server.dtr.populate import Filling, Prefill
from server.dtr.response import answers_of
from tests.crd.builders import PATIENT, PHYSICIAN, lumbar, shoulder
from tests.dtr.conftest import Dtr, Package, elm_of
from tests.dtr.test_law import FACTS, NOW
from tests.oracle import Oracle, recorded

HERE = Path(__file__).parent
ORDERS = {"shoulder": shoulder(id="order"), "lumbar": lumbar(id="order")}
CHARTS: Mapping[str, tuple[str, ...]] = {
    "nothing": (),
    "the whole trial": ("six weeks of therapy", "a film", "an examination", "a score", "pain", "a visit"),
    "half a trial": ("three weeks of therapy", "an old film", "a low score"),
    "a new deficit": ("a new foot drop", "a visit"),
    "an earlier study": ("an earlier MRI", "therapy long ago"),
    "occupational therapy": ("occupational therapy", "pain"),
}


class Foreign(Prefill):
    """The form's expressions with the values that another engine found."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def value(self, expression: Element) -> Any:
        return plain(self._values[define_of(expression)[1]])


def plain(value: Any) -> Any:
    """A value in the oracle's normal form as an answer is made of it."""
    match value:
        case list():
            return [plain(each) for each in value]
        case {"codes": codes}:
            return codes[0]["code"] if codes else None
        case {"code": code}:
            return code
        case {"value": number}:
            return Decimal(str(number))
        case float():
            return Decimal(str(value))
    return value


def chart(name: str, order: dict[str, Any]) -> list[dict[str, Any]]:
    """With ids of its own, so that an answer on file is the same in every run."""
    facts = [resource for fact in CHARTS[name] for resource in FACTS[fact]]
    numbered = [{**resource, "id": f"fact-{number}"} for number, resource in enumerate(facts)]
    return [PHYSICIAN, order, *numbered]


def defines(package: Package) -> list[str]:
    """What the form's items name."""
    expressions = (
        expression
        for item in package.form.items.values()
        for expression in (item.initial_expression, item.gate)
        if expression
    )
    return sorted({define_of(expression)[1] for expression in expressions})


def asked_of_the_other_engine(package: Package, order: dict[str, Any]) -> dict[str, Any]:
    held = {each["url"] for each in package.value_sets}
    libraries = [elm_of(library) for library in package.libraries]
    named = {
        declared["id"]
        for library in libraries
        for declared in library["library"].get("valueSets", {}).get("def", [])
    }
    expanded = [package.dtr.get("ValueSet/$expand", url=url).json() for url in sorted(named - held)]
    (canonical,) = package.form.libraries
    library = canonical.partition("|")[0].rpartition("/")[2]
    with Oracle(libraries, [*package.value_sets, *expanded]) as oracle:
        charts = {name: [PATIENT, *chart(name, order)] for name in CHARTS}
        now = NOW.strftime("%Y-%m-%dT%H:%M:%S.000+00:00")
        # As the reference app does, the order of the launch is handed in: this engine takes a parameter that
        # is not given for one that is.
        told = {"Order": order}
        return oracle.evaluate(library, charts, now=now, parameters=told, defines=defines(package)).results


@pytest.mark.parametrize("region", ORDERS)
def test_another_engine_fills_the_form_as_ours_does(dtr: Dtr, region: str) -> None:
    order = ORDERS[region]
    package = dtr.package(order)
    file = HERE / f"prefill-{region}.json"
    values = recorded(file, lambda: asked_of_the_other_engine(package, order))
    origin = {"2.0": "auto", "2.2": "auto-client"}[dtr.version]
    raised = [(name, define) for name in CHARTS for define, value in values[name].items() if _raised(value)]
    assert raised == []
    filled = 0
    for name in CHARTS:
        ours = package.filled(chart(name, order))
        theirs = Filling(
            package.form, package.draft, Foreign(values[name]), answers_of(package.draft), origin
        )._settled()
        assert theirs.answers == ours.answers, name
        assert theirs.asked == ours.asked, name
        filled += len(ours.answers)
    assert filled > len(CHARTS), "charts that fill nothing prove nothing"


def _raised(value: Any) -> bool:
    return isinstance(value, dict) and "error" in value
