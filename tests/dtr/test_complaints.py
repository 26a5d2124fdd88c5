"""Apps report what they could not make of a form; what is kept says nothing about the patient."""

import datetime as dt
from typing import Any

import pytest

from server.dtr.complaints import read_complaints, scrubbed
from server.dtr.v2_0 import V2_0
from server.fhir.errors import InvalidRequest
from tests.crd.builders import DAY

FORM = "https://payer.example/Questionnaire/mri-shoulder|1.0.0"


def read(*parameters: dict[str, Any]) -> list[Any]:
    now = dt.datetime.combine(DAY, dt.time(12), dt.UTC)
    return read_complaints({"resourceType": "Parameters", "parameter": list(parameters)}, V2_0, "app", now)


def outcome(name: str, text: str) -> dict[str, Any]:
    issue = {"severity": "error", "code": "processing", "diagnostics": text}
    return {"name": name, "resource": {"resourceType": "OperationOutcome", "issue": [issue]}}


def test_e_a_report_without_form_or_outcome_is_refused_with_both_names() -> None:
    with pytest.raises(InvalidRequest) as refused:
        read()
    assert len(refused.value.issues) == 2


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("Patient/anna-berg has no birthDate", "… has no birthDate"),
        ("GET https://ehr.example/fhir/Patient/4711 failed", "GET … failed"),
        ("born 1974-03-02", "born …"),
        ("call 555 123 4567", "call …"),
        ("mail anna@berg.example", "mail …"),
        (
            'define "CC-DUR.start" of MRIShoulderPrefill at 12:7',
            'define "CC-DUR.start" of MRIShoulderPrefill at 12:7',
        ),
        ("Questionnaire/mri-shoulder lacks a library", "Questionnaire/mri-shoulder lacks a library"),
    ],
)
def test_e_what_looks_like_a_patients_is_struck_out(told: str, kept: str) -> None:
    assert scrubbed({"diagnostics": told}) == {"diagnostics": kept}


def test_e_only_codes_and_sentences_are_kept() -> None:
    kept = scrubbed(
        {"severity": "error", "code": "exception", "extension": [{"url": "x"}], "location": ["y"]}
    )
    assert kept == {"severity": "error", "code": "exception"}
