"""Cases at the PAS door: each is submitted on both bases to a clean store, and the answer is compared with
what the case expects."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.app import the_catalog
from server.fhir.systems import concept
from server.pas.cases import PasDoor
from server.policy.case_draft import SITES, SNOMED
from server.policy.cases import Vignette, case_of
from tests.cases import DAY_ZERO, at_the_doors, named


@pytest.fixture(scope="module")
def door() -> PasDoor:
    return PasDoor(the_catalog())


@pytest.mark.parametrize("vignette", at_the_doors(), ids=lambda case: case.id)
def test_case(vignette: Vignette, door: PasDoor) -> None:
    case = case_of(vignette, DAY_ZERO, the_catalog().payer)
    assert list(door.differences(case, vignette.expected)) == [], vignette.why


def test_an_order_that_only_refers_to_its_diagnosis_is_submitted_with_it(door: PasDoor) -> None:
    (vignette,) = named("KN-O50")
    case = case_of(vignette, DAY_ZERO, the_catalog().payer)
    order = {**case.order, "bodySite": [concept(SNOMED, SITES["knee"])]}
    del order["reasonCode"]

    assert list(door.differences(replace(case, order=order), vignette.expected)) == []
