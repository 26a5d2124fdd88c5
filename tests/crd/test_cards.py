"""Cards, each a case from the policy's or the plan's own data: what they say and what a tap on them does."""

from typing import Any

import pytest

from server.store import records
from tests.crd import builders as ehr
from tests.crd.conftest import Answered, Crd
from tests.crd.shape import texts
from tests.ehr import Ehr

Card = dict[str, Any]
INJURED = "S43.421A"
ACCIDENT = "https://payer.example/Questionnaire/accident"


def card_of(answer: Answered, topic: str, words: str = "") -> Card:
    """The one card of a topic that has these words."""
    (found,) = [
        card
        for card in answer.cards
        if card["source"]["topic"]["code"] == topic and words in f"{card['summary']} {card['detail']}"
    ]
    return found


def only_action(card: Card) -> dict[str, Any]:
    (suggestion,) = card["suggestions"]
    (action,) = suggestion["actions"]
    return dict(action)


# ---- Propose alternate request


def test_a_radiograph_instead_withdraws_the_mri_and_orders_the_film_of_the_same_part(crd: Crd) -> None:
    order = ehr.shoulder()
    card = card_of(crd(ehr.sign(order, sent=ehr.prefetch())), "therapy-alternatives-req")
    (suggestion,) = card["suggestions"]
    assert card["summary"].startswith("Proposed: X-ray of the shoulder (73030). No X-ray")
    withdraw, instead = suggestion["actions"]
    assert (withdraw["type"], withdraw["resourceId"]) == ("delete", f"ServiceRequest/{order['id']}")
    assert "resource" not in withdraw
    film = instead["resource"]
    assert (instead["type"], film["code"]["coding"][0]["code"]) == ("create", "73030")
    assert film["bodySite"] == order["bodySite"]
    assert film["id"] != order["id"]
    assert card["selectionBehavior"] == "at-most-one"


def test_the_code_of_another_part_takes_the_old_part_with_it(crd: Crd) -> None:
    order = ehr.mri("73221", "M54.16", side="RT")
    order["code"]["coding"] += [
        {"system": ehr.CPT, "code": "73221-RT"},
        {"system": ehr.CPT, "code": "73221-26"},
        {"system": ehr.SNOMED, "code": "241648009"},
    ]
    order["bodySite"] = [ehr.concept(ehr.SNOMED, "16982005")]
    card = card_of(crd(ehr.sign(order, sent=ehr.prefetch())), "claim", "72148")
    changed = only_action(card)["resource"]
    assert [coding["code"] for coding in changed["code"]["coding"]] == ["72148", "72148-26"]
    assert "bodySite" not in changed
    untouched = {name: order[name] for name in order if name not in ("code", "bodySite")}
    assert {name: changed[name] for name in untouched} == untouched


def test_the_shin_under_the_code_of_a_joint_gets_its_own_and_stays_the_shin(crd: Crd) -> None:
    order = ehr.mri("73722", "M84.361A", side="RT")
    order["bodySite"].insert(0, ehr.concept(ehr.SNOMED, "30021000"))
    card = card_of(crd(ehr.sign(order, sent=ehr.prefetch())), "claim", "73719")
    changed = only_action(card)["resource"]
    assert [coding["code"] for coding in changed["code"]["coding"]] == ["73719"]
    assert changed["bodySite"] == order["bodySite"]


def test_the_code_without_contrast_keeps_part_side_modifiers_and_the_clients_own_code(crd: Crd) -> None:
    order = ehr.mri("73222", "M25.511", side="RT")
    own = {"system": "https://ehr.example/orderables", "code": "IMG-77", "display": "MR shoulder"}
    order["code"]["coding"] += [{"system": ehr.CPT, "code": "73222-RT"}, own]
    card = card_of(crd(ehr.sign(order, sent=ehr.prefetch())), "off-guideline")
    changed = only_action(card)["resource"]
    assert [coding["code"] for coding in changed["code"]["coding"]] == ["73221", "73221-RT", "IMG-77"]
    assert changed["code"]["coding"][-1] == own
    assert changed["bodySite"] == order["bodySite"]


