"""The authors of the forms read what apps reported, on the command line."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner, Result

from server.cli import app as command_line
from server.fhir import json
from tests.dtr.conftest import Dtr

SHOULDER = "https://payer.example/Questionnaire/mri-shoulder|1.0.0"
KNEE = "https://payer.example/Questionnaire/mri-knee|1.0.0"


def report(dtr: Dtr, form: str, text: str) -> None:
    issue = {
        "severity": "error",
        "code": "processing",
        "details": {"coding": [{"code": "MSG_BAD_SYNTAX"}]},
        "diagnostics": text,
    }
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "questionnaire", "valueCanonical": form},
            {
                "name": "operationOutcome",
                "resource": {"resourceType": "OperationOutcome", "issue": [issue]},
            },
        ],
    }
    assert dtr.post("Questionnaire/$log-questionnaire-errors", body).status_code == 204


@pytest.fixture
def errors(dtr: Dtr, monkeypatch: pytest.MonkeyPatch) -> Errors:
    engine = dtr.app.state.services.store.engine
    monkeypatch.setenv("DATABASE_URL", engine.url.render_as_string(hide_password=False))
    return Errors()


class Errors:
    """`davinci-payer dtr errors` over the database of the application under test."""

    def __call__(self, *arguments: str) -> Result:
        shown = CliRunner().invoke(command_line, ["dtr", "errors", *arguments])
        assert shown.exit_code == 0, shown.output
        return shown


def test_a_report_is_shown_with_form_base_and_words(dtr: Dtr, errors: Errors) -> None:
    """An app's words steer no terminal, and no line of theirs passes for one of ours."""
    report(dtr, SHOULDER, "CC-OUT: no such define, seen with Patient/anna\x1b[2J\nr2.2 another form")
    shown = errors("--limit", "1").output
    for owed in ("mri-shoulder", f"r{dtr.version}", "error", "MSG_BAD_SYNTAX", "no such define", "1 reports"):
        assert owed in shown
    assert "anna" not in shown
    assert "\x1b" not in shown
    assert "\nr2.2 another" not in shown


def test_reports_about_one_form_are_picked_out(dtr: Dtr, errors: Errors) -> None:
    report(dtr, KNEE, "the pick list is empty")
    report(dtr, SHOULDER, "it is slow")
    shown = errors("--questionnaire", "mri-knee").output
    assert "the pick list is empty" in shown
    assert "it is slow" not in shown


def test_another_program_reads_them_line_by_line(dtr: Dtr, errors: Errors) -> None:
    report(dtr, KNEE, "it is slow")
    (line,) = errors("--ndjson", "--limit", "1").output.splitlines()
    told = json.decode_object(line.encode())
    assert (told["questionnaire"], told["base"]) == (KNEE, f"r{dtr.version}")
    assert told["issue"][0]["diagnostics"] == "it is slow"
