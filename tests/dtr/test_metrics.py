"""DTRMetricData: what is kept of the calls, put together by session."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from server.adjudication.order_lines import COVERAGE_INFORMATION
from server.report.dtr import records
from tests.conftest import at_noon
from tests.crd.builders import PHYSICIAN, coverage, ref, shoulder
from tests.dtr.conftest import Dtr, Package, context, named, resource
from tests.dtr.interviews import ADAPTIVE, began, interview

CLINICAL = ("name", "birthDate", "anna", "Berg")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """With a clock that goes: sessions are told apart by it."""
    with at_noon(tmp_path_factory.mktemp("metrics"), test_clock=None) as made:
        yield made


def newest(dtr: Dtr) -> list[dict[str, Any]]:
    """The records, the newest first."""
    services = dtr.app.state.services
    now = services.clock()
    return list(records(services, now - dt.timedelta(days=1), now + dt.timedelta(days=1)))[::-1]


def test_a_package_is_a_session_with_order_form_and_provider(dtr: Dtr) -> None:
    dtr.package(shoulder(), resource("referenced", PHYSICIAN))
    told = newest(dtr)[0]
    assert told["source"] == "payer-src"
    assert told["launchMode"] == "salaunch"
    assert told["docReason"] == ["withpa"]
    assert told["providerId"] == {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1457362880"}
    assert told["orderItem"] == [{"coding": [{"system": "http://www.ama-assn.org/go/cpt", "code": "73221"}]}]
    (action,) = told["action"]
    assert (action["actionDetail"], action["httpResponse"]) == ("qpackage", 200)
    (form,) = told["questionnaire"]
    assert form["reference"] == "https://payer.example/Questionnaire/mri-shoulder|1.0.0"
    assert (form["adaptive"], form["populated"]) == (False, False)
    assert form["elapsedTime"] == "00:00:00"


def test_an_interview_is_one_session_and_ends_with_what_was_decided(dtr: Dtr) -> None:
    member = coverage(subscriberId=f"metrics-{dtr.version}")
    assertion = dtr.asserted(shoulder(insurance=[ref(member)]), member)
    (found,) = dtr.packages(resource("coverage", member), named(ADAPTIVE), context(assertion))
    given = {"PATIENT.age": 52, "SH-IMM": "SH-IMM.2", "PA.issue": False}
    calls, _ = interview(dtr, found.draft, given)
    told = next(each for each in newest(dtr) if each.get("assertionId") == [assertion])
    assert told["launchMode"] == "crdlaunch"
    assert [each["actionDetail"] for each in told["action"]] == ["qpackage"] + ["nextq"] * (len(calls) + 1)
    assert {each["questionnaire"] for each in told["action"]} == {f"{ADAPTIVE}|1.0.0"}
    assert told["questionnaire"][0]["adaptive"] is True
    (decided,) = told["coverageInfo"]
    assert decided == {"covered": "covered", "paNeeded": "auth-needed", "assertionId": assertion}


def test_what_was_decided_of_another_coverage_before_is_not_what_this_form_decided(dtr: Dtr) -> None:
    assertion, draft = began(dtr, "metrics-before")
    parts = [
        {"url": "coverage", "valueReference": {"reference": "Coverage/another"}},
        {"url": "covered", "valueCode": "not-covered"},
        {"url": "date", "valueDate": "2026-01-15"},
        {"url": "coverage-assertion-id", "valueString": "of-another"},
    ]
    before = {"url": COVERAGE_INFORMATION, "extension": parts}
    given = {"PATIENT.age": 52, "SH-IMM": "SH-IMM.2", "PA.issue": False}
    interview(dtr, {**draft, "extension": [*draft["extension"], before]}, given)
    told = next(each for each in newest(dtr) if each.get("assertionId") == [assertion])
    assert [each["assertionId"] for each in told["coverageInfo"]] == [assertion]


def test_asking_again_for_what_changed_is_a_relaunch(dtr: Dtr) -> None:
    dtr.packages(
        resource("coverage", coverage()),
        resource("order", shoulder()),
        {"name": "changedsince", "valueInstant": "2020-01-01T00:00:00Z"},
    )
    assert newest(dtr)[0]["launchMode"] == "relaunch"


def test_a_refused_call_is_counted_with_its_issues(dtr: Dtr) -> None:
    dtr.ask(resource("order", shoulder()))
    told = newest(dtr)[0]
    (action,) = told["action"]
    assert action["httpResponse"] == 400
    assert action["issue"] == [{"code": "required"}]
    assert told["orderItem"]
    assert "questionnaire" not in told


def test_errors_that_apps_reported_count_against_their_form(dtr: Dtr) -> None:
    """That of the session they were met in, not those of sessions before."""
    dtr.package(shoulder())
    found: Package = dtr.package(shoulder())
    issue = {"severity": "error", "code": "processing", "diagnostics": "SH-IMM: no such define"}
    report = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "questionnaire", "valueCanonical": found.form.canonical},
            resource("operationOutcome", {"resourceType": "OperationOutcome", "issue": [issue]}),
        ],
    }
    assert dtr.post("Questionnaire/$log-questionnaire-errors", report).status_code == 204
    told, before = newest(dtr)[:2]
    assert [code["coding"][0]["code"] for code in told["questionnaire"][0]["failure"]] == ["processing"]
    assert "failure" not in before["questionnaire"][0]


def test_nothing_of_the_patient_is_in_a_record(dtr: Dtr) -> None:
    dtr.package(shoulder(), resource("referenced", PHYSICIAN))
    text = str(newest(dtr))
    assert not [word for word in CLINICAL if word in text]