@pytest.mark.parametrize(
    ("codes", "left"),
    [
        (["73221-RT"], ["73221"]),
        (["73221", "73221-RT"], ["73221"]),
        (["73221-26-RT", "73221-RT"], ["73221-26", "73221"]),
    ],
)
def test_accepting_the_other_side_settles_it_however_the_order_said_it(
    crd: Crd, codes: list[str], left: list[str]
) -> None:
    billed = {"coding": [{"system": ehr.CPT, "code": code} for code in codes], "text": "MRI shoulder"}
    order = {**ehr.mri("73221", "M25.512"), "code": billed}
    changed = only_action(card_of(crd(ehr.sign(order, sent=ehr.prefetch())), "claim", "left side"))[
        "resource"
    ]
    again = crd(ehr.sign(changed, sent=ehr.prefetch()))

    assert [coding["code"] for coding in changed["code"]["coding"]] == left
    assert not [card for card in again.cards if "side" in card["summary"]]


def test_a_freestanding_centre_is_proposed_and_the_networks_own_are_named(crd: Crd) -> None:
    insurance = ehr.coverage()
    near = {
        "resourceType": "Location",
        "id": f"near-{crd.version}",
        "status": "active",
        "name": f"Riverside Imaging {crd.version}",
        "extension": [
            {
                "url": "http://hl7.org/fhir/StructureDefinition/location-distance",
                "valueDistance": {
                    "value": 3.5,
                    "unit": "mi",
                    "system": "http://unitsofmeasure.org",
                    "code": "[mi_i]",
                },
            }
        ],
    }
    with crd.app.state.services.store.transaction() as tx:
        records.put(tx, near, f"member:{insurance['subscriberId']}", crd.app.state.services.clock())
    order = ehr.lumbar(place="22")
    card = card_of(crd(ehr.sign(order, sent=ehr.prefetch([], insurance))), "network")
    assert card["summary"].startswith("Proposed: a freestanding imaging center. ")
    assert "…" not in card["summary"], "what is found has room beside what is proposed"
    assert f"Riverside Imaging {crd.version}, 3.5 miles" in card["detail"]
    place = only_action(card)["resource"]["locationCode"][0]["coding"][0]
    assert (place["system"], place["code"]) == (ehr.POS, "49")


# ---- Additional orders


def test_kidney_function_is_ordered_beside_contrast_and_has_no_body_site(crd: Crd) -> None:
    order = ehr.mri("73222", "M25.511", side="RT")
    answer = crd(ehr.sign(order, sent=ehr.prefetch([ehr.problem("N18.5")])))
    lab = only_action(card_of(answer, "clinical-reminder", "kidney"))["resource"]
    assert lab["code"]["coding"][0]["code"] == "82565"
    assert "bodySite" not in lab
    assert lab["subject"] == order["subject"]
    assert lab["requester"] == order["requester"]


def test_therapy_is_offered_where_none_is_on_record(crd: Crd) -> None:
    answer = crd(ehr.sign(ehr.shoulder(), sent=ehr.prefetch()))
    evaluation = only_action(card_of(answer, "therapy-alternatives-opt"))["resource"]
    assert evaluation["code"]["coding"][0]["code"] == "97165"


# ---- External reference, instructions


def test_the_guideline_is_a_card_of_links_alone(crd: Crd) -> None:
    card = card_of(crd(ehr.sign(ehr.shoulder(), sent=ehr.prefetch())), "guideline")
    assert [link["type"] for link in card["links"]] == ["absolute"]
    assert "suggestions" not in card


def test_what_stands_in_the_way_is_said_with_what_was_found_of_it(crd: Crd) -> None:
    """The name of a criterion by itself, "Function is impaired", reads like a finding."""
    card = card_of(crd(ehr.sign(ehr.shoulder(), sent=ehr.prefetch())), "appropriate-use")
    told = [line.removeprefix("- ").partition(": ") for line in card["detail"].splitlines()]
    assert ("Function is impaired", ": ", "No measure of function or limited activity is documented.") in told
    assert all(found for _, _, found in told)


def test_claustrophobia_on_record_is_an_instruction(crd: Crd) -> None:
    answer = crd(ehr.sign(ehr.shoulder(), sent=ehr.prefetch([ehr.problem("F40.240")])))
    card = card_of(answer, "clinical-reminder", "Claustrophobia")
    assert not {"links", "suggestions"} & card.keys()


