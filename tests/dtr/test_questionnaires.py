"""The forms as data: what the contract and the guide ask of every one of them."""

import re
from collections import defaultdict
from typing import Any

import pytest
from fhir.resources.R4B.questionnaire import Questionnaire

from server.app import the_catalog
from server.dtr.form import INITIAL_EXPRESSION, Form, Item, define_of
from server.fhir.extensions import values
from tests.dtr.forms import FOLDER, neutral

NAMES = sorted({path.stem for path in FOLDER.glob("mri-*.json")} - {"mri-adaptive"})
HELP = "help"
ANSWERS = "https://payer.example/CodeSystem/mri-answer"
CODES = {
    "CC-DUR.modalities": "pt ot hep chiro nsaid rx injection splint activity",
    "CC-OUT": "no-change worse could-not-complete-medical improved resolved stopped-nonmedical",
    "IMG-XR": "normal degenerative effusion non-diagnostic fracture other none",
    "EXM": "yes no",
    "FUN": "adl-limited iadl-limited work-limited none",
    "RPT-INT": "new-deficit worse trauma surgery inadequate monitoring no-change",
    "SOS-SITE": "age sedation size open-mri contrast-allergy obstetric perioperative continuity device "
    "distance urgent no-reason",
    "RAT-OT.change": "modify-protocol load-progression change-orthosis surgical-referral stop-therapy "
    "return-to-work no-change",
    "SYM": "symptomatic no-symptoms",
}
"""The only answers there are (policy source, section 11)."""
CARE = {"CC-DUR.modalities", "CC-OUT", "IMG-XR", "EXM", "FUN"}
"""Questions of the way by conservative care, which the brain does not have."""


@pytest.fixture(params=NAMES)
def questionnaire(request: pytest.FixtureRequest) -> dict[str, Any]:
    return neutral(request.param)


@pytest.fixture
def questions(questionnaire: dict[str, Any]) -> list[Item]:
    return list(Form(questionnaire).questions())


def test_b1_is_fhir(questionnaire: dict[str, Any]) -> None:
    Questionnaire.model_validate(questionnaire)


def test_b1_is_named_as_clients_are_told(questionnaire: dict[str, Any]) -> None:
    assert questionnaire["url"] == f"https://payer.example/Questionnaire/{questionnaire['id']}"
    assert questionnaire["subjectType"] == ["Patient"]
    assert set(questionnaire["effectivePeriod"]) == {"start", "end"}


def test_b1_no_two_items_share_a_link_id(questionnaire: dict[str, Any]) -> None:
    def link_ids(items: list[dict[str, Any]]) -> list[str]:
        return [found for item in items for found in (item["linkId"], *link_ids(item.get("item", [])))]

    listed = link_ids(questionnaire["item"])
    assert len(listed) == len(set(listed))


def test_every_answer_code_is_the_contracts(questions: list[Item]) -> None:
    by_link_id = {question.link_id: question for question in questions}
    care = "CC-DUR.start" in by_link_id
    for link_id in CODES if care else CODES.keys() - CARE:
        codes = CODES[link_id]
        assert [option["code"] for option in by_link_id[link_id].options] == codes.split(), link_id
        assert {option["system"] for option in by_link_id[link_id].options} == {ANSWERS}


def test_indications_end_with_other_and_an_exclusive_none(questions: list[Item]) -> None:
    indication = next(question for question in questions if question.link_id.endswith("-IMM"))
    *listed, other, none = [option["code"] for option in indication.options]
    assert listed == [f"{indication.link_id}.{number}" for number in range(1, len(listed) + 1)]
    assert (other, none) == ("other", "none")
    assert indication.exclusive == {"none"}
    assert indication.repeats
    assert indication.required


def test_every_question_links_its_source_and_explains_itself(questions: list[Item]) -> None:
    for question in questions:
        links = values(question.node, "http://hl7.org/fhir/StructureDefinition/questionnaire-supportLink")
        assert [link for link in links if str(link).startswith("https://")], question.link_id
        explained = any(
            below["linkId"] == f"{question.link_id}.{HELP}" for below in question.node.get("item", [])
        )
        assert explained or question.link_id.startswith("EXM."), question.link_id


def test_a_fault_of_the_order_is_to_be_corrected_there(questions: list[Item]) -> None:
    """Which study is authorized, on which side and why, an order says; an answer would be asked for again."""
    for question in questions:
        if question.link_id.startswith("COD-"):
            (words,) = (each["text"] for each in question.node["item"])
            assert "order, which an answer here does not change" in words, question.link_id


