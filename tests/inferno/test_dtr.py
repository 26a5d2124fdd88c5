"""The preset for the DTR kit, replayed as the kit posts it, and held to what each of its tests checks."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from server.inferno.dtr import payer_suite
from tests.crd.builders import DAY
from tests.dtr.conftest import FHIR_JSON, GUIDES, Package
from tests.dtr.conftest import Dtr as Dtr
from tests.dtr.conftest import app as app
from tests.dtr.conftest import dtr_2_0 as dtr_2_0
from tests.emitted import record

FILES = Path(__file__).parent
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition"
ROOT_EXTENSIONS = {
    f"{SDC}/sdc-questionnaire-launchContext",
    "http://hl7.org/fhir/StructureDefinition/variable",
    f"{SDC}/sdc-questionnaire-itemPopulationContext",
    "http://hl7.org/fhir/StructureDefinition/cqf-library",
}
EXPRESSIONS = {f"{SDC}/sdc-questionnaire-{name}Expression" for name in ("initial", "candidate", "context")}


@pytest.fixture(scope="module", params=["as it lies here", "written anew"])
def inputs(request: pytest.FixtureRequest) -> dict[str, str]:
    content = payer_suite("http://127.0.0.1:8080", DAY).content
    if request.param == "as it lies here":
        content = json.loads((FILES / "dtr_payer_server_v201.json").read_text())
    return {each["name"]: each["value"] for each in content["inputs"]}


def posted(dtr: Dtr, operation: str, body: Any) -> dict[str, Any]:
    answer = dtr.http.post(
        f"{dtr.base}/Questionnaire/{operation}", content=json.dumps(body).encode(), headers=FHIR_JSON
    )
    assert answer.status_code in (200, 202), answer.text
    found: dict[str, Any] = answer.json()
    return found


def package(dtr: Dtr, inputs: dict[str, str], kind: str) -> Package:
    request = json.loads(inputs[f"initial_{kind}_questionnaire_request"])
    record(GUIDES["2.0"], request)
    return Package(posted(dtr, "$questionnaire-package", request), dtr)


def answers(dtr: Dtr, inputs: dict[str, str]) -> list[dict[str, Any]]:
    return [posted(dtr, "$next-question", body) for body in json.loads(inputs["next_question_requests"])]


def expressions(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = [
        extension["valueExpression"]
        for item in items
        for extension in item.get("extension", [])
        if extension["url"] in EXPRESSIONS
    ]
    return found + [each for item in items for each in expressions(item.get("item", []))]


def root_extensions(form: dict[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for extension in form.get("extension", []):
        if extension["url"] in ROOT_EXTENSIONS:
            found.setdefault(extension["url"], []).append(extension.get("valueCanonical", ""))
    return found


def checked(package: Package) -> None:
    """1.03 to 1.06, and 2.03 to 2.06: one bundle, its libraries, its root extensions, its expressions."""
    assert package.bundle["resourceType"] == "Bundle"
    assert package.bundle["type"] == "collection"
    assert package.resources[0]["resourceType"] == "Questionnaire"
    names = [library["name"] for library in package.libraries]
    assert names
    assert len(names) == len(set(names))
    for library in package.libraries:
        kinds = [content["contentType"] for content in library["content"] if content["data"]]
        assert sorted(kinds) == ["application/elm+json", "text/cql"]
    form = package.resources[0]
    named = root_extensions(form)
    assert named
    urls = {library["url"] for library in package.libraries}
    assert set(named["http://hl7.org/fhir/StructureDefinition/cqf-library"]) <= urls
    assert {expression["language"] for expression in expressions(form["item"])} == {"text/cql"}


def test_group_1_the_standard_form(dtr_2_0: Dtr, inputs: dict[str, str]) -> None:
    found = package(dtr_2_0, inputs, "static")
    checked(found)
    assert not found.form.adaptive


def test_group_2_the_package_of_the_adaptive_form(dtr_2_0: Dtr, inputs: dict[str, str]) -> None:
    found = package(dtr_2_0, inputs, "adaptive")
    checked(found)
    assert found.form.adaptive


def test_group_2_the_requests_for_questions_end_in_a_completed_form(
    dtr_2_0: Dtr, inputs: dict[str, str]
) -> None:
    packaged = {library["url"] for library in package(dtr_2_0, inputs, "adaptive").libraries}
    told = answers(dtr_2_0, inputs)
    assert [each["resourceType"] for each in told] == ["QuestionnaireResponse"] * len(told)
    assert [each["status"] for each in told] == ["in-progress"] * (len(told) - 1) + ["completed"]
    for each in told:
        record(GUIDES["2.0"], each)
        (form,) = each["contained"]
        assert set(root_extensions(form)["http://hl7.org/fhir/StructureDefinition/cqf-library"]) <= packaged
    asked = [expression for each in told for expression in expressions(each["contained"][0].get("item", []))]
    assert {expression["language"] for expression in asked} == {"text/cql"}


def test_the_requests_are_what_the_kit_accepts(inputs: dict[str, str]) -> None:
    """2.09 skips everything where a request is not valid: shape of a response under way, by the guide."""
    for body in json.loads(inputs["next_question_requests"]):
        record(GUIDES["2.0"], body)
        (form,) = body["contained"]
        assert body["questionnaire"] == f"#{form['id']}"
        assert body["subject"]["reference"].startswith("Patient/")
        assert body["authored"]
        assert "url" not in form
        assert form["title"]
        assert form["derivedFrom"]


def test_the_kit_can_be_run_on_another_day(app: Any) -> None:
    late = payer_suite("http://127.0.0.1:8080", DAY + dt.timedelta(days=400))
    requests = json.loads({each.name: each.value for each in late.inputs}["next_question_requests"])
    dtr = Dtr(TestClient(app), "2.0", app)
    assert posted(dtr, "$next-question", requests[-1])["status"] == "completed"
