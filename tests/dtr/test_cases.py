"""The policies' cases at the DTR door: the form is filled by the package's own CQL, answered, and judged.

Here are all of `EXAMPLE_CASES` and, of the project's own, those that ask something of the form that no
example does; the rest is `davinci-payer policy test tests/vignettes/*.json --door dtr`. Of the rest one kind
leaves unasked what is unknown: an earlier MRI that only the payer's claims show, since no form sees them
(CS-810, LS-806, LS-P98, TS-810, every -812 and -819).
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.dtr.cases import DtrDoor, door
from server.policy.cases import Case, Expected, Vignette, case_of
from server.policy.catalog import Catalog
from server.policy.determination import Decision
from tests.cases import DAY_ZERO, examples, named


@pytest.fixture(scope="module")
def dtr(catalog: Catalog) -> DtrDoor:
    return door(catalog)


OF_OUR_OWN = {
    "BR-143": "a stroke of day 91, which only the chart shows",
    "SH-E50": "NIA: two active treatments, none inactive",
    "SH-E51": "Carelon: a mix of treatments in an old trial only",
    "SH-E93": "an answer too old to count, which nobody gives again",
    "SH-852": "an answer to a question that falls away with the one above it",
    "X-266": "the date of a film that is not asked for",
    "LS-186": "an answer that leaves its criterion open is not asked for again",
    "SH-370": "NIA: a child is not asked about treatment",
    "SH-373": "NIA: a child is asked about the film",
    "SH-126": "the therapy of another patient",
    "SH-352": "a form that nobody completed",
    "SH-354": "the form of another patient",
    "TS-145": "NIA: a nerve study stands for conservative care",
}


@pytest.mark.parametrize("vignette", [*examples(), *named(*OF_OUR_OWN)], ids=lambda case: case.id)
def test_case(vignette: Vignette, dtr: DtrDoor, catalog: Catalog) -> None:
    case = case_of(vignette, DAY_ZERO, catalog.payer)
    assert list(dtr.differences(case, vignette.expected)) == [], vignette.why


@pytest.fixture
def bare(catalog: Catalog) -> Case:
    """A shoulder order about which nothing is known."""
    vignette = Vignette(
        id="T-1",
        region="SH",
        cpt="73221",
        icd10=("M75.111",),
        age=52,
        sex="F",
        rbm="evicore",
        modifiers=("RT",),
        expected=Expected(decision=Decision.MORE_INFO),
    )
    return case_of(vignette, DAY_ZERO, catalog.payer)


UNKNOWN = ("CC-DUR", "EXM", "FUN", "IMG-XR", "SH-IMM")


def test_what_is_unknown_is_asked_on_both_bases(dtr: DtrDoor, bare: Case) -> None:
    expected = Expected(decision=Decision.MORE_INFO, unknown=UNKNOWN, denial_theme="D1")
    assert dtr.differences(bare, expected) == []


def test_an_order_that_only_refers_to_its_diagnosis_has_its_form(dtr: DtrDoor, bare: Case) -> None:
    """An app sends what the order refers to along with it."""
    (reason,) = bare.order["reasonCode"]
    condition = {"resourceType": "Condition", "id": "tear", "code": reason, "subject": bare.order["subject"]}
    order = {name: content for name, content in bare.order.items() if name != "reasonCode"}
    referring = {**order, "reasonReference": [{"reference": "Condition/tear"}]}
    case = replace(bare, order=referring, clinical=(*bare.clinical, condition))
    expected = Expected(decision=Decision.MORE_INFO, unknown=UNKNOWN, denial_theme="D1")
    assert dtr.differences(case, expected) == []


def test_an_outcome_other_than_expected_is_told_for_each_base(dtr: DtrDoor, bare: Case) -> None:
    told = dtr.differences(bare, Expected(decision=Decision.APPROVE))
    assert [each[:14] for each in told if "decision" in each] == ["r2.0: decision", "r2.2: decision"]


def test_a_plan_that_asks_for_nothing_needs_no_form(dtr: DtrDoor, bare: Case, catalog: Catalog) -> None:
    plan = {**bare.coverage["class"][0], "value": "no-imaging-pa"}
    case = replace(bare, plan="no-imaging-pa", coverage={**bare.coverage, "class": [plan]})
    assert dtr.differences(case, Expected(decision=Decision.APPROVE, pa_needed=False)) == []
