"""Prior authorization as a clinic meets it, in both guide versions."""

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import select

from server.adjudication.rulings import ruled
from server.pas.terms import CLAIM_ENCOUNTER, ENTITY, extension_url
from server.store.tables import Table
from tests.pas import builders as a
from tests.pas import charts
from tests.pas.conftest import Payer
from tests.pas.test_changes import update
from tests.review.test_desk import ONE_BASE, decide, waiting
from tests.spent import spent

UP_TO_73223 = {
    "url": extension_url("productOrServiceCodeEnd"),
    "valueCodeableConcept": a.concept(a.CPT, "73223"),
}


def test_documented_care_and_a_film_get_the_mri_authorized(payer: Payer) -> None:
    answer = payer.granted()

    assert answer.action == "A1"
    assert answer.number
    assert answer.response["preAuthPeriod"] == {"start": "2026-12-01", "end": "2027-01-30"}


@pytest.mark.parametrize(("kind", "action"), [("0831", "A1"), ("0131", "A4")])
def test_a_bill_type_says_where_the_mri_is_to_be_done(payer: Payer, kind: str, action: str) -> None:
    """A surgery center needs no reason, an outpatient hospital does."""
    place = a.concept("https://www.nubc.org/CodeSystem/TypeOfBill", kind)
    line = a.item(locationCodeableConcept=place)
    answer = payer.submit(a.request(*charts.meets_every_criterion(), claim=a.claim(line)))

    assert answer.action == action
    assert ("SOS-SITE" in answer.words) == (action == "A4")


@ONE_BASE
@pytest.mark.parametrize(("kind", "told"), [("IMP", "No authorization required"), ("AMB", "Pended")])
def test_who_lies_in_the_hospital_that_an_order_names_is_none_of_its_outpatients(
    payer: Payer, kind: str, told: str
) -> None:
    hl7 = "http://terminology.hl7.org/CodeSystem"
    being = {"system": f"{hl7}/v3-ActCode", "code": kind}
    stay = {"resourceType": "Encounter", "id": "stay", "status": "in-progress", "class": being}
    radiology = {"resourceType": "Location", "id": "mri", "type": [a.concept(f"{hl7}/v3-RoleCode", "HRAD")]}
    line = a.item()
    del line["locationCodeableConcept"]
    ordered = a.order(
        encounter={"reference": "Encounter/stay"}, locationReference=[{"reference": "Location/mri"}]
    )
    answer = payer.submit(a.request(stay, radiology, claim=a.claim(line), order=ordered))

    assert answer.response["disposition"].startswith(told)


@ONE_BASE
def test_the_claims_encounter_counts_where_that_of_the_order_did_not_come_along(payer: Payer) -> None:
    """In an emergency department nobody need ask."""
    kind = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "EMER"}
    visit = {"resourceType": "Encounter", "id": "ed", "status": "planned", "class": kind}
    line = a.item()
    del line["locationCodeableConcept"]
    named = {"url": CLAIM_ENCOUNTER, "valueReference": {"reference": "Encounter/ed"}}
    ordered = a.order(encounter={"reference": "Encounter/office"})
    answer = payer.submit(a.request(visit, claim=a.claim(line, extension=[named]), order=ordered))

    assert answer.response["disposition"] == "No authorization required"


def test_an_authorization_is_found_again_by_who_asked_for_it(payer: Payer) -> None:
    granted = payer.granted()
    (found,) = payer.inquire(a.inquiry())

    assert found.actions == ["A1"]
    assert found.number == granted.number
    assert found.url == granted.url


def test_a_decision_can_be_read_again_under_its_url(payer: Payer) -> None:
    granted = payer.granted()

    assert payer.read(granted.url) == granted.response


def test_a_bare_request_is_asked_for_what_decides_and_nothing_else(payer: Payer) -> None:
    answer = payer.submit(a.request())

    assert answer.action == "A4"
    assert "SH-IMM" in answer.words
    assert "IMG-XR" in answer.words
    assert len(answer.of_type("CommunicationRequest")) == 1
    assert len(answer.of_type("Task")) == 1


