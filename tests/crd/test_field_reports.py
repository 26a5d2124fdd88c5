"""What goes wrong for people who run CDS Hooks services, and does not here. F numbers name the reports."""

import copy
import itertools
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from server.fhir import json
from tests.crd import builders as ehr
from tests.crd.conftest import Answered, Crd, Server
from tests.crd.shape import reasons, texts
from tests.ehr import Ehr

OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "exception"}]}
PLUMBING = re.compile(r"prefetch|bundle|exception|traceback|server|null|json|http|fhir|token", re.IGNORECASE)


def said(answer: Answered) -> list[dict[str, Any]]:
    """The informations without what differs from call to call."""
    return [
        {name: value for name, value in each.items() if name != "coverage-assertion-id"}
        for each in answer.informations
    ]


def comparable(answer: Answered) -> list[dict[str, Any]]:
    return [{**each, "satisfied-pa-id": bool(each.get("satisfied-pa-id"))} for each in said(answer)]


# ---- F1


@pytest.mark.parametrize("order", [ehr.shoulder(), ehr.lumbar("G83.4")], ids=["shoulder", "lumbar"])
def test_f1_an_order_without_insurance_is_answered_like_one_with(crd: Crd, order: dict[str, Any]) -> None:
    bare = {name: content for name, content in order.items() if name != "insurance"}
    sent = ehr.prefetch()
    assert said(crd(ehr.sign(bare, sent=sent))) == said(crd(ehr.sign(order, sent=sent)))


def test_f1_the_coverage_comes_from_our_own_search(crd: Crd) -> None:
    insurance, order = ehr.coverage(), ehr.shoulder()
    bare = {name: content for name, content in order.items() if name != "insurance"}
    sent = {"patient": ehr.PATIENT}
    with Ehr([ehr.PATIENT, insurance]) as server:
        information = crd(ehr.sign(bare, sent=sent, fhirServer=server.base)).information
    assert information["coverage"] == {"reference": "Coverage/cov-1"}
    assert "Coverage?patient=anna" in server.asked


def test_f1_without_any_coverage_the_version_decides_and_nothing_breaks(crd: Crd) -> None:
    order = ehr.shoulder()
    nothing_sent = crd.post(ehr.sign(order))
    assert nothing_sent.status_code == {"2.0": 412, "2.2": 400}[crd.version]
    known_empty = crd.post(ehr.sign(order, sent={"patient": ehr.PATIENT, "coverage": None}))
    assert known_empty.status_code == {"2.0": 200, "2.2": 400}[crd.version]


def test_f1_a_record_without_insurance_is_said_to_the_clinician(crd_2_0: Crd) -> None:
    answer = crd_2_0(ehr.sign(ehr.shoulder(), sent={"patient": ehr.PATIENT, "coverage": None}))
    assert answer.body["systemActions"] == []
    (card,) = answer.cards
    assert card["summary"] == "No insurance is on record for this patient."
    assert card["source"]["topic"]["code"] == "insurance"


def test_f1_insurance_without_an_id_is_not_said_to_be_missing(crd: Crd) -> None:
    """The answer names it by its id; to the clinician nothing is wrong."""
    insurance = {name: part for name, part in ehr.coverage().items() if name != "id"}
    _, issues = crd.refused(ehr.sign(ehr.shoulder(), sent=ehr.prefetch([], insurance)))
    assert list(issues) == ["prefetch.coverage.id"]


@pytest.mark.parametrize("fault", [401, 403, 503, "garbage"])
def test_f1_insurance_that_the_ehr_does_not_give_is_not_said_to_be_missing(
    crd_2_0: Crd, fault: int | str
) -> None:
    with Ehr([ehr.PATIENT]) as server:
        server.answers["Coverage"] = fault
        answer = crd_2_0(ehr.sign(ehr.shoulder(), fhirServer=server.base))
    (card,) = answer.cards
    assert card["summary"] == "The patient's insurance could not be read."
    assert answer.information["covered"] == "conditional"


