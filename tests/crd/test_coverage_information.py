"""What is said of an order, from determinations as the policy makes them."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from server.adjudication.judged import Judged
from server.adjudication.table import ELSEWHERE
from server.crd.configuration import Configuration, configuration
from server.crd.coverage_information import coverage_information, earlier_assertion, updated
from server.crd.hooks import HOOKS
from server.crd.saying import Information, Saying, not_read, say
from server.crd.v2_0 import V2_0
from server.crd.v2_2 import V2_2
from server.crd.version import Version
from server.policy.determination import Decision, Determination, Line
from server.policy.request import Member
from tests.crd.shape import coverage_informations, keeps_the_rules, reasons
from tests.pas import determinations
from tests.pas.determinations import DAY, needs_more

ORDER: dict[str, Any] = {
    "resourceType": "ServiceRequest",
    "id": "sr-1",
    "status": "draft",
    "intent": "order",
    "code": {"coding": [{"system": "http://www.ama-assn.org/go/cpt", "code": "73221-RT"}]},
    "subject": {"reference": "Patient/p1"},
    "quantityQuantity": {"value": Decimal("1.00")},
}
SIGN, SELECT = HOOKS["order-sign"], HOOKS["order-select"]
FORM = "https://payer.example/Questionnaire/mri-shoulder|1.0.0"


def determination(decision: Decision = Decision.APPROVE, **changes: Any) -> Determination:
    days = {"planned": None, "valid_from": DAY, "valid_until": dt.date(2027, 1, 19)}
    return determinations.determination(decision, **{**days, **changes})


def judged(said: Determination, known: bool = True) -> Judged:
    member = Member(key="member:1", coverage={"resourceType": "Coverage"}, known=known)
    return Judged(said, member, None, ORDER, "member:1|73221|RT|")  # type: ignore[arg-type]


def rendered(saying: Saying, version: Version = V2_0) -> dict[str, Any]:
    """The extension as it goes out, in both versions checked against the guide's rules."""
    if saying.grants:
        saying = saying.granted("PA-NEW")
    by_version = {}
    for table in (V2_0, V2_2):
        contact = table.contact("Example Health", "+1-800-555-0100")
        extension = coverage_information(table, saying, "Coverage/c1", "assertion-1", DAY, contact)
        by_version[table.name] = coverage_informations({"extension": [extension]})[0]
        keeps_the_rules(by_version[table.name])
    return by_version[version.name]


def said_of(
    said: Determination,
    hook: str = "order-sign",
    choices: Configuration | None = None,
    unreadable: tuple[str, ...] = (),
    known: bool = True,
    version: Version = V2_0,
) -> dict[str, Any]:
    return rendered(say(judged(said, known), HOOKS[hook], choices or Configuration(), unreadable), version)


def test_a_documented_order_is_satisfied_with_a_number_and_how_long_it_is_good() -> None:
    information = said_of(determination())
    assert information["covered"] == "covered"
    assert information["pa-needed"] == "satisfied"
    assert information["satisfied-pa-id"] == "PA-NEW"
    assert "doc-needed" not in information
    span = information["detail"][0][1]["valuePeriod"]
    assert span == {"start": "2026-11-20", "end": "2027-01-19"}
    assert information["billingCode"] == [{"system": "http://www.ama-assn.org/go/cpt", "code": "73221"}]


@pytest.mark.parametrize("hook", ["order-select", "encounter-start", "encounter-discharge"])
def test_a_secondary_hook_never_grants(hook: str) -> None:
    information = said_of(determination(), hook)
    assert information["pa-needed"] == "auth-needed"
    assert "satisfied-pa-id" not in information
    assert "given with the signed order" in reasons(information)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_what_if_gets_no_number_not_even_one_on_file(hook: str) -> None:
    what_if = configuration({"davinci-crd.configuration": {"unsolicited-determ": False}})
    for said in (determination(), determination(gate="G-AUTH", pa_needed=False, authorization="PA-OLD")):
        information = said_of(said, hook, what_if)
        assert information["pa-needed"] == "auth-needed"
        assert "satisfied-pa-id" not in information


def test_an_authorization_on_file_is_named_again() -> None:
    said = determination(gate="G-AUTH", pa_needed=False, authorization="PA-OLD")
    saying = say(judged(said), SIGN, Configuration(), ())
    assert not saying.grants
    assert rendered(saying)["satisfied-pa-id"] == "PA-OLD"


