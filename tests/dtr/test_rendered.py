"""The forms as people see them: every one, in both guides' words, in the renderer that apps use most.

An app fills the form from a chart and leaves out what the form's CQL says need not be asked, as the guide
wants; the rest is LHC-Forms, in a browser without a network. Set `SCREENSHOTS_DIR` to keep the pictures.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from server.app import the_catalog
from server.dtr.form import Answer, Form, Gate, Item
from server.dtr.populate import populate
from server.dtr.render import SUPPORT_LINK
from server.dtr.response import answers_of
from server.fhir.extensions import value, values
from server.policy.cases import case_of, read
from server.policy.determination import Decision
from tests import forms
from tests.cases import OWN
from tests.crd.builders import DAY, coverage
from tests.dtr.conftest import Dtr, named, resource
from tests.dtr.forms import FOLDER
from tests.dtr.interviews import FACTS, answered, package, step

Json = dict[str, Any]

REGIONS = sorted(path.stem.removeprefix("mri-") for path in FOLDER.glob("mri-*.json"))
REGIONS.remove("adaptive")
FORMS = [f"{name}-r{version}" for name in [*REGIONS, "adaptive", "accident"] for version in ("2.0", "2.2")]


@dataclass
class Page:
    """What was given to the renderer, and what it shows."""

    form: Form
    response: Json
    shown: Json

    @property
    def questions(self) -> Json:
        found: Json = self.shown["items"]
        return found

    @property
    def answers(self) -> dict[str, list[Json]]:
        return answers_of(self.response)


@pytest.fixture(scope="module")
def pages(app: FastAPI, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Page]:
    reason = forms.missing()
    if reason:
        pytest.skip(reason)
    given = {name: page for version in ("2.0", "2.2") for name, page in filled(app, version)}
    folder = Path(os.environ.get("SCREENSHOTS_DIR") or tmp_path_factory.mktemp("screenshots"))
    seen = forms.seen(given, folder)
    assert {path.stem for path in folder.glob("*.png")} >= set(FORMS)
    return {name: Page(Form(form), response, seen[name]) for name, (form, response) in given.items()}


@pytest.fixture(params=FORMS)
def page(request: pytest.FixtureRequest, pages: dict[str, Page]) -> Page:
    return pages[request.param]


def filled(app: FastAPI, version: str) -> Iterator[tuple[str, tuple[Json, Json]]]:
    """Every form of a version with its response, as an app has them when it shows the form."""
    dtr = Dtr(TestClient(app), version, app)
    for region in REGIONS:
        yield f"{region}-r{version}", of_region(dtr, region)
    yield f"adaptive-r{version}", under_way(dtr)
    (accident,) = dtr.packages(
        resource("coverage", coverage()), named("https://payer.example/Questionnaire/accident")
    )
    yield f"accident-r{version}", (dict(accident.form.questionnaire), accident.draft)


def of_region(dtr: Dtr, region: str) -> tuple[Json, Json]:
    """The region's form over the fullest chart among its cases that are approved."""
    told = [each for each in read(OWN / f"{region}.json") if each.expected.decision is Decision.APPROVE]
    case = case_of(
        max(told, key=lambda each: len({fact.type for fact in each.facts})), DAY, the_catalog().payer
    )
    parties = [resource("referenced", dict(party)) for party in case.parties]
    package = dtr.package(
        dict(case.order),
        *parties,
        named(f"https://payer.example/Questionnaire/mri-{region}"),
        coverage=dict(case.coverage),
    )
    chart = [dict(each) for each in case.resources if each["resourceType"] != "QuestionnaireResponse"]
    filling = populate(package.form, package.draft, the_catalog().engine, chart, case.now, "auto")
    shown = {
        **package.form.questionnaire,
        "item": open_items(package.form.questionnaire["item"], filling.prefill.gate),
    }
    return shown, filling.response("in-progress", case.now)


def open_items(items: list[Json], gate: Gate) -> list[Json]:
    """The items that no gate closes."""
    kept = []
    for node in items:
        expression = Item(node).gate
        if expression is None or gate(expression):
            below = {"item": open_items(node["item"], gate)} if "item" in node else {}
            kept.append({**node, **below})
    return kept


def under_way(dtr: Dtr) -> tuple[Json, Json]:
    """The adaptive form when the order's facts are told and the clinical questions come."""
    response = step(dtr, answered(step(dtr, package(dtr).draft), FACTS))
    return response["contained"][0], response


def test_nothing_goes_wrong_and_nothing_is_asked_of_a_network(page: Page) -> None:
    assert page.shown["errors"] == []
    assert page.shown["title"] == page.form.questionnaire["title"]


def test_the_questions_that_apply_are_shown_with_their_words_and_marks(page: Page) -> None:
    enabled = page.form.enabled(page.answers, lambda gate: True)
    expected = {q.link_id: (q.node["text"], q.required) for q in page.form.questions() if enabled[q.link_id]}
    assert {name: (item["text"], item["required"]) for name, item in page.questions.items()} == expected


def test_what_the_chart_answers_is_shown(page: Page) -> None:
    shown = {name: item["answers"] for name, item in page.questions.items() if item["answers"]}
    assert shown == {name: [as_shown(each) for each in given] for name, given in page.answers.items()}
    assert shown or page.form.questionnaire["id"] in ("accident", "mri-brain")


def test_help_and_source_of_a_question_can_be_read(page: Page) -> None:
    for name, item in page.questions.items():
        node = page.form.items[name].node
        links = values(node, SUPPORT_LINK)
        helped = [below["text"] for below in node.get("item", []) if below["linkId"] == f"{name}.help"]
        assert item["help"].startswith("".join(helped))
        assert [link["href"].rstrip("/") for link in item["links"]] == [each for each in links if helped], (
            name
        )
        assert all(link["text"] for link in item["links"])


def as_shown(answer: Answer) -> str:
    """An answer as it is written in a field."""
    match value(answer):
        case {"display": text}:
            return str(text)
        case bool(yes):
            return "Yes" if yes else "No"
        case str(text) if "valueDate" in answer:
            year, month, day = text.split("-")
            return f"{month}/{day}/{year}"
    return str(value(answer))
