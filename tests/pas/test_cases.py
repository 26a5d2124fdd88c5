"""Cases at the PAS door: each is submitted on both bases to a clean store, and the answer is compared with
what the case expects."""

from __future__ import annotations

import pytest

from server.app import the_catalog
from server.pas.cases import PasDoor
from server.policy.cases import Vignette, case_of
from tests.cases import DAY_ZERO, at_the_doors


@pytest.fixture(scope="module")
def door() -> PasDoor:
    return PasDoor(the_catalog())


@pytest.mark.parametrize("vignette", at_the_doors(), ids=lambda case: case.id)
def test_case(vignette: Vignette, door: PasDoor) -> None:
    case = case_of(vignette, DAY_ZERO, the_catalog().payer)
    assert list(door.differences(case, vignette.expected)) == [], vignette.why