def test_a_trial_that_was_too_short_is_denied_with_everything_that_is_owed(payer: Payer) -> None:
    answer = payer.submit(a.request(charts.answers(**charts.SHORT_TRIAL), *charts.film_and_examination()))

    assert answer.action == "A3"
    for owed in ("CC-DUR", "Guideline:", "Looked at:", "What would change this:", "Appeal:"):
        assert owed in answer.words


def test_where_only_people_may_deny_it_is_pended_with_a_recommendation(payer: Payer) -> None:
    short = a.request(
        charts.answers(**charts.SHORT_TRIAL), *charts.film_and_examination(), coverage=a.coverage("reviewed")
    )
    answer = payer.submit(short)

    assert answer.action == "A4"
    assert answer.of_type("CommunicationRequest") == []
    assert answer.response["disposition"] == "Pended: clinical review"


def test_a_lapsed_coverage_is_denied_by_rule_under_every_plan(payer: Payer) -> None:
    for plan in ("evicore", "reviewed", "nia"):
        answer = payer.submit(a.request(coverage=a.coverage(plan, period={"end": "2026-06-30"})))

        assert answer.action == "A3"
        assert "G-COV" in answer.words


def test_of_two_insurances_the_one_of_the_payer_that_is_asked_counts(payer: Payer) -> None:
    """The guide has both focal. The first one here is another payer's and has ended."""
    other = a.organization("other", "Other Health", "1999999992", "PR", "insurer")
    ended = a.coverage(id="other-card", status="cancelled", payor=[{"reference": "Organization/other"}])
    named = ("other-card", "card")
    both = [
        {"sequence": place, "focal": True, "coverage": {"reference": f"Coverage/{name}"}}
        for place, name in enumerate(named, start=1)
    ]
    twice = a.request(ended, other, *charts.meets_every_criterion(), claim=a.claim(insurance=both))

    assert payer.submit(twice).action == "A1"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"order": a.order(status="revoked")}, "was withdrawn"),
        ({"order": a.order(doNotPerform=True)}, "not to be carried out"),
        ({"claim": a.claim(a.item(1, extension=[*a.item(1)["extension"], UP_TO_73223]))}, "a range of codes"),
        (
            {
                "claim": a.claim(a.item(1, productOrService=a.concept(a.DATA_ABSENT, "not-applicable"))),
                "order": a.order(extension=[UP_TO_73223]),
            },
            "a range of codes",
        ),
    ],
    ids=["revoked", "not to do", "range", "range of the order"],
)
def test_what_is_not_one_service_to_be_done_is_sent_back_with_the_reason(
    payer: Payer, asked: dict[str, Any], words: str
) -> None:
    """Each was authorized, the range as its first code."""
    answer = payer.submit(a.request(*charts.meets_every_criterion(), **asked))

    assert answer.response["outcome"] == "error"
    assert words in answer.words
    assert "item" not in answer.response


@ONE_BASE
@pytest.mark.parametrize(("gold", "action"), [("DK", "A1"), ("SJ", "A4")], ids=["orders", "images"])
def test_of_a_care_team_the_one_who_orders_is_asked_for_a_gold_card(
    payer: Payer, gold: str, action: str
) -> None:
    """Not the radiologist who is to do the study, though named first."""
    npis = {"SJ": "1457362880", "DK": "1457362880", gold: "1888888884"}
    team, people = [], []
    for sequence, (role, npi) in enumerate(npis.items(), start=1):
        known = [{"system": "http://hl7.org/fhir/sid/us-npi", "value": npi}]
        people.append({"resourceType": "Practitioner", "id": role, "identifier": known})
        team.append(
            {
                "extension": [{"url": extension_url("careTeamClaimScope"), "valueBoolean": False}],
                "sequence": sequence,
                "provider": {"reference": f"Practitioner/{role}"},
                "role": a.concept(ENTITY, role),
            }
        )
    asked = a.claim(a.item(careTeamSequence=[1, 2]), careTeam=team)

    assert payer.submit(a.request(*people, claim=asked)).action == action


