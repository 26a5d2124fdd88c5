"""CRDMetricData: what is kept of the calls, given out as the guide's logical model has it."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from server.cli import app as command
from server.fhir import json
from server.report import crd as report
from tests.crd import builders as ehr
from tests.crd.conftest import Crd, Server
from tests.crd.guide import definition
from tests.ehr import Ehr

ALL = (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2027, 1, 1, tzinfo=dt.UTC))


@pytest.fixture(params=["2.0", "2.2"])
def own(request: pytest.FixtureRequest, server: Server) -> Crd:
    """A server nobody else has called."""
    app = server()
    return Crd(TestClient(app), request.param, app)


def records(crd: Crd) -> list[dict[str, Any]]:
    return list(report.records(crd.app.state.services, *ALL))


def responses(record: dict[str, Any]) -> list[dict[str, Any]]:
    """2.0.1 has them at the root, 2.2.1 by request."""
    nested = [response for request in record.get("request", []) for response in request["response"]]
    return [*record.get("response", []), *nested]


def faults(record: dict[str, Any], version: str) -> Iterator[str]:
    """What of a record the logical model of the version does not allow."""
    elements = {
        element["path"].removeprefix("CRDMetricData").lstrip("."): element
        for element in definition(version, "CRDMetricData")["snapshot"]["element"]
    }

    def within(node: dict[str, Any], path: str) -> Iterator[str]:
        at = f"{path}." if path else ""
        children = [name for name in elements if name.startswith(at) and "." not in name[len(at) :] and name]
        known = {name[len(at) :] for name in children}
        for name in children:
            content = node.get(name[len(at) :])
            if content is None and elements[name]["min"]:
                yield f"{name} is missing"
            if isinstance(content, list) and elements[name]["max"] == "1":
                yield f"{name} repeats"
        for name, content in node.items():
            if name not in known:
                yield f"{at}{name} is not in the model"
                continue
            for part in content if isinstance(content, list) else [content]:
                if isinstance(part, dict) and any(each.startswith(f"{at}{name}.") for each in elements):
                    yield from within(part, f"{at}{name}")

    yield from within(record, "")


def test_a_call_is_one_record_in_the_shape_of_the_model(own: Crd) -> None:
    own(ehr.sign(ehr.shoulder(), ehr.lumbar(), sent=ehr.prefetch([ehr.film("73030", 20)])))
    (record,) = records(own)
    assert list(faults(record, own.version)) == []
    assert record["source"] == "payer-src"
    assert record["hookType"] == "order-sign"
    assert record["httpResponse"] == 200
    assert record["providerId"] == {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1457362880"}
    assert record["payerId"]["value"] == "1234567893"
    assert {entry["type"] for entry in record["resources"]} >= {"Patient", "Coverage", "DiagnosticReport"}
    assert all(entry["prefetch"] for entry in record["resources"])


def test_the_model_of_the_test_refuses_what_is_not_in_it(own: Crd) -> None:
    own(ehr.sign(ehr.shoulder(), sent=ehr.prefetch()))
    (record,) = records(own)
    assert list(faults({**record, "surprise": 1}, own.version))
    assert list(faults({name: content for name, content in record.items() if name != "source"}, own.version))


def test_each_order_has_its_coverage_information_and_its_cards(own: Crd) -> None:
    answer = own(ehr.sign(ehr.shoulder(), sent=ehr.prefetch()))
    (record,) = records(own)
    told = [each for response in responses(record) for each in response.get("coverageInfo", [])]
    (information,) = told
    assert information["assertionId"] == answer.information["coverage-assertion-id"]
    assert information["paNeeded"] == "auth-needed"
    assert information["docNeeded"] == "clinical"
    (form,) = information["questionnaire"]
    assert form["adaptive"] is False
    kinds = {response["type"] for response in responses(record)}
    assert kinds == {"coverage-info", *(card["source"]["topic"]["code"] for card in answer.cards)}


def test_an_order_is_not_counted_the_cards_of_one_whose_id_begins_like_its_own(own: Crd) -> None:
    shoulder, lumbar = {**ehr.shoulder(), "id": "sr-9"}, {**ehr.lumbar("M54.16"), "id": "sr-90"}
    answer = own(ehr.sign(shoulder, lumbar, sent=ehr.prefetch()))
    own_cards = sum("occupational therapy" in card["summary"] for card in answer.cards)
    (record,) = records(own)

    assert own_cards == 1
    assert sum(response["type"] == "therapy-alternatives-opt" for response in responses(record)) == 2


@pytest.mark.parametrize(("outcome", "engagement"), [("accepted", "accept"), ("overridden", "override")])
def test_feedback_becomes_engagement(own: Crd, outcome: str, engagement: str) -> None:
    card = own(ehr.sign(ehr.shoulder(), sent=ehr.prefetch())).cards[0]
    told = {
        "feedback": [{"card": card["uuid"], "outcome": outcome, "outcomeTimestamp": "2026-11-20T12:01:00Z"}]
    }
    assert own.post(told, "order-sign/feedback").status_code == 200
    (record,) = records(own)
    assert [each["engagement"] for each in responses(record) if "engagement" in each] == [engagement]


def test_a_refused_call_is_counted_with_its_issues(own: Crd) -> None:
    own.refused({**ehr.sign(ehr.shoulder(), sent=ehr.prefetch()), "context": {}})
    (record,) = records(own)
    assert record["httpResponse"] in (400, 422)
    assert {issue["code"] for issue in record["issue"]} == {"required"}


@pytest.mark.parametrize(("token", "use"), [("right", "used"), ("wrong", "rejected")])
def test_the_use_of_the_token_is_told(own: Crd, token: str, use: str) -> None:
    insurance = ehr.coverage()
    sent = {"patient": ehr.PATIENT, "coverage": ehr.searchset([insurance])}
    with Ehr(
        [ehr.PATIENT, ehr.PHYSICIAN, ehr.PAYOR, insurance, ehr.film("73030", 20)], token="right"
    ) as server:
        access = {"fhirServer": server.base, "fhirAuthorization": {"access_token": token}}
        own(ehr.sign(ehr.shoulder(), sent=sent, **access))
    (record,) = records(own)
    assert record["tokenUse"] == use
    asked = {entry["type"] for entry in record["resources"] if not entry["prefetch"]}
    assert ("DiagnosticReport" in asked) == (use == "used")


def test_records_are_exported_as_lines(own: Crd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own(ehr.sign(ehr.shoulder(), sent=ehr.prefetch()))
    own(ehr.sign(ehr.lumbar(), sent=ehr.prefetch()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", own.app.state.services.settings.database_url)
    told = CliRunner().invoke(command, ["report", "metrics", "--guide", "crd"])
    assert told.exit_code == 0, told.output
    lines = [json.decode_object(line.encode()) for line in told.stdout.splitlines()]
    assert [line["hookType"] for line in lines] == ["order-sign", "order-sign"]


def test_a_finding_of_two_categories_is_one_that_was_read(own: Crd) -> None:
    """An EHR that gives findings by their category alone answers two searches with it."""
    kinds = [ehr.concept(ehr.US_CORE_CATEGORY, each) for each in ("survey", "functional-status")]
    score = {**ehr.score("quickdash", 41, 5), "category": kinds}
    with Ehr([ehr.PATIENT, ehr.PHYSICIAN, ehr.PAYOR, ehr.coverage(), score]) as server:
        server.narrow = {"Observation": "category"}
        own(ehr.sign(ehr.shoulder(), fhirServer=server.base))
    (record,) = records(own)
    assert {"type": "Observation", "count": 1, "prefetch": False} in record["resources"]
