"""What an adaptive form makes of the order's own facts: typed anyhow, or too vague to tell the part."""

import pytest

from tests.crd.builders import mri
from tests.dtr.conftest import Dtr
from tests.dtr.interviews import FACTS, answered, asked, began, interview, package, said, step


def test_where_the_diagnosis_does_not_tell_the_part_it_is_asked_for(dtr: Dtr) -> None:
    """A code for any joint of the arm, and words for a diagnosis."""
    response = step(dtr, answered(step(dtr, package(dtr).draft), FACTS | {"ORDER.dx": "torn cuff"}))
    assert "COD-CPT" in asked(response)
    response = step(dtr, answered(response, {"COD-CPT": "16982005"}))
    assert "SH-IMM" in asked(response) or "COD-ICD" in asked(response)


def test_of_a_known_order_nobody_is_asked_what_only_the_order_can_say(dtr: Dtr) -> None:
    """A limb in pain, and nothing that tells which part of it: the answer sends the order back."""
    _, draft = began(dtr, "vague", mri("73221", "R52", side="RT"))
    calls, done = interview(dtr, draft, {"PATIENT.age": 52})
    assert [call[0] for call in calls] == ["PATIENT.age"]
    assert "Which joint or part" in said(done)["reason"]["text"]
    _, draft = began(dtr, "of no side", mri("73221", "M75.100"))
    calls, done = interview(dtr, draft, {"PATIENT.age": 52, "SH-IMM": "SH-IMM.2"})
    assert [call[0] for call in calls] == ["PATIENT.age", "SH-IMM"]
    assert "No side is stated" in said(done)["reason"]["text"]


@pytest.mark.parametrize("typed", ["M75111", "m75.111", " M75.111 "])
def test_a_diagnosis_is_understood_as_people_type_it(dtr: Dtr, typed: str) -> None:
    response = step(dtr, answered(step(dtr, package(dtr).draft), FACTS | {"ORDER.dx": typed}))
    assert "SH-IMM" in asked(response)