def test_the_same_imaging_done_lately_is_named_with_its_day_and_the_order_is_not(crd: Crd) -> None:
    """In the chart's own words: a card's detail is Markdown, they are not."""
    order = ehr.shoulder()
    earlier = ehr.procedure("73221", 30, bodySite=order["bodySite"])
    earlier["code"]["coding"][0]["display"] = "MRI, 3*4*5 cm\n\n# [Sign in](https://ehr.example) <h1>again"
    chart = [*ehr.six_weeks_of_care(order), earlier]
    card = card_of(crd(ehr.sign(order, sent=ehr.prefetch(chart))), "duplicate-therapy")
    shown = r"MRI, 3\*4\*5 cm # \[Sign in](https://ehr.example) \<h1>again"
    assert card["detail"].partition("On record:\n")[2] == f"- {shown} on {ehr.day(30)}"


# ---- Coverage update


def test_a_coverage_without_plan_comes_back_with_the_plan_it_is_judged_under(crd: Crd) -> None:
    insurance = ehr.coverage()
    del insurance["class"]
    order = ehr.shoulder()
    answer = crd(ehr.sign(order, sent=ehr.prefetch([], insurance)))
    (correction,) = [
        action for action in answer.body["systemActions"] if action["resource"]["resourceType"] == "Coverage"
    ]
    (kind,) = correction["resource"]["class"]
    assert (kind["value"], kind["type"]["coding"][0]["code"]) == ("evicore", "plan")
    again = crd(ehr.sign(order, sent=ehr.prefetch([], correction["resource"])))
    assert all(action["resource"]["resourceType"] != "Coverage" for action in again.body["systemActions"])


def test_a_coverage_inside_an_order_is_none_to_be_updated_by_itself(crd: Crd) -> None:
    """The client's server has no Coverage of that id."""
    insurance = {name: part for name, part in ehr.coverage().items() if name != "class"}
    order = ehr.shoulder(contained=[insurance], insurance=[{"reference": "#cov-1"}])
    answer = crd(ehr.sign(order, sent={**ehr.prefetch(), "coverage": None}))
    assert answer.information["coverage"] == {"reference": "#cov-1"}
    assert [action["resource"]["id"] for action in answer.body["systemActions"]] == [order["id"]]
    proposed = only_action(card_of(answer, "therapy-alternatives-opt"))["resource"]
    assert proposed["contained"] == [insurance], "what is ordered beside points to it as well"


@pytest.mark.parametrize("hook", ["encounter-start", "encounter-discharge"])
def test_at_a_visit_the_insurance_record_is_mended_by_a_card(crd: Crd, hook: str) -> None:
    insurance = ehr.coverage()
    del insurance["class"]
    answer = crd(ehr.encounter_call(hook, ehr.visit(0), ehr.prefetch([], insurance)))
    card = card_of(answer, "insurance")
    assert only_action(card)["resource"]["class"][0]["value"] == "evicore"
    assert all(action["resource"]["resourceType"] == "Encounter" for action in answer.body["systemActions"])


def test_insurance_can_be_switched_off(crd: Crd) -> None:
    insurance = ehr.coverage()
    del insurance["class"]
    off = {"extension": {"davinci-crd.configuration": {"insurance": False}}}
    answer = crd({**ehr.sign(ehr.shoulder(), sent=ehr.prefetch([], insurance)), **off})
    assert all(action["resource"]["resourceType"] != "Coverage" for action in answer.body["systemActions"])


# ---- Request form completion


def test_an_injury_asks_how_it_happened(crd: Crd) -> None:
    order = ehr.mri("73221", INJURED, side="RT")
    card = card_of(crd(ehr.sign(order, sent=ehr.prefetch())), "insurance", "injury")
    task = only_action(card)["resource"]
    assert (task["status"], task["intent"]) == ("ready", "order")
    assert task["code"]["coding"][0]["code"] == "complete-questionnaire"
    assert task["basedOn"] == [ehr.ref(order)]
    assert task["for"] == ehr.ref(ehr.PATIENT)
    assert task["requester"] == ehr.ref(ehr.PAYOR)
    asked = task["input"][0]
    assert asked["type"]["text"] == "questionnaire"
    assert asked["valueCanonical"] == "https://payer.example/Questionnaire/accident"
    kinds = [entry["type"]["coding"][0]["code"] for entry in task["input"]]
    after = {"2.0": ["after-completion-action"], "2.2": []}[crd.version]
    assert kinds == ["questionnaire", *after]
    assert "focus" not in task


