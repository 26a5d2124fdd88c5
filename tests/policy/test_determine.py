"""What a determination rests on: the order's patient and nobody else."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from server.app import the_catalog
from server.policy.catalog import Catalog
from server.policy.determination import Decision, Determination
from server.policy.determine import determine
from server.policy.request import Chart, Member
from tests.crd.builders import DAY, PATIENT, PHYSICIAN, coverage, shoulder

NOW = dt.datetime.combine(DAY, dt.time(12), dt.UTC)
CHILD = {**PATIENT, "birthDate": f"{DAY.year - 11}-01-01"}
PARENT = {**PATIENT, "id": "parent", "birthDate": f"{DAY.year - 41}-01-01"}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return the_catalog()


def said(catalog: Catalog, *chart: dict[str, Any]) -> Determination:
    member = Member(key="m", coverage=coverage())
    return determine(shoulder(place="22"), member, Chart([*chart, PHYSICIAN]), catalog.plan("evicore"), NOW)


@pytest.mark.parametrize("people", [(CHILD, PARENT), (PARENT, CHILD)])
def test_a_child_insured_by_a_parent_is_as_old_as_the_child(
    catalog: Catalog, people: tuple[dict[str, Any], ...]
) -> None:
    """A minor needs no reason for the hospital, the parent would."""
    assert "SOS-SITE" not in said(catalog, *people).unknown
    assert "SOS-SITE" in said(catalog, PARENT).unknown


@pytest.mark.parametrize(
    ("subject", "counts"),
    [
        ("Patient/{id}", True),
        ("https://ehr.example/fhir/Patient/{id}", True),
        ("urn:uuid:8d1b7c0a-0000-4000-8000-000000000001", True),
        ("Patient/somebody", False),
        ("https://ehr.example/fhir/Patient/somebody", False),
    ],
)
def test_a_tumour_counts_for_the_patient_who_has_it(catalog: Catalog, subject: str, counts: bool) -> None:
    """A reference that cannot be compared with the order's is believed."""
    cancer = {
        "resourceType": "Condition",
        "id": "c",
        "subject": {"reference": subject.format(id=PATIENT["id"])},
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "C40.01"}]},
    }
    member = Member(key="m", coverage=coverage())
    told = determine(shoulder(), member, Chart([PATIENT, PHYSICIAN, cancer]), catalog.plan("evicore"), NOW)
    assert (told.decision is Decision.APPROVE) == counts