@pytest.mark.parametrize(
    ("fault", "code"), [(401, "forbidden"), (403, "forbidden"), (503, "transient"), (404, "not-found")]
)
def test_f1_whom_2_2_refuses_for_want_of_a_coverage_it_tells_why(crd_2_2: Crd, fault: int, code: str) -> None:
    order = ehr.shoulder()
    del order["insurance"]
    with Ehr([ehr.PATIENT]) as server:
        server.answers["Coverage"] = fault
        answer = crd_2_2.post(ehr.sign(order, fhirServer=server.base))
    (issue,) = json.decode_object(answer.content)["issue"]
    assert (answer.status_code, issue["code"], issue["expression"]) == (400, code, ["prefetch.coverage"])
    assert ("refused" in issue["diagnostics"]) == (code == "forbidden")


# ---- F2


def failing_calls() -> Iterator[Any]:
    order = ehr.shoulder()
    whole = ehr.prefetch(ehr.six_weeks_of_care(order))
    for key in whole:
        yield pytest.param(ehr.sign(order, sent={**whole, key: OUTCOME}), id=f"{key} failed")
        yield pytest.param(ehr.sign(order, sent={**whole, key: {"resourceType": 7}}), id=f"{key} nonsense")
    unreachable = {"fhirServer": "http://127.0.0.1:1/fhir"}
    yield pytest.param(ehr.sign(order, sent={"coverage": whole["coverage"]}, **unreachable), id="EHR down")
    yield pytest.param(ehr.select(order, chosen=[order], sent={"patient": None}), id="nothing there")


@pytest.mark.parametrize("body", list(failing_calls()))
def test_f2_no_text_for_clinicians_speaks_of_plumbing(crd_2_0: Crd, body: dict[str, Any]) -> None:
    answer = crd_2_0(body)
    assert not PLUMBING.search(texts(answer.body)), texts(answer.body)


# ---- F3


def test_f3_three_orders_get_three_independent_answers_in_any_order(crd: Crd) -> None:
    lab, red_flag = ehr.blood_test(), ehr.lumbar("G83.4")
    orders = [ehr.shoulder(), red_flag, lab]
    sent = ehr.prefetch([ehr.finding("saddle-anesthesia", 0)])
    states = []
    for shuffled in itertools.permutations(orders):
        answer = crd(ehr.sign(*shuffled, sent=sent))
        assert [action["resource"]["id"] for action in answer.body["systemActions"]] == [
            order["id"] for order in shuffled
        ]
        states.append({order["id"]: answer.of(order)["pa-needed"] for order in orders})
    assert states[0][lab["id"]] == "no-auth"
    assert states[0][red_flag["id"]] == "satisfied"
    assert states[0][orders[0]["id"]] == "auth-needed"
    assert all(state == states[0] for state in states)


def test_f3_an_order_that_came_twice_is_answered_once_and_not_as_two(crd: Crd) -> None:
    """The update of the one would undo that of the other."""
    order, sent = ehr.shoulder(), ehr.prefetch()
    assert len(crd(ehr.sign(order, {**order}, sent=sent)).body["systemActions"]) == 1
    status, issues = crd.refused(ehr.sign(order, {**order, "priority": "urgent"}, sent=sent))
    assert (status, list(issues)) == (
        {"2.0": 422, "2.2": 400}[crd.version],
        ["context.draftOrders.entry[1].resource.id"],
    )


# ---- F4, F5, F6, F8


def test_f4_patient_and_coverage_are_all_that_is_needed(crd: Crd) -> None:
    discovered = crd.http.get(crd.base).json()["services"]
    assert all({"patient", "coverage"} <= service["prefetch"].keys() for service in discovered)
    order = ehr.lumbar("G83.4")
    sent = {"patient": ehr.PATIENT, "coverage": ehr.searchset([ehr.coverage()])}
    assert crd(ehr.sign(order, sent=sent)).information["pa-needed"] == "satisfied"