def test_a_plan_that_asks_for_no_authorization_says_so(payer: Payer) -> None:
    answer = payer.submit(a.request(coverage=a.coverage("no-imaging-pa")))

    assert answer.action == "A1"
    assert answer.response["disposition"] == "No authorization required"
    assert "preAuthRef" not in answer.response


def test_the_same_order_again_has_the_same_number(payer: Payer) -> None:
    first = payer.granted()
    again = payer.submit(a.request(*charts.meets_every_criterion(), claim=a.claim(created="2026-11-26")))

    assert again.number == first.number


def test_lines_of_one_request_are_decided_one_by_one(payer: Payer) -> None:
    film = a.item(2, "73030", extension=a.item(2)["extension"][:3])
    answer = payer.submit(a.request(claim=a.claim(a.item(1), film)))

    assert answer.actions == ["A4", "A1"]
    assert [item["itemSequence"] for item in answer.items] == [1, 2]


def test_what_was_approved_or_denied_is_on_record_for_who_ordered(payer: Payer) -> None:
    """Gold cards are earned by it. What waits for information says nothing, nor does a lapsed coverage."""
    doctor = {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1457362880"}
    ordered = a.order(requester={"type": "Practitioner", "identifier": doctor})
    short = [charts.answers(**charts.SHORT_TRIAL), *charts.film_and_examination()]
    lapsed = a.coverage(subscriberId="M-LATE", period={"end": "2026-06-30"})
    for chart, coverage in (
        ([], a.coverage(subscriberId="M-ASKED")),
        (charts.meets_every_criterion(), a.coverage(subscriberId="M-MET")),
        (short, a.coverage(subscriberId="M-SHORT")),
        (charts.meets_every_criterion(), lapsed),
    ):
        payer.submit(a.request(*chart, order=ordered, coverage=coverage))
    store, today = payer.app.state.services.store, payer.app.state.services.clock().date()
    with store.reading() as tx:
        told = ruled(tx, [doctor["value"]], today, today + dt.timedelta(days=1))
        nobody = ruled(tx, [doctor["value"]], today - dt.timedelta(days=1), today)
    assert {(each.code, each.day, each.approved) for each in told} == {
        ("73221", today, True),
        ("73221", today, False),
    }
    assert nobody == [], "the window ends on the eve"


def test_a_dry_run_says_what_would_be_and_leaves_no_trace(payer: Payer) -> None:
    rehearsed = payer.submit(a.request(*charts.meets_every_criterion()), **{"X-Dry-Run": "true"})

    assert rehearsed.action == "A1"
    assert "preAuthRef" not in rehearsed.response
    assert rehearsed.response["disposition"] == "Dry run, nothing was stored: would be authorized"
    assert payer.submit(a.request(), **{"X-Dry-Run": "true"}).action == "A4"
    with payer.app.state.services.store.reading() as tx:
        assert [
            name for name, table in Table.metadata.tables.items() if tx.scalar(select(table).limit(1))
        ] == []


def test_a_dry_run_tells_the_number_that_is_on_file_as_the_request_itself_would(payer: Payer) -> None:
    first = payer.granted()
    again = a.request(claim=a.claim(id="pa-2"))
    rehearsed = payer.submit(again, **{"X-Dry-Run": "true"})

    assert (rehearsed.action, rehearsed.number) == ("A1", first.number)
    assert rehearsed.response["disposition"] == "Dry run, nothing was stored: would be authorized"
    assert rehearsed.response["preAuthPeriod"] == first.response["preAuthPeriod"]
    assert payer.submit(again).number == first.number


def test_an_inquiry_that_finds_nothing_is_no_error(payer: Payer) -> None:
    assert payer.inquire(a.inquiry()) == []


def test_a_stranger_to_the_case_is_told_nothing(payer: Payer) -> None:
    payer.granted()
    asked = a.inquiry()
    asked["entry"][3] = {
        "fullUrl": "https://other.example/fhir/Organization/x",
        "resource": a.clinic(id="x", identifier=[{"system": a.NPI, "value": "1555555551"}]),
    }
    asked["entry"][0]["resource"]["provider"] = {"reference": "https://other.example/fhir/Organization/x"}

    assert payer.inquire(asked) == []


def test_both_bases_tell_of_the_same_cases(payer: Payer) -> None:
    granted = payer.granted()
    elsewhere = Payer(payer.http, payer.app, "2.2" if payer.version == "2.0" else "2.0")
    (found,) = elsewhere.inquire(a.inquiry())

    assert found.number == granted.number


def test_an_assertion_id_that_is_not_ours_is_no_reason_to_fail(payer: Payer) -> None:
    """The order was asserted about elsewhere, or the assertion is long gone."""
    order = a.order(extension=[a.coverage_information("of-another-payer")])
    answer = payer.submit(a.request(*charts.meets_every_criterion(), order=order))

    assert answer.action == "A1"
    assert payer.inquire(a.inquiry())[0].number == answer.number


def test_whoever_asks_why_gets_the_criteria_by_the_number_of_the_authorization_or_of_the_line(
    payer: Payer,
) -> None:
    pended = payer.submit(a.request())
    (asked,) = pended.of_type("CommunicationRequest")
    tracking = asked["identifier"][0]["value"]
    before = payer.http.get(f"/why/{tracking}").json()
    granted = payer.submit(update(a.item(1)))
    by_number, by_line = (payer.http.get(f"/why/{number}").json() for number in (granted.number, tracking))

    assert (before["decision"], by_number["decision"]) == ("more-info", "approve")
    assert [why["answered"]["action"] for why in (before, by_number)] == ["A4", "A1"]
    assert by_line == by_number
    assert payer.http.get(f"/why/{tracking}0").status_code == 404


def test_of_two_shoulders_each_is_judged_by_its_own_form(payer: Payer) -> None:
    """What the Claim ties to one item (`informationSequence`) says nothing of the other."""
    right = {**charts.answers(**{"SH-IMM": "SH-IMM.2"}), "id": "right"}
    left = {**charts.answers(**{"SH-IMM": "none", "CC-DUR.none": True}), "id": "left"}
    information = a.concept(a.PAS_CODES, "additionalInformation")
    pieces = [
        {
            "sequence": sequence,
            "category": information,
            "valueReference": {"reference": f"QuestionnaireResponse/{form['id']}"},
        }
        for sequence, form in enumerate((right, left), start=1)
    ]
    of_left = a.item(2, modifier=[a.concept(a.CPT, "LT")], diagnosisSequence=[2], informationSequence=[2])
    of_left["extension"] = of_left["extension"][:-1]
    claim = a.claim(
        a.item(1, informationSequence=[1]),
        of_left,
        diagnosis=[a.diagnosis(), a.diagnosis("M75.112", 2)],
        supportingInfo=pieces,
    )
    assert payer.submit(a.request(right, left, claim=claim)).actions == ["A1", "A3"]


def test_a_line_whose_rules_cannot_be_evaluated_waits_for_a_person_and_the_others_do_not(
    payer: Payer, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent(monkeypatch, "MRIShoulder")
    film = a.item(2, "73030", extension=a.item(2)["extension"][:3])
    answer = payer.submit(a.request(*charts.meets_every_criterion(), claim=a.claim(a.item(1), film)))
    queued = waiting(payer)
    decided = decide(payer, "approve", queued).json()

    assert answer.actions == ["A4", "A1"]
    assert "could not be evaluated for this order" in answer.words
    assert queued["recommendation"] != "deny"
    assert payer.inquire(a.inquiry())[0].actions == ["A1", "A1"]
    assert payer.http.get(f"/why/{decided['number']}").json()["failure"]["code"] == "too-costly"
