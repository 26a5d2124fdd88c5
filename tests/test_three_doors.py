"""One MRI order through CRD, DTR and PAS, as the demo plays it."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from msgspec import structs
from typer.testing import CliRunner

from server import inside
from server.cli import app as command_line
from server.demo.commands import time_of
from server.demo.ehr import Ehr
from server.demo.stories import Played, Story, laid_out, play, stories
from server.pas.cases import Told
from server.policy.cases import Case
from server.policy.request import Resource
from tests.conftest import at_noon

DAY = dt.date(2026, 11, 20)
STORIES = {story.case.id: story for story in stories()}


class Clinic:
    """An EHR that speaks one version to the server."""

    def __init__(self, app: FastAPI, version: str) -> None:
        self.app, self.version = app, version

    def lives(self, name: str, plan: str | None = None) -> Played:
        """The demo's story, its member on another plan where one is named."""
        story = STORIES[name]
        story = structs.replace(story, case=structs.replace(story.case, plan=plan or story.case.plan))
        case = laid_out(story, DAY, self.app.state.services.catalog.payer, uuid4().hex[:8])
        return asyncio.run(self._lives(story, case))

    async def _lives(self, story: Story, case: Case) -> Played:
        async with inside.client(self.app) as http:
            return await play(story, case, Ehr(http, self.version))

    def why(self, number: str) -> Resource:
        async def ask() -> httpx.Response:
            async with inside.client(self.app) as http:
                return await http.get(f"/why/{number}")

        return dict(asyncio.run(ask()).json())

    def proposals(self, played: Played) -> list[str]:
        """Labels of what CRD's cards suggest."""
        return [
            suggestion["label"]
            for card in played.answered["cards"]
            for suggestion in card.get("suggestions", [])
        ]


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    with at_noon(tmp_path_factory.mktemp("doors")) as app:
        yield app


@pytest.fixture(params=["2.0", "2.2"])
def clinic(request: pytest.FixtureRequest, application: FastAPI) -> Clinic:
    return Clinic(application, request.param)


def test_1_documentation_is_asked_for_given_and_approved(clinic: Clinic) -> None:
    played = clinic.lives("documentation")
    information = played.information
    assert information["covered"] == "covered"
    assert information["pa-needed"] == "auth-needed"
    assert information["doc-needed"] == "clinical"
    assert information["questionnaire"].startswith("https://payer.example/Questionnaire/mri-shoulder|")
    assert information["coverage-assertion-id"]
    assert "treatment of this complaint for 6 weeks is not documented" in " ".join(information.reasons)
    assert played.filled
    assert played.completed
    assert played.decided
    unknown = clinic.why(information["coverage-assertion-id"])["unknown"]
    asked = {link_id.partition(".")[0] for link_id in played.filled.asked}
    assert asked == {"SH-IMM", "CC-DUR", "EXM", "FUN"} == set(unknown)
    assert played.filled.answers["IMG-XR"][0]["valueCoding"]["code"] == "normal"
    assert played.completed.asked == ()
    assert Told(played.decided).action == "A1"


def test_2_a_chart_that_suffices_is_satisfied_found_and_approved(clinic: Clinic) -> None:
    played = clinic.lives("satisfied")
    number = played.information["satisfied-pa-id"]
    assert played.information["pa-needed"] == "satisfied"
    assert number
    assert [found["preAuthRef"] for found in played.found] == [number]
    assert played.decided
    told = Told(played.decided)
    assert (told.action, told.response["preAuthRef"]) == ("A1", number)
    assert clinic.why(number)["decision"] == "approve"


def test_3_cauda_equina_is_approved_at_once_and_named(clinic: Clinic) -> None:
    played = clinic.lives("red-flag")
    assert played.information["pa-needed"] == "satisfied"
    assert "cauda equina" in " ".join(played.information.reasons).lower()
    assert played.decided
    told = Told(played.decided)
    assert told.action == "A1"
    assert "cauda equina" in clinic.why(told.response["preAuthRef"])["reason"].lower()


def test_4_a_short_trial_is_not_met_where_a_silent_chart_was_unknown(clinic: Clinic) -> None:
    played = clinic.lives("short-trial")
    before = clinic.why(played.information["coverage-assertion-id"])
    assert (before["decision"], "CC-DUR" in before["unknown"]) == ("more-info", True)
    assert played.decided
    told = Told(played.decided)
    assert told.action == "A3"
    assert "28 days" in told.words
    assert "the plan asks for 42" in told.words


def test_5_where_only_a_person_denies_it_is_pended_with_a_recommendation(clinic: Clinic) -> None:
    played = clinic.lives("reviewed")
    assert played.decided
    told = Told(played.decided)
    assert told.action == "A4"
    assert not told.asks
    assert "recommend denial" in told.words


@pytest.mark.parametrize("plan", ["evicore", "carelon", "nia", "reviewed", "no-imaging-pa"])
def test_5_a_coverage_that_has_ended_is_denied_by_rule_under_every_plan(clinic: Clinic, plan: str) -> None:
    played = clinic.lives("lapsed", plan)
    assert played.information["covered"] == "not-covered"
    assert played.decided
    told = Told(played.decided)
    assert told.action == "A3"
    assert "G-COV" in told.words


def test_6_a_wrong_code_is_found_while_ordering_and_the_better_one_named(clinic: Clinic) -> None:
    played = clinic.lives("wrong-code")
    assert "Change to 72148 MRI of the lumbar spine" in clinic.proposals(played)
    assert "code does not match the body part" in " ".join(played.information.reasons)


def test_6_a_diagnosis_of_the_other_side_is_found_while_ordering(clinic: Clinic) -> None:
    played = clinic.lives("wrong-side")
    assert any("left" in label.lower() for label in clinic.proposals(played)), clinic.proposals(played)


@pytest.mark.parametrize("version", ["2.0", "2.2"])
def test_the_demo_tells_all_of_it(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9")  # nobody serves there, so the demo brings a server of its own
    shown = CliRunner().invoke(command_line, ["demo", "--version", version])
    assert shown.exit_code == 0, shown.output
    for told in (
        "a server inside",
        "doc-needed",
        "still asked: SH-IMM",
        "A1  Authorized",
        "PAS, $inquire",
        "saddle",
        "A3  Not authorized",
        "A4  Pended: clinical review",
        "Change to 72148",
    ):
        assert told in shown.output


def test_the_demo_goes_by_the_time_of_the_server(clinic: Clinic) -> None:
    async def ask() -> dt.datetime:
        async with inside.client(clinic.app) as http:
            return await time_of(http)

    assert asyncio.run(ask()) == clinic.app.state.services.clock()


def test_the_demo_says_which_stories_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = CliRunner().invoke(command_line, ["demo", "--story", "unheard-of"])
    assert shown.exit_code == 2
    assert "documentation, satisfied" in shown.output