def test_f4_the_older_version_asks_with_plain_context_tokens_only(crd_2_0: Crd) -> None:
    for service in crd_2_0.http.get(crd_2_0.base).json()["services"]:
        for template in service["prefetch"].values():
            tokens = re.findall(r"\{\{(.*?)\}\}", template)
            assert all(re.fullmatch(r"context\.[A-Za-z]+", token) for token in tokens), template


def test_f5_a_partial_prefetch_is_completed_and_ends_like_a_whole_one(crd: Crd) -> None:
    order = ehr.shoulder()
    chart = ehr.six_weeks_of_care(order)
    insurance = ehr.coverage()
    whole = ehr.prefetch(chart, insurance)
    expected = comparable(crd(ehr.sign(order, sent=whole)))
    with Ehr([ehr.PATIENT, ehr.PHYSICIAN, ehr.PAYOR, insurance, *chart]) as server:
        for key in whole:
            sent = {name: content for name, content in whole.items() if name != key}
            assert comparable(crd(ehr.sign(order, sent=sent, fhirServer=server.base))) == expected, key


def test_f5_without_a_token_what_is_absent_is_unknown_never_not_met(crd: Crd) -> None:
    order = ehr.shoulder()
    whole = ehr.prefetch(ehr.six_weeks_of_care(order))
    for key in ("procedures", "observations", "diagnosticReports", "encounters"):
        sent = {name: content for name, content in whole.items() if name != key}
        assert crd(ehr.sign(order, sent=sent)).information.get("doc-needed") in ("clinical", None), key


@pytest.mark.parametrize(("token", "shown"), [("t", "Bearer t"), ("", "")], ids=["token", "open"])
def test_f6_a_call_without_prefetch_is_answered_from_the_ehr(crd: Crd, token: str, shown: str) -> None:
    """An EHR that asks for no token may send an empty one."""
    order, insurance = ehr.shoulder(), ehr.coverage()
    chart = ehr.six_weeks_of_care(order)
    with Ehr([ehr.PATIENT, ehr.PHYSICIAN, ehr.PAYOR, insurance, *chart], token=token) as server:
        access = {"fhirServer": server.base, "fhirAuthorization": {"access_token": token}}
        information = crd(ehr.sign(order, **access)).information
    assert information["pa-needed"] == "satisfied"
    assert set(server.tokens) == {shown}


def test_what_an_ehr_does_not_give_for_the_patient_alone_is_asked_for_in_parts(crd: Crd) -> None:
    """Findings by their category and prescriptions by their intent, which is all that US Core promises."""
    order, insurance = ehr.shoulder(), ehr.coverage()
    survey = {"category": [ehr.concept(ehr.US_CORE_CATEGORY, "survey")]}
    chart = [
        survey | each if each["resourceType"] == "Observation" else each
        for each in ehr.six_weeks_of_care(order)
    ]
    with Ehr([ehr.PATIENT, ehr.PHYSICIAN, ehr.PAYOR, insurance, *chart]) as server:
        server.narrow = {"Observation": "category", "MedicationRequest": "intent"}
        for server.takes_batches in (False, True):
            information = crd(ehr.sign(order, fhirServer=server.base)).information
            assert information["pa-needed"] == "satisfied"


def test_f8_null_asks_nothing_and_absent_asks_once(crd: Crd) -> None:
    order, insurance = ehr.shoulder(), ehr.coverage()
    with Ehr([ehr.PATIENT, ehr.PHYSICIAN, ehr.PAYOR, insurance]) as server:
        sent = {"patient": ehr.PATIENT, "coverage": ehr.searchset([insurance])}
        crd(ehr.sign(order, sent={**sent, "conditions": None}, fhirServer=server.base))
        assert not [text for text in server.asked if text.startswith("Condition")]
        server.asked.clear()
        crd(ehr.sign(order, sent=sent, fhirServer=server.base))
        assert len([text for text in server.asked if text.startswith("Condition")]) == 1


