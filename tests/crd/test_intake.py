"""What counts as a hook call, and what is said about one that does not."""

from decimal import Decimal
from typing import Any

import pytest

from server.crd.configuration import MAX_CARDS, configuration, options
from server.crd.focus import asked_about, selected
from server.crd.hooks import HOOKS
from server.crd.intake import read_call
from server.crd.v2_0 import V2_0
from server.crd.v2_2 import V2_2
from server.crd.version import Version
from server.fhir.errors import InvalidRequest
from server.fhir.references import Entry, Resolver

CONTEXT: dict[str, dict[str, Any]] = {
    "order-sign": {"userId": "Practitioner/d1", "patientId": "p1", "draftOrders": {"resourceType": "Bundle"}},
    "order-select": {
        "userId": "Practitioner/d1",
        "patientId": "p1",
        "draftOrders": {"resourceType": "Bundle"},
        "selections": ["ServiceRequest/sr-1"],
    },
    "appointment-book": {
        "userId": "Practitioner/d1",
        "patientId": "p1",
        "appointments": {"resourceType": "Bundle"},
    },
    "encounter-start": {"userId": "Practitioner/d1", "patientId": "p1", "encounterId": "e1"},
    "encounter-discharge": {"userId": "Practitioner/d1", "patientId": "p1", "encounterId": "e1"},
    "order-dispatch": {"patientId": "p1", "order": "ServiceRequest/sr-1", "performer": "Organization/o1"},
}


def body(hook: str = "order-sign", **changes: Any) -> dict[str, Any]:
    whole = {"hook": hook, "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea", "context": CONTEXT[hook]}
    return {name: content for name, content in {**whole, **changes}.items() if content is not ...}


def faults(service: str = "order-sign", **changes: Any) -> dict[str, str]:
    """Expression to diagnostics of every fault found."""
    sent = {name: content for name, content in {**body(service), **changes}.items() if content is not ...}
    with pytest.raises(InvalidRequest) as caught:
        read_call(sent, HOOKS[service], V2_0)
    return {issue.expressions[0]: issue.diagnostics for issue in caught.value.issues}


@pytest.mark.parametrize("hook", HOOKS)
def test_a_call_needs_no_more_than_its_hook_requires(hook: str) -> None:
    call = read_call(body(hook), HOOKS[hook], V2_0)
    assert call.hook.name == hook
    assert call.patient_id == "p1"
    assert call.access is None


@pytest.mark.parametrize("hook", HOOKS)
def test_each_required_member_of_the_context_is_asked_for_by_name(hook: str) -> None:
    for name in CONTEXT[hook]:
        without = {key: value for key, value in CONTEXT[hook].items() if key != name}
        found = faults(hook, context=without)
        assert list(found) == [f"context.{name}"]
        assert "missing" in found[f"context.{name}"]


def test_every_fault_is_named_at_once() -> None:
    found = faults(hookInstance=..., fhirServer="ftp://ehr.example", prefetch=[], context={"patientId": 7})
    assert set(found) == {
        "hookInstance",
        "fhirServer",
        "prefetch",
        "context.userId",
        "context.patientId",
        "context.draftOrders",
    }


@pytest.mark.parametrize(
    ("version", "named"),
    [(V2_0, {"order": "Practitioner/d1"}), (V2_2, {"dispatchedOrders": ["ServiceRequest/sr-1", "Task/t1"]})],
)
def test_what_is_dispatched_is_an_order(version: Version, named: dict[str, Any]) -> None:
    """No silence about a call that names something else."""
    sent = body("order-dispatch", context={**CONTEXT["order-dispatch"], **named})
    with pytest.raises(InvalidRequest) as caught:
        read_call(sent, HOOKS["order-dispatch"], version)
    (issue,) = caught.value.issues
    assert issue.expressions == (f"context.{next(iter(named))}",)
    assert "such as ServiceRequest/1" in issue.diagnostics


def test_the_hook_must_be_the_services_own() -> None:
    assert "order-sign" in faults(hook="order-select")["hook"]
    assert "hook" in faults(hook=...)


def test_a_token_needs_the_server_it_is_for() -> None:
    assert "fhirServer" in faults(fhirAuthorization={"access_token": "t"})
    assert "fhirAuthorization" in faults(fhirAuthorization="t")
    assert "fhirAuthorization.access_token" in faults(fhirAuthorization={})
    foreign = {"fhirServer": "https://ehr.example/fhir", "fhirAuthorization": {"access_token": "t\u00f6k"}}
    assert "fhirAuthorization.access_token" in faults(**foreign)


def test_what_the_guide_does_not_know_is_ignored() -> None:
    context = {**CONTEXT["order-sign"], "weather": "fine"}
    assert read_call(body(context=context, mood="good", prefetch=None), HOOKS["order-sign"], V2_0)


def test_the_token_does_not_show_in_logs() -> None:
    whole = body(fhirServer="https://ehr.example/fhir/", fhirAuthorization={"access_token": "s3cret"})
    call = read_call(whole, HOOKS["order-sign"], V2_0)
    assert call.access is not None
    assert call.access.base == "https://ehr.example/fhir"
    assert call.access.token == "s3cret"
    assert "s3cret" not in repr(call)


