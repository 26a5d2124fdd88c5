"""The engine over small libraries about one patient: what a define comes to, and how often it is computed."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from server.elm import Date, DateTime, Engine, EvaluationError, Interval, LoadError, Run, to_json
from tests.elm import stories

Json = dict[str, Any]
NOW = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
PROCEDURES = "https://example.org/procedures"
FINDINGS = "https://example.org/findings"


def value_set(name: str, *codes: str) -> Json:
    return {
        "resourceType": "ValueSet",
        "url": f"https://example.org/ValueSet/{name}",
        "version": "2026",
        "title": name.title(),
        "expansion": {"contains": [{"system": PROCEDURES, "code": code} for code in codes]},
    }


VALUE_SETS = [value_set("physiotherapy", "pt-exercise", "pt-manual"), value_set("injection", "steroid")]


def therapy(name: str, when: str | Json, code: str = "pt-exercise", status: str = "completed") -> Json:
    key = "performedDateTime" if isinstance(when, str) else "performedPeriod"
    return {
        "resourceType": "Procedure",
        "id": name,
        "status": status,
        "code": {"coding": [{"system": PROCEDURES, "code": code}]},
        key: when,
    }


ANNA = {
    "resourceType": "Patient",
    "id": "anna",
    "birthDate": "1980-03-03",
    "_birthDate": {"extension": [{"url": "https://example.org/note", "valueString": "from the passport"}]},
}
PAIN = {
    "resourceType": "Condition",
    "id": "pain",
    "code": {"coding": [{"system": FINDINGS, "code": "knee-pain"}]},
    "onsetDateTime": "2025-11",
    "recordedDate": "2025-12-01",
}
LENGTH = {
    "resourceType": "Observation",
    "id": "length",
    "status": "final",
    "code": {"text": "wound"},
    "valueQuantity": {
        "value": Decimal("2.5"),
        "unit": "cm",
        "system": "http://unitsofmeasure.org",
        "code": "cm",
    },
}
ORDER = {
    "resourceType": "ServiceRequest",
    "id": "order",
    "status": "active",
    "authoredOn": "2026-03-01",
    "code": {"coding": [{"system": PROCEDURES, "code": "pt-manual"}]},
    "bodySite": [{"text": "right knee", "coding": [{"code": "right"}]}, {"text": "left knee"}],
}
EARLY = therapy("early", "2026-01-05")
LATE = therapy("late", {"start": "2026-02-20", "end": "2026-02-25"}, code="pt-manual")
PLANNED = therapy("planned", "2026-04-01", status="preparation")
CHART = [ANNA, PAIN, LENGTH, EARLY, LATE, PLANNED]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(libraries=stories.libraries(), value_sets=VALUE_SETS)


def run(engine: Engine, chart: list[Json] | None = None, **options: Any) -> Run:
    parameters = {"Order": ORDER, "Names": ["anna", "bert"], **options.pop("parameters", {})}
    return engine.evaluate(
        "Therapy", data=CHART if chart is None else chart, parameters=parameters, now=NOW, **options
    )


VALUES = {
    "Day zero": Date.of(2026, 3, 1),
    "Done": [EARLY, LATE],
    "Sessions": [
        {"what": EARLY, "given": Date.of(2026, 1, 5)},
        {"what": LATE, "given": Date.of(2026, 2, 20)},
    ],
    "Long enough": True,
    "Newest": {"what": LATE, "given": Date.of(2026, 2, 20)},
    "Newest first": [Date.of(2026, 2, 20), Date.of(2026, 1, 5)],
    "How many": 2,
    "Injected": False,
    "Either": True,
    "Both": False,
    "Unknown and true": None,
    "Painful knee": True,
    "Before any therapy": ["pain"],
    "Without therapy": ["pain"],
    "Pairs": [{"one": "early", "other": "late"}],
    "Sides": ["right knee", "left knee"],
    "Right": True,
    "In value set": True,
    "Named": True,
    "Overloads": {"number": 8, "text": 4},
    "Age": 45,
    "Birth note": "from the passport",
    "Window": Interval(Date.of(2026, 1, 30), Date.of(2026, 3, 1)),
    "Last window length": 30,
    "Pain is pain": True,
    "Length in cm": True,
    "Made": {"resourceType": "Observation", "id": "made", "status": "final", "valueString": "text"},
    "Made is text": True,
    "Message": 5,
    "Moment": DateTime.of_python(NOW),
    "Converted": 5,
    "Each once": 12,
    "Each named once": [1, 2, None],
    "Each pair once": 5,
    "Sessions alone": 2,
    "Everybody": 1,
}


@pytest.mark.parametrize("evidence", [False, True])
@pytest.mark.parametrize("define", VALUES)
def test_a_define_comes_to(engine: Engine, define: str, evidence: bool) -> None:
    assert run(engine, evidence=evidence)[define].value == VALUES[define]


@pytest.mark.parametrize("define", ["Overloads", "Pairs", "Window", "Made"])
def test_a_define_explained_is_the_define(engine: Engine, define: str) -> None:
    assert run(engine).explain(define).value == VALUES[define]


def test_parameters_have_defaults_and_may_be_given(engine: Engine) -> None:
    assert run(engine, parameters={"Weeks": 8})["Long enough"].value is False
    with pytest.raises(
        EvaluationError, match='"Weks" is not a parameter here; there are: Order, Weeks, Names'
    ):
        run(engine, parameters={"Weks": 8})


def test_an_empty_chart_is_no_error(engine: Engine) -> None:
    empty = run(engine, chart=[])
    assert empty["Patient"].value is None
    assert empty["Long enough"].value is False
    assert empty["Age"].value is None


def test_care_of_which_nobody_wrote_when_it_began_is_counted_by_what_is_known(engine: Engine) -> None:
    """Its first day may be any until its last."""
    begun = run(engine, chart=[ANNA, therapy("begun", {"end": "2026-01-05"}), LATE])
    assert begun["Sessions"].value == [{"what": LATE, "given": Date.of(2026, 2, 20)}]
    assert begun["Long enough"].value is False


def test_patients_are_told_apart_when_one_is_named(engine: Engine) -> None:
    bert = {"resourceType": "Patient", "id": "bert", "birthDate": "2000-01-01"}
    his = therapy("his", "2026-01-01") | {"subject": {"reference": "Patient/bert"}}
    both = run(engine, chart=[*CHART, bert, his], patient="bert")
    assert both["Age"].value == 26
    assert his in both["Done"].value
    assert both["Everybody"].value == 2
    theirs = EARLY | {"subject": {"reference": "Patient/anna"}}
    assert run(engine, chart=[bert, his, theirs], patient="bert")["Done"].value == [his]


def test_what_is_said_by_message_is_kept(engine: Engine) -> None:
    spoken = run(engine)
    assert spoken["Message"].value == 5
    assert spoken.messages == [("Warning", "five", "five it is")]


def test_a_run_time_error_names_the_expression(engine: Engine) -> None:
    with pytest.raises(EvaluationError, match="at most one item and found 2") as caught:
        run(engine)["Too many"]
    assert caught.value.place is not None
    assert 'Therapy|1.0.0 "Too many", localId ' in caught.value.place
    assert ", at 76:20-76:40" in caught.value.place


def test_what_ifs_compute_only_what_they_touch(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    base = run(engine)
    assert base["Chained"].value is True
    computed: list[str] = []
    evaluate = Run.evaluate

    def counting(self: Run, index: int) -> Any:
        computed.append(self.compiled.program.definitions[index].name)
        return evaluate(self, index)

    monkeypatch.setattr(Run, "evaluate", counting)
    what_if = base.assume({"Injected": True})
    assert what_if["Both"].value is True
    assert what_if["Not injected"].value is False
    assert computed == ["Both", "Not injected"]
    assert base["Both"].value is False


@pytest.mark.parametrize("evidence", [False, True])
def test_a_what_if_is_seen_by_the_functions_that_read_what_is_assumed(engine: Engine, evidence: bool) -> None:
    base = run(engine, evidence=evidence)
    assert base["Sessions alone"].value == 2
    assert base.assume({"Long enough": False})["Sessions alone"].value == 2
    assert base.assume({"Injected": True})["Sessions alone"].value == 0


def test_assumptions_may_be_unknown_and_may_be_stacked(engine: Engine) -> None:
    unknown = run(engine, assuming={"Injected": None})
    assert unknown["Both"].value is None
    settled = unknown.assume({"Long enough": False})
    assert settled["Both"].value is False
    assert settled["Injected"].value is None


def test_a_define_of_an_included_library_is_reached_by_name(engine: Engine) -> None:
    assert run(engine)["Windows.Default days"].value == 30
    with pytest.raises(EvaluationError, match='There is no define "Nowhere"'):
        run(engine)["Nowhere"]


def test_another_library_is_asked_beside_and_what_both_rest_on_is_computed_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = run(engine)
    assert base["Last window length"].value == 30
    beside = base.beside("Windows")
    monkeypatch.setattr(Run, "evaluate", lambda self, index: pytest.fail("computed again"))
    assert beside["Default days"].value == 30
    assert "Sessions" not in beside


def test_engines_say_what_they_hold(engine: Engine) -> None:
    assert set(engine.libraries) == {"Therapy|1.0.0", "Windows|2.0.0", "FHIRHelpers|4.0.1"}
    assert set(engine.defines("Windows")) == {"Default days", "Default window"}
    assert engine.parameters("Therapy") == ("Order", "Weeks", "Names")
    assert "Done" in run(engine)


def test_a_chart_can_be_shared(engine: Engine) -> None:
    chart = engine.chart(CHART)
    first = engine.evaluate("Therapy", data=chart, parameters={"Order": ORDER}, now=NOW)
    second = engine.evaluate("Therapy", data=chart, parameters={"Order": ORDER}, now=NOW)
    assert first["Done"].value == second["Done"].value == [EARLY, LATE]


def test_values_become_json(engine: Engine) -> None:
    assert to_json(run(engine)["Window"].value) == {
        "low": "2026-01-30",
        "high": "2026-03-01",
        "lowClosed": True,
        "highClosed": True,
    }


def test_a_value_set_nobody_gave_is_refused_at_load() -> None:
    with pytest.raises(LoadError, match="ValueSet/injection was not given to the engine") as caught:
        Engine(libraries=stories.libraries(), value_sets=VALUE_SETS[:1])
    assert caught.value.place == 'Therapy|1.0.0, value set "Injection"'


def test_the_elm_is_what_the_cql_gives() -> None:
    tools = Path(__file__).parents[2] / "cql" / "translate"
    if shutil.which("node") is None or not (tools / "node_modules").is_dir():
        reason = "Node or the translator is not installed: run `make elm`"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    command = ["node", str(stories.FOLDER / "translate.mjs"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert checked.returncode == 0, checked.stderr
