"""A response is held to the form it answers, fault by fault and place by place."""

from typing import Any

import pytest

from server.dtr.response import answered_items, items_of
from server.dtr.validation import faults, misshapen
from tests.dtr.forms import answers, form

COMPLETE = {
    "SH_IMM": ["none"],
    "CC_DUR_start": "2026-09-01",
    "CC_DUR_modalities": ["pt", "nsaid"],
    "CC_OUT": "no-change",
    "CC_REEVAL": True,
    "CC_REEVAL_date": "2026-11-01",
    "IMG_XR": "normal",
    "IMG_XR_date": "2026-10-01",
    "EXM": "yes",
    "FUN": ["work-limited"],
}


def response(status: str = "completed", **given: Any) -> dict[str, Any]:
    shoulder = form("mri-shoulder")
    return {
        "resourceType": "QuestionnaireResponse",
        "status": status,
        "questionnaire": shoulder.canonical,
        "item": answered_items(shoulder, answers(shoulder, **given)),
    }


def item(held: dict[str, Any], link_id: str) -> dict[str, Any]:
    return next(found for found, _ in items_of(held) if found["linkId"] == link_id)  # type: ignore[return-value]


def said(held: dict[str, Any]) -> list[str]:
    return [issue.diagnostics for issue in faults(form("mri-shoulder"), held)]


def test_v20_a_complete_response_has_no_fault() -> None:
    assert said(response(**COMPLETE)) == []


def test_v20_what_is_required_is_asked_for_once_the_response_is_complete() -> None:
    without = {name: value for name, value in COMPLETE.items() if name != "FUN"}
    assert said(response(**without)) == ["FUN must be answered."]
    assert said(response("in-progress", **without)) == []


def test_what_stands_in_place_of_a_required_answer_is_named() -> None:
    without = {name: value for name, value in COMPLETE.items() if not name.startswith("CC_DUR")}
    assert "CC-DUR.start must be answered, or CC-DUR.none with yes." in said(response(**without))


def test_what_depends_on_the_chart_may_be_answered_and_need_not_be() -> None:
    assert said(response(**COMPLETE, SOS_SITE="sedation")) == []
    assert said(response(**{name: value for name, value in COMPLETE.items() if name != "CC_OUT"})) == []


def test_v20_an_answer_that_no_longer_applies_is_to_be_taken_out() -> None:
    told = {**COMPLETE, "SH_IMM": ["SH-IMM.7"]}
    assert "CC-OUT does not apply. Take its answer out." in said(response(**told))


@pytest.mark.parametrize(
    ("link_id", "answer", "fault"),
    [
        ("CC-OUT", [{"valueString": "no-change"}], "CC-OUT: answer with valueCoding."),
        (
            "CC-OUT",
            [{"valueCoding": {"system": "https://payer.example/CodeSystem/mri-answer", "code": "miracle"}}],
            "CC-OUT: choose one of the options of the form.",
        ),
        (
            "CC-OUT",
            [{"valueCoding": {"system": "http://elsewhere.example", "code": "no-change"}}],
            "CC-OUT: choose one of the options of the form.",
        ),
        ("CC-DUR.start", [{"valueDate": "last summer"}], "CC-DUR.start: give a day, such as 2026-01-31."),
        (
            "CC-DUR.start",
            [{"valueDate": "2026-09-01"}, {"valueDate": "2026-09-02"}],
            "CC-DUR.start takes one answer.",
        ),
        ("CC-REEVAL", [{"valueBoolean": "true"}], "CC-REEVAL: answer true or false."),
    ],
)
def test_v20_an_answer_of_the_wrong_kind(link_id: str, answer: list[Any], fault: str) -> None:
    held = response(**COMPLETE)
    item(held, link_id)["answer"] = answer
    assert fault in said(held)


@pytest.mark.parametrize(("score", "fine"), [(0, True), (100, True), (101, False), (-1, False)])
def test_v20_a_score_keeps_within_its_scale(score: int, fine: bool) -> None:
    without = {name: value for name, value in COMPLETE.items() if name != "FUN"}
    assert (said(response(**without, FUN_quickdash=score)) == []) is fine


@pytest.mark.parametrize(("text", "fine"), [("Load stops if torn..", True), ("Load stops if torn.", False)])
def test_a_rationale_is_as_long_as_the_form_says_that_it_must_be(text: str, fine: bool) -> None:
    """A shorter one settles nothing, and not every renderer shows the help that says so."""
    told = said(response(**COMPLETE, RAT_OT_change="modify-protocol", RAT_OT_text=text))
    assert told == ([] if fine else ["RAT-OT.text: write at least 20 characters."])


def test_none_goes_with_no_other_answer() -> None:
    told = {**COMPLETE, "SH_IMM": ["none", "other"], "SH_IMM_text": "unclear lesion"}
    assert said(response(**told)) == ["SH-IMM: none goes with no other answer."]


def test_v20_an_item_of_another_form_is_named_with_its_place() -> None:
    held = response(**COMPLETE)
    held["item"].append({"linkId": "FAVOURITE-COLOUR", "answer": [{"valueString": "blue"}]})
    (issue,) = faults(form("mri-shoulder"), held)
    assert issue.diagnostics == "The form has no item FAVOURITE-COLOUR."
    assert issue.expressions == (f"QuestionnaireResponse.item[{len(held['item']) - 1}]",)


def test_v20_an_item_comes_once() -> None:
    held = response(**COMPLETE)
    held["item"].append(item(held, "SH-IMM"))
    assert said(held) == ["SH-IMM stands here twice. Give repeated answers in one item."]


@pytest.mark.parametrize(
    ("items", "place"),
    [
        ([{"linkId": "ORDER", "item": []}], None),
        ("ORDER", ".item"),
        (7, ".item"),
        (["ORDER"], ".item[0]"),
        ([{"linkId": None}], ".item[0].linkId"),
        ([{"linkId": "ORDER", "item": [{"text": "Which?"}]}], ".item[0].item[0].linkId"),
    ],
)
def test_items_that_cannot_be_read_are_named_by_their_place(items: Any, place: str | None) -> None:
    found = list(misshapen({"item": items}, "Questionnaire"))
    assert [issue.expression for issue in found] == ([f"Questionnaire{place}"] if place else [])
    assert not any("None" in issue.diagnostics for issue in found)
