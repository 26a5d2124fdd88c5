"""Orders as EHRs write them: own codes in front, the diagnosis in the problem list, no part named."""

from typing import Any

import pytest

from server.adjudication.order_lines import PAYLOADS
from tests.crd import builders as ehr
from tests.crd.conftest import Answered, Crd
from tests.crd.shape import coverage_informations, reasons
from tests.ehr import Ehr

OWN = {"system": "https://ehr.example/imaging", "code": "IMG-4"}
HAND, HIP = ehr.concept(ehr.SNOMED, "85562004"), ehr.concept(ehr.SNOMED, "29836001")
RIGHT = ehr.concept(ehr.SNOMED, "24028007")
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


def told_by(*problems: dict[str, Any], code: str = "73221", **changes: Any) -> dict[str, Any]:
    """An order without diagnoses of its own that points into the problem list."""
    order = ehr.mri(code, side="RT", reasonReference=[ehr.ref(problem) for problem in problems], **changes)
    return {name: content for name, content in order.items() if name != "reasonCode"}


def proposals(answer: Answered) -> list[str]:
    return [proposed["label"] for proposed in answer.suggestions]


def test_a_diagnosis_in_the_problem_list_tells_which_joint_is_meant(crd: Crd) -> None:
    pain = ehr.problem("M25.511")
    order = told_by(pain)
    sent = ehr.prefetch([pain, *ehr.six_weeks_of_care(order)])
    assert crd(ehr.sign(order, sent=sent)).information["pa-needed"] == "satisfied"


def test_an_order_without_the_words_of_its_narrative_is_judged_and_comes_back_as_it_was(crd: Crd) -> None:
    """Servers that keep narratives to themselves leave the status of one behind."""
    order = {**ehr.shoulder(), "text": {"status": "generated"}}
    (action,) = crd.post(ehr.sign(order, sent=ehr.prefetch())).json()["systemActions"]
    assert action["resource"]["text"] == order["text"]
    assert [each["covered"] for each in coverage_informations(action["resource"])] == ["covered"]


@pytest.mark.parametrize("status", [ehr.concept(VERIFICATION, "refuted"), {"text": "Refuted"}])
def test_a_problem_that_was_refuted_is_no_reason(crd: Crd, status: dict[str, Any]) -> None:
    pain = {**ehr.problem("M25.511"), "verificationStatus": status}
    order = told_by(pain)
    sent = ehr.prefetch([pain, *ehr.six_weeks_of_care(order)])
    assert crd(ehr.sign(order, sent=sent)).information["pa-needed"] == "auth-needed"


def test_a_diagnosis_contained_in_the_order_tells_it_too(crd: Crd) -> None:
    pain = ehr.problem("M25.511")
    order = {**told_by(pain), "contained": [pain], "reasonReference": [{"reference": f"#{pain['id']}"}]}
    assert crd(ehr.sign(order, sent=ehr.prefetch(ehr.six_weeks_of_care(order)))).information["pa-needed"] == (
        "satisfied"
    )


@pytest.mark.parametrize(
    "whose",
    [
        {"reference": "urn:uuid:6c1b7a1e-5b0c-4f7e-9f3a-000000000001"},
        {"type": "Patient", "identifier": ehr.PATIENT["identifier"][0]},
        {"display": "Anna Berg"},
    ],
)
def test_an_order_that_names_its_patient_otherwise_rests_on_nobody_elses_record(
    crd: Crd, whose: dict[str, Any]
) -> None:
    order = ehr.shoulder(subject=whose)
    own = ehr.six_weeks_of_care(order)
    of_ben = [fact | {"subject": {"reference": "Patient/ben"}} for fact in own]
    for chart, said in ((of_ben, "auth-needed"), (own, "satisfied")):
        assert crd(ehr.sign(order, sent=ehr.prefetch(chart))).information["pa-needed"] == said


