"""Imaging that needs authorization and has no policy: people decide, and what they decided holds."""

from typing import Any

from tests.pas import builders as a
from tests.pas.conftest import Answer, Payer
from tests.pas.test_agreement import said_by_crd
from tests.review.test_desk import decide, waiting

Resource = dict[str, Any]


def pelvis(**changes: Any) -> Resource:
    order = a.order(code=a.concept(a.CPT, "72195"), reasonCode=[a.concept(a.ICD, "R10.2")], **changes)
    return {name: content for name, content in order.items() if name != "bodySite"}


def asked(payer: Payer, created: str = "2026-11-25", order: Resource | None = None, **item: Any) -> Answer:
    line = a.item(service="72195", **item)
    del line["modifier"]
    claim = a.claim(line, diagnosis=[a.diagnosis("R10.2")], created=created)
    return payer.submit(a.request(claim=claim, order=order or pelvis()))


def test_it_is_said_to_need_authorization_and_waits_for_a_person(payer: Payer) -> None:
    information = said_by_crd(payer, pelvis())
    answer = asked(payer)

    assert (information["covered"], information["pa-needed"]) == ("covered", "auth-needed")
    assert answer.action == "A4"
    assert "no rule decides it" in answer.words


def test_what_the_reviewer_authorized_both_doors_find_again(payer: Payer) -> None:
    asked(payer)
    number = decide(payer, "approve", waiting(payer)).json()["number"]
    information = said_by_crd(payer, pelvis(occurrenceDateTime="2026-12-01"))
    again = asked(payer, created="2026-11-26")

    assert information["satisfied-pa-id"] == number
    assert (again.action, again.number) == ("A1", number)


def test_an_emergency_needs_none(payer: Payer) -> None:
    emergency = a.concept(a.PLACE, "23")
    information = said_by_crd(payer, pelvis(locationCode=[emergency]))
    answer = asked(payer, locationCodeableConcept=emergency)

    assert information["pa-needed"] == "no-auth"
    assert answer.response["disposition"] == "No authorization required"


def test_an_urgent_one_is_due_in_three_days_for_as_many_as_were_asked_for(payer: Payer) -> None:
    asked(payer, order=pelvis(priority="stat"), quantity={"value": 2, "unit": "unit"})
    queued = waiting(payer)
    decide(payer, "approve", queued)

    assert queued["expedited"]
    assert queued["due"].startswith("2026-11-28")
    (found,) = payer.inquire(a.inquiry())
    granted = payer.http.get(f"/why/{found.number}").json()
    assert granted["units"] == 2
