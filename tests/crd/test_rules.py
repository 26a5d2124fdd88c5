"""The guide's rules one by one, in the order of its chapters: A discovery, B hooks and data, C responses,
D errors and feedback. What the Inferno kit looks for is in tests/inferno, under its numbers."""

import re
from typing import Any

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from server.crd.cards import TOPICS
from server.crd.hooks import HOOKS
from server.store import assertions, authorizations, records
from server.store.tables import Card, Feedback
from tests.crd import builders as ehr
from tests.crd.conftest import Crd, Server
from tests.crd.shape import coverage_informations, reasons
from tests.crd.test_stories import OTHER_ORDERS
from tests.ehr import Ehr

PRIMARY = ("order-sign", "order-dispatch", "appointment-book")
GOLD = "1888888884"
REFUSED = {"2.0": 422, "2.2": 400}
"""A body that is JSON and breaks CDS Hooks or FHIR."""

every_order = pytest.mark.parametrize("order", OTHER_ORDERS, ids=lambda order: order["resourceType"])


def discovered(crd: Crd) -> dict[str, dict[str, Any]]:
    return {service["hook"]: service for service in crd.http.get(crd.base).json()["services"]}


def any_call(hook: str, version: str) -> dict[str, Any]:
    order = ehr.shoulder()
    return {
        "order-sign": ehr.sign(order, sent=ehr.prefetch()),
        "order-select": ehr.select(order, chosen=[order], sent=ehr.prefetch()),
        "order-dispatch": ehr.dispatch(order, ehr.prefetch(), version),
        "appointment-book": ehr.book(ehr.appointment("73221"), sent=ehr.prefetch()),
        "encounter-start": ehr.encounter_call("encounter-start", ehr.visit(0)),
        "encounter-discharge": ehr.encounter_call("encounter-discharge", ehr.visit(0)),
    }[hook]


# ---- A. Discovery


def test_a_all_six_hooks_have_a_service_whose_id_is_the_hook(crd: Crd) -> None:
    services = discovered(crd)
    assert set(services) == set(HOOKS)
    for hook, service in services.items():
        assert service["id"] == hook
        assert service["title"]
        assert service["description"]
        assert service["usageRequirements"]


def test_a_discovery_may_be_kept_for_a_while(crd: Crd) -> None:
    assert "max-age" in crd.http.get(crd.base).headers["cache-control"]


def test_a_the_version_is_declared_where_the_guide_knows_the_word(crd: Crd) -> None:
    for service in discovered(crd).values():
        declared = service["extension"].get("davinci-crd.version")
        assert declared == {"2.0": None, "2.2": ["2.2"]}[crd.version]
        assert all(re.fullmatch(r"[1-9]\d*\.[1-9]\d*", each) for each in declared or [])


def test_a_options_are_typed_described_and_the_same_at_every_hook(crd: Crd) -> None:
    seen: dict[str, tuple[str, str]] = {}
    for service in discovered(crd).values():
        options = service["extension"]["davinci-crd.configuration-options"]
        for member in ("code", "name", "description"):
            assert len({option[member] for option in options}) == len(options)
        for option in options:
            assert type(option["default"]) is {"boolean": bool, "integer": int}[option["type"]]
            told = (option["name"], option["description"])
            assert seen.setdefault(option["code"], told) == told


@pytest.mark.parametrize("hook", HOOKS)
def test_a_every_kind_of_card_that_may_come_has_its_switch(crd: Crd, hook: str) -> None:
    offered = {
        option["code"] for option in discovered(crd)[hook]["extension"]["davinci-crd.configuration-options"]
    }
    assert {card["source"]["topic"]["code"] for card in crd(any_call(hook, crd.version)).cards} <= offered
    assert offered - {"max-cards", "unsolicited-determ"} <= set(TOPICS)


