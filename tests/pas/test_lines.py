"""A Claim.item as the order that the rules read."""

from collections.abc import Callable
from typing import Any

import pytest

from server.pas import intake, lines, v2_0
from server.pas.chart import local_chart
from server.pas.terms import ENTITY, LEVEL_OF_SERVICE
from tests.pas import builders as a

Resource = dict[str, Any]


def order_of(bundle: Resource, index: int = 0) -> Resource:
    read = intake.read(a.raw(bundle), v2_0.SUBMIT)
    chart = local_chart(read.resolver)
    claim = chart.of(read.claim)
    return lines.order_of(claim, claim["item"][index], chart)


def codes(concept: Resource) -> list[str]:
    return [coding["code"] for coding in concept["coding"]]


def test_the_billed_code_comes_first_and_its_modifiers_after_it() -> None:
    modified = a.item(modifier=[a.concept(a.CPT, "RT"), a.concept(a.CPT, "26")])

    assert codes(order_of(a.request(claim=a.claim(modified)))["code"]) == ["73221", "73221-RT", "73221-26"]


def test_site_notes_and_therapy_come_from_the_requested_service() -> None:
    ordered = a.order(note=[{"text": "fell on it"}], basedOn=[{"reference": "ServiceRequest/mri"}])
    order = order_of(a.request(order=ordered))

    assert order["id"] == "mri"
    assert codes(order["bodySite"][0]) == [a.SHOULDER]
    assert order["note"] == [{"text": "fell on it"}]
    assert order["basedOn"] == [{"reference": "ServiceRequest/mri"}]


@pytest.mark.parametrize(
    "told",
    [
        {"category": [a.concept(a.SNOMED, "363679005")]},
        {"supportingInfo": [{"reference": "DiagnosticReport/film"}]},
        {"reasonReference": [{"reference": "Condition/tear"}]},
        {"locationReference": [{"reference": "Location/centre"}]},
        {"performer": [{"reference": "Organization/centre"}]},
        {"performerType": a.concept(a.SNOMED, "66862007")},
        {"quantityRatio": {"numerator": {"value": 1}, "denominator": {"value": 1}}},
        {"quantityRange": {"low": {"value": 1}, "high": {"value": 2}}},
        {"contained": [{"resourceType": "Location", "id": "centre"}]},
    ],
    ids=lambda told: next(iter(told)),
)
def test_what_the_order_alone_can_tell_is_taken_from_it(told: Resource) -> None:
    bare = a.item()
    del bare["quantity"]
    order = order_of(a.request(claim=a.claim(bare), order=a.order(**told)))

    assert {name: order[name] for name in told} == told


def test_diagnoses_stand_in_the_order_the_item_points_at_them() -> None:
    asked = a.claim(
        a.item(diagnosisSequence=[2, 1]), diagnosis=[a.diagnosis("M25.511", 1), a.diagnosis("M75.111", 2)]
    )
    order = order_of(a.request(claim=asked))

    assert [codes(reason) for reason in order["reasonCode"]] == [["M75.111"], ["M25.511"]]


def test_an_item_that_points_at_no_diagnosis_has_them_all() -> None:
    unpointed = a.item()
    del unpointed["diagnosisSequence"]
    asked = a.claim(unpointed, diagnosis=[a.diagnosis("M25.511", 1), a.diagnosis("M75.111", 2)])

    assert [codes(reason) for reason in order_of(a.request(claim=asked))["reasonCode"]] == [
        ["M25.511"],
        ["M75.111"],
    ]


def test_reasons_of_the_order_that_the_claim_names_too_are_not_doubled() -> None:
    ordered = a.order(reasonCode=[a.concept(a.ICD, "M75.111"), a.concept(a.ICD, "M25.511")])

    assert [codes(reason) for reason in order_of(a.request(order=ordered))["reasonCode"]] == [
        ["M75.111"],
        ["M25.511"],
    ]


def test_place_quantity_and_day_are_those_of_the_item() -> None:
    ordered = a.order(occurrenceTiming={"event": ["2026-12-24"]}, quantityQuantity={"value": 3})
    order = order_of(a.request(order=ordered))

    assert codes(order["locationCode"][0]) == ["11"]
    assert order["quantityQuantity"]["value"] == 1
    assert order["occurrenceDateTime"] == "2026-12-01"
    assert "occurrenceTiming" not in order


