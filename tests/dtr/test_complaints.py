"""Apps report what they could not make of a form; what is kept says nothing about the patient."""

import datetime as dt
import time
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
        ("GET https://ehr.example/fhir/Patient?name=Berg failed", "GET … failed"),
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


def test_e_codes_that_name_a_patient_are_struck_out_too() -> None:
    coding = {"system": "https://ehr.example/faults", "code": "Patient/anna-berg"}
    kept = scrubbed({"code": "Patient/anna-berg", "details": {"coding": [coding]}})
    assert kept == {"code": "…", "details": {"coding": [{**coding, "code": "…"}]}}


def test_e_a_report_that_goes_on_and_on_is_kept_short() -> None:
    told = outcome("operationOutcome", "x")
    told["resource"]["issue"] *= 5_000
    rows = read(*[{"name": "questionnaire", "valueCanonical": FORM}] * 5_000, told)

    assert [row.questionnaire for row in rows] == [FORM]
    assert len(rows[0].content["issue"]) == 100


@pytest.mark.parametrize("text", ["a." * 50_000, "https://" * 12_000, "Aa/" * 30_000])
def test_e_a_sentence_without_end_holds_up_nobody(text: str) -> None:
    began = time.thread_time()
    scrubbed({"diagnostics": text})
    assert time.thread_time() - began < 1