def test_a_prefetch_of_2_2_is_the_guides_and_reads_nothing_that_is_not_fetched(crd_2_2: Crd) -> None:
    for service in discovered(crd_2_2).values():
        assert service["prefetch"]["patient"] == "Patient/{{context.patientId}}"
        assert service["prefetch"]["coverage"] == "Coverage?patient={{context.patientId}}&status=active"
        fetched = service["prefetch"]
        assert set(re.findall(r"%(\w+)", " ".join(fetched.values()))) <= fetched.keys()
    sign = discovered(crd_2_2)["order-sign"]["prefetch"]
    assert sign["encounter"] == "Encounter/{{context.encounterId}}"
    assert (
        "%encounter.participant.individual.resolve().ofType(PractitionerRole).id" in sign["practitionerRoles"]
    )
    book = discovered(crd_2_2)["appointment-book"]["prefetch"]
    ordered = "context.appointments.entry.resource.basedOn"
    alternate = f"{ordered}.extension('http://hl7.org/fhir/StructureDefinition/alternate-reference').value"
    typed = ".resolve().ofType"
    assert book["serviceRequests"] == f"ServiceRequest?_id={{{{{ordered}{typed}(ServiceRequest).id}}}}"
    for key, kind in (("deviceRequests", "DeviceRequest"), ("medicationRequests", "MedicationRequest")):
        assert book[key] == f"{kind}?_id={{{{{alternate}{typed}({kind}).id}}}}"
    assert book["organizations"] == (
        "Organization?_id={{%practitionerRoles.entry.resource.organization.resolve().id"
        "|%encounter.serviceProvider.resolve().ofType(Organization).id"
        "|%medicationRequests.entry.resource.dispenseRequest.performer.resolve().ofType(Organization).id"
        "|%serviceRequests.entry.resource.performer.resolve().ofType(Organization).id}}"
    )
    assert book["locations"] == (
        "Location?_id={{%practitionerRoles.entry.resource.location.resolve().id"
        "|%encounter.location.location.resolve().id"
        "|context.appointments.entry.resource.participant.actor.resolve().ofType(Location).id"
        "|%serviceRequests.entry.resource.locationReference.resolve().ofType(Location).id}}"
    )


# ---- B. Hooks and data


@pytest.mark.parametrize("hook", HOOKS)
def test_b_a_primary_hook_answers_each_request_with_a_system_action(crd: Crd, hook: str) -> None:
    answer = crd(any_call(hook, crd.version))
    assert len(answer.informations) == 1
    asks = "doc-needed" in answer.information
    assert asks == (hook in PRIMARY)


@every_order
def test_b_every_order_type_is_understood_at_order_select(crd: Crd, order: dict[str, Any]) -> None:
    answer = crd(ehr.select(order, chosen=[order], sent=ehr.prefetch()))
    assert answer.of(order)["covered"] in ("covered", "conditional")


@every_order
def test_b_every_order_type_is_understood_at_order_dispatch(crd: Crd, order: dict[str, Any]) -> None:
    answer = crd(ehr.dispatch(order, ehr.prefetch(), crd.version))
    assert answer.of(order)["covered"] in ("covered", "conditional")


@every_order
def test_f1_insurance_makes_no_difference_whatever_the_order_type(crd: Crd, order: dict[str, Any]) -> None:
    insurance = ehr.coverage()
    named = {**order, "insurance": [{"reference": "Coverage/cov-1"}]}
    if order["resourceType"] in ("NutritionOrder", "VisionPrescription", "CommunicationRequest"):
        named = order
    sent = ehr.prefetch([], insurance)
    with_it, without = (crd(ehr.sign(each, sent=sent)).of(order) for each in (named, order))
    told = ("covered", "pa-needed", "coverage", "reason")
    assert {name: with_it[name] for name in told} == {name: without[name] for name in told}


def test_b_several_orders_are_dispatched_in_one_call_of_2_2(crd_2_2: Crd) -> None:
    """One that is named by its id and by its address is answered once, one with two codes for each."""
    orders = [ehr.shoulder(), ehr.lumbar()]
    orders[1]["code"]["coding"].append({"system": ehr.CPT, "code": "80053"})
    body = ehr.dispatch(orders[0], ehr.prefetch(), "2.2")
    names = [ehr.ref(order)["reference"] for order in orders]
    body["context"]["dispatchedOrders"] = [*names, f"https://ehr.example/fhir/{names[0]}"]
    body["prefetch"]["serviceRequests"] = ehr.searchset(orders)
    told = crd_2_2(body).resources
    billed = {
        order: [each["billingCode"][0]["code"] for each in coverage_informations(resource)]
        for order, resource in told.items()
    }
    assert billed == {orders[0]["id"]: ["73221"], orders[1]["id"]: ["72148", "80053"]}


def test_b_of_two_dispatched_orders_the_one_that_can_be_read_is_answered(crd_2_2: Crd) -> None:
    """And of the other it is said that nobody looked at it, so that no one takes silence for leave."""
    order, lost = ehr.shoulder(), ehr.lumbar()
    body = ehr.dispatch(order, ehr.prefetch(ehr.six_weeks_of_care(order)), "2.2")
    body["context"]["dispatchedOrders"].append(ehr.ref(lost)["reference"])
    answer = crd_2_2(body)
    assert answer.of(order)["pa-needed"] == "satisfied"
    (card,) = [card for card in answer.cards if "could be read" in card["summary"]]
    assert card["indicator"] == "warning"
    assert ehr.ref(lost)["reference"] in card["detail"]


