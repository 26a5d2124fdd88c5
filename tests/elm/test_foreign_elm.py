"""ELM as other translators write it: what they leave out is inferred, what they misspell is read as meant."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from server.elm import Date, DateTime, Engine, EvaluationError, Interval, LoadError
from tests.elm import stories
from tests.elm.test_engine_robustness import SYSTEM, define, integer, library
from tests.elm.test_engine_stories import CHART, NOW, ORDER, VALUE_SETS, VALUES, run

FHIR = "{http://hl7.org/fhir}"
NOTES = ("resultTypeName", "resultTypeSpecifier", "signature", "localId", "locator", "annotation")

Node = dict[str, Any]


def bare(node: Any) -> Any:
    """ELM without result types, signatures and local ids, as translators write it unless told otherwise."""
    if isinstance(node, list):
        return [bare(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {key: bare(value) for key, value in node.items() if key not in NOTES}


def every(kind: str) -> Node:
    return {"type": "Retrieve", "dataType": f"{FHIR}{kind}"}


def of(path: str, alias: str = "X") -> Node:
    return {"type": "Property", "path": path, "scope": alias}


def named(kind: str) -> Node:
    return {"type": "NamedTypeSpecifier", "name": kind}


def query(source: Node, **clauses: Any) -> Node:
    return {"type": "Query", "source": [{"alias": "X", "expression": source}], "relationship": [], **clauses}


def asked(expression: Node, chart: list[Node]) -> Any:
    """What an expression alone comes to, with evidence and without, and explained."""
    engine = Engine([library(statements=[define("It", expression)])])
    plain, traced = (engine.evaluate("Probe", chart, now=NOW, evidence=told)["It"] for told in (False, True))
    assert plain.value == traced.value == engine.evaluate("Probe", chart, now=NOW).explain("It").value
    return plain.value


@pytest.mark.parametrize("evidence", [False, True])
def test_nothing_hangs_on_the_notes_of_the_translator(evidence: bool) -> None:
    noted = Engine(stories.libraries(), VALUE_SETS)
    silent = Engine(map(bare, stories.libraries()), VALUE_SETS)
    for name in VALUES:
        there, here = run(noted, evidence=evidence)[name], run(silent, evidence=evidence)[name]
        assert (here.value, here.evidence) == (there.value, there.evidence), name


@pytest.mark.parametrize("operator", ["Union", "Intersect", "Except", "Flatten"])
def test_what_a_query_returns_of_lists_joined_is_there_once(operator: str) -> None:
    done, none = every("Procedure"), query(every("Procedure"), where={"type": "Null"})
    both: Node | list[Node] = [done, none if operator == "Except" else done]
    if operator == "Flatten":
        both = {"type": "List", "element": both}
    states = query({"type": operator, "operand": both}, **{"return": {"expression": of("status")}})
    assert asked(states, CHART) == ["completed", "preparation"]


def test_a_list_of_a_source_of_unknown_type_is_handed_to_the_overload_for_lists() -> None:
    def overload(kind: Node, answer: int) -> Node:
        operand = {"name": "x", "operandTypeSpecifier": kind}
        return {"name": "f", "type": "FunctionDef", "expression": integer(answer), "operand": [operand]}

    word = {"type": "NamedTypeSpecifier", "name": f"{SYSTEM}String"}
    parts = query(
        {"type": "Children", "source": {"type": "Tuple", "element": [{"name": "a", "value": integer(1)}]}},
        **{
            "return": {
                "expression": {
                    "type": "ToString",
                    "operand": {"type": "AliasRef", "name": "X"},
                    "resultTypeName": f"{SYSTEM}String",
                }
            }
        },
    )
    call = {"type": "FunctionRef", "name": "f", "operand": [parts]}
    several = overload({"type": "ListTypeSpecifier", "elementType": word}, 2)
    engine = Engine([library(statements=[overload(word, 1), several, define("It", call)])])
    assert engine.evaluate("Probe", now=NOW)["It"].value == 2


def test_a_choice_whose_own_types_hide_its_kind_is_a_choice() -> None:
    wanted = {
        "type": [],
        "choice": [{"type": "NamedTypeSpecifier", "name": f"{FHIR}{each}"} for each in ("dateTime", "Age")],
    }
    when = query(
        every("Procedure"),
        **{"return": {"expression": {"type": "As", "operand": of("performed"), "asTypeSpecifier": wanted}}},
    )
    assert asked(when, CHART) == ["2026-01-05", None, "2026-04-01"]


def test_an_element_of_nothing_named_is_one_of_the_innermost_alias() -> None:
    def joined(path: Node) -> Node:
        same = {
            "type": "Equal",
            "operand": [path, {"type": "Literal", "valueType": f"{SYSTEM}String", "value": "final"}],
        }
        other = {"type": "With", "alias": "M", "expression": every("Observation"), "suchThat": same}
        return {**query(every("Condition"), **{"return": {"expression": of("id")}}), "relationship": [other]}

    assert asked(joined({"type": "Property", "path": "status"}), CHART) == ["pain"]
    with pytest.raises(LoadError, match="neither a source nor a scope"):
        Engine([library(statements=[define("It", {"type": "Property", "path": "status"})])])


def test_an_element_of_one_of_several_types_is_what_that_type_says() -> None:
    lists = [every("ServiceRequest"), every("Condition")]
    day = {"type": "Date", "year": integer(2026), "month": integer(3), "day": integer(1)}
    for element, found in ("authoredOn", ["order"]), ("recordedDate", []):
        value = {"type": "Property", "path": "value", "source": of(element)}
        later = {"type": "SameOrAfter", "precision": "Day", "operand": [value, day]}
        several = query(
            {"type": "Union", "operand": lists}, where=later, **{"return": {"expression": of("id")}}
        )
        assert asked(several, [*CHART, ORDER]) == found


def test_a_parameter_that_only_has_a_default_is_of_its_type() -> None:
    default = {"type": "Date", "year": integer(2026)}
    asking = define("It", {"type": "ParameterRef", "name": "From"})
    engine = Engine([library(parameters=[{"name": "From", "default": default}], statements=[asking])])
    assert engine.evaluate("Probe", parameters={"From": "2026-03-02"}, now=NOW)["It"].value == Date.of(
        2026, 3, 2
    )


def test_a_sort_by_a_primitive_is_by_its_value_and_by_another_element_is_refused() -> None:
    def sorted_by(path: str) -> Node:
        by = {"type": "ByColumn", "path": path, "direction": "desc"}
        found = query(every("Observation"), sort={"by": [by]})
        return query(found, **{"return": {"expression": of("id")}})

    moments = {"noon": "2026-03-02T12:00:00Z", "early": "2026-03-02T13:00:00+05:00", "none": None}
    chart = [{"resourceType": "Observation", "id": name, "issued": when} for name, when in moments.items()]
    assert asked(sorted_by("issued"), chart) == ["noon", "early", "none"]
    with pytest.raises(LoadError, match=r"FHIR\.CodeableConcept has no order"):
        asked(sorted_by("code"), chart)


def test_a_sort_by_a_quantity_is_by_what_the_helpers_make_of_it() -> None:
    value = {"type": "As", "operand": of("value"), "asType": f"{FHIR}Quantity"}
    least = {
        "type": "First",
        "source": query(
            query(every("Observation"), **{"return": {"expression": value}}),
            sort={"by": [{"type": "ByDirection", "direction": "asc"}]},
        ),
    }
    helped = library(statements=[define("It", {"type": "Property", "path": "value", "source": least})])
    with pytest.raises(LoadError, match=r"FHIR\.Quantity has no order"):
        Engine([helped])
    helped["library"]["includes"] = {"def": [{"localIdentifier": "Helpers", "path": "FHIRHelpers"}]}
    chart = [
        {"resourceType": "Observation", "id": code, "valueQuantity": {"value": value, "code": code}}
        for value, code in ((2, "g"), (30, "mg"), (100, "ug"))
    ]
    engine = Engine([helped, json.loads(stories.HELPERS.read_text())])
    assert engine.evaluate("Probe", chart, now=NOW)["It"].value == 100


def test_a_sort_by_a_choice_is_by_the_value_of_the_primitive_it_is() -> None:
    def sorted_by_effective(*more: Node) -> Any:
        moments = {"noon": "2026-03-02T12:00:00Z", "early": "2026-03-02T13:00:00+05:00"}
        chart = [
            {"resourceType": "Observation", "id": name, "effectiveDateTime": when}
            for name, when in moments.items()
        ]
        by = {"type": "ByColumn", "path": "effective", "direction": "asc"}
        found = query(every("Observation"), sort={"by": [by]})
        return asked(query(found, **{"return": {"expression": of("id")}}), [*chart, *more])

    assert sorted_by_effective() == ["early", "noon"]
    stay = {"resourceType": "Observation", "id": "stay", "effectivePeriod": {"start": "2026"}}
    with pytest.raises(EvaluationError, match=r"cannot be sorted: .*Period.* have no order"):
        sorted_by_effective(stay)


def test_what_is_put_where_several_types_may_be_is_still_of_its_own() -> None:
    kinds = [
        {"type": "NamedTypeSpecifier", "name": f"{FHIR}{each}"} for each in ("Reference", "CodeableConcept")
    ]
    drug = {
        "type": "As",
        "operand": {
            "type": "If",
            "condition": {"type": "Null"},
            "then": {"type": "Null"},
            "else": of("code"),
        },
        "asTypeSpecifier": {"type": "ChoiceTypeSpecifier", "choice": kinds},
    }
    made = {
        "type": "Instance",
        "classType": f"{FHIR}MedicationRequest",
        "element": [{"name": "medication", "value": drug}],
    }
    problem = {"resourceType": "Condition", "id": "pain", "code": {"id": "c1", "text": "Pain"}}

    def told(expression: Node) -> Any:
        return asked(query(every("Condition"), **{"return": {"expression": expression}}), [problem])

    assert told(made) == [{"resourceType": "MedicationRequest", "medicationCodeableConcept": problem["code"]}]
    assert told({"type": "Is", "operand": drug, "isType": f"{FHIR}Reference"}) == [False]


def test_a_tuple_is_of_the_types_of_its_elements() -> None:
    pair = {"type": "Tuple", "element": [{"name": "many", "value": integer(1)}]}

    def is_of(kind: str) -> Any:
        parts = [{"name": "many", "elementType": named(f"{SYSTEM}{kind}")}]
        return asked(
            {
                "type": "Is",
                "operand": pair,
                "isTypeSpecifier": {"type": "TupleTypeSpecifier", "element": parts},
            },
            [],
        )

    assert (is_of("Integer"), is_of("String")) == (True, False)


def test_a_code_that_is_not_there_is_in_no_value_set_and_no_code_system() -> None:
    url = VALUE_SETS[0]["url"]
    declared = {
        "valueSets": [{"name": "Set", "id": url}],
        "codeSystems": [{"name": "System", "id": "http://loinc.org"}],
    }
    word = {"type": "As", "operand": {"type": "Null"}, "asType": f"{SYSTEM}Code"}
    in_set = {"type": "InValueSet", "code": word, "valueset": {"type": "ValueSetRef", "name": "Set"}}
    in_system = {
        "type": "InCodeSystem",
        "code": word,
        "codesystem": {"type": "CodeSystemRef", "name": "System"},
    }
    asking = library(statements=[define("Set?", in_set), define("System?", in_system)], **declared)
    answers = Engine([asking], VALUE_SETS).evaluate("Probe", now=NOW)
    assert (answers["Set?"].value, answers["System?"].value) == (False, False)


def test_whether_anything_is_there_does_not_hang_on_evidence_when_a_later_record_is_an_error() -> None:
    number = {"type": "SingletonFrom", "operand": of("identifier")}
    numbered = query(
        every("Condition"), where={"type": "Not", "operand": {"type": "IsNull", "operand": number}}
    )
    one, two = ({"resourceType": "Condition", "id": str(n), "identifier": [{}] * n} for n in (1, 2))
    there = {"type": "Exists", "operand": numbered}
    assert asked(there, [one, two]) is True
    assert asked({"type": "First", "source": numbered}, [one, two]) == one
    by_id = {"by": [{"type": "ByColumn", "path": "id", "direction": "asc"}]}
    assert asked({"type": "Exists", "operand": {**numbered, "sort": by_id}}, [one, two]) is True
    engine = Engine([library(statements=[define("It", there)])])
    told = engine.evaluate("Probe", [one, two], now=NOW, evidence=True)["It"]
    assert [each.reference for each in told.evidence] == ["Condition/1"]
    for evidence in (False, True):
        with pytest.raises(EvaluationError, match=r"Probe\|1 \"It\""):
            _ = engine.evaluate("Probe", [two, one], now=NOW, evidence=evidence)["It"]


def test_an_error_within_what_a_function_is_handed_takes_no_evidence_along() -> None:
    """What is said of a list that is handed over has a log of its own, in whose midst the error comes."""
    number = {"type": "SingletonFrom", "operand": of("identifier")}
    numbers = {"type": "ListTypeSpecifier", "elementType": named(f"{FHIR}Identifier")}
    handed = {"name": "numbers", "operandTypeSpecifier": numbers}
    body = {"type": "Exists", "operand": {"type": "OperandRef", "name": "numbers"}}
    known = {"name": "Known", "type": "FunctionDef", "operand": [handed], "expression": body}
    where = {"type": "FunctionRef", "name": "Known", "operand": [{"type": "List", "element": [number]}]}
    there = {"type": "Exists", "operand": query(every("Condition"), where=where)}
    engine = Engine([library(statements=[known, define("It", there)])])
    chart = [{"resourceType": "Condition", "id": str(n), "identifier": [{}] * n} for n in (1, 2)]
    told = engine.evaluate("Probe", chart, now=NOW, evidence=True)["It"]
    assert told.value is True
    assert [each.reference for each in told.evidence] == ["Condition/1"]


MOMENT = "{urn:hl7-org:elm-types:r1}DateTime"
PERIOD = {
    "name": "Measurement Period",
    "parameterTypeSpecifier": {
        "type": "IntervalTypeSpecifier",
        "pointType": {"type": "NamedTypeSpecifier", "name": MOMENT},
    },
}


def starting(period: Any, now: dt.datetime = NOW) -> Any:
    """Where a measure's period starts, as a caller gives it."""
    start = {"type": "Start", "operand": {"type": "ParameterRef", "name": "Measurement Period"}}
    engine = Engine([library(statements=[define("It", start)], parameters=[PERIOD])])
    return engine.evaluate("Probe", parameters={"Measurement Period": period}, now=now)["It"].value


