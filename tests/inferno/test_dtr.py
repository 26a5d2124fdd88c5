"""The preset for the DTR kit, replayed as the kit posts it, and held to what each of its tests checks.

A test here bears the numbers of the kit's tests it stands for. What the kit validates by profile (1.02, 2.02,
2.09 what it sends, and it skips what is not valid; 1.03, 2.03, 2.07, 2.08, 2.10 what it gets) the official
validator holds to the guide in `make conformance`: what is recorded here, and packages like these elsewhere.
As shipped the kit fails 2.07 and 2.08 of everybody who passes 2.06, which empties what they look at.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from server.inferno.dtr import payer_suite
from tests.crd.builders import DAY
from tests.dtr.conftest import FHIR_JSON, GUIDES, Package
from tests.dtr.conftest import Dtr as Dtr
from tests.dtr.conftest import app as app
from tests.emitted import record

FILES = Path(__file__).parent
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition"
CQF_LIBRARY = "http://hl7.org/fhir/StructureDefinition/cqf-library"
ROOT_EXTENSIONS = {
    f"{SDC}/sdc-questionnaire-launchContext",
    "http://hl7.org/fhir/StructureDefinition/variable",
    f"{SDC}/sdc-questionnaire-itemPopulationContext",
    CQF_LIBRARY,
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


@pytest.fixture(scope="module")
def kit(app: FastAPI) -> Dtr:
    return Dtr(TestClient(app), "2.0", app)


@pytest.fixture(scope="module")
def packages(kit: Dtr, inputs: dict[str, str]) -> dict[str, Package]:
    return {kind: package(kit, inputs, kind) for kind in ("static", "adaptive")}


@pytest.fixture(params=["static", "adaptive"])
def found(request: pytest.FixtureRequest, packages: dict[str, Package]) -> Package:
    return packages[request.param]


@pytest.fixture(scope="module")
def told(kit: Dtr, inputs: dict[str, str]) -> list[dict[str, Any]]:
    return answers(kit, inputs)


def test_1_01_and_2_01_every_input_is_given_and_the_next_requests_are_a_list(inputs: dict[str, str]) -> None:
    assert all(inputs.values())
    assert isinstance(json.loads(inputs["next_question_requests"]), list)


def test_1_02_and_2_02_the_request_is_the_guides_and_names_its_form(inputs: dict[str, str]) -> None:
    for kind in ("static", "adaptive"):
        request = json.loads(inputs[f"initial_{kind}_questionnaire_request"])
        assert request["resourceType"] == "Parameters"
        names = [parameter["name"] for parameter in request["parameter"]]
        assert "coverage" in names
        assert {"order", "questionnaire", "context"} & set(names)


def test_1_03_and_2_03_the_answer_is_one_bundle_with_the_form_first(found: Package) -> None:
    assert found.bundle["resourceType"] == "Bundle"
    assert found.bundle["type"] == "collection"
    assert found.resources[0]["resourceType"] == "Questionnaire"


def test_1_04_and_2_04_libraries_have_cql_and_elm_and_names_of_their_own(found: Package) -> None:
    names = [library["name"] for library in found.libraries]
    assert names
    assert len(names) == len(set(names))
    for library in found.libraries:
        kinds = [content["contentType"] for content in library["content"] if content["data"]]
        assert sorted(kinds) == ["application/elm+json", "text/cql"]


def test_1_05_and_2_05_the_form_names_libraries_of_the_package_by_their_urls(found: Package) -> None:
    named = root_extensions(found.resources[0])
    assert set(named[CQF_LIBRARY]) <= {library["url"] for library in found.libraries}
    assert "http://hl7.org/fhir/StructureDefinition/variable" not in named


def test_1_06_and_2_06_items_are_filled_by_expressions_in_cql(found: Package) -> None:
    assert {expression["language"] for expression in expressions(found.resources[0]["item"])} == {"text/cql"}


def test_2_07_and_2_08_the_adaptive_package_is_of_a_form_that_is_asked_piece_by_piece(
    packages: dict[str, Package],
) -> None:
    found = packages["adaptive"]
    assert found.bundle["meta"]["profile"][0].endswith("DTR-QPackageBundle")
    assert found.form.adaptive
    assert found.form.questionnaire["meta"]["profile"][0].endswith("dtr-questionnaire-adapt-search")
    assert not packages["static"].form.adaptive


def test_2_09_the_next_requests_are_responses_under_way(inputs: dict[str, str]) -> None:
    for body in json.loads(inputs["next_question_requests"]):
        record(GUIDES["2.0"], body)
        (form,) = body["contained"]
        assert body["questionnaire"] == f"#{form['id']}"
        assert body["subject"]["reference"].startswith("Patient/")
        assert body["authored"]
        assert "url" not in form
        assert form["title"]
        assert form["derivedFrom"]


def test_2_10_and_2_13_each_is_answered_by_a_bare_response_and_the_last_completed(
    told: list[dict[str, Any]],
) -> None:
    for each in told:
        record(GUIDES["2.0"], each)
    assert [each["resourceType"] for each in told] == ["QuestionnaireResponse"] * len(told)
    assert [each["status"] for each in told] == ["in-progress"] * (len(told) - 1) + ["completed"]
    assert all(each["authored"] and each["questionnaire"] for each in told)


def test_2_11_forms_under_way_name_libraries_of_the_package(
    packages: dict[str, Package], told: list[dict[str, Any]]
) -> None:
    packaged = {library["url"] for library in packages["adaptive"].libraries}
    for each in told:
        (form,) = each["contained"]
        assert set(root_extensions(form)[CQF_LIBRARY]) <= packaged


def test_2_12_forms_under_way_are_filled_by_expressions_in_cql(told: list[dict[str, Any]]) -> None:
    asked = [found for each in told for found in expressions(each["contained"][0].get("item", []))]
    assert {expression["language"] for expression in asked} == {"text/cql"}


def test_the_kit_can_be_run_on_another_day(kit: Dtr) -> None:
    late = payer_suite("http://127.0.0.1:8080", DAY + dt.timedelta(days=400))
    requests = json.loads({each.name: each.value for each in late.inputs}["next_question_requests"])
    assert posted(kit, "$next-question", requests[-1])["status"] == "completed"