def test_an_exempt_order_needs_no_authorization() -> None:
    information = said_of(determination(gate="G-SET", pa_needed=False, reason="Emergency care is exempt."))
    assert information["pa-needed"] == "no-auth"
    assert reasons(information) == "Emergency care is exempt."


def test_a_gold_card_is_said_by_its_code() -> None:
    information = said_of(determination(gate="G-GOLD", pa_needed=False, reason="The clinician is exempt."))
    assert information["reason"][0]["coding"][0]["code"] == "gold-card"


def test_what_is_missing_is_named_and_the_form_handed_over() -> None:
    information = said_of(needs_more())
    assert information["pa-needed"] == "auth-needed"
    assert information["doc-needed"] == "clinical"
    assert information["questionnaire"] == [FORM]
    assert "No film of this shoulder is on file" in reasons(information)


def test_order_select_comes_too_early_for_forms() -> None:
    information = said_of(needs_more(), "order-select")
    assert "doc-needed" not in information
    assert "questionnaire" not in information
    assert "No film of this shoulder is on file" in reasons(information)


def test_a_record_that_could_not_be_read_makes_the_answer_conditional() -> None:
    information = said_of(needs_more(), unreadable=("imaging and other reports",))
    assert information["pa-needed"] == "conditional"
    assert information["info-needed"] == ["OTH"]
    assert information["doc-needed"] == "clinical"
    assert "imaging and other reports" in reasons(information)
    assert "Plain film first" in reasons(information)


def test_a_record_that_could_not_be_read_does_not_touch_what_is_decided_without_it() -> None:
    assert said_of(determination(), unreadable=("care plans",))["pa-needed"] == "satisfied"


def test_a_review_asks_for_nothing() -> None:
    information = said_of(determination(Decision.PEND, reason="A person will review two levels."))
    assert information["pa-needed"] == "auth-needed"
    assert "doc-needed" not in information
    assert reasons(information) == "A person will review two levels. Nothing more is asked for now."


def test_a_denial_names_the_criterion_and_what_would_change_it() -> None:
    information = said_of(determinations.denied())
    assert information["pa-needed"] == "auth-needed"
    assert "doc-needed" not in information
    assert "28 days; 42 are asked" in reasons(information)
    assert "Two more weeks of provider-directed treatment" in reasons(information)


def test_an_ended_coverage_is_not_covered_and_says_nothing_of_authorization() -> None:
    information = said_of(determination(Decision.DENY, covered=False, gate="G-COV", reason="It has ended."))
    assert information["covered"] == "not-covered"
    assert "pa-needed" not in information
    assert reasons(information) == "It has ended."


def test_a_service_decided_elsewhere_is_conditional() -> None:
    information = said_of(determination(Decision.PEND, gate=ELSEWHERE, reason="Ask the drug plan."))
    assert (information["covered"], information["pa-needed"]) == ("conditional", "conditional")
    assert information["info-needed"] == ["OTH"]


def uncoded(kind: str, **code: Any) -> dict[str, Any]:
    said = determination(line=Line("", None, (), None, Decimal(1)))
    order = {"resourceType": "ServiceRequest", **code}
    bare = Judged(said, judged(said).member, None, order, "")  # type: ignore[arg-type]
    return rendered(say(bare, SIGN, Configuration(), kind=kind))


def test_an_order_without_a_billing_code_is_conditional_on_it() -> None:
    information = uncoded("ServiceRequest")
    assert information["covered"] == "conditional"
    assert "billingCode" not in information
    assert "Add the CPT or HCPCS code to the order" in reasons(information)


def test_a_code_without_its_system_is_asked_for_the_system_alone() -> None:
    information = uncoded(
        "ServiceRequest", code={"coding": [{"code": "73221-RT", "display": "MRI shoulder"}]}
    )
    assert "Add the system of the code 73221 " in reasons(information)
    local = uncoded("ServiceRequest", code={"coding": [{"code": "MRSHO"}]})
    assert "Add the CPT or HCPCS code" in reasons(local)