def test_b_a_dispatched_order_that_cannot_be_had_is_412(crd: Crd) -> None:
    body = ehr.dispatch(ehr.shoulder(), ehr.prefetch(), crd.version)
    del body["prefetch"]["order"]
    status, issues = crd.refused(body)
    named = {"2.0": "context.order", "2.2": "context.dispatchedOrders"}[crd.version]
    assert (status, list(issues)) == (412, [named])


def test_b_a_dispatched_order_that_was_cancelled_gets_no_answer(crd: Crd) -> None:
    order = ehr.shoulder(status="revoked")
    assert crd(ehr.dispatch(order, ehr.prefetch(), crd.version)).resources == {}


def test_b_a_dispatched_order_is_judged_for_the_performer_it_is_sent_to(crd: Crd) -> None:
    """The hospital that follows the patient may do it, whomever it was written for, or who works there."""
    order = ehr.mri("70553", "G35.A", place="22", performer=[{"reference": "Organization/elsewhere"}])
    followed = ehr.film("70553", 200) | {"performer": [{"reference": "Organization/imaging"}]}
    role = {"resourceType": "PractitionerRole", "id": "mri", "organization": followed["performer"][0]}
    told = []
    with Ehr([role]) as server:
        for performer in ("Organization/imaging", "PractitionerRole/mri", "Organization/elsewhere"):
            sent = ehr.prefetch([followed], ehr.coverage(plan="carelon"))
            body = {**ehr.dispatch(order, sent, crd.version), "fhirServer": server.base}
            body["context"]["performer"] = performer
            told.append(crd(body).of(order)["pa-needed"])
    assert told == ["satisfied", "satisfied", "auth-needed"]


@pytest.mark.parametrize("user", ["PractitionerRole/role-1", "Practitioner/dr-lee", "Patient/anna"])
def test_b_the_user_may_be_of_any_kind_and_unknown_members_are_ignored(crd: Crd, user: str) -> None:
    body = ehr.sign(ehr.shoulder(), sent=ehr.prefetch(), somethingNew={"a": 1})
    body["context"] |= {"userId": user, "unheardOf": [1, 2]}
    assert crd(body).information["pa-needed"] == "auth-needed"


def test_b_a_bundle_without_full_urls_and_with_a_total_is_read(crd: Crd) -> None:
    body = ehr.sign(ehr.shoulder(), sent=ehr.prefetch())
    bundle = body["context"]["draftOrders"]
    bundle["total"] = 1
    for entry in bundle["entry"]:
        del entry["fullUrl"]
    assert crd(body).information["pa-needed"] == "auth-needed"


def test_b_an_order_based_on_another_is_answered_for_itself(crd: Crd) -> None:
    therapy = {**ehr.shoulder(), "id": "therapy", "status": "active", "code": ehr.concept(ehr.CPT, "97110")}
    order = ehr.shoulder(basedOn=[ehr.ref(therapy)])
    answer = crd(ehr.sign(order, sent={**ehr.prefetch(), "ServiceRequest": therapy}))
    assert set(answer.resources) == {order["id"]}


def test_b_a_server_that_is_down_leaves_the_answer_open_not_negative(crd: Crd) -> None:
    sent = {"patient": ehr.PATIENT, "coverage": ehr.searchset([ehr.coverage()])}
    information = crd(ehr.sign(ehr.shoulder(), sent=sent, fhirServer="http://127.0.0.1:1/fhir")).information
    assert information["pa-needed"] == {"2.0": "conditional", "2.2": "indeterminate"}[crd.version]
    if crd.version == "2.2":
        codes = [coding["code"] for reason in information["reason"] for coding in reason.get("coding", [])]
        assert codes == ["technical"]
        assert "info-needed" not in information


def test_b_2_2_without_server_and_token_is_answered_from_its_prefetch(crd_2_2: Crd) -> None:
    order = ehr.shoulder()
    body = ehr.sign(order, sent=ehr.prefetch(ehr.six_weeks_of_care(order)))
    assert not {"fhirServer", "fhirAuthorization"} & body.keys()
    assert crd_2_2(body).information["pa-needed"] == "satisfied"


def test_b_a_coverage_that_has_ended_has_its_reason_code_in_2_2(crd_2_2: Crd) -> None:
    ended = ehr.coverage(period={"start": "2025-01-01", "end": "2025-12-31"})
    information = crd_2_2(ehr.sign(ehr.shoulder(), sent=ehr.prefetch([], ended))).information
    assert information["reason"][0]["coding"][0]["code"] == "no-active-coverage"


# ---- B. Reading from the EHR


