"""A denial says everything the provider is owed, or it is none."""

import pytest

from server.policy.denial import Denial, Finding, IncompleteDenial, denial_of
from server.policy.determination import Criterion, Met
from tests.pas import builders as a
from tests.pas.conftest import Payer
from tests.pas.determinations import CARE, approved, denied, recommends_denial


def test_a_denial_names_criterion_guideline_evidence_remedy_and_appeal() -> None:
    text = denial_of(denied()).text

    for owed in (
        "CC-DUR",
        "The attested trial lasted 28 days",
        "RBM-EVI",
        "97110 on 2026-10-23",
        "Two more weeks",
        "Within 180 days",
    ):
        assert owed in text


@pytest.mark.parametrize("part", ["criterion", "title", "found", "guideline", "looked_at", "remedy"])
def test_a_finding_that_lacks_a_part_cannot_be_made(part: str) -> None:
    whole = dict.fromkeys(("criterion", "title", "found", "guideline", "looked_at", "remedy"), "said")

    with pytest.raises(IncompleteDenial) as lacking:
        Finding(**{**whole, part: "  "})
    assert lacking.value.lacking == [part]


@pytest.mark.parametrize("part", ["code", "findings", "appeal"])
def test_a_denial_that_lacks_a_part_cannot_be_made(part: str) -> None:
    said = denial_of(denied())
    whole = {name: getattr(said, name) for name in ("code", "findings", "appeal")}

    with pytest.raises(IncompleteDenial) as lacking:
        Denial(**{**whole, part: () if part == "findings" else ""})
    assert lacking.value.lacking == [part]


def test_where_nothing_spoke_for_a_criterion_the_denial_says_what_was_searched() -> None:
    silent = Criterion(
        "SYM",
        "Patient is symptomatic",
        Met.NO,
        "Only screening is named",
        "ACR",
        None,
        would_satisfy="A symptom",
    )

    assert "every record sent with it" in denial_of(denied(criteria=(silent,), unmet=("SYM",))).text


def test_a_recommended_denial_has_the_same_words_as_a_denial() -> None:
    assert denial_of(recommends_denial()).text == denial_of(denied()).text


def test_an_administrative_denial_needs_no_code_but_all_the_words() -> None:
    lapsed = Criterion(
        "G-COV",
        "Coverage is active",
        Met.NO,
        "The coverage ended",
        "The coverage contract",
        None,
        would_satisfy="An active coverage",
    )
    said = denial_of(denied(criteria=(lapsed,), unmet=("G-COV",), gate="G-COV", denial_code="", theme=None))

    assert said.code == ""
    assert "The coverage contract" in said.text
    with pytest.raises(IncompleteDenial):
        denial_of(denied(unmet=(), gate="G-COV"))


def test_nothing_else_can_be_read_as_a_denial() -> None:
    with pytest.raises(ValueError, match="approve, not deny"):
        denial_of(approved())
    assert CARE.value is Met.NO


def test_a_lapsed_coverage_is_denied_though_the_part_is_not_named(payer: Payer) -> None:
    """A limb code without site or diagnosis would be asked about; no answer would bring the coverage back."""
    limb = a.item(extension=[each for each in a.item()["extension"] if "requestedService" not in each["url"]])
    del limb["diagnosisSequence"]
    lapsed = a.coverage(period={"start": "2025-01-01", "end": "2025-12-31"})
    unexplained = {name: content for name, content in a.claim(limb).items() if name != "diagnosis"}
    answer = payer.submit(a.request(claim=unexplained, coverage=lapsed))

    assert answer.action == "A3"
    assert "G-COV" in answer.words