def test_day_zero_is_the_day_of_the_order_else_of_the_claim() -> None:
    undated = a.order()
    del undated["authoredOn"]

    assert order_of(a.request())["authoredOn"] == "2026-11-20"
    assert order_of(a.request(order=undated))["authoredOn"] == "2026-11-25"


def test_urgency_is_the_claims_then_the_orders() -> None:
    stat = a.concept("http://terminology.hl7.org/CodeSystem/processpriority", "stat")

    assert (
        order_of(a.request(claim=a.claim(priority=stat), order=a.order(priority="routine")))["priority"]
        == "stat"
    )
    assert order_of(a.request(order=a.order(priority="urgent")))["priority"] == "urgent"
    level = {
        "url": a.extension_url("levelOfServiceCode"),
        "valueCodeableConcept": a.concept(LEVEL_OF_SERVICE, "U"),
    }
    for code, is_then in (("03", "urgent"), ("E", "routine")):
        said = {**level, "valueCodeableConcept": a.concept(LEVEL_OF_SERVICE, code)}
        asked = a.request(claim=a.claim(extension=[said]), order=a.order(priority="routine"))
        assert order_of(asked)["priority"] == is_then
    for own, is_then in (("routine", "urgent"), ("asap", "asap"), ("stat", "stat")):
        urgent = a.request(claim=a.claim(extension=[level]), order=a.order(priority=own))
        assert order_of(urgent)["priority"] == is_then
    assert "priority" not in order_of(a.request())


def test_who_ordered_is_named_by_the_order_then_the_care_team_then_the_claim() -> None:
    doctor = {"resourceType": "Practitioner", "id": "doctor"}
    surgeon = {"resourceType": "Practitioner", "id": "surgeon"}
    team = [
        {
            "extension": [{"url": a.extension_url("careTeamClaimScope"), "valueBoolean": True}],
            "sequence": 1,
            "provider": {"reference": "Practitioner/surgeon"},
        }
    ]
    ordered = a.order(requester={"reference": "Practitioner/doctor"})
    with_team = a.claim(careTeam=team)

    assert (
        order_of(a.request(doctor, surgeon, claim=with_team, order=ordered))["requester"]["reference"]
        == "Practitioner/doctor"
    )
    assert order_of(a.request(surgeon, claim=with_team))["requester"]["reference"] == "Practitioner/surgeon"
    assert order_of(a.request())["requester"]["reference"] == "Organization/clinic"


@pytest.mark.parametrize(
    ("roles", "ordered"),
    [
        (("", "DK"), "second"),
        (("AAJ", "DN"), "second"),
        (("SJ", ""), "second"),
        (("77", "FA"), "clinic"),
        (("QB", "AAJ"), "clinic"),
        (("71", "DK"), "second"),
        (("71", ""), "first"),
    ],
)
def test_the_roles_of_a_care_team_tell_who_ordered_and_who_carries_out(
    roles: tuple[str, str], ordered: str
) -> None:
    """X12 NM101: DK orders, DN refers; 77, AAJ, FA, QB and SJ carry out; 71 attends."""
    team = [
        {
            "sequence": sequence,
            "provider": {"reference": f"Practitioner/{name}"},
            "extension": [{"url": a.extension_url("careTeamClaimScope"), "valueBoolean": True}],
            **({"role": a.concept(ENTITY, role)} if role else {}),
        }
        for sequence, (name, role) in enumerate(zip(("first", "second"), roles, strict=True), 1)
    ]
    people = [{"resourceType": "Practitioner", "id": name} for name in ("first", "second")]
    requester = order_of(a.request(*people, claim=a.claim(careTeam=team)))["requester"]

    assert requester["reference"].partition("/")[2] == ordered


def test_without_a_requested_service_the_item_alone_makes_the_order() -> None:
    alone = a.item(extension=[], bodySite=a.concept(a.SNOMED, a.SHOULDER))
    order = order_of(a.request(claim=a.claim(alone)))

    assert order["id"] == "pa-1-1"
    assert codes(order["bodySite"][0]) == [a.SHOULDER]
    assert codes(order["code"]) == ["73221", "73221-RT"]


