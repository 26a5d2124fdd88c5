"""Billing has modifiers by the dozen, and a code may have several: what was done is the same."""

from __future__ import annotations

from typing import Any

import pytest

from server.fhir.systems import HCPCS_ALIASES
from server.policy.catalog import Catalog
from server.policy.determination import Determination, Met
from server.policy.determine import determine
from server.policy.request import Chart, Member
from tests.crd.builders import CPT, PATIENT, PHYSICIAN, concept, coverage, film, mri, procedure
from tests.policy.test_determine import NOW


def knee(catalog: Catalog, *chart: dict[str, Any], code: str = "73721-RT") -> Determination:
    order = {**mri("73721", "M25.561"), "code": concept(CPT, code)}
    member = Member("m", coverage())
    return determine(
        order, member, Chart([PATIENT, PHYSICIAN, *chart]), catalog.plan("evicore"), NOW, hints=False
    )


def done(code: str, before: int) -> dict[str, Any]:
    return {**procedure("", before), "code": concept(CPT, code)}


@pytest.mark.parametrize("modifiers", ["26", "59", "RT-26", "26-RT", "rt", "XS-RT-76"])
def test_a_film_and_a_study_are_known_whatever_their_modifiers(catalog: Catalog, modifiers: str) -> None:
    taken = {**film("73562", 9), "code": concept(CPT, f"73562-{modifiers}")}
    assert knee(catalog, taken).criterion("IMG-XR").value is Met.YES
    assert knee(catalog, done(f"73721-{modifiers}", 50)).criterion("RPT-INT").value is Met.UNKNOWN


@pytest.mark.parametrize("modifiers", ["LT-26", "26-LT"])
def test_those_of_the_other_side_are_of_the_other_side(catalog: Catalog, modifiers: str) -> None:
    taken = {**film("73562", 9), "code": concept(CPT, f"73562-{modifiers}")}
    assert knee(catalog, taken).criterion("IMG-XR").value is Met.UNKNOWN
    assert knee(catalog, done(f"73721-{modifiers}", 50)).criterion("RPT-INT").value is Met.YES


@pytest.mark.parametrize("modifiers", ["95", "GP", "GP-KX-95", "KX-CQ"])
def test_therapy_is_therapy_by_video_and_by_an_assistant(catalog: Catalog, modifiers: str) -> None:
    visits = [done(f"97110-{modifiers}", before) for before in range(60, 11, -7)]
    assert knee(catalog, *visits).criterion("CC-DUR").value is Met.YES
    assert knee(catalog, *visits).criterion("RAT-OT").value is Met.YES


@pytest.mark.parametrize("modifiers", ["GO", "GO-KX", "KX-GO", "95-GO"])
def test_therapy_with_go_is_an_occupational_therapists(catalog: Catalog, modifiers: str) -> None:
    visits = [done(f"97530-{modifiers}", before) for before in range(60, 11, -7)]
    assert knee(catalog, *visits).criterion("RAT-OT").value is Met.UNKNOWN


@pytest.mark.parametrize("modifiers", ["RT-26", "RT-59", "59-RT"])
def test_an_order_has_its_side_whatever_else_its_code_says(catalog: Catalog, modifiers: str) -> None:
    said = knee(catalog, code=f"73721-{modifiers}")
    assert {said.criterion(each).value for each in ("COD-CPT", "COD-LAT")} == {Met.YES}


@pytest.mark.parametrize("system", sorted(HCPCS_ALIASES))
def test_a_study_that_was_billed_under_the_name_of_hcpcs_was_done(catalog: Catalog, system: str) -> None:
    """CPT is a level of HCPCS, and bills are known by that name."""
    earlier = {**procedure("", 50), "code": concept(system, "73721-RT")}
    assert knee(catalog, earlier).criterion("RPT-INT").value is Met.UNKNOWN