@pytest.mark.parametrize("kind", ["MedicationRequest", "NutritionOrder", "VisionPrescription"])
def test_another_benefits_order_is_decided_there(kind: str) -> None:
    assert uncoded(kind)["covered"] == "conditional"
    assert "decides about this order" in reasons(uncoded(kind))


@pytest.mark.parametrize(
    ("kind", "called"),
    [("Encounter", "visit"), ("Appointment", "visit"), ("CommunicationRequest", "message")],
)
def test_a_visit_or_a_message_as_such_is_covered_without_authorization(kind: str, called: str) -> None:
    assert uncoded(kind)["pa-needed"] == "no-auth"
    assert f"A {called} as such needs no prior authorization" in reasons(uncoded(kind))


def test_a_coverage_that_could_not_be_read_is_spoken_of_as_such() -> None:
    assert rendered(not_read("It could not be read."))["covered"] == "conditional"


@pytest.mark.parametrize("version", [V2_0, V2_2], ids=lambda version: version.name)
def test_a_version_has_a_word_for_everything_that_can_be_said(version: Version) -> None:
    assert set(version.information) == set(Information)
    assert set(version.contexts) == set(version.prefetch) == set(HOOKS)


def test_the_newer_guide_has_words_of_its_own() -> None:
    granted = said_of(determination(), version=V2_2)
    assert granted["expiry-date"] == "2027-01-19"
    assert granted["detail"][0][0] == {"url": "category", "valueCode": "cat-limitation"}
    assert granted["contact"][0]["telecom"][0]["value"] == "+1-800-555-0100"
    unread = said_of(needs_more(), unreadable=("documents",), version=V2_2)
    assert unread["pa-needed"] == "indeterminate"
    assert "info-needed" not in unread
    assert unread["reason"][-1]["coding"][0]["code"] == "technical"
    stranger = determination(Decision.DENY, covered=False, gate="G-COV", reason="Not known here.")
    told = said_of(stranger, known=False, version=V2_2)
    assert told["reason"][0]["coding"][0]["code"] == "no-member-found"
    ended = said_of(stranger, version=V2_2)
    assert ended["reason"][0]["coding"][0]["code"] == "no-active-coverage"


def test_only_the_extension_is_added() -> None:
    answer = coverage_information(
        V2_0, say(judged(needs_more()), SIGN, Configuration(), ()), "Coverage/c1", "a", DAY, None
    )
    changed = updated(ORDER, [answer])
    assert changed is not None
    assert list(changed) == [*ORDER, "extension"]
    assert {name: changed[name] for name in ORDER} == ORDER
    assert str(changed["quantityQuantity"]["value"]) == "1.00"


def test_other_extensions_and_other_payers_answers_stay_in_their_place() -> None:
    other = {"url": "https://other.example/flag", "valueBoolean": True}
    foreign = coverage_information(V2_0, not_read("?"), "Coverage/other", "b", DAY, None)
    old = coverage_information(V2_0, not_read("?"), "Coverage/c1", "c", DAY, None)
    order = {"resourceType": "ServiceRequest", "extension": [old, other, foreign], "id": "sr-1"}
    new = coverage_information(
        V2_0, say(judged(needs_more()), SIGN, Configuration(), ()), "Coverage/c1", "d", DAY, None
    )
    changed = updated(order, [new])
    assert changed is not None
    assert list(changed) == ["resourceType", "extension", "id"]
    assert changed["extension"] == [other, foreign, new]


@pytest.mark.parametrize("sent", ["Coverage/c1", "https://ehr.example/fhir/Coverage/c1/_history/2"])
def test_nothing_is_sent_when_nothing_is_new(sent: str) -> None:
    """An EHR may name the Coverage by its address where it was told by its id."""
    saying = say(judged(needs_more()), SIGN, Configuration(), ())
    told = coverage_information(V2_0, saying, sent, "first", DAY, None)
    again = coverage_information(V2_0, saying, "Coverage/c1", "second", DAY + dt.timedelta(days=1), None)
    order = {**ORDER, "extension": [told]}
    assert updated(order, [again]) is None
    assert earlier_assertion(order, "Coverage/c1") == "first"
    # What was said of a code that the order has no more goes.
    more = coverage_information(V2_0, not_read("?"), sent, "third", DAY, None)
    changed = updated({**ORDER, "extension": [told, more]}, [again])
    assert changed is not None
    assert changed["extension"] == [again]
