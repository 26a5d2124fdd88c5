"""The decision clock of pended lines: what happens when the time is up."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import inspect

from server import background
from server.clock import SetClock
from server.pas.clock import CLOCK, Clock
from server.store import authorizations, cases, events, subscriptions
from server.store import tables as stored
from tests.conftest import NewDatabase, started
from tests.pas import builders as a
from tests.pas import charts
from tests.pas.conftest import FHIR, Answer, Payer
from tests.review.test_desk import ONE_BASE, SECOND, decide, pended, waiting
from tests.subscriptions.builders import NOBODY, subscription

Resource = dict[str, Any]

WEEK = dt.timedelta(days=7)


def clock(payer: Payer, passed: dt.timedelta) -> Clock:
    """The decision clock as it stands so much later."""
    services = payer.app.state.services
    return background.clock(replace(services, clock=SetClock(services.clock() + passed)))


def history(payer: Payer, answer: Answer) -> list[tuple[str, int, str]]:
    with payer.app.state.services.store.reading() as tx:
        told = events.of_case(tx, answer.response["id"])
    return [(event.kind, event.sequence, event.actor) for event in told]


def in_review(*items: Resource, **changes: Any) -> Resource:
    return a.request(
        charts.answers(**charts.SHORT_TRIAL),
        *charts.film_and_examination(),
        coverage=a.coverage("reviewed"),
        claim=a.claim(*items, **changes),
    )


def test_information_that_never_came_is_a_denial_that_says_what_was_missing(payer: Payer) -> None:
    pended = payer.submit(a.request())
    clock(payer, WEEK).sweep()
    found = payer.on_file()

    assert pended.action == "A4"
    assert found.action == "A3"
    for owed in ("IMG-XR", "was asked for and had not come by 2026-12-02", "Guideline:", "Appeal:"):
        assert owed in found.words
    assert history(payer, pended)[-1] == ("decided", 1, CLOCK)
    why = payer.http.get(f"/why/{pended.response['id']}-1").json()
    assert (why["decision"], why["answered"]["action"], why["answered"]["by"]) == ("more-info", "A3", CLOCK)


def test_until_it_is_due_nothing_happens(payer: Payer) -> None:
    payer.submit(a.request())
    clock(payer, WEEK - dt.timedelta(seconds=1)).sweep()

    assert payer.on_file().action == "A4"


def test_an_expedited_request_is_due_in_three_days(payer: Payer) -> None:
    stat = a.concept("http://terminology.hl7.org/CodeSystem/processpriority", "stat")
    payer.submit(a.request(claim=a.claim(priority=stat)))
    clock(payer, dt.timedelta(hours=71)).sweep()
    assert payer.on_file().action == "A4"

    clock(payer, dt.timedelta(hours=72)).sweep()
    assert payer.on_file().action == "A3"


@ONE_BASE
def test_so_is_one_for_a_limb_of_which_nobody_says_the_part(payer: Payer) -> None:
    stat = a.concept("http://terminology.hl7.org/CodeSystem/processpriority", "stat")
    asked = a.claim(priority=stat, diagnosis=[a.diagnosis("M25.50")])
    pended = payer.submit(a.request(order=a.order(bodySite=[]), claim=asked))
    clock(payer, dt.timedelta(days=3)).sweep()

    assert (pended.action, "COD-CPT" in pended.words) == ("A4", True)
    assert payer.on_file().action == "A3"


def test_where_only_people_may_deny_it_goes_to_them_with_that_recommendation(payer: Payer) -> None:
    payer.submit(a.request(coverage=a.coverage("reviewed")))
    assert payer.http.get("/review").json()["items"] == []

    clock(payer, WEEK).sweep()
    (waiting,) = payer.http.get("/review").json()["items"]

    assert payer.on_file().action == "A4"
    assert waiting["recommendation"] == "deny"


def test_what_waits_for_a_person_is_overdue_and_never_decided_by_the_clock(payer: Payer) -> None:
    pended = payer.submit(in_review())
    clock(payer, WEEK).sweep()
    clock(payer, 2 * WEEK).sweep()

    assert payer.on_file().action == "A4"
    assert history(payer, pended) == [("pended", 1, "rules"), ("overdue", 1, CLOCK)]
    with payer.app.state.services.store.reading() as tx:
        (late,) = cases.due(tx, clock(payer, WEEK).now())
    assert inspect(late).unloaded >= {"requested", "order", "determination"}, "read in every round"


@ONE_BASE
def test_a_request_that_becomes_urgent_is_due_as_an_urgent_one_is(payer: Payer) -> None:
    payer.submit(in_review())
    stat = a.concept("http://terminology.hl7.org/CodeSystem/processpriority", "stat")
    related = [{"claim": {"identifier": {"system": "https://ehr.example/pa", "value": "PA-1"}}}]
    payer.submit(in_review(id="pa-2", related=related, priority=stat))

    assert waiting(payer)["due"] == "2026-11-28T10:00:00+00:00"


def test_every_line_that_is_overdue_is_on_record(payer: Payer) -> None:
    left = a.item(2, modifier=[a.concept(a.CPT, "LT")])
    pended = payer.submit(in_review(a.item(1), left))
    clock(payer, WEEK).sweep()
    overdue = [line for kind, line, _ in history(payer, pended) if kind == "overdue"]

    assert pended.actions == ["A4", "A4"]
    assert overdue == [1, 2]


def test_what_was_decided_in_time_is_left_alone(payer: Payer) -> None:
    granted = payer.granted()
    clock(payer, WEEK).sweep()

    assert payer.on_file().number == granted.number
    assert [kind for kind, _, _ in history(payer, granted)] == ["decided"]


def test_a_request_that_was_changed_is_not_decided_in_its_old_form(payer: Payer) -> None:
    first = payer.submit(a.request())
    related = [{"claim": {"identifier": {"system": "https://ehr.example/pa", "value": "PA-1"}}}]
    better = a.claim(related=related, id="pa-2")
    payer.submit(a.request(*charts.meets_every_criterion(), claim=better))
    clock(payer, WEEK).sweep()

    assert payer.on_file().action == "A1"
    assert [kind for kind, _, _ in history(payer, first)] == ["pended"]


def test_one_case_that_cannot_be_decided_keeps_no_other_from_its_turn(payer: Payer) -> None:
    """A row of an older release, or one that somebody mended by hand."""
    broken = payer.submit(a.request())
    payer.submit(a.request(coverage=a.coverage(subscriberId="M-BERTA")))
    with payer.app.state.services.store.transaction() as tx:
        row = tx.get_one(stored.PaItem, (broken.response["id"], 1))
        row.determination = {}
    clock(payer, WEEK).sweep()
    with payer.app.state.services.store.reading() as tx:
        undecided = [item.case_id for item in tx.query(stored.PaItem) if item.decided is None]

    assert undecided == [broken.response["id"]]


def test_what_was_authorized_meanwhile_is_denied_by_nobody_and_answered_so(payer: Payer) -> None:
    """A fuller chart was sent with a request of its own, while one waited for a person and one for a form."""
    waits_for_a_form = payer.submit(a.request())
    pended(payer, claim=a.claim(**SECOND))
    names = {"id": "pa-3", "identifier": [{"system": "https://ehr.example/pa", "value": "PA-3"}]}
    granted = payer.submit(a.request(*charts.meets_every_criterion(), claim=a.claim(**names)))
    refused = decide(payer, "deny", waiting(payer))
    clock(payer, WEEK).sweep()
    with payer.app.state.services.store.reading() as tx:
        (only,) = authorizations.of_member(tx, "member:M-ANNA")

    assert refused.status_code == 409
    assert granted.number in refused.text
    assert {told.number for told in payer.inquire(a.inquiry())} == {granted.number} == {only.number}
    assert payer.http.get("/review").json()["items"] == []
    why = payer.http.get(f"/why/{waits_for_a_form.response['id']}-1").json()
    assert (why["answered"]["action"], why["answered"]["by"]) == ("A1", "rules")


def test_two_processes_that_sweep_at_once_decide_once(payer: Payer) -> None:
    pended = payer.submit(a.request())
    due = clock(payer, WEEK)
    due.sweep()
    with due.store.transaction() as tx:
        due._decide(tx, pended.response["id"], 1, due.now())

    assert [kind for kind, _, _ in history(payer, pended)] == ["pended", "decided"]


def test_what_waits_is_in_the_metrics(payer: Payer) -> None:
    wish = subscription(payer.version, NOBODY)
    payer.http.post(f"{payer.base}/Subscription", json=wish, headers=FHIR)
    payer.submit(a.request())
    with payer.app.state.services.store.reading() as tx:
        assert cases.open_until(tx, clock(payer, WEEK / 2).now(), clock(payer, WEEK).now()) == [0, 1, 1]
    exposed = payer.http.get("/metrics").text
    for what, number in (("lines-late", 0), ("lines-due-later", 1), ("notifications", 1)):
        assert f'payer_waiting{{what="{what}"}} {number}.0' in exposed


def test_whoever_subscribed_is_owed_the_outcome(payer: Payer) -> None:
    wish = subscription(payer.version, NOBODY)
    made = payer.http.post(f"{payer.base}/Subscription", json=wish, headers=FHIR).json()
    pended = payer.submit(a.request())
    clock(payer, WEEK).sweep()
    with payer.app.state.services.store.reading() as tx:
        (owed,) = subscriptions.events(tx, made["id"], 1, None, 2)

    assert owed.focus == pended.response["id"]


@pytest.mark.parametrize("version", ["2.0", "2.2"], ids=["2.0.1", "2.2.1"])
def test_a_tester_jumps_seven_days(new_database: NewDatabase, version: str) -> None:
    """A command, or a server over the same database, goes on from there."""
    database = new_database("sqlite")
    with started(database) as http:
        payer = Payer(http, http.app, version)  # type: ignore[arg-type]  # starlette's client has any ASGI app
        payer.submit(a.request())
        moved = http.post("/clock", json={"days": 7})
        found = payer.on_file()

        assert moved.json() == {"now": "2026-12-02T10:00:00+00:00"}
        assert http.get("/clock").json() == moved.json()
        assert started(database).get("/clock").json() == moved.json()
        assert found.action == "A3"
        assert found.response["created"].startswith("2026-12-02")
        assert http.post("/clock", json={"days": -1}).status_code == 400


def test_there_is_no_clock_to_move_where_time_is_real(new_database: NewDatabase) -> None:
    with started(new_database("sqlite"), test_clock=None) as http:
        assert http.get("/clock").status_code == 404
        assert http.post("/clock", json={"days": 7}).status_code == 404
