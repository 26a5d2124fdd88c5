"""Appointments as scheduling desks book them: for one order, for several, for one that cannot be read."""

import re
from typing import Any

import pytest

from tests.crd import builders as ehr
from tests.crd.conftest import Crd
from tests.crd.shape import Information, coverage_informations, reasons
from tests.ehr import Ehr

ALTERNATE = "http://hl7.org/fhir/StructureDefinition/alternate-reference"


def test_a_booked_appointment_is_answered_where_the_version_wants_it(crd: Crd) -> None:
    order = ehr.shoulder()
    sent = {**ehr.prefetch(ehr.six_weeks_of_care(order)), "serviceRequests": ehr.searchset([order])}
    (resource,) = crd(ehr.book(ehr.appointment("", order), sent=sent)).resources.values()
    assert resource["resourceType"] == {"2.0": "Appointment", "2.2": "ServiceRequest"}[crd.version]
    (information,) = coverage_informations(resource)
    assert information["pa-needed"] == "satisfied"
    assert information["billingCode"][0]["code"] == "73221"


def test_of_two_orders_imaged_at_one_appointment_each_gets_its_own_answer(crd: Crd) -> None:
    """The shoulder is documented and the back is not: one word for both would let the back go unasked."""
    shoulder, back = ehr.shoulder(), ehr.lumbar()
    sent = {**ehr.prefetch(ehr.six_weeks_of_care(shoulder)), "orders": ehr.searchset([shoulder, back])}
    answer = crd(ehr.book(ehr.appointment("", shoulder, back), sent=sent))
    assert set(answer.resources) == {shoulder["id"], back["id"]}
    assert answer.of(shoulder)["pa-needed"] == "satisfied"
    assert answer.of(back)["pa-needed"] == "auth-needed"


def test_an_appointment_whose_order_cannot_be_read_is_not_waved_through(crd: Crd) -> None:
    booked = ehr.appointment("", ehr.shoulder())
    _is_open(crd(ehr.book(booked, sent=ehr.prefetch())).of(booked), crd.version)


def test_an_appointment_for_an_order_without_a_billing_code_is_not_waved_through(crd: Crd) -> None:
    """The visit needs no authorization; whether the imaging does, nobody can tell from those words."""
    order = {**ehr.shoulder(), "code": ehr.concept(ehr.SNOMED, "241615005")}
    sent = {**ehr.prefetch(), "serviceRequests": ehr.searchset([order])}
    (information,) = crd(ehr.book(ehr.appointment("", order), sent=sent)).informations
    assert (information["covered"], information["pa-needed"]) == ("conditional", "conditional")


def test_nothing_is_granted_by_an_appointment_for_an_order_that_was_withdrawn(crd: Crd) -> None:
    order, other = ehr.shoulder(status="revoked"), ehr.lumbar()
    sent = {**ehr.prefetch(ehr.six_weeks_of_care(order)), "orders": ehr.searchset([order, other])}
    assert crd(ehr.book(ehr.appointment("", order), sent=sent)).body["systemActions"] == []
    assert set(crd(ehr.book(ehr.appointment("", order, other), sent=sent)).resources) == {other["id"]}


@pytest.mark.parametrize("whose", ["participant", "basedOn.resolve().subject"])
def test_an_appointment_of_somebody_else_is_not_answered_by_the_patients_insurance(
    crd: Crd, whose: str
) -> None:
    ben = {"reference": "Patient/ben"}
    order = ehr.shoulder(subject=ben)
    booked = ehr.appointment("", order)
    if whose == "participant":
        booked["participant"][0]["actor"] = ben
    sent = {**ehr.prefetch(), "serviceRequests": ehr.searchset([order])}
    status, issues = crd.refused(ehr.book(booked, sent=sent))
    assert (status, list(issues)) == (
        {"2.0": 422, "2.2": 400}[crd.version],
        [f"context.appointments.entry[0].resource.{whose}"],
    )


def test_an_order_inside_its_appointment_is_answered_where_the_client_can_keep_it(crd: Crd) -> None:
    """Its server holds the appointment, and no order of that id."""
    order = ehr.shoulder()
    booked = ehr.appointment("", contained=[order], basedOn=[{"reference": f"#{order['id']}"}])
    assert set(crd(ehr.book(booked, sent=ehr.prefetch())).resources) == {booked["id"]}