def test_a_sided_diagnosis_is_proposed_beside_the_problem_list(crd: Crd) -> None:
    """The problem is not the order's to change; the better code stands in the order, before it."""
    pain = ehr.problem("M25.519")
    order = told_by(pain)
    answer = crd(ehr.sign(order, sent=ehr.prefetch([pain])))
    (changed,) = answer.proposed("Change the diagnosis to M25.511")
    assert changed["reasonCode"] == [ehr.concept(ehr.ICD, "M25.511")]
    assert changed["reasonReference"] == order["reasonReference"]


def test_the_clinics_own_code_in_front_hides_nothing_from_the_coaching(crd: Crd) -> None:
    order = ehr.mri("73221", "M79.641", bodySite=[HAND, RIGHT])
    order["code"]["coding"].insert(0, OWN)
    answer = crd(ehr.sign(order, sent=ehr.prefetch()))
    assert any(label.startswith("Change to 73218") for label in proposals(answer))


def test_no_other_code_is_proposed_where_site_and_diagnosis_name_two_joints(crd: Crd) -> None:
    """Hip and knee share 73721: what is wrong is the site or the diagnosis, and who orders knows which."""
    order = ehr.mri("73721", "M25.561", bodySite=[HIP, RIGHT])
    answer = crd(ehr.sign(order, sent=ehr.prefetch()))
    assert "The procedure code does not match the body part or the diagnosis" in reasons(answer.information)
    assert not any(label.startswith("Change to") for label in proposals(answer))


def test_a_diagnosis_that_several_parts_share_proposes_none_of_them(crd: Crd) -> None:
    """For a knee and a cancer of the past the cervical spine was proposed, which is the first to read it."""
    answer = crd(ehr.sign(ehr.mri("73721", "Z85.3", side="RT"), sent=ehr.prefetch()))
    assert not any(label.startswith("Change to") for label in proposals(answer))


GATES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, str]]] = {
    "the coverage has ended": (
        {},
        {"period": {"start": "2025-01-01", "end": "2025-12-31"}},
        {"covered": "not-covered"},
    ),
    "the plan asks for nothing": ({}, {"plan": "no-imaging-pa"}, {"pa-needed": "no-auth"}),
    "it is an emergency": ({"place": "23"}, {}, {"pa-needed": "no-auth"}),
}


@pytest.mark.parametrize("gate", GATES)
def test_what_is_settled_at_the_gate_is_settled_before_the_part_is_known(crd: Crd, gate: str) -> None:
    """A limb code with neither site nor diagnosis: which joint it is would not change these answers."""
    ordered, insured, expected = GATES[gate]
    order = {name: content for name, content in ehr.mri("73221", **ordered).items() if content}
    answer = crd(ehr.sign(order, sent=ehr.prefetch([], ehr.coverage(**insured))))
    assert expected.items() <= answer.information.items()
    assert "joint" not in reasons(answer.information)
    assert "doc-needed" not in answer.information


@pytest.mark.parametrize(
    "spelled", [["73221:RT"], ["73221:26,RT"], ["73221 rt"], ["73221", "RT"], ["73221-RT-26"]]
)
def test_a_side_is_read_however_its_modifier_is_written(crd: Crd, spelled: list[str]) -> None:
    """HL7's expression was taken for a code that nobody knows: covered without authorization."""
    order = ehr.mri("73221", "M25.511") | {"code": ehr.concept(ehr.CPT, *spelled)}
    (information,) = crd(ehr.sign(order, sent=ehr.prefetch(ehr.six_weeks_of_care(order)))).informations
    assert information["pa-needed"] == "satisfied"
    assert information["billingCode"] == [{"system": ehr.CPT, "code": "73221"}]


def test_a_code_of_cpt_is_one_under_the_name_of_hcpcs_too(crd: Crd) -> None:
    """X12 has one qualifier for both, and so have those who translate it."""
    order = ehr.mri("73221", "M25.511") | {"code": ehr.concept(HCPCS, "73221-RT")}
    information = crd(ehr.sign(order, sent=ehr.prefetch(ehr.six_weeks_of_care(order)))).information
    assert information["pa-needed"] == "satisfied"
    assert information["billingCode"] == [{"system": ehr.CPT, "code": "73221"}]


