"""One order after another at the CRD door, as a clinic lives it."""

import re
from typing import Any

import pytest
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from server.store import assertions, authorizations, exchanges, records
from tests.crd import builders as ehr
from tests.crd.conftest import Crd, Server
from tests.crd.shape import reasons, texts
from tests.spent import spent


def test_a_new_shoulder_pain_needs_documentation(crd: Crd) -> None:
    order = ehr.shoulder()
    information = crd(ehr.sign(order, sent=ehr.prefetch([ehr.film("73030", 20)]))).information
    assert information["covered"] == "covered"
    assert information["pa-needed"] == "auth-needed"
    assert information["doc-needed"] == "clinical"
    (form,) = information["questionnaire"]
    assert form.startswith("https://payer.example/Questionnaire/mri-shoulder|")
    assert information["coverage-assertion-id"]
    assert information["coverage"] == {"reference": "Coverage/cov-1"}
    assert information["date"] == ehr.DAY.isoformat()
    assert len(reasons(information)) > 40


def test_a_documented_trial_is_satisfied_at_once(crd: Crd) -> None:
    order = ehr.shoulder()
    information = crd(ehr.sign(order, sent=ehr.prefetch(ehr.six_weeks_of_care(order)))).information
    assert information["pa-needed"] == "satisfied"
    assert "not known yet" not in reasons(information), "nothing is open where nothing is needed"
    number = information["satisfied-pa-id"]
    with crd.app.state.services.store.reading() as tx:
        kept = authorizations.by_number(tx, number)
        assert kept is not None
        assert (kept.cpt, kept.side, kept.door) == ("73221", "RT", "crd")
        assert kept.assertion_id == information["coverage-assertion-id"]
        said = assertions.by_id(tx, kept.assertion_id)
        assert said is not None
        assert said.order["id"] == order["id"]


def test_the_same_order_again_gets_the_same_number_for_the_same_reason(crd: Crd) -> None:
    order, insurance = ehr.shoulder(), ehr.coverage()
    body = ehr.sign(order, sent=ehr.prefetch(ehr.six_weeks_of_care(order), insurance))
    first, second = crd(body).information, crd(body).information
    assert first["satisfied-pa-id"] == second["satisfied-pa-id"]
    assert reasons(first) == reasons(second)


def test_an_order_that_became_another_has_no_number_of_what_it_was(crd: Crd) -> None:
    """It carries the answer to the first; now it is with contrast."""
    order, insurance = ehr.shoulder(), ehr.coverage()
    sent = ehr.prefetch(ehr.six_weeks_of_care(order), insurance)
    first = crd(ehr.sign(order, sent=sent))
    changed = {**first.resources[order["id"]], "code": ehr.concept(ehr.CPT, "73222")}
    second = crd(ehr.sign(changed, sent=sent))
    assert second.information.get("satisfied-pa-id") != first.information["satisfied-pa-id"]


def test_whoever_has_no_number_is_known_by_the_ehr_that_the_patient_is_of(crd: Crd) -> None:
    order, insurance = ehr.shoulder(), ehr.coverage()
    del insurance["subscriberId"]
    patient = {name: content for name, content in ehr.PATIENT.items() if name != "identifier"}
    sent = {**ehr.prefetch(ehr.six_weeks_of_care(order), insurance), "patient": patient}
    here, there = (f"http://127.0.0.1:1/{crd.version}/{name}" for name in ("here", "there"))
    first, other, again = (
        crd(ehr.sign(order, sent=sent, fhirServer=server)).information["satisfied-pa-id"]
        for server in (here, there, here)
    )
    assert first == again != other


def test_an_order_that_carries_the_answer_already_is_left_alone(crd: Crd) -> None:
    order, insurance = ehr.shoulder(), ehr.coverage()
    sent = ehr.prefetch([], insurance)
    answered = crd(ehr.sign(order, sent=sent)).resources[order["id"]]
    again = crd(ehr.sign(answered, sent=sent))
    assert again.body["systemActions"] == []


