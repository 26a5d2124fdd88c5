"""Authorization asked for after the study: late, unless it was urgent, none was needed, or it was there."""

from typing import Any

import pytest

from server.pas.terms import LEVEL_OF_SERVICE, PAS_CODES
from tests.pas import builders as a
from tests.pas import charts
from tests.pas.conftest import Answer, Payer
from tests.pas.test_changes import marked, update
from tests.review.test_desk import ONE_BASE

Resource = dict[str, Any]

EMERGENCY = {
    "url": a.extension_url("levelOfServiceCode"),
    "valueCodeableConcept": a.concept(LEVEL_OF_SERVICE, "03"),
}
STAT = a.concept("http://terminology.hl7.org/CodeSystem/processpriority", "stat")
ASKED = "2026-11-25"
"""A Wednesday, and five days after the order was written."""


def asked(payer: Payer, day: str, plan: str = "evicore", place: str = "11", **claim: object) -> Answer:
    line = a.item(servicedDate=day, locationCodeableConcept=a.concept(a.PLACE, place))
    said = a.claim(line, **{"created": ASKED, **claim})
    return payer.submit(a.request(*charts.meets_every_criterion(), claim=said, coverage=a.coverage(plan)))


@pytest.mark.parametrize(
    ("done", "priority", "action"),
    [
        ("2026-11-25", {}, "A1"),
        ("2026-11-24", {}, "A3"),
        ("2026-11-23", {"priority": STAT}, "A1"),
        ("2026-11-23", {"extension": [EMERGENCY]}, "A1"),
        ("2026-11-20", {"priority": STAT}, "A3"),
    ],
    ids=[
        "on the day",
        "the day after",
        "urgent, two working days after",
        "emergency, two working days after",
        "urgent, three after",
    ],
)
def test_it_counts_from_the_day_of_asking_and_not_of_the_order(
    payer: Payer, done: str, priority: dict[str, object], action: str
) -> None:
    answer = asked(payer, done, **priority)

    assert answer.action == action
    assert ("G-RETRO" in answer.words) == (action == "A3")


@ONE_BASE
def test_an_item_is_for_the_day_of_the_patient_event_unless_it_names_another(payer: Payer) -> None:
    yesterday = {
        "sequence": 1,
        "category": a.concept(PAS_CODES, "patientEvent"),
        "timingPeriod": {"start": "2026-11-24", "end": "2026-11-24"},
    }
    dayless = a.item()
    del dayless["servicedDate"]
    done, to_be_done = (
        payer.submit(
            a.request(
                *charts.meets_every_criterion(),
                claim=a.claim(item, supportingInfo=[yesterday], created=ASKED),
            )
        )
        for item in (dayless, a.item(servicedDate=ASKED))
    )

    assert done.action == "A3"
    assert "G-RETRO" in done.words
    assert to_be_done.action == "A1"


@ONE_BASE
@pytest.mark.parametrize(
    ("timing", "action"),
    [
        ({"event": ["2026-11-24"]}, "A3"),
        ({"event": ["2026-11-24", "2026-12-08"]}, "A1"),
        ({"repeat": {"boundsPeriod": {"start": "2026-11-23", "end": "2026-11-24"}, "count": 1}}, "A3"),
    ],
    ids=["the day before", "two days", "within a period"],
)
def test_an_item_that_names_no_day_is_for_those_its_order_is_timed_for(
    payer: Payer, timing: dict[str, object], action: str
) -> None:
    dayless = a.item()
    del dayless["servicedDate"]
    claim, order = a.claim(dayless, created=ASKED), a.order(occurrenceTiming=timing)
    answer = payer.submit(a.request(*charts.meets_every_criterion(), claim=claim, order=order))

    assert answer.action == action
    assert ("G-RETRO" in answer.words) == (action == "A3")