def test_an_examination_is_asked_for_within_the_days_that_plans_give(questions: list[Item]) -> None:
    days = {str(plan.benefit_manager.shared["examDays"]) for plan in the_catalog().plans.values()}
    for question in questions:
        if question.link_id == "EXM":
            (words,) = (each["text"] for each in question.node["item"])
            assert set(re.findall(r"\d+", words)) == days


def test_how_long_a_text_must_be_is_said_to_people_and_to_renderers(questions: list[Item]) -> None:
    for question in questions:
        words = " ".join(below["text"] for below in question.node.get("item", []))
        said = [int(number) for number in re.findall(r"at least (\d+) characters", words)]
        assert values(question.node, "http://hl7.org/fhir/StructureDefinition/minLength") == said


def test_b1_nothing_is_hidden_or_read_only(questionnaire: dict[str, Any]) -> None:
    """DTR forbids to pull data out of an EHR through questions nobody sees or can change."""
    for item in Form(questionnaire).items.values():
        assert "readOnly" not in item.node
        assert not any(
            found["url"].endswith("questionnaire-hidden") for found in item.node.get("extension", [])
        )


def test_c_a_question_is_prefilled_by_the_define_of_its_own_name(questions: list[Item]) -> None:
    prefilled = [question for question in questions if question.initial_expression]
    assert len(prefilled) > (15 if any(question.link_id == "CC-DUR.start" for question in questions) else 0)
    for question in prefilled:
        (expression,) = values(question.node, INITIAL_EXPRESSION)
        assert expression["language"] == "text/cql"
        assert define_of(expression)[1] == question.link_id


def test_c_every_expression_names_a_library_of_the_form(questionnaire: dict[str, Any]) -> None:
    form = Form(questionnaire)
    listed = {library.partition("|")[0].rpartition("/")[2] for library in form.libraries}
    used = {
        define_of(expression)[0]
        for item in form.items.values()
        for expression in (item.initial_expression, item.gate)
        if expression
    }
    assert used == listed


def test_b1_gate_and_conditions_never_meet_on_one_item(questionnaire: dict[str, Any]) -> None:
    """A client would not know whether both must hold."""
    for item in Form(questionnaire).items.values():
        assert not (item.gate and item.node.get("enableWhen")), item.link_id


def test_b1_conditions_ask_about_questions_of_the_form(questionnaire: dict[str, Any]) -> None:
    form = Form(questionnaire)
    for item in form.items.values():
        for condition in item.node.get("enableWhen", []):
            question = form.items[condition["question"]]
            if "answerCoding" in condition:
                assert condition["answerCoding"]["code"] in {option["code"] for option in question.options}


def test_b1_short_lists_stand_in_the_form(questions: list[Item]) -> None:
    for question in questions:
        if question.type == "choice":
            assert 2 <= len(question.options) < 40, question.link_id


def test_a_part_of_the_body_is_called_the_same_in_every_form() -> None:
    called = {
        (option["code"], option["display"])
        for name in NAMES
        for option in Form(neutral(name)).items["COD-CPT"].options
    }
    assert len(called) == len({code for code, _ in called}), sorted(called)


@pytest.mark.parametrize(
    "kind",
    [
        ("shoulder", "elbow", "wrist-hand", "hip", "knee", "ankle-foot"),
        ("cervical-spine", "thoracic-spine", "lumbar-spine"),
    ],
)
def test_what_forms_of_one_kind_share_they_ask_alike(kind: tuple[str, ...]) -> None:
    """A condition lost, or a `required`, and the clinicians of one region alone are asked in vain.

    What is asked only where nothing is indicated names every indication that decides: of the spine, all but
    the seventh.
    """
    asked: dict[str, set[str]] = defaultdict(set)
    for region in kind:
        form = Form(neutral(f"mri-{region}"))
        indication = next(link_id for link_id in form.items if link_id.endswith("-IMM"))
        codes = [option["code"] for option in form.items[indication].options if "." in option["code"]]
        deciding = [code for code in codes if "spine" not in region or not code.endswith(".7")]
        for link_id, item in form.items.items():
            conditions = item.node.get("enableWhen", [])
            indications = [when for when in conditions if when["question"] == indication]
            if [(when["operator"], when["answerCoding"]["code"]) for when in indications] == [
                ("!=", code) for code in deciding
            ]:
                conditions = ["nothing is indicated", *(w for w in conditions if w not in indications)]
            shared = {name: item.node.get(name) for name in ("type", "required", "repeats", "enableBehavior")}
            extensions = sorted(each["url"] for each in item.node.get("extension", []))
            if link_id != "FUN":  # its scores differ
                way = repr((shared, conditions, extensions)).replace(indication, "IMM")
                asked[link_id.replace(indication, "IMM")].add(way)
    assert {link_id: ways for link_id, ways in asked.items() if len(ways) > 1} == {}