def test_the_same_record_in_another_order_is_the_same_answer_in_the_same_words(crd: Crd) -> None:
    """A search gives its matches in whatever order; of many visits of one kind the days are told."""
    order, insurance = ehr.shoulder(), ehr.coverage()
    nothing_changes = {
        "valueCoding": {"system": "https://payer.example/CodeSystem/mri-answer", "code": "no-change"}
    }
    form = ehr.answered(**{"RAT-OT.change": nothing_changes}, **ehr.NO_IMMEDIATE_INDICATION)
    chart = [*ehr.six_weeks_of_care(order)[:-2], form]
    first = crd(ehr.sign(order, sent=ehr.prefetch(chart, insurance)))
    again = crd(ehr.sign(first.resources[order["id"]], sent=ehr.prefetch(chart[::-1], insurance)))
    told = reasons(first.information)
    assert f"Found: Therapy visit on 9 days, {ehr.day(70)} to {ehr.day(14)};" in told
    # Neither a code without words nor one sentence twice.
    assert not re.search(r"\b[0-9]{4,5}\b(?!-)", told)
    sentences = [each for each in re.split(r"(?<=[.:]) ", told) if each.endswith(".")]
    assert len(sentences) == len(set(sentences))
    assert again.body["systemActions"] == []


def test_cauda_equina_is_approved_at_once_and_the_finding_named(crd: Crd) -> None:
    order = ehr.lumbar("G83.4", priority="stat")
    answer = crd(ehr.sign(order, sent=ehr.prefetch([ehr.finding("saddle-anesthesia", 0)])))
    assert answer.information["pa-needed"] == "satisfied"
    assert "cauda equina" in reasons(answer.information).lower()


def test_a_trial_too_short_is_not_met_and_a_silent_chart_is_unknown(crd: Crd) -> None:
    trial = {"CC-DUR.start": {"valueDate": ehr.day(28)}, "CC-DUR.end": {"valueDate": ehr.day(0)}}
    form = ehr.answered(**trial, **ehr.NO_IMMEDIATE_INDICATION)
    order = ehr.shoulder()
    denied = crd(ehr.sign(order, sent=ehr.prefetch([form, ehr.film("73030", 20)]))).information
    assert denied["pa-needed"] == "auth-needed"
    assert "doc-needed" not in denied
    assert "28 days" in reasons(denied)
    silent = crd(ehr.sign(ehr.shoulder(), sent=ehr.prefetch())).information
    assert silent["doc-needed"] == "clinical"


def test_an_order_signed_by_a_therapist_is_answered_in_words_of_the_clinic(crd: Crd) -> None:
    """What a record is called in FHIR says nothing to who reads the card."""
    hand_therapist = ehr.concept("http://nucc.org/provider-taxonomy", "225XH1200X")
    therapist = {**ehr.PHYSICIAN, "qualification": [{"code": hand_therapist}]}
    order = ehr.shoulder()
    sent = {**ehr.prefetch(ehr.six_weeks_of_care(order)), "practitioner": therapist}
    answer = crd(ehr.sign(order, sent=sent))
    assert "signed by a therapist" in reasons(answer.information)
    assert "Practitioner" not in reasons(answer.information) + texts(answer.body)


def test_a_coverage_that_has_ended_is_not_covered(crd: Crd) -> None:
    ended = ehr.coverage(period={"start": "2025-01-01", "end": "2025-12-31"})
    answer = crd(ehr.sign(ehr.shoulder(), sent=ehr.prefetch([], ended)))
    assert answer.information["covered"] == "not-covered"
    assert "pa-needed" not in answer.information
    smart = [link for card in answer.cards for link in card.get("links", []) if link["type"] == "smart"]
    assert smart == [], "no imaging criterion would bring the coverage back"


def test_a_coverage_that_leaves_its_status_out_is_not_taken_for_one_that_has_ended(crd: Crd) -> None:
    """Clients prefetch what they have; nothing says that this insurance is over."""
    insurance = {name: part for name, part in ehr.coverage().items() if name != "status"}
    answer = crd(ehr.sign(ehr.shoulder(), sent=ehr.prefetch([], insurance)))
    assert (answer.information["covered"], answer.information["pa-needed"]) == ("covered", "auth-needed")


