"""The oracle answers in the normal form it promises, and FHIRHelpers means what it says at its top.

What a chart says is put in small CQL defines, translated here and evaluated by cql-execution.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.oracle import TOOLS, Oracle, OracleError, available, recorded

CQL = TOOLS.parent
NOW = "2026-03-01T12:00:00Z"
CPT = "http://www.ama-assn.org/go/cpt"
THERAPY = {
    "resourceType": "ValueSet",
    "url": "https://payer.example/ValueSet/therapy",
    "compose": {"include": [{"system": CPT, "concept": [{"code": "97110"}]}]},
}

SOURCE = """
library Probe version '1'
using FHIR version '4.0.1'
include FHIRHelpers version '4.0.1'
valueset "Therapy": 'https://payer.example/ValueSet/therapy'
parameter "Order" FHIR.ServiceRequest
parameter "Trial weeks" Integer default 6
parameter "Days" List<Date>
context Patient

define "Visits": [Procedure: "Therapy"]
define "Days of visits": "Visits" P return all date from (P.performed as FHIR.dateTime).value
define "Courses": [MedicationStatement] M return all FHIRHelpers.ToInterval(M.effective as FHIR.Period)
define "Scores": [Observation] O return all FHIRHelpers.ToQuantity(O.value as FHIR.Quantity)
define "Spans": [Observation] O return all FHIRHelpers.ToInterval(O.value as FHIR.Range)
define "Ordered code": FHIRHelpers.ToConcept("Order".code)
define "Weeks": "Trial weeks"
define "Last day": Max("Days")
define "Visit": First("Visits" P return all Tuple { what: P, status: P.status, at: Now() })
define "Raises": singleton from { 1, 2 }
define "Not known": null as Boolean and true
"""

ORDER = {
    "resourceType": "ServiceRequest",
    "status": "draft",
    "intent": "order",
    "subject": {"reference": "Patient/anna"},
    "code": {"coding": [{"system": CPT, "code": "73221"}], "text": "MRI"},
}

needs_oracle = pytest.mark.skipif(
    not available() and os.environ.get("CI") != "true",
    reason="cql-execution is not installed: run `make elm`",
)


@pytest.fixture(scope="module")
def oracle() -> Any:
    lines = json.dumps({"id": "probe", "cql": SOURCE})
    command = ["node", str(TOOLS / "batch.mjs")]
    written = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=60, check=True)
    probe = json.loads(written.stdout)["elm"]
    helpers = json.loads((CQL / "elm" / "FHIRHelpers.json").read_text())
    with Oracle([probe, helpers], [THERAPY]) as opened:
        yield opened


def says(oracle: Oracle, define: str, *chart: dict[str, Any]) -> Any:
    parameters = {"Order": ORDER, "Days": ["2026-01-05", "2026-02-01"]}
    return oracle.evaluate(
        "Probe", {"anna": chart}, now=NOW, parameters=parameters, defines=[define]
    ).results["anna"][define]


def visit(when: str, code: str = "97110") -> dict[str, Any]:
    return {
        "resourceType": "Procedure",
        "id": "visit",
        "status": "completed",
        "code": {"coding": [{"system": CPT, "code": code}]},
        "performedDateTime": when,
    }


def taken(**period: str) -> dict[str, Any]:
    return {"resourceType": "MedicationStatement", "id": "naproxen", "effectivePeriod": period}


def measured(**value: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": "score", **value}


@needs_oracle
def test_only_what_the_value_set_names_is_a_visit(oracle: Oracle) -> None:
    assert says(oracle, "Visits", visit("2026-02-10")) == [{"reference": "Procedure/visit"}]
    assert says(oracle, "Visits", visit("2026-02-10", code="73030")) == []


@needs_oracle
def test_the_day_of_a_visit_is_the_day_that_was_written(oracle: Oracle) -> None:
    assert says(oracle, "Days of visits", visit("2026-02-10T23:30:00-05:00")) == ["2026-02-10"]
    assert says(oracle, "Days of visits", visit("2026-02-10T01:00:00+09:00")) == ["2026-02-10"]


@needs_oracle
@pytest.mark.parametrize(
    ("period", "interval"),
    [
        ({"start": "2026-01-01", "end": "2026-01-31"}, ["2026-01-01", "2026-01-31", True, True]),
        ({"start": "2026-01-01"}, ["2026-01-01", None, True, True]),
        ({"end": "2026-01-31"}, [None, "2026-01-31", False, True]),
    ],
    ids=["closed", "without end it goes on", "without start it began at an unknown time"],
)
def test_a_period(oracle: Oracle, period: dict[str, str], interval: list[Any]) -> None:
    (found,) = says(oracle, "Courses", taken(**period))
    assert [found[each] for each in ("low", "high", "lowClosed", "highClosed")] == interval


@needs_oracle
@pytest.mark.parametrize(
    "period", [{}, {"start": "2026-02-01", "end": "2026-01-01"}], ids=["empty", "reversed"]
)
def test_a_period_that_says_nothing_is_null(oracle: Oracle, period: dict[str, str]) -> None:
    assert says(oracle, "Courses", taken(**period)) == [None]


@needs_oracle
def test_the_unit_of_a_quantity_is_its_ucum_code_before_its_print(oracle: Oracle) -> None:
    weight = {"value": 6.5, "unit": "kilos", "system": "http://unitsofmeasure.org", "code": "kg"}
    assert says(oracle, "Scores", measured(valueQuantity=weight)) == [{"value": 6.5, "unit": "kg"}]
    assert says(oracle, "Scores", measured(valueQuantity={"value": 6, "unit": "d"})) == [
        {"value": 6, "unit": "d"}
    ]
    assert says(oracle, "Scores", measured(valueQuantity={"value": 6})) == [{"value": 6, "unit": "1"}]


@needs_oracle
@pytest.mark.parametrize("quantity", [{"value": 5, "comparator": "<"}, {"unit": "kg"}])
def test_a_quantity_without_a_sure_number_is_null(oracle: Oracle, quantity: dict[str, Any]) -> None:
    assert says(oracle, "Scores", measured(valueQuantity=quantity)) == [None]


@needs_oracle
def test_a_range_without_a_bound_is_not_known_there(oracle: Oracle) -> None:
    (found,) = says(oracle, "Spans", measured(valueRange={"low": {"value": 3, "unit": "mm"}}))
    assert found == {"low": {"value": 3, "unit": "mm"}, "high": None, "lowClosed": True, "highClosed": False}


@needs_oracle
def test_parameters_arrive_with_their_types_and_defaults_hold(oracle: Oracle) -> None:
    ordered = {"codes": [{"code": "73221", "system": CPT}], "display": "MRI"}
    assert says(oracle, "Ordered code") == ordered
    assert says(oracle, "Last day") == "2026-02-01"
    assert says(oracle, "Weeks") == 6


@needs_oracle
def test_tuples_nulls_and_errors_are_told_apart(oracle: Oracle) -> None:
    found = {
        "what": {"reference": "Procedure/visit"},
        "status": "completed",
        "at": "2026-03-01T12:00:00+00:00",
    }
    assert says(oracle, "Visit", visit("2026-02-10")) == found
    assert says(oracle, "Not known") is None
    assert list(says(oracle, "Raises")) == ["error"]


@needs_oracle
def test_every_repetition_is_timed(oracle: Oracle) -> None:
    answer = oracle.evaluate("Probe", {"anna": [visit("2026-02-10")]}, now=NOW, defines=["Visits"], repeat=3)
    assert len(answer.milliseconds["anna"]) == 3
    assert all(each > 0 for each in answer.milliseconds["anna"])


@needs_oracle
def test_a_define_that_is_not_there_is_an_error(oracle: Oracle) -> None:
    with pytest.raises(OracleError, match="no define"):
        oracle.evaluate("Probe", {"anna": []}, now=NOW, defines=["Nowhere"])


@needs_oracle
def test_a_recorded_answer_that_went_stale_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "answers.json"
    monkeypatch.setenv("ORACLE_RECORD", "1")
    recorded(file, lambda: {"anna": True})
    monkeypatch.delenv("ORACLE_RECORD")
    assert recorded(file, lambda: {"anna": True}) == {"anna": True}
    with pytest.raises(OracleError, match="ORACLE_RECORD"):
        recorded(file, lambda: {"anna": False})
