"""An answer that meets its criterion leads where the same fact in the chart leads, in any mixture of the two;
a negative answer decides what the chart's silence cannot."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from server.app import the_catalog
from server.policy.case_facts import Fact
from server.policy.cases import Expected, Vignette, case_of
from server.policy.catalog import Catalog
from server.policy.commands import judged
from server.policy.determination import Decision
from tests.policy.test_vignettes import DAY_ZERO


def answer(question: str, value: Any) -> Fact:
    return Fact("QuestionnaireResponse", question, "linkId", 0, value)


CHART_OR_ANSWER: dict[str, tuple[list[Fact], list[Fact]]] = {
    "CC-DUR": (
        [Fact("Procedure", "97110", "cpt", day) for day in (62, 48, 34, 20, 6)],
        [answer("CC-DUR.start", "D-62"), answer("CC-DUR.end", "D-6"), answer("CC-DUR.modalities", ["pt"])],
    ),
    "CC-OUT": ([Fact("Goal", "not-achieved", "achievement", 5)], [answer("CC-OUT", "no-change")]),
    "CC-REEVAL": (
        [Fact("Encounter", "99213", "cpt", 6)],
        [answer("CC-REEVAL", True), answer("CC-REEVAL.date", "D-6")],
    ),
    "EXM": ([Fact("Observation", "slr-positive", "exam", 6, "positive")], [answer("EXM", "yes")]),
    "FUN": ([Fact("Observation", "97909-6", "loinc", 6, 34)], [answer("FUN.odi", 34)]),
}
DENIED = {
    "CC-DUR": [answer("CC-DUR.none", True)],
    "CC-OUT": [answer("CC-OUT", "improved")],
    "CC-REEVAL": [answer("CC-REEVAL", False)],
    "EXM": [answer("EXM", "no")],
    "FUN": [answer("FUN", ["none"])],
}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return the_catalog()


def outcome(catalog: Catalog, *facts: Fact) -> tuple[Decision, tuple[str, ...], tuple[str, ...]]:
    vignette = Vignette(
        id="either",
        region="LS",
        cpt="72148",
        icd10=("M54.16",),
        age=50,
        sex="F",
        rbm="evicore",
        expected=Expected(decision=Decision.APPROVE),
        facts=(answer("LS-IMM", "none"), *facts),
    )
    said = judged(case_of(vignette, DAY_ZERO, catalog.payer), catalog, hints=False)
    return said.decision, said.unmet, said.unknown


def facts_of(mixture: tuple[int, ...]) -> dict[str, list[Fact]]:
    pairs = zip(CHART_OR_ANSWER.items(), mixture, strict=True)
    return {name: either[which] for (name, either), which in pairs}


@pytest.mark.parametrize("mixture", list(product((0, 1), repeat=len(CHART_OR_ANSWER))), ids=str)
def test_chart_and_answer_lead_to_the_same(catalog: Catalog, mixture: tuple[int, ...]) -> None:
    facts = facts_of(mixture)
    assert outcome(catalog, *(each for part in facts.values() for each in part)) == (Decision.APPROVE, (), ())


@pytest.mark.parametrize("criterion", CHART_OR_ANSWER)
@pytest.mark.parametrize("mixture", [(0, 0, 0, 0, 0), (1, 1, 1, 1, 1)], ids=["chart", "answers"])
def test_silence_asks_and_a_negative_answer_decides(
    catalog: Catalog, mixture: tuple[int, ...], criterion: str
) -> None:
    facts = facts_of(mixture)
    others = [each for name, part in facts.items() if name != criterion for each in part]
    assert outcome(catalog, *others) == (Decision.MORE_INFO, (), (criterion,))
    assert outcome(catalog, *others, *DENIED[criterion]) == (Decision.DENY, (criterion,), ())
