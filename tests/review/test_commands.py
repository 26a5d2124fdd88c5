"""The reviewers' desk on the command line, over the store that the server answers from."""

from getpass import getuser
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from server.cli import app
from server.fhir.structure import faults
from tests.pas import builders as a
from tests.pas.conftest import Payer
from tests.pas.conftest import payer as payer
from tests.pas.conftest import running as running
from tests.review.test_desk import ONE_BASE, pended, waiting

Resource = dict[str, Any]


class Desk:
    """`davinci-payer review` over the database of the payer under test."""

    def __init__(self, payer: Payer, monkeypatch: pytest.MonkeyPatch) -> None:
        store = payer.app.state.services.store
        monkeypatch.setenv("DATABASE_URL", store.engine.url.render_as_string(hide_password=False))
        monkeypatch.setenv("TEST_CLOCK", "2026-11-25T10:00:00Z")

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["review", *arguments])


def on_trail(payer: Payer, action: str) -> Resource:
    """The newest thing that this account did on the command line."""
    asked = {"agent": getuser(), "action": action}
    told = payer.http.get(f"{payer.base}/AuditEvent", params=asked).json()["entry"][0]["resource"]
    assert not faults(told, "AuditEvent")
    return dict(told)


@pytest.fixture
def review(payer: Payer, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(payer, monkeypatch)


def test_the_queue_says_what_waits_and_what_the_rules_recommend(payer: Payer, review: Desk) -> None:
    pended(payer)
    shown = review("list").output

    assert waiting(payer)["id"] in shown
    assert "deny" in shown
    assert "1 waiting" in shown
    assert "M-ANNA" not in shown
    assert "Appeal:" not in shown, "the whole denial is for `show`"


def test_a_work_item_is_shown_with_its_evidence(payer: Payer, review: Desk) -> None:
    pended(payer)
    shown = review("show", waiting(payer)["id"]).output

    assert "number: None" not in shown
    assert "expedited: no" in shown
    in_the_way, met = shown.index("CC-DUR Conservative"), shown.index("G-COV Coverage")
    assert in_the_way < met
    for owed in (
        "CC-DUR",
        "not-met",
        "IMG-XR",
        "DiagnosticReport/film",
        "pended by rules",
        ":00 UTC",
        "female, 52 years",
    ):
        assert owed in shown
    entry = on_trail(payer, "R")
    assert entry["entity"][-1]["description"] == "davinci-payer review show"
    assert "M-ANNA" in str(entry["entity"])
    assert (entry["type"]["code"], entry["outcomeDesc"]) == ("110110", "done")


@ONE_BASE
def test_what_the_provider_wrote_is_shown_as_it_is_and_steers_nothing(payer: Payer, review: Desk) -> None:
    item = a.item()
    item["productOrService"]["coding"][0]["display"] = "[/b] MRI [right] :x: \x1b[2J"
    pended(payer, claim=a.claim(item))
    listed, shown = review("list"), review("show", waiting(payer)["id"])

    assert listed.exit_code == shown.exit_code == 0, listed.output + shown.output
    assert "[/b] MRI [right] :x:" in shown.output
    assert "\x1b" not in listed.output + shown.output


def test_an_approval_reaches_the_provider(payer: Payer, review: Desk) -> None:
    pended(payer)
    anonymous = review("approve", waiting(payer)["id"], "--by", " ")
    decided = review("approve", waiting(payer)["id"], "--by", "Dr Kim", "--npi", "1444444444")

    assert anonymous.exit_code == 1
    assert "Say who decides." in anonymous.output
    assert decided.exit_code == 0, decided.output
    assert payer.on_file().actions == ["A1"]
    assert payer.on_file().number in decided.output


def test_a_denial_takes_over_what_the_rules_recommend(payer: Payer, review: Desk) -> None:
    pended(payer)
    decided = review("deny", waiting(payer)["id"], "--by", "Dr Kim")

    assert decided.exit_code == 0, decided.output
    assert payer.on_file().actions == ["A3"]
    assert "Appeal:" in payer.on_file().words


def test_a_finding_of_the_reviewers_own_must_be_whole(payer: Payer, review: Desk) -> None:
    pended(payer)
    refused = review("deny", waiting(payer)["id"], "--by", "Dr Kim", "--criterion", "MN", "--title", "Need")

    assert refused.exit_code == 1
    assert "remedy" in refused.output
    assert payer.on_file().actions == ["A4"]
    entry = on_trail(payer, "E")
    assert (entry["outcome"], entry["outcomeDesc"]) == ("4", "refused")


def test_less_than_was_asked_is_a_modification(payer: Payer, review: Desk) -> None:
    pended(payer, claim=a.claim(a.item(quantity={"value": 2, "unit": "unit"})))
    what: list[str] = ["--why", "One answers the question.", "--units", "1"]
    decided = review("modify", waiting(payer)["id"], "--by", "Dr Kim", *what)

    assert decided.exit_code == 0, decided.output
    assert payer.on_file().actions == ["A6"]


def test_a_question_leaves_the_line_pended(payer: Payer, review: Desk) -> None:
    pended(payer)
    what = ["--text", "The surgical consultation.", "--document", "11488-4"]
    decided = review("ask", waiting(payer)["id"], "--by", "Dr Kim", *what)

    assert decided.exit_code == 0, decided.output
    assert "The surgical consultation." in payer.on_file().words


def test_who_read_an_older_revision_decides_nothing(payer: Payer, review: Desk) -> None:
    pended(payer)
    refused = review("approve", waiting(payer)["id"], "--by", "Dr Kim", "--revision", "7")

    assert refused.exit_code == 1
    assert "Read it again" in refused.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["approve", "none", "--by", "Dr Kim"], "no work item"),
        (["approve", "none", "--by", "Dr Kim", "--start", "soon"], "expected a day"),
        (["modify", "none", "--by", "Dr Kim", "--why", "x", "--npi", "1"], "no work item"),
    ],
)
def test_what_cannot_be_is_said(payer: Payer, review: Desk, arguments: list[Any], words: str) -> None:
    refused = review(*arguments)

    assert refused.exit_code != 0
    assert words in refused.output
