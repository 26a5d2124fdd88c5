"""What a form asks, and when: answers switch off what no longer matters."""

from typing import Any

import pytest

from tests.dtr.forms import answers, form

FORMS = {"mri-shoulder": "SH", "mri-lumbar-spine": "LS"}


@pytest.fixture(params=FORMS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def closed(expression: Any) -> bool:
    """The chart is silent: it gives no reason to ask about the order, and settles nothing clinical."""
    open_ones = ("SH-IMM", "LS-IMM", "CC", "CC-DUR.modalities", "CC-OUT", "EXM", "CON")
    return any(f'"Ask {define}"' in expression["expression"] for define in open_ones)


def asked(name: str, **given: Any) -> tuple[str, ...]:
    questionnaire = form(name)
    return questionnaire.asked(answers(questionnaire, **given), closed)


def test_of_a_silent_chart_the_indication_the_trial_the_examination_the_film_and_function_are_asked() -> None:
    assert asked("mri-shoulder") == ("SH-IMM", "CC-DUR.start", "EXM", "IMG-XR", "FUN")
    assert asked("mri-lumbar-spine") == ("LS-IMM", "CC-DUR.start", "EXM", "FUN")


def test_v21_an_immediate_indication_ends_the_clinical_part() -> None:
    for option in [f"SH-IMM.{number}" for number in range(1, 9)]:
        assert asked("mri-shoulder", SH_IMM=[option]) == ()
    assert asked("mri-lumbar-spine", LS_IMM=["LS-IMM.8"]) == ()


def test_an_emg_finding_alone_does_not_since_only_some_plans_take_it() -> None:
    assert asked("mri-lumbar-spine", LS_IMM=["LS-IMM.7"]) == ("CC-DUR.start", "EXM", "FUN")


def test_another_reason_is_to_be_written_down_and_conservative_care_still_counts() -> None:
    assert asked("mri-shoulder", SH_IMM=["other"]) == ("SH-IMM.text", "CC-DUR.start", "EXM", "IMG-XR", "FUN")


def test_one_indication_among_several_answers_is_enough() -> None:
    assert asked("mri-lumbar-spine", LS_IMM=["LS-IMM.7", "LS-IMM.2"]) == ()


def test_v21_a_trial_brings_its_questions_along() -> None:
    told = {
        "SH_IMM": ["none"],
        "CC_DUR_start": "2026-09-01",
        "IMG_XR": "none",
        "EXM": "yes",
        "FUN_quickdash": 40,
    }
    assert asked("mri-shoulder", **told) == ("CC-DUR.modalities", "CC-OUT", "CC-REEVAL")


def test_v21_a_start_and_no_treatment_exclude_each_other() -> None:
    shoulder = form("mri-shoulder")
    with_start = shoulder.enabled(answers(shoulder, CC_DUR_start="2026-09-01"), closed)
    assert with_start["CC-DUR.end"]
    assert not with_start["CC-DUR.none"]
    without = shoulder.enabled(answers(shoulder, CC_DUR_none=True), closed)
    assert not without["CC-DUR.start"]
    assert not without["CON.result"]


def test_no_indication_and_no_treatment_end_the_lumbar_form_not_the_shoulders_tests() -> None:
    assert asked("mri-lumbar-spine", LS_IMM=["none"], CC_DUR_none=True) == ()
    assert asked("mri-shoulder", SH_IMM=["none"], CC_DUR_none=True) == ("EXM", "FUN")


def test_the_answer_to_a_question_that_fell_away_decides_nothing() -> None:
    """Whether there are symptoms is asked of who says that no indication applies, if that is asked at all."""
    shoulder = form("mri-shoulder")
    none = answers(shoulder, SH_IMM=["none"])
    assert shoulder.enabled(none, lambda gate: True)["SYM"]
    assert not shoulder.enabled(none, lambda gate: False)["SYM"]


def test_home_exercise_asks_for_its_follow_up() -> None:
    told = {"CC_DUR_start": "2026-09-01", "CC_DUR_modalities": ["pt", "hep"]}
    assert "CC-DUR.hep-followup" in asked("mri-shoulder", **told)
    assert "CC-DUR.hep-followup" not in asked("mri-shoulder", **{**told, "CC_DUR_modalities": ["pt"]})


def test_v21_a_film_has_a_date_unless_there_is_none() -> None:
    assert "IMG-XR.date" in asked("mri-shoulder", IMG_XR="normal")
    assert "IMG-XR.date" not in asked("mri-shoulder", IMG_XR="none")


def test_v21_a_score_answers_for_the_activities() -> None:
    assert "FUN" not in asked("mri-shoulder", FUN_nrs=6)
    assert "FUN" not in asked("mri-lumbar-spine", FUN_odi=30)


def test_v21_questions_about_the_order_are_asked_only_where_the_chart_gives_reason(name: str) -> None:
    questionnaire = form(name)
    gated = {
        item.gate["expression"].split(".")[1].strip('"'): item.link_id
        for item in questionnaire.items.values()
        if item.gate and not item.parents
    }
    for define, link_id in gated.items():
        opened = questionnaire.enabled({}, lambda gate, define=define: f'"{define}"' in gate["expression"])
        assert opened[link_id]
        assert not any(opened[other] for other in gated.values() if other != link_id)


def test_the_therapy_plan_is_not_asked_about_where_an_indication_waives_it(name: str) -> None:
    questionnaire, region = form(name), FORMS[name]
    told = answers(questionnaire, **{f"{region}_IMM": [f"{region}-IMM.1"]})

    def gate(expression: Any) -> bool:
        return any(f'"Ask {define}"' in expression["expression"] for define in ("RAT-OT", f"{region}-IMM"))

    assert not questionnaire.enabled(told, gate)["RAT-OT.change"]
    assert questionnaire.enabled({}, gate)["RAT-OT.change"]


def test_v21_a_change_of_the_plan_is_described_no_change_is_not(name: str) -> None:
    questionnaire = form(name)
    described = {
        code: questionnaire.enabled(answers(questionnaire, RAT_OT_change=code), lambda gate: True)[
            "RAT-OT.text"
        ]
        for code in ("surgical-referral", "no-change")
    }
    assert described == {"surgical-referral": True, "no-change": False}


def test_while_a_gate_is_not_known_neither_is_what_lies_behind_it(name: str) -> None:
    assert form(name).enabled({})["SOS-SITE"] is None