def test_an_order_inside_its_appointment_points_to_what_lies_beside_it(crd: Crd) -> None:
    pain = ehr.problem("M25.511")
    order = ehr.shoulder(reasonReference=[{"reference": f"#{pain['id']}"}])
    del order["reasonCode"]
    booked = ehr.appointment("", contained=[order, pain], basedOn=[{"reference": f"#{order['id']}"}])
    sent = ehr.prefetch(ehr.six_weeks_of_care(order))
    assert crd(ehr.book(booked, sent=sent)).of(booked)["pa-needed"] == "satisfied"


def test_an_appointment_that_does_not_name_its_patient_rests_on_nobody_elses_record(crd: Crd) -> None:
    imaging = ehr.concept(ehr.CPT, "73221", "73221-RT")
    booked = ehr.appointment(serviceType=[imaging], reasonCode=[ehr.concept(ehr.ICD, "M25.511")])
    unnamed = {**booked, "participant": [{"actor": ehr.ref(ehr.PHYSICIAN), "status": "accepted"}]}
    of_ben = [fact | {"subject": {"reference": "Patient/ben"}} for fact in ehr.six_weeks_of_care(booked)]
    sent = ehr.prefetch(of_ben)
    told = [reasons(crd(ehr.book(each, sent=sent)).of(each)) for each in (booked, unnamed)]
    assert told[0] == told[1]


def test_the_readable_one_of_two_orders_is_answered_and_the_other_left_open(crd: Crd) -> None:
    order = ehr.shoulder()
    booked = ehr.appointment("", order, ehr.lumbar())
    sent = {**ehr.prefetch(ehr.six_weeks_of_care(order)), "orders": ehr.searchset([order])}
    answer = crd(ehr.book(booked, sent=sent))
    assert answer.of(order)["pa-needed"] == "satisfied"
    _is_open(answer.of(booked), crd.version)


def test_a_brace_fitting_is_answered_for_the_device_order_behind_it(crd: Crd) -> None:
    """R4 lets an appointment be based on a ServiceRequest alone; any other order stands in an extension."""
    brace = {
        "resourceType": "DeviceRequest",
        "id": "brace",
        "status": "active",
        "intent": "order",
        "codeCodeableConcept": ehr.concept("https://bluebutton.cms.gov/resources/codesystem/hcpcs", "L1832"),
        "subject": ehr.ref(ehr.PATIENT),
        "authoredOn": ehr.day(0),
        "requester": ehr.ref(ehr.PHYSICIAN),
    }
    behind = {"extension": [{"url": ALTERNATE, "valueReference": ehr.ref(brace)}]}
    booked = ehr.appointment("", basedOn=[behind])
    answer = crd(ehr.book(booked, sent={**ehr.prefetch(), "deviceRequests": ehr.searchset([brace])}))
    information = answer.of({"2.0": booked, "2.2": brace}[crd.version])
    assert information["billingCode"][0]["code"] == "L1832"


@pytest.mark.parametrize("words", [[], [ehr.concept(ehr.SNOMED, "241615005")]])
def test_an_appointment_without_an_order_is_answered_by_the_service_it_names(
    crd: Crd, words: list[dict[str, Any]]
) -> None:
    """The billed code need not be the first that a scheduling system writes."""
    booked = ehr.appointment("", serviceType=[*words, ehr.concept(ehr.CPT, "73221")])
    assert crd(ehr.book(booked, sent=ehr.prefetch())).of(booked)["pa-needed"] == "auth-needed"


@pytest.mark.parametrize(
    ("named", "needs"),
    [
        ({"text": "MR SHOULDER RIGHT WO CONTRAST"}, "conditional"),
        (
            {"coding": [{"system": ehr.SNOMED, "code": "241615005", "display": "MRI of shoulder"}]},
            "conditional",
        ),
        ({"text": "Follow-up with Mr. Petrie"}, "no-auth"),
    ],
)
def test_a_study_that_is_booked_by_its_name_alone_is_not_told_to_be_a_mere_visit(
    crd: Crd, named: dict[str, Any], needs: str
) -> None:
    booked = ehr.appointment("", serviceType=[named])
    information = crd(ehr.book(booked, sent=ehr.prefetch())).of(booked)
    assert information["pa-needed"] == needs
    assert ("Add the CPT or HCPCS code to the appointment." in reasons(information)) == (
        needs == "conditional"
    )