def test_what_is_done_counts_before_what_is_used(crd: Crd) -> None:
    """A contrast agent that an EHR lists first needs no authorization, and the study does."""
    order = ehr.shoulder()
    agent = {"system": "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "code": "A9576"}
    order["code"] = {"coding": [agent, *order["code"]["coding"]]}
    information = crd(ehr.sign(order, sent=ehr.prefetch(ehr.six_weeks_of_care(order)))).informations[0]
    assert information["pa-needed"] == "satisfied"
    assert information["billingCode"] == [{"system": ehr.CPT, "code": "73221"}]


def test_a_wrong_side_is_proposed_away_however_it_is_written(crd: Crd) -> None:
    order = ehr.mri("73221", "M25.511") | {"code": ehr.concept(ehr.CPT, "73221:LT", "LT")}
    (changed,) = crd(ehr.sign(order, sent=ehr.prefetch())).proposed("Change the side to right")
    assert changed["code"] == ehr.concept(ehr.CPT, "73221")


def test_a_side_in_words_is_proposed_away_as_well(crd: Crd) -> None:
    """An order that is called left and marked right is imaged on whichever somebody reads first."""
    sided = {"system": ehr.SNOMED, "code": "1", "display": "MRI of left shoulder"}
    order = ehr.mri("73221", "M25.511") | {
        "code": {
            "coding": [sided, {"system": ehr.CPT, "code": "73221", "display": "MRI, LEFT arm, joint"}],
            "text": "MRI of the left shoulder",
        },
        "bodySite": [{"text": "Left shoulder"}],
    }
    (changed,) = crd(ehr.sign(order, sent=ehr.prefetch())).proposed("Change the side to right")
    assert changed["code"] == {
        "coding": [{"system": ehr.CPT, "code": "73221", "display": "MRI, RIGHT arm, joint"}],
        "text": "MRI of the right shoulder",
    }
    assert changed["bodySite"] == [{"text": "Right shoulder"}, {**RIGHT, "text": "right"}]


def test_a_clinics_own_name_under_the_system_of_cpt_is_no_billing_code(crd: Crd) -> None:
    order = ehr.shoulder() | {"code": ehr.concept(ehr.CPT, "MRI-SHOULDER")}
    information = crd(ehr.sign(order, sent=ehr.prefetch())).information
    assert (information["covered"], information["pa-needed"]) == ("conditional", "conditional")
    assert "billingCode" not in information


ROLE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
"""What a Location of CRD 2.0.1 is told apart by; an order has no place of service there."""


def at(role: str, *, inside: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """A documented shoulder to be imaged at a Location of that type, and what is prefetched."""
    site = {
        "resourceType": "Location",
        "id": "mri",
        "status": "active",
        "name": "Imaging",
        "type": [ehr.concept(ROLE, role)],
        "address": {"line": ["1 Main Street"], "city": "Springfield", "state": "OH", "postalCode": "45501"},
        "managingOrganization": {"display": "Springfield Health"},
    }
    order = ehr.shoulder(locationReference=[{"reference": "#mri" if inside else "Location/mri"}])
    del order["locationCode"]
    chart = ehr.six_weeks_of_care(order)
    if inside:
        return {**order, "contained": [site]}, ehr.prefetch(chart)
    return order, {**ehr.prefetch(chart), "locations": site}


@pytest.mark.parametrize("inside", [False, True])
def test_the_location_of_an_order_says_where_it_is_to_be_done(crd: Crd, inside: bool) -> None:
    """In an office nothing is open. A hospital has to be explained, or the order moved, which then names the
    hospital no more."""
    office, sent = at("PROFF", inside=inside)
    assert crd(ehr.sign(office, sent=sent)).information["pa-needed"] == "satisfied"
    hospital, sent = at("HOSP", inside=inside)
    answer = crd(ehr.sign(hospital, sent=sent))
    assert answer.information["pa-needed"] == "auth-needed"
    (moved,) = answer.proposed("Image at: freestanding imaging center")
    assert not {"locationReference", "contained"} & set(moved)
    assert moved["locationCode"][0]["coding"][0]["code"] == "49"


def billed_as(*codes: str, own: dict[str, Any]) -> dict[str, Any]:
    """What is ordered by the clinic's own code, with what it may be billed as (`ext-billing-options`)."""
    url = "http://hl7.org/fhir/us/davinci-crd/StructureDefinition/ext-billing-options"
    options = [{"url": url, "valueCodeableConcept": ehr.concept(ehr.CPT, code)} for code in codes]
    return {"coding": [own], "extension": options}


def test_what_an_order_may_be_billed_as_is_judged(crd_2_2: Crd) -> None:
    order = {**ehr.shoulder(), "code": billed_as("73221", own=OWN)}
    answer = crd_2_2(ehr.sign(order, sent=ehr.prefetch(ehr.six_weeks_of_care(order))))
    assert answer.information["pa-needed"] == "satisfied"
    (kept,) = answer.resources.values()
    assert kept["code"] == order["code"], "the order goes back as it was written"


def test_each_code_that_a_visit_may_be_billed_as_gets_its_answer(crd_2_2: Crd) -> None:
    order = {**ehr.shoulder(), "code": billed_as("73221", "73222", own=OWN)}
    booked = ehr.appointment(serviceType=[order["code"]], reasonCode=order["reasonCode"])
    for body in (
        ehr.sign(order, sent=ehr.prefetch(ehr.six_weeks_of_care(order))),
        ehr.book(booked, sent=ehr.prefetch(ehr.six_weeks_of_care(order))),
    ):
        told = [each["billingCode"][0]["code"] for each in crd_2_2(body).informations]
        assert told == ["73221", "73222"]


HCPCS = "https://bluebutton.cms.gov/resources/codesystem/hcpcs"


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("product", ["Device", "Medication"])
def test_what_is_ordered_by_reference_is_coded_where_it_says_so(crd: Crd, product: str, inside: bool) -> None:
    """A brace and an infusion; the one by its own type, the other, on 2.2, by what it may be billed as."""
    url = "http://hl7.org/fhir/us/davinci-crd/StructureDefinition/ext-billing-options"
    own = {"Device": ("type", "codeReference"), "Medication": ("code", "medicationReference")}
    (says, refers), code = own[product], {"Device": "L1832", "Medication": "J1745"}[product]
    billed = ehr.concept(HCPCS, code)
    options = {"extension": [{"url": url, "valueCodeableConcept": billed}]}
    by_options = (crd.version, product) == ("2.2", "Medication")
    thing = {"resourceType": product, "id": "it", says: options if by_options else billed}
    order = {
        "resourceType": f"{product}Request",
        "id": "order",
        "status": "draft",
        "intent": "order",
        refers: {"reference": "#it" if inside else f"{product}/it"},
        "subject": ehr.ref(ehr.PATIENT),
        "authoredOn": ehr.day(0),
        "requester": ehr.ref(ehr.PHYSICIAN),
        **({"contained": [thing]} if inside else {}),
    }
    with Ehr([thing]) as server:
        told = crd({**ehr.sign(order, sent=ehr.prefetch()), "fhirServer": server.base}).information
    assert told["billingCode"][0]["code"] == code


def test_a_device_is_covered_on_the_day_it_is_needed(crd: Crd) -> None:
    """And not by an insurance that has ended by then. An MRI is timed by a Timing, as PAS has it."""
    brace = {
        "resourceType": "DeviceRequest",
        "id": "brace",
        "status": "draft",
        "intent": "order",
        "codeCodeableConcept": ehr.concept(HCPCS, "L1832"),
        "subject": ehr.ref(ehr.PATIENT),
        "authoredOn": ehr.day(0),
        "requester": ehr.ref(ehr.PHYSICIAN),
    }
    for needed, covered in ((ehr.day(-7), "covered"), ("2028-01-15", "not-covered")):
        timed = ehr.shoulder(occurrenceTiming={"event": [needed]})
        for order in ({**brace, "occurrencePeriod": {"start": needed}}, timed):
            assert crd(ehr.sign(order, sent=ehr.prefetch())).information["covered"] == covered


@pytest.mark.parametrize("spelled", PAYLOADS)
def test_a_copy_of_records_may_be_billed(crd_2_2: Crd, spelled: str) -> None:
    copied = billed_as("99080", own=OWN)
    order = {
        "resourceType": "CommunicationRequest",
        "id": "copy",
        "status": "draft",
        "subject": ehr.ref(ehr.PATIENT),
        "authoredOn": ehr.day(0),
        "requester": ehr.ref(ehr.PHYSICIAN),
        "payload": [
            {
                "extension": [{"url": spelled, "valueCodeableConcept": copied}],
                "contentString": "The notes of November",
            }
        ],
    }
    told = crd_2_2(ehr.sign(order, sent=ehr.prefetch())).information
    assert told["billingCode"][0]["code"] == "99080"


@pytest.mark.parametrize("named_by", ["Task", "PractitionerRole"])
def test_a_dispatch_is_to_the_site_that_its_task_or_its_performer_names(crd: Crd, named_by: str) -> None:
    order, sent = at("PROFF", inside=False)
    site = sent.pop("locations")
    del order["locationReference"]
    order["status"] = {"2.0": "draft", "2.2": "active"}[crd.version]
    role = {"resourceType": "PractitionerRole", "id": "role", "location": [ehr.ref(site)]}
    place = {"Task": {"location": ehr.ref(site)}, "PractitionerRole": {}}[named_by]
    body = sent_out(order, sent, crd.version, **place)
    if named_by == "PractitionerRole":
        body["context"]["performer"] = "PractitionerRole/role"
    with Ehr([site, role]) as server:
        assert crd({**body, "fhirServer": server.base}).information["pa-needed"] == "satisfied"


def test_a_dispatch_is_for_the_period_that_its_task_names(crd: Crd) -> None:
    """By which the insurance may have ended."""
    order, year = ehr.shoulder(), {"start": "2026-01-01", "end": "2026-12-31"}
    sent = ehr.prefetch(insurance=ehr.coverage(period=year))
    told = []
    for period in ({"start": "2026-12-01", "end": "2026-12-31"}, {"start": "2027-01-04"}):
        body = sent_out(order, sent, crd.version, restriction={"period": period})
        told.append(crd(body).information["covered"])
    assert told == ["covered", "not-covered"]


def test_a_dispatch_that_only_says_until_when_leaves_the_day_of_the_order(crd: Crd) -> None:
    """On which the insurance may not be there any more, though it is today."""
    order, year = ehr.shoulder(occurrenceDateTime="2027-01-04"), {"start": "2026-01-01", "end": "2026-12-31"}
    sent = ehr.prefetch(insurance=ehr.coverage(period=year))
    body = sent_out(order, sent, crd.version, restriction={"period": {"end": "2027-02-28"}})
    assert crd(body).information["covered"] == "not-covered"


def test_a_dispatch_for_a_period_with_the_day_of_the_order_in_it_has_the_number_of_the_order(
    crd: Crd,
) -> None:
    """Which is good from that day on, and not yet when the period begins."""
    order = ehr.shoulder(occurrenceDateTime=ehr.day(-10))
    sent = ehr.prefetch(ehr.six_weeks_of_care(order))
    signed = crd(ehr.sign(order, sent=sent)).information
    order["status"] = {"2.0": "draft", "2.2": "active"}[crd.version]
    period = {"start": ehr.day(0), "end": ehr.day(-60)}
    dispatched = crd(sent_out(order, sent, crd.version, restriction={"period": period})).information
    assert dispatched["satisfied-pa-id"] == signed["satisfied-pa-id"]


def sent_out(order: dict[str, Any], sent: dict[str, Any], version: str, **changes: Any) -> dict[str, Any]:
    """A dispatch with a Task for the order."""
    task = {"resourceType": "Task", "status": "draft", "intent": "order", "focus": ehr.ref(order), **changes}
    body = ehr.dispatch(order, sent, version)
    tasks = {"2.0": {"task": task}, "2.2": {"fulfillmentTasks": [task]}}[version]
    return {**body, "context": {**body["context"], **tasks}}