def test_under_a_reviewed_plan_only_a_person_denies(crd: Crd) -> None:
    form = ehr.answered(**{"CC-DUR.none": {"valueBoolean": True}}, **ehr.NO_IMMEDIATE_INDICATION)
    sent = ehr.prefetch([form], ehr.coverage(plan="reviewed"))
    information = crd(ehr.sign(ehr.shoulder(), sent=sent)).information
    assert information["pa-needed"] == "auth-needed"
    assert "A reviewer will decide" in reasons(information)
    assert reasons(information).endswith("Nothing more is asked for now.")


def test_a_lumbar_diagnosis_with_a_shoulder_code_is_found_and_the_better_code_named(crd: Crd) -> None:
    order = ehr.mri("73221", "M54.16", side="RT")
    answer = crd(ehr.sign(order, sent=ehr.prefetch()))
    assert "72148" in texts(answer.body)
    assert "72148" in [each["code"]["coding"][0]["code"] for each in answer.proposed("Change to")]


@pytest.mark.parametrize(
    ("written", "proposed"),
    [
        (("24028007",), {"7771000"}),
        (("91774008",), {"91775009", "7771000"}),
        (("16982005:272741003=24028007",), {"16982005:272741003=7771000", "7771000"}),
    ],
)
def test_a_left_sided_diagnosis_with_rt_is_found_and_the_better_side_named(
    crd: Crd, written: tuple[str, ...], proposed: set[str]
) -> None:
    """Whether the side stands alone or is that of the structure."""
    order = ehr.mri("73221", "M25.512", side="RT", bodySite=[ehr.concept(ehr.SNOMED, *written)])
    answer = crd(ehr.sign(order, sent=ehr.prefetch()))
    assert any(card["summary"].startswith("Proposed: the left side. The side") for card in answer.cards)
    sites = [site for each in answer.proposed("Change the side") for site in each["bodySite"]]
    assert {coding["code"] for site in sites for coding in site["coding"]} == proposed


def test_a_diagnosis_without_side_is_replaced_and_the_others_stay(crd: Crd) -> None:
    order = ehr.mri("73221", "M25.519", side="RT")
    other = ehr.concept("http://hl7.org/fhir/sid/icd-10-cm", "Z79.1")
    order["reasonCode"] = [other, *order["reasonCode"]]
    answer = crd(ehr.sign(order, sent=ehr.prefetch()))
    changed = [each["reasonCode"] for each in answer.proposed("diagnosis")]
    assert changed
    for reasons_given in changed:
        assert reasons_given[0] == other
        assert reasons_given[1]["coding"][0]["code"] == "M25.511"


@pytest.mark.parametrize("off", ["", "unsolicited-determ", "coverage-info"])
def test_only_a_signed_order_is_granted_and_none_whose_client_would_not_be_told(crd: Crd, off: str) -> None:
    order = ehr.shoulder()
    sent = ehr.prefetch(ehr.six_weeks_of_care(order))
    body = ehr.select(order, chosen=[order], sent=sent)
    if off:
        choices = {"davinci-crd.configuration": {off: False}}
        body = ehr.sign(order, sent=sent, extension=choices)
    for information in crd(body).informations:
        assert information["pa-needed"] == "auth-needed"
        assert "satisfied-pa-id" not in information
    with crd.app.state.services.store.reading() as tx:
        assert not authorizations.of_member(
            tx, f"member:{sent['coverage']['entry'][0]['resource']['subscriberId']}"
        )


def test_a_plan_without_imaging_authorization_says_so(crd: Crd) -> None:
    sent = ehr.prefetch([], ehr.coverage(plan="no-imaging-pa"))
    assert crd(ehr.sign(ehr.shoulder(), sent=sent)).information["pa-needed"] == "no-auth"