def drafts(*orders: dict[str, Any]) -> Resolver:
    bundle = {"resourceType": "Bundle", "entry": [{"resource": order} for order in orders]}
    return Resolver.of_bundle(bundle, "context.draftOrders")


def order(identifier: str, **changes: Any) -> dict[str, Any]:
    whole = {
        "resourceType": "ServiceRequest",
        "id": identifier,
        "status": "draft",
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
    }
    return {**whole, **changes}


def test_an_order_that_breaks_fhir_is_refused_with_the_place() -> None:
    broken = order("sr-2", status=["draft"], code="73221")
    nameless = {name: value for name, value in order("x").items() if name != "id"}
    with pytest.raises(InvalidRequest) as caught:
        asked_about(drafts(order("sr-1"), broken, nameless).entries, HOOKS["order-sign"].focal, "p1")
    places = [issue.expressions[0] for issue in caught.value.issues]
    assert any(place.startswith("context.draftOrders.entry[1].resource.code") for place in places)
    assert any(place.startswith("context.draftOrders.entry[1].resource.status") for place in places)
    assert "context.draftOrders.entry[2].resource.id" in places


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"quantityQuantity": {"value": 0}}, "quantityQuantity.value"),
        ({"quantityQuantity": {"value": Decimal("-0.5")}}, "quantityQuantity.value"),
        ({"subject": {"reference": "https://ehr.example/fhir/Patient/p2"}}, "subject"),
        ({"authoredOn": 0}, "authoredOn"),
        ({"doNotPerform": "true"}, "doNotPerform"),
        ({"modifierExtension": [{"url": "https://ehr.example/withdrawn"}]}, "modifierExtension"),
    ],
)
def test_an_order_that_says_what_cannot_be_is_not_answered_as_if_it_did_not(
    wrong: dict[str, Any], place: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked_about(drafts(order("sr-1", **wrong)).entries, HOOKS["order-sign"].focal, "p1")
    (issue,) = caught.value.issues
    assert issue.expression == f"context.draftOrders.entry[0].resource.{place}"


NOT_TO_BE_GIVEN = {
    "resourceType": "NutritionOrder",
    "id": "diet",
    "status": "draft",
    "intent": "order",
    "patient": {"reference": "Patient/p1"},
    "dateTime": "2026-11-20",
    "modifierExtension": [
        {"url": "http://hl7.org/fhir/StructureDefinition/request-doNotPerform", "valueBoolean": True}
    ],
}


def test_what_is_not_to_be_done_is_not_spoken_of() -> None:
    orders = drafts(
        order("yes"),
        order("not", doNotPerform=True),
        NOT_TO_BE_GIVEN,
        order("gone", status="revoked"),
        order("done", status="completed"),
    )
    assert [found["id"] for found in asked_about(orders.entries, HOOKS["order-sign"].focal, "p1")] == ["yes"]


@pytest.mark.parametrize(
    "selection",
    [
        "ServiceRequest/sr-2",
        "ServiceRequest/sr-2/_history/3",
        "sr-2",
        "https://ehr.example/fhir/ServiceRequest/sr-2",
        "urn:uuid:0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d",
    ],
)
def test_order_select_speaks_about_what_was_selected(selection: str) -> None:
    orders = drafts(order("sr-1"))
    orders.add(Entry(order("sr-2"), "urn:uuid:0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"))
    assert [found["id"] for found in selected(list(orders), [selection], orders)] == ["sr-2"]


def test_every_hook_offers_typed_defaults_and_a_card_limit() -> None:
    meanings: dict[str, tuple[str, str]] = {}
    for hook in HOOKS.values():
        offered = options(hook.options)
        assert len({option["code"] for option in offered}) == len(offered)
        assert len({option["name"] for option in offered}) == len(offered)
        assert len({option["description"] for option in offered}) == len(offered)
        assert offered[-1]["code"] == MAX_CARDS
        for option in offered:
            kind = {"boolean": bool, "integer": int}[option["type"]]
            assert type(option["default"]) is kind
            told = (option["name"], option["description"])
            assert meanings.setdefault(option["code"], told) == told, "one code, one meaning on every hook"


@pytest.mark.parametrize(
    "nonsense", [None, 3, [], {"max-cards": -1}, {"max-cards": True}, {"coverage-info": "no"}]
)
def test_a_nonsensical_configuration_leaves_the_defaults(nonsense: Any) -> None:
    choices = configuration({"davinci-crd.configuration": nonsense})
    assert choices.wants("coverage-info")
    assert choices.max_cards == 10


def test_unknown_options_are_ignored_and_known_ones_obeyed() -> None:
    choices = configuration(
        {"davinci-crd.configuration": {"alt-drug": False, "network": False, "max-cards": 0}}
    )
    assert not choices.wants("network")
    assert choices.wants("guideline")
    assert choices.max_cards == 0
