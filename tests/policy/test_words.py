"""What people read of a determination: words, not codes; each thing once, and no sum that reads oddly."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest

from server.policy.catalog import Catalog
from server.policy.denial import denial_of
from server.policy.determination import Determination, Evidence
from server.policy.determine import determine
from server.policy.request import Chart, Member
from server.policy.words import together
from tests.crd.builders import (
    DAY,
    ICD,
    PATIENT,
    PHYSICIAN,
    POS,
    concept,
    coverage,
    film,
    finding,
    nsaid,
    problem,
    procedure,
    score,
    shoulder,
)

NOW = dt.datetime.combine(DAY, dt.time(12), dt.UTC)


def said(catalog: Catalog, *chart: dict[str, Any], **period: str) -> Determination:
    insured = coverage()
    member = Member(key="m", coverage={**insured, **({"period": period} if period else {})})
    return determine(shoulder(), member, Chart([PATIENT, PHYSICIAN, *chart]), catalog.plan("evicore"), NOW)


def test_what_a_claim_has_as_a_code_is_told_in_words(catalog: Catalog) -> None:
    chart = [procedure("97110", days) for days in (40, 33, 26, 19, 12)]
    chart += [
        procedure("73221-RT", 100),
        nsaid(40),
        film("73030", 20),
        finding("hawkins", 9),
        score("quickdash", 8, 9),
    ]
    told = {each.id: each.sentence for each in said(catalog, *chart).criteria}
    for sentence in told.values():
        assert not re.search(r"\b[0-9]{4,5}\b(?!-)|hawkins|quickdash|[A-Z][a-z]+Request", sentence), sentence
    assert told["IMG-XR"].endswith(f"Found: X-ray of the shoulder on {DAY - dt.timedelta(20)}.")
    assert "QuickDASH, 0 to 100: 8 on" in told["FUN"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"comparator": ">"}, "QuickDASH, 0 to 100: >40 on"),
        ({"unit": "points"}, "QuickDASH, 0 to 100: 40 points on"),
        ({"unit": ""}, "QuickDASH, 0 to 100: 40 on"),
    ],
)
def test_a_score_is_told_with_its_comparator_and_its_unit(
    catalog: Catalog, more: dict[str, str], told: str
) -> None:
    """Above 40 is not 40."""
    function = score("quickdash", 40, 9)
    function["valueQuantity"].update(more)
    assert told in said(catalog, function).criterion("FUN").sentence


def test_what_was_only_ordered_is_not_told_as_done_and_an_insurance_from_when_to_when(
    catalog: Catalog,
) -> None:
    denied = said(catalog, start="2024-01-01", end="2025-12-31")
    assert "insurance from 2024-01-01 to 2025-12-31" in denial_of(denied).text
    assert f"MRI of the upper limb, ordered on {DAY}" in denial_of(denied).text


def test_days_of_one_thing_are_told_together() -> None:
    def visit(day: int) -> Evidence:
        on = dt.date(2026, 11, day)
        return Evidence(f"Procedure/{day}", f"Therapy visit on {on}", on)

    undated = Evidence("Condition/x", "diagnosis M75.111")
    assert together([visit(9), undated, visit(2)]) == [
        "Therapy visit on 2026-11-09 and 2026-11-02",
        "diagnosis M75.111",
    ]
    assert together(map(visit, (23, 16, 9, 2, 2))) == ["Therapy visit on 4 days, 2026-11-02 to 2026-11-23"]


def test_a_title_is_not_read_as_what_was_found(catalog: Catalog) -> None:
    """It says what is asked for; a denial says that this is not met."""
    text = denial_of(said(catalog, end="2020-01-01")).text
    assert text.startswith("Not authorized. Not met: Coverage is active (G-COV): The coverage is not active")


def test_treatment_of_a_day_or_two_is_told_as_such(catalog: Catalog) -> None:
    one, two = ([procedure("97110", day) for day in days] for days in ((30,), (30, 29)))
    single, pair = (said(catalog, *chart).criterion("CC-DUR").sentence for chart in (one, two))
    assert f"Treatment known of: {DAY - dt.timedelta(30)} alone; the plan asks for 42 days." in single
    assert "Treatment known of: 1 day, " in pair


def test_whoever_is_denied_is_told_where_to_appeal(catalog: Catalog) -> None:
    (address,), (telephone,) = catalog.payer["address"], catalog.payer["telecom"]
    for plan in catalog.plans.values():
        for told in (catalog.payer["name"], *address["line"], address["postalCode"], telephone["value"]):
            assert told in plan.appeal, plan.name


def test_a_guideline_is_named_so_that_it_can_be_looked_up(catalog: Catalog) -> None:
    """By its publisher, or as the plan's own: nobody outside has the sections of a policy at hand."""
    for name, publisher in (("evicore", "eviCore"), ("carelon", "Carelon"), ("nia", "NIA/Evolent")):
        plan = catalog.plan(name)
        asked = shoulder(reasonCode=[concept(ICD, "M25.511")], locationCode=[concept(POS, "22")])
        answer = determine(asked, Member("m", coverage()), Chart([PATIENT, PHYSICIAN]), plan, NOW)
        told = {each.id: each.guideline for each in answer.criteria}
        assert publisher in told["CC-DUR"]
        assert publisher in next(note.guideline for note in answer.advice if note.id == "ADV-OT")
        assert not re.search(r"[Ss]ection \d|\$", " ".join(told.values()))
    assert "physician" in told["PRV-ORD"]
    assert "therapy" in told["RAT-OT"]


def test_a_diagnosis_has_its_title_where_nobody_gives_it_words(catalog: Catalog) -> None:
    """ICD-10-CM's own: in what is proposed, and of a problem that its EHR only codes."""
    unsided = {"reasonCode": [concept(ICD, "M25.519")]}
    asked = determine(
        shoulder(**unsided),
        Member("m", coverage()),
        Chart([PATIENT, PHYSICIAN, problem("C40.01")]),
        catalog.plan("evicore"),
        NOW,
    )
    proposed = next(note.summary for note in asked.advice if note.id == "COD-SPEC")
    assert "Pain in right shoulder (M25.511)" in proposed
    told = [each.summary for each in asked.criterion("SH-IMM").evidence]
    assert any("Malignant neoplasm of scapula and long bones of right upper limb" in each for each in told)