def test_a_dispatched_order_is_answered(crd: Crd) -> None:
    order = ehr.shoulder()
    body = ehr.dispatch(order, ehr.prefetch(ehr.six_weeks_of_care(order)), crd.version)
    assert crd(body).of(order)["pa-needed"] == "satisfied"


@pytest.mark.parametrize("hook", ["encounter-start", "encounter-discharge"])
def test_an_encounter_learns_whether_the_coverage_is_active(crd: Crd, hook: str) -> None:
    encounter = ehr.visit(0)
    encounter["status"] = "in-progress"
    information = crd(ehr.encounter_call(hook, encounter)).of(encounter)
    assert information["covered"] == "covered"
    assert not {"doc-needed", "satisfied-pa-id"} & information.keys()


def test_order_select_speaks_of_the_chosen_and_looks_at_all(crd: Crd) -> None:
    chosen, other = ehr.lumbar(), ehr.mri("72141", "M54.12")
    answer = crd(ehr.select(chosen, other, chosen=[chosen], sent=ehr.prefetch()))
    assert set(answer.resources) == {chosen["id"]}


OTHER_ORDERS: list[dict[str, Any]] = [
    ehr.blood_test(),
    {
        "resourceType": "DeviceRequest",
        "id": "brace",
        "status": "draft",
        "intent": "order",
        "codeCodeableConcept": ehr.concept(
            "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "L3908"
        ),
        "subject": ehr.ref(ehr.PATIENT),
        "authoredOn": ehr.DAY.isoformat(),
        "requester": ehr.ref(ehr.PHYSICIAN),
    },
    {
        "resourceType": "MedicationRequest",
        "id": "drug",
        "status": "draft",
        "intent": "order",
        "medicationCodeableConcept": ehr.concept("http://www.nlm.nih.gov/research/umls/rxnorm", "5640"),
        "subject": ehr.ref(ehr.PATIENT),
        "authoredOn": ehr.DAY.isoformat(),
        "requester": ehr.ref(ehr.PHYSICIAN),
    },
    {
        "resourceType": "NutritionOrder",
        "id": "diet",
        "status": "draft",
        "intent": "order",
        "patient": ehr.ref(ehr.PATIENT),
        "dateTime": ehr.DAY.isoformat(),
        "orderer": ehr.ref(ehr.PHYSICIAN),
        "oralDiet": {"type": [ehr.concept(ehr.SNOMED, "160670007")]},
    },
    {
        "resourceType": "VisionPrescription",
        "id": "glasses",
        "status": "draft",
        "created": ehr.DAY.isoformat(),
        "patient": ehr.ref(ehr.PATIENT),
        "dateWritten": ehr.DAY.isoformat(),
        "prescriber": ehr.ref(ehr.PHYSICIAN),
        "lensSpecification": [
            {
                "product": ehr.concept(
                    "http://terminology.hl7.org/CodeSystem/ex-visionprescriptionproduct", "lens"
                ),
                "eye": "right",
            }
        ],
    },
    {
        "resourceType": "CommunicationRequest",
        "id": "letter",
        "status": "draft",
        "subject": ehr.ref(ehr.PATIENT),
        "authoredOn": ehr.DAY.isoformat(),
        "requester": ehr.ref(ehr.PHYSICIAN),
        "payload": [{"contentString": "Send the discharge summary."}],
    },
]


@pytest.mark.parametrize("order", OTHER_ORDERS, ids=lambda order: order["resourceType"])
def test_every_kind_of_order_gets_an_honest_answer(crd: Crd, order: dict[str, Any]) -> None:
    information = crd(ehr.sign(order, sent=ehr.prefetch())).of(order)
    assert information["covered"] in ("covered", "conditional")
    assert information["pa-needed"] in ("no-auth", "conditional")


def test_what_is_not_to_be_done_gets_no_answer(crd: Crd) -> None:
    wanted, unwanted = ehr.shoulder(), ehr.lumbar(doNotPerform=True)
    assert set(crd(ehr.sign(wanted, unwanted, sent=ehr.prefetch())).resources) == {wanted["id"]}