def test_the_record_is_read_for_imaging_that_was_booked_without_an_order(crd: Crd) -> None:
    order = ehr.shoulder()
    booked = ehr.appointment("73221", reasonCode=order["reasonCode"])
    with Ehr([ehr.PATIENT, ehr.PAYOR, ehr.coverage(), *ehr.six_weeks_of_care(order)]) as server:
        answer = crd({**ehr.book(booked), "fhirServer": server.base})
    assert "Procedure?patient=anna" in server.asked
    assert "not sent" not in reasons(answer.of(booked))
    told = crd.http.get(crd.base).json()["services"][0]["usageRequirements"]
    assert not [text for text in server.asked if text != "metadata" and re.split("[?/]", text)[0] not in told]


@pytest.mark.parametrize(
    ("place", "site", "needs"), [("22", "PROFF", "satisfied"), ("21", "HRAD", "no-auth")]
)
def test_the_site_that_an_appointment_is_at_is_read_from_the_ehr(
    crd: Crd, place: str, site: str, needs: str
) -> None:
    """In an office nothing is open, though the order was for a hospital; an inpatient stays one in its
    radiology."""
    kind = ehr.concept("http://terminology.hl7.org/CodeSystem/v3-RoleCode", site)
    there = {"resourceType": "Location", "id": "mri", "type": [kind]}
    order = ehr.shoulder(place=place)
    booked = ehr.appointment("", order)
    booked["participant"] += [{"actor": ehr.ref(there), "status": "accepted"}]
    sent = {**ehr.prefetch(ehr.six_weeks_of_care(order)), "serviceRequests": ehr.searchset([order])}
    with Ehr([there]) as server:
        (told,) = crd({**ehr.book(booked, sent=sent), "fhirServer": server.base}).informations
    assert told["pa-needed"] == needs


def test_a_stay_in_hospital_that_imaging_is_booked_for_tells_where_it_is_done(crd_2_2: Crd) -> None:
    imaging = ehr.concept(ehr.CPT, "73221", "73221-RT")
    booked = ehr.appointment(serviceType=[imaging], reasonCode=ehr.shoulder()["reasonCode"])
    stay = {"serviceCategory": [ehr.concept("http://terminology.hl7.org/CodeSystem/v3-ActCode", "IMP")]}
    needs = [crd_2_2(ehr.book(each, sent=ehr.prefetch())).information for each in (booked, booked | stay)]
    assert [each["pa-needed"] for each in needs] == ["auth-needed", "no-auth"]


def test_an_appointment_that_is_only_looked_for_is_for_the_period_it_is_looked_for_in(crd: Crd) -> None:
    """Next week the insurance is in force, after it has ended it is not."""
    order = ehr.shoulder(occurrenceDateTime=ehr.day(-7))
    sent = {**ehr.prefetch(), "serviceRequests": ehr.searchset([order])}
    sought = ehr.appointment("", order, requestedPeriod=[{"start": "2028-01-15", "end": "2028-01-31"}])
    del sought["start"], sought["end"]
    told = [crd(ehr.book(each, sent=sent)).information for each in (ehr.appointment("", order), sought)]
    assert [each["covered"] for each in told] == ["covered", "not-covered"]


def _is_open(information: Information, version: str) -> None:
    """Neither needed nor not needed, and it says why."""
    word = {"2.0": "conditional", "2.2": "indeterminate"}[version]
    assert (information["covered"], information["pa-needed"]) == (word, word)
    assert "could not be read" in reasons(information)


def test_of_an_order_that_is_booked_twice_each_answer_says_which_appointment_it_is_about(
    crd_2_2: Crd,
) -> None:
    """The second is after the coverage has ended: covered and not covered, side by side, tell nothing."""
    order = ehr.shoulder()
    sooner, later = ehr.appointment("", order), ehr.appointment("", order, start="2028-01-15T09:00:00Z")
    sent = {**ehr.prefetch(ehr.six_weeks_of_care(order)), "serviceRequests": ehr.searchset([order])}
    told = crd_2_2(ehr.book(sooner, later, sent=sent)).informations
    assert [(each["covered"], each["dependency"]) for each in told] == [
        ("covered", [ehr.ref(sooner)]),
        ("not-covered", [ehr.ref(later)]),
    ]
    (alone,) = crd_2_2(ehr.book(sooner, sent=sent)).informations
    assert "dependency" not in alone