@pytest.mark.parametrize("start", ["2026-01-01", dt.date(2026, 1, 1), dt.datetime(2026, 1, 1)])
def test_a_period_given_without_an_offset_is_on_the_clock_of_the_evaluation(start: Any) -> None:
    in_new_york = NOW.astimezone(dt.timezone(dt.timedelta(hours=-5)))
    starts = starting(Interval(start, None), in_new_york)
    assert (str(starts)[:11], starts.offset) == ("@2026-01-01", -300)


@pytest.mark.parametrize("start", ["2026-01-01T00:00:00.000Z", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)])
def test_a_period_is_given_in_text_or_in_pythons_own_moments(start: Any) -> None:
    assert starting(Interval(start, None)) == DateTime.parse("2026-01-01T00:00:00.000Z", 0)


@pytest.mark.parametrize(
    "period",
    [
        {"low": "2026-01-01", "high": "2026-12-31"},
        Interval(1, 2),
        "2026",
        Interval("2026-01-01", "31/12/2026"),
    ],
)
def test_a_parameter_of_another_type_is_refused_by_name(period: Any) -> None:
    with pytest.raises(EvaluationError, match=r'"Measurement Period" takes Interval<System.DateTime>'):
        starting(period)


def test_a_bundle_handed_over_whole_is_refused_and_not_an_empty_chart() -> None:
    engine = Engine([library(statements=[define("It", every("Condition"))])])
    with pytest.raises(EvaluationError, match="a list of resources"):
        engine.evaluate("Probe", {"resourceType": "Bundle", "entry": []}, now=NOW)


def test_a_period_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(EvaluationError, match=r"Measurement Period.* ends before it begins"):
        starting(Interval("2026-12-31", "2026-01-01"))