def test_two_coverages_get_an_answer_each_or_the_guides_refusal(server: Server) -> None:
    app = server()
    one, two = ehr.coverage(), ehr.coverage(id="cov-2", plan="no-imaging-pa")
    order = ehr.shoulder()
    sent = {**ehr.prefetch(), "coverage": ehr.searchset([one, two])}
    said = {
        information["coverage"]["reference"]: information["pa-needed"]
        for information in Crd(TestClient(app), "2.0", app)(ehr.sign(order, sent=sent)).informations
    }
    assert said == {"Coverage/cov-1": "auth-needed", "Coverage/cov-2": "no-auth"}
    status, issues = Crd(TestClient(app), "2.2", app).refused(ehr.sign(order, sent=sent))
    assert status == 400
    assert "prefetch.coverage" in issues


def test_a_stranger_is_not_covered_where_membership_is_by_registry(server: Server) -> None:
    app = server(membership="registry")
    information = Crd(TestClient(app), "2.2", app)(ehr.sign(ehr.shoulder(), sent=ehr.prefetch())).information
    assert information["covered"] == "not-covered"
    assert information["reason"][0]["coding"][0]["code"] == "no-member-found"
    assert "No member of this payer has the member number" in reasons(information)


def test_every_call_is_kept_with_its_answer_and_without_its_token(crd: Crd) -> None:
    access = {"fhirServer": "http://127.0.0.1:1/fhir", "fhirAuthorization": {"access_token": "s3cret"}}
    body = ehr.sign(ehr.shoulder(), sent=ehr.prefetch(), **access)
    crd(body)
    crd.refused({**body, "hook": "order-select"}, service="order-sign")
    now = crd.app.state.services.clock()
    with crd.app.state.services.store.reading() as tx:
        every = exchanges.between(tx, "crd", now, now.replace(year=now.year + 1))
        kept = [exchange for exchange in every if exchange.instance == body["hookInstance"]]
        answered, refused = sorted(kept, key=lambda exchange: exchange.status)
        assert answered.status == 200
        assert refused.status in (400, 422)
        assert b"s3cret" not in answered.request + refused.request
        assert b"systemActions" in answered.response


def test_a_coverage_the_payer_knows_better_comes_back_corrected(crd: Crd) -> None:
    copy = ehr.coverage("M-known", period={"start": "2026-01-01"})
    own = {**copy, "id": "own", "period": {"start": "2026-01-01", "end": "2026-12-31"}}
    with crd.app.state.services.store.transaction() as tx:
        records.put(tx, own, "member:M-known", crd.app.state.services.clock())
    answer = crd(ehr.sign(ehr.shoulder(), sent=ehr.prefetch([], copy)))
    (corrected,) = [
        action["resource"]
        for action in answer.body["systemActions"]
        if action["resource"]["resourceType"] == "Coverage"
    ]
    assert corrected == {**copy, "period": own["period"]}


def test_where_the_rules_of_one_order_fail_nothing_is_said_of_it_and_the_other_is_answered(
    crd: Crd, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent(monkeypatch, "MRIShoulder")
    arm, back = ehr.shoulder(), ehr.lumbar("M54.16")
    with capture_logs() as logged:
        answer = crd(ehr.sign(arm, back, sent=ehr.prefetch()))
    failed, other = answer.of(arm), answer.of(back)

    unknown = {"2.0": "conditional", "2.2": "indeterminate"}[crd.version]
    assert (failed["covered"], failed["pa-needed"]) == (unknown, unknown)
    assert "could not be evaluated" in reasons(failed)
    assert "questionnaire" not in failed
    assert (other["covered"], other["pa-needed"]) == ("covered", "auth-needed")
    (line,) = [each for each in logged if each["event"] == "rules not evaluated"]
    assert (line["library"], line["code"]) == ("MRIShoulder", "too-costly")
    assert line["place"].startswith("MRIShoulder")
    figures = TestClient(crd.app).get("/metrics").text
    assert 'payer_unevaluated_total{library="MRIShoulder"}' in figures