def test_a_dispatched_order_is_not_the_record_of_orders_whatever_its_key_is_called(crd: Crd) -> None:
    """Its author, and the therapy ordered last month, are for the EHR to tell."""
    order, insurance = ehr.shoulder(), ehr.coverage()
    called = ehr.dispatch(order, {"coverage": insurance, "orders": ehr.collection([order])}, crd.version)
    del called["prefetch"]["order"]
    with Ehr([ehr.PATIENT, ehr.PHYSICIAN, ehr.PAYOR, insurance]) as server:
        assert crd({**called, "fhirServer": server.base}).of(order)
    assert "ServiceRequest?patient=anna" in server.asked


def test_an_order_of_another_kind_leaves_the_record_alone(crd: Crd) -> None:
    lab = {**ehr.shoulder(), "code": ehr.concept(ehr.CPT, "80053")}
    insurance = ehr.coverage()
    with Ehr([ehr.PATIENT, ehr.PHYSICIAN, ehr.PAYOR, insurance]) as server:
        crd(ehr.sign(lab, sent={}, fhirServer=server.base))
    assert not [text for text in server.asked if text.startswith(("Observation", "Condition", "Procedure"))]


# ---- F7


@pytest.mark.parametrize(
    "key", ["patient", "coverage", "practitioner", "observations", "procedures", "encounters"]
)
def test_f7_an_outcome_in_a_key_is_a_failed_fetch_of_that_key(crd: Crd, key: str) -> None:
    order = ehr.shoulder()
    sent = {**ehr.prefetch(ehr.six_weeks_of_care(order)), key: OUTCOME}
    answer = crd(ehr.sign(order, sent=sent))
    assert answer.information["covered"] in ("covered", "conditional", "indeterminate")


def test_f7_criteria_that_needed_the_failed_data_are_named(crd_2_0: Crd) -> None:
    order = ehr.shoulder()
    sent = {**ehr.prefetch(ehr.six_weeks_of_care(order)), "observations": OUTCOME}
    information = crd_2_0(ehr.sign(order, sent=sent)).information
    assert information["pa-needed"] == "conditional"
    assert information["info-needed"] == ["OTH"]
    assert "examination findings" in reasons(information)


def test_f7_of_a_chart_that_could_not_be_read_no_card_tells_what_is_not_in_it(crd: Crd) -> None:
    order = {**ehr.shoulder(), "code": ehr.concept(ehr.CPT, "73222")}
    unread = dict.fromkeys(("procedures", "observations", "encounters", "serviceRequests"), OUTCOME)
    answer = crd(ehr.sign(order, sent={**ehr.prefetch([ehr.problem("N18.5")]), **unread}))
    missed = [card["summary"] for card in answer.cards if card["summary"].startswith("No ")]
    assert any("therapy" in summary for summary in missed)
    assert any("kidney function" in summary for summary in missed)
    assert not [summary for summary in missed if "on record" in summary or "on file" in summary]


# ---- F9, F31, F32