def test_b_pages_are_followed_and_includes_not_relied_on(crd: Crd) -> None:
    order, insurance = ehr.shoulder(), ehr.coverage()
    chart = ehr.six_weeks_of_care(order)
    with Ehr([ehr.PATIENT, ehr.PHYSICIAN, ehr.PAYOR, insurance, *chart]) as server:
        server.page_size = 2
        following = {"relation": "next", "url": f"{server.base}/Procedure?patient=anna&page=2"}
        first = ehr.searchset([each for each in chart if each["resourceType"] == "Procedure"][:2])
        sent = {"procedures": {**first, "link": [following]}}
        information = crd(ehr.sign(order, sent=sent, fhirServer=server.base)).information
    assert information["pa-needed"] == "satisfied"
    assert any("page=" in asked for asked in server.asked)
    assert not any("_include" in asked for asked in server.asked)


@pytest.mark.parametrize(
    ("kind", "narrow"),
    [
        ("MedicationRequest", {}),
        ("MedicationRequest", {"MedicationRequest": "intent"}),
        ("MedicationDispense", {}),
    ],
)
def test_b_what_was_taken_is_read_from_the_ehr_where_it_is_only_referred_to(
    crd: Crd, kind: str, narrow: dict[str, str]
) -> None:
    """Many an EHR has its drugs in Medications. The plan wants care of two kinds."""
    order, insurance = ehr.shoulder(), ehr.coverage(plan="carelon")
    drug = ehr.nsaid(70)
    medicine = {"resourceType": "Medication", "id": "m", "code": drug.pop("medicationCodeableConcept")}
    given = {"MedicationRequest": drug, "MedicationDispense": {"whenHandedOver": ehr.day(70)}}[kind]
    taken = {
        **{"resourceType": kind, "id": "taken", "status": "completed", "subject": ehr.ref(ehr.PATIENT)},
        **given,
        "medicationReference": ehr.ref(medicine),
    }
    others = [each for each in ehr.six_weeks_of_care(order) if each["resourceType"] != "MedicationRequest"]
    with Ehr([ehr.PATIENT, ehr.PHYSICIAN, ehr.PAYOR, insurance, *others, taken, medicine]) as server:
        server.narrow = narrow
        information = crd(ehr.sign(order, fhirServer=server.base)).information
    assert information["pa-needed"] == "satisfied", reasons(information)


def test_b_who_has_the_role_that_orders_is_read_too(crd: Crd) -> None:
    """A gold card is a person's."""
    gold = {**ehr.PHYSICIAN, "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": GOLD}]}
    role = {"resourceType": "PractitionerRole", "id": "role", "practitioner": ehr.ref(gold)}
    order = ehr.shoulder(requester=ehr.ref(role))
    with Ehr([ehr.PATIENT, ehr.PAYOR, ehr.coverage(), gold, role]) as server:
        assert crd(ehr.sign(order, fhirServer=server.base)).information["pa-needed"] == "no-auth"


@pytest.mark.parametrize("named", ["a person inside", "a role inside", "a role that names the NPI alone"])
def test_b_who_orders_is_known_by_whatever_the_order_brings_along(crd: Crd, named: str) -> None:
    npi = {"system": "http://hl7.org/fhir/sid/us-npi", "value": GOLD}
    person = {**ehr.PHYSICIAN, "id": "doctor", "identifier": [npi]}
    role = {
        "resourceType": "PractitionerRole",
        "id": "role",
        "organization": {"display": "Springfield Orthopaedics"},
        "code": [{"text": "Orthopaedic surgeon"}],
        "specialty": [{"text": "Orthopaedic surgery"}],
        "location": [{"display": "Main Street"}],
        "telecom": [{"system": "phone", "value": "555-0100"}],
    }
    contained, held = {
        "a person inside": ([person], []),
        "a role inside": ([role | {"practitioner": {"reference": "#doctor"}}, person], []),
        "a role that names the NPI alone": ([], [role | {"practitioner": {"identifier": npi}}]),
    }[named]
    first = (*contained, *held)[0]
    reference = f"#{first['id']}" if contained else f"PractitionerRole/{first['id']}"
    order = ehr.shoulder(
        requester={"reference": reference}, **({"contained": contained} if contained else {})
    )
    sent = {**ehr.prefetch(), "roles": ehr.searchset(held)}
    assert crd(ehr.sign(order, sent=sent)).information["pa-needed"] == "no-auth"


def working_as(code: str) -> dict[str, Any]:
    """A role of that taxonomy, as the guide's profiles ask for one."""
    return {
        "resourceType": "PractitionerRole",
        "id": "role",
        "practitioner": ehr.ref(ehr.PHYSICIAN),
        "organization": {"reference": "Organization/clinic"},
        "code": [ehr.concept("http://nucc.org/provider-taxonomy", code)],
        "telecom": [{"system": "phone", "value": "+1 555 0100"}],
    }