@ONE_BASE
@pytest.mark.parametrize(
    ("done", "created", "action"),
    [
        ("2026-11-25", "2026-11-30", "A1"),
        ("2026-11-25", "2026-12-01", "A3"),
        ("2026-07-02", "2026-07-07", "A1"),
        ("2026-12-31", "2027-01-05", "A1"),
        ("2027-12-23", "2027-12-28", "A1"),
        ("2026-12-24", "2026-12-30", "A3"),
    ],
    ids=[
        "Thanksgiving",
        "and a day",
        "Independence Day on a Saturday",
        "New Year",
        "Christmas",
        "and another",
    ],
)
def test_a_federal_holiday_is_no_working_day(payer: Payer, done: str, created: str, action: str) -> None:
    answer = asked(payer, done, priority=STAT, created=created)

    assert ("G-RETRO" in answer.words) == (action == "A3")


def test_nobody_is_late_with_what_needs_no_authorization(payer: Payer) -> None:
    for spared in (asked(payer, "2026-11-24", place="23"), asked(payer, "2026-11-24", plan="no-imaging-pa")):
        assert spared.response["disposition"] == "No authorization required"


def test_what_was_authorized_in_time_is_found_when_asked_for_again_after_the_study(payer: Payer) -> None:
    first = asked(payer, "2026-12-01")

    assert asked(payer, "2026-12-01", created="2026-12-03").number == first.number


def test_a_change_after_the_study_is_not_late_where_the_request_was_not(payer: Payer) -> None:
    asked(payer, "2026-12-01", identifier=a.claim()["identifier"])
    moved = payer.submit(update(marked(a.item(servicedDate="2026-12-02"), "changed"), created="2026-12-04"))

    assert moved.action == "A1"


def test_a_line_that_a_change_adds_is_asked_for_on_the_day_of_the_change(payer: Payer) -> None:
    asked(payer, "2026-12-01", identifier=a.claim()["identifier"])
    stood = a.item(servicedDate="2026-12-01")
    added = [a.item(each, "72148", modifier=[], servicedDate="2026-12-0" + str(each)) for each in (2, 4)]
    further = payer.submit(update(stood, *(marked(line, "added") for line in added), created="2026-12-04"))

    assert further.actions[:2] == ["A1", "A3"]
    assert further.actions[2] != "A3"
    assert "G-RETRO" in further.words


def running(since: str = "2026-11-10", **changes: Any) -> Resource:
    """An item of whose planned period the first days are over."""
    line = {name: content for name, content in a.item(**changes).items() if name != "servicedDate"}
    return {**line, "servicedPeriod": {"start": since, "end": "2026-12-20"}}


def test_while_a_planned_period_runs_the_study_may_be_still_to_come(payer: Payer) -> None:
    answer = payer.submit(a.request(*charts.meets_every_criterion(), claim=a.claim(running())))

    assert answer.action == "A1"


@pytest.mark.parametrize("service", ["73221", "73030"])
@pytest.mark.parametrize(
    ("since", "insured", "action"),
    [
        ("2026-11-10", {"start": "2026-11-15"}, "A1"),
        ("2026-11-10", {"end": "2026-11-22"}, "A3"),
        ("2026-11", {"end": "2026-11-22"}, "A3"),
    ],
)
def test_while_a_planned_period_runs_coverage_counts_for_what_is_to_come(
    payer: Payer, service: str, since: str, insured: Resource, action: str
) -> None:
    """Who joined after its first day is insured on those that are authorized, who left since is not."""
    card = a.coverage(period=insured)
    claim = a.claim(running(since, service=service))
    answer = payer.submit(a.request(*charts.meets_every_criterion(), claim=claim, coverage=card))

    assert answer.action == action


@ONE_BASE
@pytest.mark.parametrize(
    ("insured", "lacking"), [({"start": "2026-11-22"}, "2026-11-20"), ({"end": "2026-11-22"}, "2026-12-01")]
)
def test_what_is_denied_for_want_of_coverage_names_the_day_that_lacks_it(
    payer: Payer, insured: Resource, lacking: str
) -> None:
    """The order was written on the 20th of November, for the first of December."""
    card = a.coverage(period=insured)
    denied = payer.submit(a.request(claim=a.claim(a.item(service="73030")), coverage=card))

    assert f"not active on {lacking}." in denied.words
