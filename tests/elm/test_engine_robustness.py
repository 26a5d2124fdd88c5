"""What is not ELM, not data or not finite ends in an error of the engine's own, never a crash or a hang."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from server.elm import BudgetExceeded, ElmError, Engine, EvaluationError, LoadError
from tests.elm import stories
from tests.elm.test_engine_stories import CHART, NOW, ORDER, VALUE_SETS, run

SYSTEM = "{urn:hl7-org:elm-types:r1}"


def library(name: str = "Probe", **sections: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"identifier": {"id": name, "version": "1"}}
    made.update({key: {"def": value} for key, value in sections.items()})
    return {"library": made}


def define(name: str, expression: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "context": "Patient", "expression": expression, **more}


def integer(value: int) -> dict[str, Any]:
    return {"type": "Literal", "valueType": f"{SYSTEM}Integer", "value": str(value)}


def test_an_unknown_construct_is_refused_at_load_with_its_place() -> None:
    probe = library(
        statements=[define("Odd", {"type": "Divinate", "localId": "12", "locator": "3:4-3:9", "operand": []})]
    )
    with pytest.raises(LoadError, match="Divinate is not supported") as caught:
        Engine([probe])
    assert caught.value.place == 'Probe|1 "Odd", localId 12, at 3:4-3:9'


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({}, "no identifier"),
        ({"library": 5}, "no identifier"),
        (library(statements=[{"expression": {}}]), "has no name"),
        (library(statements=5), "not a list of definitions"),
        (library(statements=[define("A", {})]), "missing or is not an ELM node"),
        (library(statements=[define("A", {"type": "ExpressionRef", "name": "B"})]), 'no definition "B"'),
        (
            library(statements=[define("A", {"type": "AliasRef", "name": "X"})]),
            "Nothing in scope is called X",
        ),
        (library(statements=[define("A", {"type": "FunctionRef", "name": "f"})]), 'no function "f"'),
        (library(statements=[define("A", integer(1)), define("A", integer(2))]), 'defines "A" twice'),
        (library(includes=[{"localIdentifier": "X", "path": "X", "version": "1"}]), "cannot be found"),
        (library(usings=[{"localIdentifier": "QDM", "uri": "urn:healthit-gov:qdm:v5_4"}]), "QDM|qdm"),
        (
            library(usings=[{"localIdentifier": "FHIR", "uri": "http://hl7.org/fhir", "version": "3.0.0"}]),
            "uses FHIR 3.0.0",
        ),
        (
            library(usings=[{"localIdentifier": "QICore", "uri": "http://hl7.org/fhir", "version": "4.1.1"}]),
            "uses QICore 4.1.1",
        ),
        (library(statements=[define("A", {"type": "Add", "operand": 5})]), "not an ELM node"),
        (
            library(
                statements=[
                    define("A", {"type": "As", "operand": integer(1), "asType": "{http://hl7.org/fhir}Spell"})
                ]
            ),
            r"As FHIR\.Spell",
        ),
        (
            library(statements=[define("A", {"type": "Retrieve", "dataType": "{http://hl7.org/fhir}Spell"})]),
            "Spell",
        ),
    ],
)
def test_what_is_not_a_library_is_refused(broken: dict[str, Any], says: str) -> None:
    with pytest.raises(LoadError, match=says):
        Engine([broken])


def test_defines_that_rest_on_each_other_are_refused() -> None:
    probe = library(
        statements=[
            define("A", {"type": "ExpressionRef", "name": "B", "resultTypeName": f"{SYSTEM}Integer"}),
            define("B", {"type": "ExpressionRef", "name": "A", "resultTypeName": f"{SYSTEM}Integer"}),
        ]
    )
    for each in probe["library"]["statements"]["def"]:
        each["resultTypeName"] = f"{SYSTEM}Integer"
    with pytest.raises(LoadError, match="refers to itself"):
        Engine([probe])
    for each in probe["library"]["statements"]["def"]:
        del each["resultTypeName"], each["expression"]["resultTypeName"]
    with pytest.raises(LoadError, match="refers to itself"):
        Engine([probe])


def test_libraries_that_include_each_other_are_refused() -> None:
    def including(name: str, other: str) -> dict[str, Any]:
        return library(name, includes=[{"localIdentifier": other, "path": other, "version": "1"}])

    with pytest.raises(LoadError, match=r"in a circle: A\|1 -> B\|1 -> A\|1"):
        Engine([including("A", "B"), including("B", "A")])


def test_includes_are_by_version() -> None:
    def number(version: str, value: int) -> dict[str, Any]:
        made = library("Numbers", statements=[define("N", integer(value))])
        made["library"]["identifier"]["version"] = version
        return made

    def asking(version: str) -> dict[str, Any]:
        return library(
            f"Asks{version}",
            includes=[{"localIdentifier": "Numbers", "path": "Numbers", "version": version}],
            statements=[define("N", {"type": "ExpressionRef", "name": "N", "libraryName": "Numbers"})],
        )

    engine = Engine([number("1", 10), number("2", 20), asking("1"), asking("2")])
    assert engine.evaluate("Asks1", now=NOW)["N"].value == 10
    assert engine.evaluate("Asks2", now=NOW)["N"].value == 20
    assert engine.evaluate("Numbers|2", now=NOW)["N"].value == 20
    with pytest.raises(LoadError, match="given as version 1, 2: name one"):
        engine.evaluate("Numbers", now=NOW)
    with pytest.raises(LoadError, match="given as version 1, 2: but 3 is asked for"):
        Engine([number("1", 10), number("2", 20), asking("3")])


def test_very_deep_elm_is_refused() -> None:
    deep: dict[str, Any] = integer(1)
    for _ in range(5_000):
        deep = {"type": "Negate", "operand": {"type": "Abs", "operand": deep}}
    with pytest.raises(LoadError, match="nested too deeply"):
        Engine([library(statements=[define("Deep", deep)])])


def recursive(step: dict[str, Any]) -> dict[str, Any]:
    """f(n) = if n is null then 0 else f(`step`)"""
    call = {"type": "FunctionRef", "name": "f", "operand": [step]}
    body = {
        "type": "If",
        "condition": {"type": "IsNull", "operand": {"type": "OperandRef", "name": "n"}},
        "then": integer(0),
        "else": call,
    }
    kind = {"type": "NamedTypeSpecifier", "name": f"{SYSTEM}Integer"}
    function = {
        "name": "f",
        "type": "FunctionDef",
        "expression": body,
        "operand": [{"name": "n", "operandTypeSpecifier": kind}],
        "resultTypeName": f"{SYSTEM}Integer",
    }
    return library(
        statements=[
            function,
            define("Endless", {"type": "FunctionRef", "name": "f", "operand": [integer(1)]}),
        ]
    )


def test_a_function_that_never_ends_is_stopped() -> None:
    engine = Engine([recursive({"type": "OperandRef", "name": "n"})])
    with pytest.raises(EvaluationError, match="nested too deeply"):
        engine.evaluate("Probe", now=NOW)["Endless"]


def product_of(size: int) -> dict[str, Any]:
    numbers = {"type": "List", "element": [integer(n) for n in range(size)]}
    source = [{"alias": alias, "expression": numbers} for alias in "ABCDE"]
    return library(
        statements=[
            define(
                "Product",
                {"type": "Count", "source": {"type": "Query", "source": source, "relationship": []}},
            )
        ]
    )


def test_a_budget_of_steps_is_kept() -> None:
    engine = Engine([product_of(60)])
    started = time.monotonic()
    with pytest.raises(BudgetExceeded, match="more than 50000 steps"):
        engine.evaluate("Probe", now=NOW, steps=50_000)["Product"]
    assert time.monotonic() - started < 5


def test_a_budget_of_time_is_kept() -> None:
    engine = Engine([product_of(60)])
    with pytest.raises(BudgetExceeded, match=r"more than 0\.05 seconds"):
        engine.evaluate("Probe", now=NOW, seconds=0.05)["Product"]


def test_what_is_asked_of_a_run_has_the_time_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = Engine([product_of(60)]).evaluate("Probe", now=NOW, steps=50_000, seconds=30)
    late = time.monotonic() + 31
    monkeypatch.setattr(time, "monotonic", lambda: late)
    with pytest.raises(BudgetExceeded, match=r"more than 30 seconds"):
        begun.plain()["Product"]


ALL = {"type": "ExpressionRef", "name": "All"}
NEVER = {"type": "Literal", "valueType": f"{SYSTEM}Boolean", "value": "false"}
SOUGHT = {"type": "IndexOf", "source": ALL, "element": {"type": "AliasRef", "name": "X"}}


@pytest.mark.parametrize("evidence", [False, True])
@pytest.mark.parametrize(
    "clause",
    [
        {"relationship": [{"type": "With", "alias": "Y", "expression": ALL, "suchThat": NEVER}]},
        {"where": {"type": "Equal", "operand": [SOUGHT, integer(-1)]}},
    ],
    ids=["with", "index of"],
)
def test_whatever_goes_through_a_list_for_each_of_another_spends_the_budget(
    clause: dict[str, Any], evidence: bool
) -> None:
    every = {"type": "Retrieve", "dataType": "{http://hl7.org/fhir}Condition"}
    none = {"type": "Query", "source": [{"alias": "X", "expression": ALL}], **clause}
    engine = Engine([library(statements=[define("All", every), define("None", none)])])
    chart = [{"resourceType": "Condition", "id": str(number)} for number in range(100)]
    assert engine.evaluate("Probe", chart, now=NOW, evidence=evidence)["None"].value == []
    with pytest.raises(BudgetExceeded):
        engine.evaluate("Probe", chart, now=NOW, evidence=evidence, steps=5_000)["None"]


@pytest.mark.parametrize("evidence", [False, True])
def test_what_the_first_of_a_list_settles_takes_no_step_for_the_others(evidence: bool) -> None:
    every = {"type": "Retrieve", "dataType": "{http://hl7.org/fhir}Condition"}
    always = {**NEVER, "value": "true"}
    beside = {"type": "With", "alias": "Y", "expression": ALL, "suchThat": always}
    each = {"type": "Query", "source": [{"alias": "X", "expression": ALL}], "relationship": [beside]}
    engine = Engine([library(statements=[define("All", every), define("Each", each)])])
    chart = [{"resourceType": "Condition", "id": str(number)} for number in range(100)]
    run = engine.evaluate("Probe", chart, now=NOW, evidence=evidence, steps=5_000)
    assert len(run["Each"].value) == 100


@pytest.mark.parametrize("evidence", [False, True])
def test_the_first_that_qualifies_takes_no_step_for_those_after_it(evidence: bool) -> None:
    every = {"type": "Retrieve", "dataType": "{http://hl7.org/fhir}Condition"}
    known = {"type": "GreaterOrEqual", "operand": [SOUGHT, integer(0)]}
    each = {"type": "Query", "source": [{"alias": "X", "expression": ALL}], "where": known}
    first = {"type": "First", "source": each}
    engine = Engine(
        [library(statements=[define("All", every), define("Each", each), define("First", first)])]
    )
    chart = [{"resourceType": "Condition", "id": str(number)} for number in range(100)]
    run = engine.evaluate("Probe", chart, now=NOW, evidence=evidence, steps=5_000)
    assert run["First"].value["id"] == "0"
    with pytest.raises(BudgetExceeded):
        run["Each"]


def test_what_fits_the_budget_is_computed() -> None:
    engine = Engine([product_of(4)])
    assert engine.evaluate("Probe", now=NOW, steps=5_000)["Product"].value == 4**5


def hostile(value: Any) -> Iterator[Any]:
    yield from (
        None,
        5,
        True,
        "x",
        [],
        {},
        [[]],
        [{"coding": 5}],
        {"coding": [None, 7, {"code": {}}]},
        "9" * 10_000,
    )
    deep: Any = value
    for _ in range(2_000):
        deep = {"extension": [deep]}
    yield deep


@pytest.mark.parametrize("evidence", [False, True])
def test_hostile_charts_end_in_values_or_errors_of_ours(evidence: bool) -> None:
    engine = Engine(stories.libraries(), VALUE_SETS)
    for resource in CHART:
        for key in resource:
            for bad in hostile(resource[key]):
                chart = [*CHART, {**resource, key: bad}]
                attempt(engine, chart, evidence)
    attempt(engine, [None, 5, [], "x", {"resourceType": 5}, {"resourceType": "Patient"}], evidence)  # type: ignore[list-item]


def attempt(engine: Engine, chart: list[dict[str, Any]], evidence: bool) -> None:
    evaluation = run(engine, chart, evidence=evidence)
    for name in engine.defines("Therapy"):
        try:
            result = evaluation[name]
        except ElmError:
            continue
        assert isinstance(result.evidence, tuple)


def test_fuzzed_elm_loads_or_is_refused() -> None:
    random = Random(4)
    original = stories.libraries()
    for _ in range(150):
        documents = [copy.deepcopy(original[0]), *original[1:]]
        for _ in range(random.randint(1, 3)):
            mutate(documents[0], random)
        try:
            engine = Engine(documents, VALUE_SETS)
        except LoadError:
            continue
        names = engine.libraries
        evaluation = engine.evaluate(names[0], data=CHART, now=NOW, steps=200_000, seconds=2)
        for name in engine.defines(names[0]):
            try:
                evaluation[name]
            except ElmError:
                continue


def mutate(document: dict[str, Any], random: Random) -> None:
    """Replace, drop or swap one value somewhere in the statements."""
    places: list[tuple[Any, Any]] = []
    stack: list[Any] = [document["library"]["statements"]]
    while stack:
        top = stack.pop()
        keys = list(top) if isinstance(top, dict) else range(len(top))
        for key in keys:
            places.append((top, key))
            if isinstance(top[key], dict | list):
                stack.append(top[key])
    holder, key = random.choice(places)
    other, another = random.choice(places)
    match random.randrange(4):
        case 0:
            holder[key] = random.choice([None, 7, "Nothing", [], {}, {"type": "Null"}])
        case 1:
            holder[key] = copy.deepcopy(other[another])
        case 2 if isinstance(holder, dict):
            del holder[key]
        case _:
            holder[key], other[another] = copy.deepcopy(other[another]), copy.deepcopy(holder[key])


def test_one_engine_serves_many_threads() -> None:
    engine = Engine(stories.libraries(), VALUE_SETS)
    seen: list[Any] = []

    def work() -> None:
        for evidence in (True, False):
            evaluation = engine.evaluate(
                "Therapy", data=CHART, parameters={"Order": ORDER}, now=NOW, evidence=evidence
            )
            seen.append([evaluation[name].value for name in ("Sessions", "Both", "Either", "Age", "Pairs")])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 16
    assert all(each == seen[0] for each in seen)