def test_b_a_therapist_is_one_inside_the_order_too(crd: Crd) -> None:
    """Whom no plan lets order imaging."""
    order = ehr.shoulder(requester={"reference": "#role"}, contained=[working_as("225100000X")])
    information = crd(ehr.sign(order, sent=ehr.prefetch(ehr.six_weeks_of_care(order)))).information
    assert information["pa-needed"] == "auth-needed"
    assert "signed by a therapist" in reasons(information)


def test_b_what_anothers_record_contains_is_none_of_the_patients(crd: Crd) -> None:
    """The mother's tumor, in a letter about her, is no reason for the child's study."""
    tumor = {"resourceType": "Condition", "id": "tumor", "code": ehr.concept(ehr.ICD, "C49.11")}
    mother = {"resourceType": "Patient", "id": "mother"}
    letter = {
        "resourceType": "Encounter",
        "id": "letter",
        "status": "finished",
        "subject": {"reference": "Patient/mother"},
        "contained": [mother, {**tumor, "subject": {"reference": "#mother"}}],
        "diagnosis": [{"condition": {"reference": "#tumor"}}],
    }
    said = crd(ehr.sign(ehr.shoulder(), sent=ehr.prefetch([letter]))).information
    assert said["pa-needed"] == "auth-needed"


def test_b_who_is_inside_one_record_is_nobody_of_another(crd: Crd) -> None:
    """Though both records have one number, and both people one name in them."""
    order = ehr.shoulder(requester={"reference": "#role"}, contained=[working_as("207X00000X")])
    therapist = working_as("225100000X")
    visit = {"resourceType": "Encounter", "id": order["id"], "status": "finished", "contained": [therapist]}
    information = crd(ehr.sign(order, sent=ehr.prefetch([*ehr.six_weeks_of_care(order), visit]))).information
    assert information["pa-needed"] == "satisfied"


@pytest.mark.parametrize("fault", [403, 404, 500, 503, "redirect", "outcome", "garbage"])
def test_b_a_type_that_cannot_be_had_is_unknown_and_the_rest_is_used(crd: Crd, fault: int | str) -> None:
    order, insurance = ehr.shoulder(), ehr.coverage()
    with Ehr([ehr.PATIENT, ehr.PAYOR, insurance, *ehr.six_weeks_of_care(order)]) as server:
        server.answers["Observation"] = fault
        information = crd(ehr.sign(order, fhirServer=server.base)).information
    assert information["covered"] == "covered"
    assert information["pa-needed"] in ("auth-needed", "conditional", "indeterminate")
    assert "denied" not in reasons(information).lower()


def test_b_what_the_ehr_holds_malformed_is_passed_over(crd: Crd) -> None:
    """Of what it answers only the right parts are read: nobody at the screen could mend the others."""
    condition = {"resourceType": "Condition", "id": "c", "subject": ehr.ref(ehr.PATIENT)}
    order = ehr.shoulder(reasonReference=[ehr.ref(condition)])
    insurance = ehr.coverage(plan="no-imaging-pa")
    insurance["class"] = [None, {"type": {"coding": [None]}}, {"value": []}, *insurance["class"]]
    broken = condition | {"code": {"coding": "M75.1"}}
    with Ehr([ehr.PATIENT, ehr.PAYOR, insurance | {"beneficiary": [1]}, broken]) as server:
        information = crd(ehr.sign(order, fhirServer=server.base)).information
    assert (information["covered"], information["pa-needed"]) == ("covered", "no-auth")


def test_b_a_server_that_offers_batches_is_asked_by_one(crd: Crd) -> None:
    """It says so in its metadata, which is read beside the first call's queries; the answer is the same."""
    order, insurance = ehr.shoulder(), ehr.coverage()
    chart = ehr.six_weeks_of_care(order)
    with Ehr([ehr.PATIENT, ehr.PHYSICIAN, ehr.PAYOR, insurance, *chart], token="t") as server:
        server.takes_batches = True
        access = {"fhirServer": server.base, "fhirAuthorization": {"access_token": "t"}}
        what_if = {"extension": {"davinci-crd.configuration": {"unsolicited-determ": False}}}
        first = crd(ehr.sign(order, **access, **what_if)).information
        assert "batch" not in server.asked
        server.asked.clear()
        server.page_size = 3
        second = crd(ehr.sign(order, **access)).information
    assert first["reason"] != []
    assert second["pa-needed"] == "satisfied"
    assert server.asked[0] == "batch"
    assert set(server.tokens) == {"Bearer t"}


def test_b_a_batch_that_fails_is_asked_piece_by_piece(crd: Crd) -> None:
    order, insurance = ehr.shoulder(), ehr.coverage()
    chart = ehr.six_weeks_of_care(order)
    with Ehr([ehr.PATIENT, ehr.PHYSICIAN, ehr.PAYOR, insurance, *chart]) as server:
        server.takes_batches = True
        crd(ehr.sign(ehr.lumbar(), fhirServer=server.base))
        server.takes_batches = False
        server.asked.clear()
        information = crd(ehr.sign(order, fhirServer=server.base)).information
    assert information["pa-needed"] == "satisfied"
    assert server.asked[0] == "batch"
    assert len(server.asked) > 10