def test_the_form_that_is_asked_for_can_be_had(crd: Crd) -> None:
    found = crd.http.get(f"/r{crd.version}/fhir/Questionnaire", params={"url": f"{ACCIDENT}"})
    (entry,) = found.json()["entry"]
    assert entry["resource"]["url"] == ACCIDENT


def test_an_answered_form_is_not_asked_for_again_nor_any_of_whom_is_not_covered(crd: Crd) -> None:
    answered = {
        "resourceType": "QuestionnaireResponse",
        "id": "told",
        "status": "completed",
        "questionnaire": f"{ACCIDENT}|1.0.0",
        "subject": ehr.ref(ehr.PATIENT),
    }
    order = ehr.mri("73221", INJURED, side="RT")
    ended = ehr.coverage(period={"start": "2025-01-01", "end": "2025-12-31"})
    for sent in (ehr.prefetch([answered]), ehr.prefetch([], ended)):
        answer = crd(ehr.sign(order, sent=sent))
        assert "insurance" not in {card["source"]["topic"]["code"] for card in answer.cards}


@pytest.mark.parametrize("hook", ["encounter-start", "encounter-discharge"])
def test_the_front_desk_is_asked_as_well(crd: Crd, hook: str) -> None:
    visit = {**ehr.visit(0), "reasonCode": [ehr.concept(ehr.ICD, INJURED)]}
    card = card_of(crd(ehr.encounter_call(hook, visit)), "insurance", "injury")
    assert only_action(card)["resource"]["encounter"] == ehr.ref(visit)


# ---- a visit whose complaint may lead to imaging


@pytest.mark.parametrize(
    ("hook", "complaint"),
    [
        ("encounter-start", {"reasonCode": [ehr.concept(ehr.ICD, "M54.16")]}),
        (
            "encounter-discharge",
            {
                "contained": [{**ehr.problem("M54.16"), "id": "complaint"}],
                "reasonReference": [{"reference": "#complaint"}],
            },
        ),
        (
            "encounter-start",
            {
                "contained": [{**ehr.problem("M54.16"), "id": "complaint"}],
                "diagnosis": [{"condition": {"reference": "#complaint"}}],
            },
        ),
    ],
)
def test_a_visit_for_a_known_complaint_says_what_the_plan_will_look_for(
    crd: Crd, hook: str, complaint: dict[str, Any]
) -> None:
    answer = crd(ehr.encounter_call(hook, {**ehr.visit(0), **complaint}))
    assert "Examined" in card_of(answer, "clinical-reminder")["detail"]
    assert "this order" not in texts(answer.body), "nothing is ordered yet"
    assert card_of(answer, "guideline")["links"]
    (link,) = card_of(answer, "appropriate-use")["links"]
    assert link["type"] == "smart"
    (information,) = answer.informations
    assert information["pa-needed"] == "no-auth"


def test_the_record_is_read_for_a_complaint_that_a_visit_only_refers_to(crd: Crd) -> None:
    complaint = ehr.problem("M54.16")
    visit = {**ehr.visit(0), "diagnosis": [{"condition": ehr.ref(complaint)}]}
    with Ehr([complaint]) as server:
        answer = crd({**ehr.encounter_call("encounter-start", visit), "fhirServer": server.base})
    assert card_of(answer, "clinical-reminder")


def test_a_visit_for_a_bone_of_two_joints_is_told_of_the_one_that_its_order_will_be_of(crd: Crd) -> None:
    visit = {**ehr.visit(0), "reasonCode": [ehr.concept(ehr.ICD, "M84.361A")]}
    (link,) = card_of(crd(ehr.encounter_call("encounter-start", visit)), "guideline")["links"]
    assert "Knee" in link["label"]


def test_a_visit_for_something_else_says_nothing_of_imaging(crd: Crd) -> None:
    visit = {**ehr.visit(0), "reasonCode": [ehr.concept(ehr.ICD, "J00")]}
    assert not crd(ehr.encounter_call("encounter-start", visit)).cards


# ---- which cards, how many