def test_f9_a_browser_may_ask_first_without_a_token(crd: Crd) -> None:
    asked = {
        "Origin": "https://ehr.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    for path in (crd.base, f"{crd.base}/order-sign", f"{crd.base}/order-sign/feedback"):
        answer = crd.http.options(path, headers=asked)
        assert answer.is_success
        allowed = answer.headers["access-control-allow-headers"].lower()
        assert "authorization" in allowed
        assert "content-type" in allowed


@pytest.mark.parametrize(
    "accept",
    [
        "application/json",
        "application/fhir+json;charset=UTF-8",
        "*/*;q=0.1",
        "text/html, application/json;q=0.5",
    ],
)
def test_f31_media_types_with_parameters_and_weights_are_understood(crd: Crd, accept: str) -> None:
    answer = crd.post(ehr.sign(ehr.shoulder(), sent=ehr.prefetch()), Accept=accept)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")


def test_f32_no_emitted_address_leaves_the_public_base(server: Server) -> None:
    app = server(public_base_url="https://payer.example/davinci")
    crd = Crd(TestClient(app), "2.0", app)
    order = ehr.mri("73221", "M54.16", side="RT")
    forged = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    text = crd.post(ehr.sign(order, sent=ehr.prefetch()), **forged).text
    assert "evil.example" not in text
    assert "testserver" not in text


# ---- F11, F12


def test_f11_links_to_ourselves_lead_somewhere(crd: Crd) -> None:
    base = crd.app.state.services.settings.base_url
    orders = [ehr.shoulder(), ehr.mri("73221", "M54.16", side="RT"), ehr.mri("72158", "M54.16", place="22")]
    answer = crd(ehr.sign(*orders, sent=ehr.prefetch()))
    links = [link["url"] for card in answer.cards for link in card.get("links", [])]
    for url in links:
        if url.startswith(base):
            assert crd.http.get(urlsplit(url).path).status_code < 400, url


def test_f12_every_suggestion_can_be_acted_upon(crd: Crd) -> None:
    order = ehr.mri("73221", "M54.16", side="RT")
    answer = crd(ehr.sign(order, sent=ehr.prefetch()))
    assert answer.suggestions
    for suggestion in answer.suggestions:
        for action in suggestion["actions"]:
            touched = action.get("resourceId") or ehr.ref(action["resource"])["reference"]
            if action["type"] != "create":
                assert touched == ehr.ref(order)["reference"]


# ---- F24


def test_f24_the_hooks_agree_on_the_number(crd: Crd) -> None:
    order = ehr.shoulder()
    sent = ehr.prefetch(ehr.six_weeks_of_care(order))
    signed = crd(ehr.sign(order, sent=sent)).information
    dispatched = crd(ehr.dispatch(order, sent, crd.version)).of(order)
    selected = crd(ehr.select(order, chosen=[order], sent=sent)).of(order)
    numbers = {information["satisfied-pa-id"] for information in (signed, dispatched, selected)}
    assert len(numbers) == 1


# ---- F27, F28


def test_f27_a_therapy_with_an_unknown_end_does_not_decide(crd: Crd) -> None:
    plan = {
        "resourceType": "CarePlan",
        "id": "open-ended",
        "status": "unknown",
        "intent": "plan",
        "subject": ehr.ref(ehr.PATIENT),
        "category": [ehr.concept(ehr.SNOMED, "91251008")],
        "period": {"start": ehr.day(60)},
    }
    with_plan = crd(ehr.sign(ehr.shoulder(), sent=ehr.prefetch([plan]))).information
    without = crd(ehr.sign(ehr.shoulder(), sent=ehr.prefetch())).information
    assert with_plan["doc-needed"] == without["doc-needed"] == "clinical"


def without_one_element(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name in resource:
        if name not in ("resourceType", "id"):
            yield {key: value for key, value in resource.items() if key != name}


def test_f28_losing_any_element_of_the_chart_never_breaks_and_never_denies(crd_2_0: Crd) -> None:
    order = ehr.shoulder()
    chart = ehr.six_weeks_of_care(order)
    kinds: set[str] = set()
    for index, resource in enumerate(chart):
        if resource["resourceType"] in kinds:
            continue
        kinds.add(resource["resourceType"])
        for smaller in without_one_element(resource):
            changed = [*chart[:index], smaller, *chart[index + 1 :]]
            information = crd_2_0(ehr.sign(order, sent=ehr.prefetch(changed))).information
            decided = information["pa-needed"] == "satisfied" or information.get("doc-needed") == "clinical"
            assert decided, f"{resource['resourceType']} without an element: {reasons(information)}"


def test_f28_an_order_may_lack_whatever_fhir_does_not_ask_for(crd: Crd) -> None:
    order = ehr.shoulder()
    for smaller in without_one_element(order):
        if {"status", "intent", "subject"} <= smaller.keys():
            answer = crd(ehr.sign(smaller, sent=ehr.prefetch()))
            assert "null" not in str(answer.body["systemActions"])


def test_the_same_call_gives_the_same_answer_and_is_not_changed(crd: Crd) -> None:
    body = ehr.sign(ehr.shoulder(), sent=ehr.prefetch([ehr.film("73030", 20)]))
    before = copy.deepcopy(body)
    assert said(crd(body)) == said(crd(body))
    assert body == before