def test_b_a_server_whose_batch_takes_too_long_is_asked_piece_by_piece_from_then_on(
    crd: Crd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers a batch one search after the other: nothing of its charts would ever be seen."""
    with Ehr([ehr.PATIENT, ehr.PAYOR, ehr.coverage()]) as server:
        call = ehr.sign(ehr.shoulder(), sent=ehr.prefetch(), fhirServer=server.base)
        server.takes_batches = True
        crd(call)
        server.answers["Condition"] = "hang"
        with monkeypatch.context() as hasty:
            hasty.setattr("server.crd.ehr.DEADLINE", 1.0)
            crd(call)
        assert "batch" in server.asked
        server.answers.clear()
        server.asked.clear()
        crd(call)
        assert "batch" not in server.asked
        assert "Procedure?patient=anna" in server.asked


def test_b_queries_go_out_in_parallel(crd: Crd) -> None:
    order, insurance = ehr.shoulder(), ehr.coverage()
    with Ehr([ehr.PATIENT, ehr.PAYOR, insurance, *ehr.six_weeks_of_care(order)], delay=0.2) as server:
        crd(ehr.sign(order, fhirServer=server.base))
    assert len(server.asked) > 10
    assert server.most_at_once > 5


def test_b_the_token_goes_to_the_server_it_came_with_and_nowhere_else(crd: Crd) -> None:
    """Neither a reference to another server nor a redirect takes it along."""
    order, insurance = ehr.shoulder(), ehr.coverage()
    with (
        Ehr([ehr.PATIENT, insurance], token="") as elsewhere,
        Ehr([ehr.PATIENT, insurance], token="t") as own,
    ):
        order["requester"] = {"reference": f"{elsewhere.base}/Practitioner/dr-lee"}
        own.answers["Condition"] = "redirect"
        access = {"fhirServer": own.base, "fhirAuthorization": {"access_token": "t"}}
        crd(ehr.sign(order, **access))
    assert set(own.tokens) == {"Bearer t"}
    assert elsewhere.asked == []


# ---- C. Responses


def test_c_the_source_is_the_insurer_by_name_with_a_topic_of_the_version(crd: Crd) -> None:
    system = {
        "2.0": "http://hl7.org/fhir/us/davinci-crd/CodeSystem/temp",
        "2.2": "http://terminology.hl7.org/CodeSystem/cdshooks-card-type",
    }[crd.version]
    for card in crd(ehr.sign(ehr.shoulder(), sent=ehr.prefetch())).cards:
        assert card["source"]["label"] == "Example Health"
        assert card["source"]["topic"]["system"] == system
        assert card["uuid"]


def test_c_coverage_information_is_no_card(crd: Crd) -> None:
    answer = crd(ehr.sign(ehr.shoulder(), sent=ehr.prefetch()))
    assert "coverage-info" not in {card["source"]["topic"]["code"] for card in answer.cards}


def test_c_coverage_information_can_be_switched_off(crd: Crd) -> None:
    off = {"davinci-crd.configuration": {"coverage-info": False}}
    body = ehr.sign(ehr.shoulder(), sent=ehr.prefetch(), extension=off)
    assert crd(body).body["systemActions"] == []


def test_c_cards_of_links_have_no_suggestions_and_those_of_suggestions_no_links(crd: Crd) -> None:
    for card in crd(ehr.sign(ehr.mri("72158", "M54.16", place="22"), sent=ehr.prefetch())).cards:
        assert not {"links", "suggestions"} <= card.keys()
        assert len({link["type"] for link in card.get("links", [])}) <= 1
        for suggestion in card.get("suggestions", []):
            kinds = [action["type"] for action in suggestion["actions"]]
            assert kinds in (["update"], ["delete", "create"]) or set(kinds) == {"create"}


def test_c_no_card_sends_anybody_to_a_portal_to_begin_an_authorization(crd: Crd) -> None:
    for card in crd(ehr.sign(ehr.shoulder(), sent=ehr.prefetch())).cards:
        assert "portal" not in f"{card['summary']} {card['detail']}".lower()


def test_c1_an_order_with_two_billing_codes_gets_an_answer_each_in_2_2(crd_2_2: Crd) -> None:
    order = ehr.shoulder()
    order["code"]["coding"].append({"system": ehr.CPT, "code": "80053"})
    resource = crd_2_2(ehr.sign(order, sent=ehr.prefetch())).resources[order["id"]]
    said = {each["billingCode"][0]["code"]: each["pa-needed"] for each in coverage_informations(resource)}
    assert said == {"73221": "auth-needed", "80053": "no-auth"}
    again = crd_2_2(ehr.sign(resource, sent=ehr.prefetch()))
    assert len(again.informations) in (0, 2)


def test_c1_an_order_with_two_billing_codes_says_in_2_0_which_it_speaks_of(crd_2_0: Crd) -> None:
    order = ehr.shoulder()
    order["code"]["coding"].append({"system": ehr.CPT, "code": "80053"})
    information = crd_2_0(ehr.sign(order, sent=ehr.prefetch())).of(order)
    assert information["billingCode"][0]["code"] == "73221"


def test_c1_modifiers_are_no_second_billing_code(crd_2_2: Crd) -> None:
    order = ehr.shoulder()
    order["code"]["coding"].append({"system": ehr.CPT, "code": "73221-RT"})
    assert crd_2_2(ehr.sign(order, sent=ehr.prefetch())).of(order)["pa-needed"] == "auth-needed"


@pytest.mark.parametrize("order", [ehr.shoulder(), ehr.blood_test()], ids=["asked for", "free"])
def test_c1_what_is_said_of_a_coverage_holds_while_it_does(crd_2_2: Crd, order: dict[str, Any]) -> None:
    ending = ehr.coverage(period={"start": "2026-01-01", "end": "2026-12-31"})
    endless = ehr.coverage(period={"start": "2026-01-01"})
    told = [crd_2_2(ehr.sign(order, sent=ehr.prefetch([], each))).information for each in (ending, endless)]
    assert [each.get("expiry-date") for each in told] == ["2026-12-31", None]


def test_c1_an_authorization_says_until_when_and_how_much(crd: Crd) -> None:
    order = ehr.shoulder()
    information = crd(ehr.sign(order, sent=ehr.prefetch(ehr.six_weeks_of_care(order)))).information
    details = [{part["url"]: part for part in detail} for detail in information["detail"]]
    assert ("expiry-date" in information) == (crd.version == "2.2")
    assert {"category" in detail for detail in details} == {crd.version == "2.2"}
    period, quantity = (detail["value"] for detail in details)
    assert period["valuePeriod"] == {"start": ehr.DAY.isoformat(), "end": ehr.day(-60)}
    assert quantity["valueQuantity"]["value"] == 1


# ---- D. Errors and feedback


def test_d_what_is_no_json_is_400(crd: Crd) -> None:
    assert crd.refused(b"{no json")[0] == 400


@pytest.mark.parametrize("missing", ["hook", "hookInstance", "context"])
def test_d_a_missing_member_is_named_with_the_versions_status(crd: Crd, missing: str) -> None:
    body = ehr.sign(ehr.shoulder(), sent=ehr.prefetch())
    del body[missing]
    status, issues = crd.refused(body, "order-sign")
    assert status == REFUSED[crd.version]
    assert missing in issues


@pytest.mark.parametrize("other", ["1.0", ["2.0", "2.2"], {"version": "2.2"}], ids=repr)
def test_d_a_version_this_base_does_not_speak_is_422(crd: Crd, other: Any) -> None:
    asked = {"davinci-crd.requestedVersion": other}
    status, issues = crd.refused(ehr.sign(ehr.shoulder(), sent=ehr.prefetch(), extension=asked))
    assert (status, list(issues)) == (422, ["extension.davinci-crd.requestedVersion"])
    own = {"davinci-crd.requestedVersion": crd.version}
    assert crd(ehr.sign(ehr.shoulder(), sent=ehr.prefetch(), extension=own)).informations


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"intent": 7}, ".intent"),
        ({"requester": []}, ".requester"),
        ({"requester": '{"reference": "Practitioner/dr-lee"}'}, ".requester"),
        ({"contained": [{"resourceType": "Doctor"}]}, ".contained[0].resourceType"),
    ],
    ids=["a number", "a list", "JSON in a text", "no type of FHIR's"],
)
def test_d_an_order_that_is_no_fhir_is_named_by_its_place(
    crd: Crd, wrong: dict[str, Any], place: str
) -> None:
    status, issues = crd.refused(ehr.sign(ehr.shoulder(**wrong), sent=ehr.prefetch()))
    assert (status, list(issues)) == (
        REFUSED[crd.version],
        [f"context.draftOrders.entry[0].resource{place}"],
    )


@pytest.mark.parametrize("nameless", [{}, {"resourceType": ["ServiceRequest"]}], ids=repr)
def test_d_an_entry_that_does_not_say_what_it_is_is_named_by_its_place(
    crd: Crd, nameless: dict[str, Any]
) -> None:
    body = ehr.sign(ehr.shoulder(), sent=ehr.prefetch())
    body["context"]["draftOrders"]["entry"].append({"resource": nameless})
    status, issues = crd.refused(body)
    assert (status, list(issues)) == (
        REFUSED[crd.version],
        ["context.draftOrders.entry[1].resource.resourceType"],
    )


def test_d_an_unknown_service_is_404_another_method_405_another_type_415(crd: Crd) -> None:
    body = ehr.sign(ehr.shoulder(), sent=ehr.prefetch())
    assert crd.refused(body, "order-cancel")[0] == 404
    assert crd.http.put(f"{crd.base}/order-sign").status_code == 405
    plain = crd.http.post(f"{crd.base}/order-sign", content=b"x", headers={"Content-Type": "text/plain"})
    assert plain.status_code == 415


def test_d_feedback_is_kept_with_its_card_and_that_of_strangers_passed_over(crd: Crd) -> None:
    answer = crd(ehr.sign(ehr.shoulder(), sent=ehr.prefetch()))
    (card, *_) = [card for card in answer.cards if card.get("suggestions")]
    told = {
        "feedback": [
            {
                "card": card["uuid"],
                "outcome": "accepted",
                "acceptedSuggestions": [{"id": card["suggestions"][0]["uuid"]}],
                "outcomeTimestamp": "2026-11-20T12:01:00Z",
            },
            {
                "card": "11111111-1111-4111-8111-111111111111",
                "outcome": "overridden",
                "outcomeTimestamp": "2026-11-20T12:01:00Z",
            },
        ]
    }
    assert crd.post(told, "order-sign/feedback").status_code == 200
    with crd.app.state.services.store.reading() as tx:
        (kept,) = tx.scalars(select(Feedback).where(Feedback.card_uuid == card["uuid"]))
        known = tx.get(Card, card["uuid"])
    assert kept.content["acceptedSuggestions"] == told["feedback"][0]["acceptedSuggestions"]
    assert known is not None
    assert known.assertion_id == answer.information["coverage-assertion-id"]


@pytest.mark.parametrize("body", [{}, {"feedback": []}, {"feedback": [7]}, {"feedback": [{"card": 1}]}])
def test_d_feedback_that_says_nothing_is_refused(crd: Crd, body: dict[str, Any]) -> None:
    assert crd.refused(body, "order-sign/feedback")[0] == REFUSED[crd.version]


def test_d_what_was_asserted_is_found_again_and_a_what_if_leaves_no_authorization(crd: Crd) -> None:
    order, insurance = ehr.shoulder(), ehr.coverage()
    sent = ehr.prefetch(ehr.six_weeks_of_care(order), insurance)
    off = {"davinci-crd.configuration": {"unsolicited-determ": False}}
    explored = crd(ehr.sign(order, sent=sent, extension=off)).information
    with crd.app.state.services.store.reading() as tx:
        kept = assertions.by_id(tx, explored["coverage-assertion-id"])
        assert kept is not None
        assert kept.what_if
        assert kept.determination["decision"] == "approve"
        assert kept.coverage["subscriberId"] == insurance["subscriberId"]
        assert not authorizations.of_member(tx, f"member:{insurance['subscriberId']}")


def test_f25_an_exemption_of_nobody_exempts_nobody(crd: Crd) -> None:
    """Gold cards go by the orderer's number: a stranger's, none, and an empty one are no exemption."""
    for identifiers in (
        [],
        [{"system": "http://hl7.org/fhir/sid/us-npi", "value": ""}],
        ehr.PHYSICIAN["identifier"],
    ):
        sent = ehr.prefetch()
        sent["practitioner"] = (
            {**ehr.PHYSICIAN, "identifier": identifiers}
            if identifiers
            else {name: content for name, content in ehr.PHYSICIAN.items() if name != "identifier"}
        )
        assert crd(ehr.sign(ehr.shoulder(), sent=sent)).information["pa-needed"] == "auth-needed"


def test_f25_a_plan_with_an_empty_list_exempts_nobody(server: Server) -> None:
    app = server()
    crd = Crd(TestClient(app), "2.0", app)
    gold = {
        **ehr.PHYSICIAN,
        "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": GOLD}],
    }
    exempt = {**ehr.prefetch(), "practitioner": gold}
    assert crd(ehr.sign(ehr.shoulder(), sent=exempt)).information["pa-needed"] == "no-auth"
    programme = {
        "resourceType": "Group",
        "id": "gold-empty",
        "type": "practitioner",
        "actual": True,
        "member": [],
    }
    with app.state.services.store.transaction() as tx:
        records.put(tx, programme, None, app.state.services.clock())
    assert crd(ehr.sign(ehr.shoulder(), sent=ehr.prefetch())).information["pa-needed"] == "auth-needed"
