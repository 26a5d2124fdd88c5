"""Valid FHIR R4 is accepted as it is written, whatever the models think of it."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from server.fhir import json
from server.fhir.structure import faults

FOLDER = os.environ.get("FHIR_PACKAGES", "")
GUIDES = ("davinci-crd", "davinci-dtr", "davinci-pas", "davinci-hrex", "uv.sdc", "uv.subscriptions-backport")

needs_packages = pytest.mark.skipif(
    not FOLDER and os.environ.get("CI") != "true", reason="FHIR_PACKAGES names no packages"
)


def published() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every example of every guide that this server has to do with, by package and file."""
    for package in sorted(Path(FOLDER).glob("*.tgz")):
        if not any(guide in package.name for guide in GUIDES):
            continue
        with tarfile.open(package) as archive:
            for member in archive:
                if "/example" in member.name and member.name.endswith(".json"):
                    file = archive.extractfile(member)
                    resource = json.decode(file.read()) if file is not None else None
                    if isinstance(resource, dict) and "resourceType" in resource:
                        yield f"{package.name} {member.name}", resource


@needs_packages
def test_f29_every_published_example_is_accepted() -> None:
    refused = {
        name: [(issue.expressions, issue.diagnostics) for issue in found][:3]
        for name, resource in published()
        if (found := faults(resource, str(resource["resourceType"])))
    }
    assert refused == {}


def test_f29_what_stands_beside_a_primitive_value_is_accepted_and_kept() -> None:
    beside = {"extension": [{"url": "https://ehr.example/source", "valueString": "typed"}]}
    said = {"url": "https://ehr.example/kind", "valueCode": "x", "_valueCode": beside}
    patient = {"resourceType": "Patient", "extension": [said], "birthDate": "1980", "_birthDate": beside}

    assert faults(patient, "Patient") == []
    assert json.decode(json.encode(patient)) == patient


@pytest.mark.parametrize("endpoint", [Decimal("1E+999"), 7, True, ["https://ehr.example"]])
def test_an_address_that_is_no_text_is_a_fault(endpoint: Any) -> None:
    channel = {"type": "rest-hook", "endpoint": endpoint}
    wish = {"resourceType": "Subscription", "status": "requested", "reason": "r", "criteria": "c"}

    assert faults({**wish, "channel": channel}, "Subscription")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("birthDate", 0),
        ("birthDate", 1732000000),
        ("deceasedDateTime", Decimal("20261120")),
        ("active", "true"),
        ("active", 1),
        ("multipleBirthInteger", "2"),
    ],
)
def test_a_value_that_json_has_as_another_type_is_a_fault(name: str, value: Any) -> None:
    """A number was taken for seconds since 1970, and a text that says `true` for a truth."""
    (issue,) = faults({"resourceType": "Patient", name: value}, "Patient")
    assert issue.expressions == (f"Patient.{name}",)


def test_a_text_may_say_what_looks_like_something_else() -> None:
    names = [{"text": text, "family": text} for text in ("true", "No", "12", "-1e5", "{}")]
    said = {"resourceType": "Patient", "id": "1", "language": "no", "birthDate": "2026", "name": names}
    assert faults(said, "Patient") == []


def test_a_fault_says_what_fhir_has_there() -> None:
    """In words of FHIR, not of the models that found it."""
    patient = {
        "resourceType": "Patient",
        "active": "perhaps",
        "birthDate": "3/2/1974",
        "deceasedDateTime": "yesterday",
        "gender": "",
        "name": "Anna",
        "nane": [],
        "link": [{"type": "refer"}],
    }
    told = {issue.expressions[0]: issue.diagnostics for issue in faults(patient, "Patient")}

    assert told == {
        "Patient.active": "FHIR has true or false here. Write one of them.",
        "Patient.birthDate": "The value must be a date such as 2026-11-30.",
        "Patient.deceasedDateTime": "The value must be a date such as 2026-11-30, or a time with its zone "
        "such as 2026-11-30T09:30:00-05:00.",
        "Patient.gender": "The text is empty, or has a space or sign that FHIR does not allow here.",
        "Patient.link[0].other": "The element is required. Add it.",
        "Patient.name": "FHIR has a list here. Put what stands here into one.",
        "Patient.nane": "FHIR has no element of this name here. Correct the name, or leave it out.",
    }


def test_what_python_calls_an_element_is_none_of_fhir() -> None:
    """The models take their own fields' names as well."""
    encounter = {"resourceType": "Encounter", "status": "finished", "class_fhir": {"code": "AMB"}}
    told = {issue.expressions[0] for issue in faults(encounter, "Encounter")}
    assert told == {"Encounter.class", "Encounter.class_fhir"}


def test_a_required_primitive_may_say_why_it_is_not_there() -> None:
    why = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason"}]}
    task = {"resourceType": "Task", "status": "requested", "_intent": why}
    assert faults(task, "Task") == []

    for silent in ({**task, "_intent": {}}, {"resourceType": "Task", "status": "requested"}):
        (issue,) = faults(silent, "Task")
        assert (issue.code, issue.expressions) == ("required", ("Task.intent",))


def test_of_a_value_of_several_types_one_stands() -> None:
    item: dict[str, Any] = {"sequence": 1, "diagnosisReference": {"display": "tear"}}
    several = {**item, "diagnosisCodeableConcept": {"text": "tear"}}
    told = []
    for diagnosis in (item, several, {"sequence": 1}, {**item, "diagnosisCodeableConcept": None}):
        found = faults({"resourceType": "Claim", "diagnosis": [diagnosis]}, "Claim")
        placed = [(issue.code, issue.expressions[0]) for issue in found]
        told.append([each for each in placed if "diagnosis" in each[1]])

    place = "Claim.diagnosis[0].diagnosis"
    assert told == [[], [("value", place)], [("required", place)], []]


def test_what_a_resource_contains_is_held_to_its_own_type() -> None:
    inside = [{"resourceType": "Patient", "gendre": "female"}, {"resourceType": "Paitent"}, {"id": "1"}]
    coverage = {"resourceType": "Basic", "code": {"text": "x"}, "contained": inside}
    told = [issue.expressions[0] for issue in faults(coverage, "Basic")]

    assert told == [
        "Basic.contained[0].gendre",
        "Basic.contained[1].resourceType",
        "Basic.contained[2].resourceType",
    ]