def test_an_item_about_no_code_takes_the_orders() -> None:
    absent = a.item(productOrService=a.concept(a.DATA_ABSENT, "not-applicable"))

    assert codes(order_of(a.request(claim=a.claim(absent)))["code"]) == ["73221", "73221-RT"]


def test_an_order_of_whatever_type_names_its_service_and_who_ordered_it() -> None:
    absent = a.item(productOrService=a.concept(a.DATA_ABSENT, "not-applicable"))
    device = {**a.order(codeCodeableConcept=a.concept(a.CPT, "73221")), "resourceType": "DeviceRequest"}
    named = [
        *absent["extension"][:3],
        {**absent["extension"][3], "valueReference": {"reference": a.name(device)}},
    ]
    del device["code"]
    order = order_of(a.request(claim=a.claim({**absent, "extension": named}), order=device))

    assert codes(order["code"]) == ["73221", "73221-RT"]
    assert order["authoredOn"] == "2026-11-20"


def test_a_diagnosis_that_was_refuted_is_none() -> None:
    status = a.concept("http://terminology.hl7.org/CodeSystem/condition-ver-status", "refuted")
    condition = {"resourceType": "Condition", "id": "tear", "code": a.concept(a.ICD, "M75.111")}
    referring = a.claim(diagnosis=[{"sequence": 1, "diagnosisReference": {"reference": "Condition/tear"}}])

    assert "reasonCode" in order_of(a.request(condition, claim=referring))
    refuted = {**condition, "verificationStatus": status}
    assert "reasonCode" not in order_of(a.request(refuted, claim=referring))


def test_the_assertion_of_crd_ties_the_request_to_its_answer() -> None:
    told = a.order(extension=[a.coverage_information("as-1")])

    assert lines.assertion_id(order_of(a.request(order=told))) == "as-1"
    assert lines.assertion_id(order_of(a.request())) is None


def test_an_accident_is_the_onset_of_the_diagnosis_by_an_injury() -> None:
    read = intake.read(a.raw(a.request(claim=a.claim(accident={"date": "2026-10-01"}))), v2_0.SUBMIT)
    chart = local_chart(read.resolver)
    claim = chart.of(read.claim)
    injury = lines.injury(claim, claim["item"][0], chart)

    assert injury is not None
    assert injury["onsetDateTime"] == "2026-10-01"
    assert codes(injury["code"]) == ["M75.111", "T14.90XA"]


@pytest.mark.parametrize("written", [a.with_absolute_references, a.with_uuids])
def test_the_chart_reads_the_same_however_references_are_written(
    written: Callable[[Resource], Resource],
) -> None:
    """urn:uuid, absolute and relative names lead to one and the same chart."""
    therapy = {
        "resourceType": "Procedure",
        "id": "pt-1",
        "status": "completed",
        "subject": {"reference": "Patient/anna"},
        "basedOn": [{"reference": "ServiceRequest/mri"}],
    }
    bundle = a.request(therapy)
    here = local_chart(intake.read(a.raw(bundle), v2_0.SUBMIT).resolver)
    there = local_chart(intake.read(a.raw(written(bundle)), v2_0.SUBMIT).resolver)

    assert here.resources == there.resources
    assert order_of(bundle) == order_of(written(bundle))


def test_two_resources_with_one_id_stay_two() -> None:
    """Entries of two servers may share `Type/id`; neither may stand for the other."""
    bundle = a.with_absolute_references(a.request())
    stranger = a.anna(name=[{"family": "Other"}])
    bundle["entry"].append({"fullUrl": "https://elsewhere.example/fhir/Patient/anna", "resource": stranger})
    chart = local_chart(intake.read(a.raw(bundle), v2_0.SUBMIT).resolver)
    patients = [one for one in chart.resources if one["resourceType"] == "Patient"]

    assert len({one["id"] for one in patients}) == 2


def test_a_resource_without_an_id_is_called_by_its_uuid() -> None:
    bundle = a.with_uuids(a.request())
    del bundle["entry"][1]["resource"]["id"]
    chart = local_chart(intake.read(a.raw(bundle), v2_0.SUBMIT).resolver)

    assert "Patient/00000002-0000-4000-8000-000000000000" in chart.by_name