def test_importance_decides_what_falls_to_the_limit(crd: Crd) -> None:
    order = ehr.mri("72158", "M54.16", place="22")
    body = ehr.sign(order, sent=ehr.prefetch([ehr.problem("N18.5"), ehr.problem("F40.240")]))
    every = [card["summary"] for card in crd(body).cards]
    limited = {**body, "extension": {"davinci-crd.configuration": {"max-cards": 2}}}
    assert [card["summary"] for card in crd(limited).cards] == every[:2]
    assert card_of(crd(limited), "contraindication")["indicator"] == "warning"
    none = {**body, "extension": {"davinci-crd.configuration": {"max-cards": 0}}}
    assert crd(none).cards == []


def test_every_kind_of_card_can_be_switched_off_by_its_code(crd: Crd) -> None:
    order = ehr.mri("72158", "M54.16", place="22")
    body = ehr.sign(order, sent=ehr.prefetch([ehr.problem("N18.5"), ehr.problem("F40.240")]))
    topics = {card["source"]["topic"]["code"] for card in crd(body).cards}
    assert len(topics) > 5
    for topic in topics:
        off = {**body, "extension": {"davinci-crd.configuration": {topic: False}}}
        assert topics - {topic} == {card["source"]["topic"]["code"] for card in crd(off).cards}


@pytest.mark.parametrize(
    "choices",
    [
        {"coverage": False, "alt-drug": True, "dtr-clin": 3},
        {"max-cards": -1},
        {"max-cards": "many", "guideline": "no"},
        {"coverage-info": None, "unsolicited-determ": []},
        [],
        "nothing",
    ],
)
def test_nonsense_among_the_choices_is_survived(crd: Crd, choices: Any) -> None:
    body = ehr.sign(ehr.shoulder(), sent=ehr.prefetch())
    plain = crd(body)
    odd = crd({**body, "extension": {"davinci-crd.configuration": choices}})
    assert [card["summary"] for card in odd.cards] == [card["summary"] for card in plain.cards]
    assert odd.information["pa-needed"] == plain.information["pa-needed"]


@pytest.mark.parametrize(("film_of", "proposed"), [("RT", False), ("", False), ("LT", True)])
def test_a_film_that_is_drafted_beside_the_imaging_is_not_proposed(
    crd: Crd, film_of: str, proposed: bool
) -> None:
    order, film = ehr.shoulder(), ehr.mri("73030", "M25.511", side=film_of)
    told = crd(ehr.select(order, film, chosen=[order], sent=ehr.prefetch()))
    assert bool(told.proposed("73030")) is proposed


def test_cards_name_their_order_where_the_call_has_others(crd: Crd) -> None:
    """As the clinician knows it: an order that is not signed yet may show no id."""
    worded = ehr.lumbar()
    worded["code"] = {**worded["code"], "text": "MR [lumbar] left"}
    names = ["MRI of the upper limb, right", r"MR \[lumbar] left"]
    orders = [ehr.shoulder(), worded]
    for card in crd(ehr.sign(*orders, sent=ehr.prefetch())).cards:
        about = associated(card)
        assert about
        if len(about) < len(orders):
            (place,) = [place for place, order in enumerate(orders) if order["id"] in about[0]]
            assert card["detail"].endswith(f"This is about {names[place]}.")


def test_two_orders_of_one_name_are_told_apart(crd: Crd) -> None:
    orders = [ehr.shoulder(), ehr.shoulder(occurrenceDateTime=ehr.day(-20))]
    told = crd(ehr.sign(*orders, sent=ehr.prefetch())).cards
    alone = [(card["detail"], *associated(card)) for card in told if len(associated(card)) == 1]
    assert alone
    assert all(detail.endswith(f", right ({reference}).") for detail, reference in alone)


def test_a_client_of_2_0_finds_what_a_card_is_about_by_either_name_that_the_guide_has(crd_2_0: Crd) -> None:
    """By `davinci-associated-resource` in its text, by `davinci-crd.…` in its example and its model."""
    order = ehr.shoulder()
    for card in crd_2_0(ehr.sign(order, sent=ehr.prefetch())).cards:
        assert card["extension"]["davinci-associated-resource"] == associated(card)
        assert associated(card) == [f"ServiceRequest/{order['id']}"]


def associated(card: dict[str, Any]) -> list[str]:
    """The orders that a card is about, by reference."""
    listed = card["extension"]["davinci-crd.associated-resource"]
    return [each if isinstance(each, str) else each["reference"] for each in listed]
