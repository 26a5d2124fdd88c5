"""What a clinic that subscribed is told: all of it, in order, also after an outage, and by nobody twice."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import monotonic

import pytest

from server.fhir.dates import instant
from server.fhir.structure import faults
from server.pas.verdict import Review
from server.review.desk import Desk
from server.store import subscriptions
from server.store import tables as stored
from server.subscriptions import routes
from server.subscriptions.delivery import PATIENCE, PAUSES
from server.subscriptions.resource import TIMED
from tests.emitted import record
from tests.pas import builders as a
from tests.pas import charts
from tests.pas.conftest import FHIR, GUIDE, Answer
from tests.pas.test_attachments import parameters as attachment
from tests.pas.test_attachments import scan, send
from tests.pas.test_changes import cancelled, prior, update
from tests.pas.test_lifecycle import later, quoting
from tests.review.test_desk import ONE_BASE, decide, waiting
from tests.subscriptions.builders import (
    BACKPORT,
    CLINIC,
    NOBODY,
    TOPIC,
    content,
    filtered,
    heartbeat,
    timeout,
)
from tests.subscriptions.conftest import Office
from tests.subscriptions.endpoint import Endpoint, parameters


def test_f22_who_subscribes_is_greeted_and_then_active(office: Office, clinic: Endpoint) -> None:
    wish = office.subscribe(clinic.url)
    assert wish["status"] == "requested"

    office.deliver()
    (greeting,) = clinic.told

    assert greeting.kind == "handshake"
    assert greeting.status["status"] == "requested"
    assert greeting.status["topic"] == TOPIC
    assert greeting.status["subscription"].endswith(f"/Subscription/{wish['id']}")
    assert "notification-event" not in greeting.status
    assert office.read(wish["id"])["status"] == "active"
    record(GUIDE[office.payer.version], greeting.body)


def test_the_greeting_comes_after_the_answer(office: Office, clinic: Endpoint) -> None:
    office.subscribe(clinic.url)

    assert clinic.told == []


def test_header_lines_and_content_type_are_the_subscribers(office: Office, clinic: Endpoint) -> None:
    office.greet(clinic.url, channel={"header": ["Authorization: Bearer x", "X-Route: night: 2"]})
    (greeting,) = clinic.told

    assert greeting.headers["authorization"] == "Bearer x"
    assert greeting.headers["x-route"] == "night: 2"
    assert greeting.headers["content-type"] == "application/fhir+json"


def test_a_result_is_told_as_the_guide_has_it(office: Office, clinic: Endpoint) -> None:
    """2.0.1 names the ClaimResponse, 2.2.1 sends the whole response Bundle."""
    wish = office.greet(clinic.url)
    pended = office.result()
    office.deliver()
    told = clinic.told[-1]
    status, entry = told.body["entry"]

    assert told.kind == "event-notification"
    assert told.status["status"] == "active"
    assert told.number == 1
    assert told.body["type"] == "history"
    assert status["request"]["url"].endswith(f"Subscription/{wish['id']}/$status")
    assert all(each["request"] and each["response"] for each in told.body["entry"])
    assert told.event["focus"] == entry["fullUrl"]
    if office.payer.version == "2.0":
        assert "resource" not in entry
        assert entry["fullUrl"] == pended.url
        assert office.payer.read(entry["fullUrl"])["outcome"] == "complete"
    else:
        assert entry["resource"]["type"] == "collection"
        assert entry["fullUrl"].endswith(f"Bundle/{entry['resource']['id']}")
        assert entry["resource"]["entry"][0]["resource"]["outcome"] == "complete"
    record(GUIDE[office.payer.version], told.body)


def test_what_left_for_a_subscriber_is_on_record(office: Office, clinic: Endpoint) -> None:
    wish = office.greet(clinic.url)
    clinic.answer = 500
    office.result()
    office.deliver()
    clinic.answer = 200
    office.deliver(wait=60)

    found = office.payer.http.get(f"{office.payer.base}/AuditEvent?entity={wish['id']}").json()
    events = [entry["resource"] for entry in found["entry"]]
    assert [event["outcome"] for event in events] == ["0", "8"]
    for event in events:
        assert not faults(event, "AuditEvent")
        assert event["type"]["code"] == "110106"
        assert event["agent"][0]["network"]["address"] == "127.0.0.1"
        assert [agent["requestor"] for agent in event["agent"]] == [False, True]
        assert {"patient", "case"} <= {entity["description"] for entity in event["entity"]}
        record(GUIDE[office.payer.version], event)


def test_whoever_asks_2_0_for_the_whole_is_sent_the_whole(office: Office, clinic: Endpoint) -> None:
    office.greet(clinic.url, channel={"_payload": content("full-resource")})
    office.result()
    office.deliver()

    assert clinic.told[-1].body["entry"][1]["resource"]["resourceType"] == "Bundle"


def test_an_answer_at_once_is_no_news(office: Office, clinic: Endpoint) -> None:
    """The clinic has the pend in the answer of its own request."""
    office.greet(clinic.url)
    office.pend()
    office.deliver()

    assert clinic.kinds == ["handshake"]


def test_another_organizations_results_are_not_told(office: Office, clinic: Endpoint) -> None:
    other = {"url": f"{BACKPORT}/backport-filter-criteria", "valueString": "orgIdentifier=1555555551"}
    office.greet(clinic.url, _criteria={"extension": [other]})
    office.result()
    office.deliver()

    assert clinic.kinds == ["handshake"]


@ONE_BASE
@pytest.mark.parametrize(
    ("filters", "told"),
    [(f"orgIdentifier=1555555551,{CLINIC}", 1), (f"orgIdentifier=1555555551&orgIdentifier={CLINIC}", 0)],
    ids=["values", "filters"],
)
def test_any_value_of_a_filter_is_enough_and_every_filter_counts(
    office: Office, clinic: Endpoint, filters: str, told: int
) -> None:
    """As the backport says of Subscription.criteria."""
    office.subscribe(clinic.url, _criteria=filtered(filters))
    office.result()
    office.deliver()

    assert len(clinic.events) == told


def test_f22_results_arrive_in_the_order_they_were_reached(office: Office, clinic: Endpoint) -> None:
    office.subscribe(clinic.url)
    urls = [office.result(f"PA-{number}").url for number in range(1, 6)]
    office.deliver()

    assert clinic.kinds == ["handshake", *["event-notification"] * 5]
    assert [told.number for told in clinic.events] == [1, 2, 3, 4, 5]
    if office.payer.version == "2.0":
        assert [told.event["focus"] for told in clinic.events] == urls


@ONE_BASE
def test_what_was_cancelled_while_its_approval_was_under_way_is_told_as_cancelled(
    office: Office, clinic: Endpoint
) -> None:
    office.greet(clinic.url)
    clinic.answer = 503
    office.result()
    office.deliver()
    insured = a.coverage("reviewed", subscriberId="M-PA-1")
    everything = a.claim(id="pa-2", status="cancelled", related=[prior("PA-1")])
    office.payer.submit(a.request(claim=everything, coverage=insured))
    clinic.answer = 200
    office.deliver(wait=60)

    told = Answer(clinic.told[-1].body["entry"][1]["resource"])
    assert told.action == "C"
    assert office.payer.read(told.url)["disposition"] == told.response["disposition"]


@ONE_BASE
def test_who_extended_an_authorization_is_told_that_it_was_cancelled(
    office: Office, clinic: Endpoint
) -> None:
    office.greet(clinic.url)
    first = office.payer.granted()
    extended = later(office.payer, quoting(first.number, "4"))
    office.payer.submit(update(cancelled(a.item(1)), id="pa-10", related=[prior("PA-1")]))
    office.deliver()

    told = Answer(clinic.told[-1].body["entry"][1]["resource"])
    assert (extended.action, told.action) == ("A1", "C")
    assert told.url == extended.url
    assert later(office.payer, quoting(first.number, "4")).action == "C"


@ONE_BASE
def test_whose_authorization_another_request_extended_is_told_of_the_days(
    office: Office, clinic: Endpoint
) -> None:
    """Once, though two lines have its number."""
    office.greet(clinic.url)
    asked = a.request(*charts.meets_every_criterion(), claim=a.claim(a.item(1), a.item(2)))
    first = office.payer.submit(asked)
    extended = later(office.payer, quoting(first.number, "4"))
    office.deliver()

    (told,) = (Answer(event.body["entry"][1]["resource"]) for event in clinic.events)
    assert told.url == first.url
    assert told.response["preAuthPeriod"] == extended.response["preAuthPeriod"]
    assert office.payer.submit(asked).response["preAuthPeriod"] == extended.response["preAuthPeriod"]


@ONE_BASE
def test_whoever_is_asked_is_told_of_more_time(office: Office, clinic: Endpoint) -> None:
    office.greet(clinic.url)
    office.pend()
    decide(office.payer, "ask", waiting(office.payer), text="The consultation.", documents=["11488-4"])
    asked, review = waiting(office.payer), Review("Dr Kim")
    Desk(office.services).extend(asked["id"], asked["revision"], review, dt.date(2026, 12, 9), "Holidays.")
    office.deliver()

    ends = [
        task["restriction"]["period"]["end"][:10]
        for event in clinic.events
        for task in Answer(event.body["entry"][1]["resource"]).of_type("Task")
    ]
    assert ends == ["2026-12-09", "2026-12-09"]


@ONE_BASE
def test_papers_that_leave_the_same_open_are_no_news(office: Office, clinic: Endpoint) -> None:
    office.greet(clinic.url)
    asked = office.payer.submit(a.request())
    for paper in (charts.film(), charts.film(), scan()):
        send(office.payer, attachment(asked.tracking, paper, final=False))
    office.deliver()

    assert len(clinic.events) == 1


def test_nothing_goes_out_before_the_handshake_arrived(office: Office, clinic: Endpoint) -> None:
    """A handshake that fails SHALL leave the subscription in error (backport guide, REST-Hook)."""
    clinic.answer = 503
    wish = office.subscribe(clinic.url)
    office.result()
    office.deliver()
    refused = office.read(wish["id"])
    clinic.answer = 200
    office.deliver(wait=PAUSES[0])

    assert (refused["status"], refused["error"]) == ("error", "status 503")
    assert clinic.kinds == ["handshake", "handshake", "event-notification"]
    assert office.read(wish["id"])["status"] == "active"


def test_what_does_not_arrive_is_tried_again_after_a_pause_that_grows(
    office: Office, clinic: Endpoint
) -> None:
    clinic.answer = 500
    office.greet(clinic.url)
    tries = []
    for _ in range(60):
        before = len(clinic.told)
        office.deliver(wait=1)
        tries.append(len(clinic.told) - before)
    moments = [second for second, tried in enumerate(tries, start=1) if tried]

    assert max(tries) == 1
    assert moments == [sum(PAUSES[:number]) for number in range(1, 10)][: len(moments)]
    assert len(moments) >= 8


@pytest.mark.parametrize(("asked", "paused"), [("60", 60), ("86400", 300), ("tomorrow", 2)])
def test_a_subscriber_that_wants_to_be_left_alone_is(
    office: Office, clinic: Endpoint, asked: str, paused: int
) -> None:
    """For as long as it would be in the end, at most."""
    clinic.answer, clinic.retry_after = 429, asked
    office.greet(clinic.url)
    office.deliver(wait=paused - 1)
    assert len(clinic.told) == 1
    office.deliver(wait=1)
    assert len(clinic.told) == 2


def test_news_does_not_shorten_the_pause(office: Office, clinic: Endpoint) -> None:
    office.greet(clinic.url)
    clinic.answer = 500
    office.result("PA-1")
    office.deliver()
    tried = len(clinic.told)
    office.result("PA-2")
    office.deliver()
    office.look_around()

    assert len(clinic.told) == tried


def test_an_endpoint_that_stays_away_is_in_error_and_comes_back_to_everything(
    office: Office, clinic: Endpoint
) -> None:
    wish = office.greet(clinic.url)
    clinic.answer = 503
    for number in range(1, 4):
        office.result(f"PA-{number}")
    office.time.move(dt.timedelta(hours=1))
    for _ in range(PATIENCE):
        office.deliver(wait=max(PAUSES))
    broken = office.read(wish["id"])
    standing = clinic_status(office, wish["id"])

    assert broken["status"] == "error"
    assert broken["meta"]["lastUpdated"] == instant(office.time())
    assert broken["error"] == "status 503"
    assert standing["status"] == "error"
    assert standing["error"] == {"text": "status 503"}

    clinic.answer, seen = 200, len(clinic.told)
    office.look_around(wait=max(PAUSES))

    assert [told.number for told in clinic.told[seen:]] == [1, 2, 3]
    assert office.read(wish["id"])["status"] == "active"
    assert "error" not in office.read(wish["id"])


def clinic_status(office: Office, subscription_id: str) -> dict[str, object]:
    return parameters(office.read(subscription_id, "/$status")["entry"][0]["resource"])


def test_a_testers_clock_that_stands_still_keeps_nobody_waiting(office: Office, clinic: Endpoint) -> None:
    clinic.answer = 503
    wish = office.greet(clinic.url)
    clinic.answer = 200
    office.deliver(wait=PAUSES[0])

    assert office.time() == office.payer.app.state.services.clock()
    assert office.read(wish["id"])["status"] == "active"


@pytest.mark.parametrize("answer", ["hang", "drip"])
def test_a_subscriber_may_take_as_long_as_it_said_and_no_longer(
    office: Office, clinic: Endpoint, answer: str
) -> None:
    """One that never answers has failed; one that answers and then never ends has taken it."""
    clinic.answer = answer
    wish = office.subscribe(clinic.url, channel={"extension": [timeout(1)]})
    began = monotonic()
    office.deliver()

    assert monotonic() - began < 5
    assert office.row(wish["id"]).fault == ("" if answer == "drip" else "TimeoutError")


def test_a_subscriber_who_takes_its_time_keeps_no_server_from_ending(
    office: Office, clinic: Endpoint
) -> None:
    """It has not failed, and is told once somebody works again."""
    clinic.answer = "hang"
    wish = office.subscribe(clinic.url, channel={"extension": [timeout(30)]})
    with ThreadPoolExecutor(1) as thread:
        telling = thread.submit(office.delivery.flush, wish["id"])
        clinic.wait_for("handshake")
        office.services.work.close()
        telling.result(10)
    office.services.work.closing.clear()
    assert (office.row(wish["id"]).status, office.row(wish["id"]).failures) == ("requested", 0)

    clinic.answer = 200
    office.deliver()
    assert office.read(wish["id"])["status"] == "active"


def test_a_dead_endpoint_slows_no_decision(office: Office, clinic: Endpoint) -> None:
    """Deciding writes down what is owed and calls nobody."""
    clinic.answer = "hang"
    office.subscribe(clinic.url)
    office.subscribe(NOBODY)
    office.result()

    assert clinic.told == []
    assert [each.number for each in owed(office)] == [0, 0, 1, 1]


def owed(office: Office) -> list[stored.Notice]:
    with office.services.store.reading() as tx:
        return sorted(tx.query(stored.Notice).all(), key=lambda notice: (notice.number, notice.id))


def test_one_that_nobody_answers_for_holds_up_no_other(office: Office, clinic: Endpoint) -> None:
    dead = office.subscribe(NOBODY)
    office.subscribe(clinic.url)
    office.result()
    office.deliver()

    assert clinic.kinds == ["handshake", "event-notification"]
    assert office.row(dead["id"]).failures == 1


def test_two_processes_at_once_send_a_notice_once(office: Office, clinic: Endpoint) -> None:
    wish = office.greet(clinic.url)
    for number in range(1, 9):
        office.result(f"PA-{number}")
    with ThreadPoolExecutor(4) as processes:
        for _ in processes.map(lambda _: office.delivery.flush(wish["id"]), range(8)):
            pass

    assert [told.number for told in clinic.events] == list(range(1, 9))


def test_a_process_that_died_with_the_lease_holds_it_a_while_and_not_for_ever(
    office: Office, clinic: Endpoint
) -> None:
    wish = office.subscribe(clinic.url)
    now = office.wall()
    with office.services.store.transaction() as tx:
        assert subscriptions.lease(tx, wish["id"], now, now + dt.timedelta(seconds=15))
    office.look_around(wait=14)
    assert clinic.told == []

    office.look_around(wait=2)
    assert clinic.kinds == ["handshake"]


def test_a_lease_from_before_the_clock_was_set_back_holds_nobody(office: Office, clinic: Endpoint) -> None:
    """By its own clock the machine comes to the end of it an hour later."""
    wish = office.subscribe(clinic.url)
    ahead = office.wall() + dt.timedelta(hours=1)
    with office.services.store.transaction() as tx:
        assert subscriptions.lease(tx, wish["id"], ahead, ahead + dt.timedelta(seconds=15))
    office.look_around()

    assert clinic.kinds == ["handshake"]


def test_one_that_lost_its_lease_gives_back_nobody_elses(office: Office, clinic: Endpoint) -> None:
    wish = office.subscribe(clinic.url)
    now = office.wall()
    lost, held = now + dt.timedelta(seconds=5), now + dt.timedelta(seconds=15)
    with office.services.store.transaction() as tx:
        assert subscriptions.lease(tx, wish["id"], now, held)
        subscriptions.renew(tx, wish["id"], lost, None)
        assert not subscriptions.renew(tx, wish["id"], lost, held)

    assert office.row(wish["id"]).leased == held


def test_a_sign_of_life_comes_when_it_is_due_and_only_then(office: Office, clinic: Endpoint) -> None:
    office.greet(clinic.url, channel={"extension": [heartbeat(60)]})
    office.look_around(wait=59)
    assert clinic.kinds == ["handshake"]

    office.look_around(wait=1)
    office.look_around(wait=30)
    alive = clinic.told[-1]

    assert clinic.kinds == ["handshake", "heartbeat"]
    assert [each.kind for each in owed(office)] == ["handshake"], "one that arrived is of no use to anybody"
    assert alive.status["events-since-subscription-start"] == "0"
    assert "notification-event" not in alive.status
    record(GUIDE[office.payer.version], alive.body)


def test_of_thousands_of_subscriptions_those_are_looked_at_that_time_does_something_to(
    office: Office, clinic: Endpoint
) -> None:
    """A round that looked at all of them kept the interpreter for seconds, where there are many."""
    office.greet(clinic.url)
    ending = office.greet(clinic.url, end="2026-11-26T10:00:00Z")
    alive = office.greet(clinic.url, channel={"extension": [heartbeat(60)]})
    with office.services.store.reading() as tx:
        looked_at = {each.id for each in subscriptions.speaking_of(tx, *TIMED)}

    assert looked_at == {ending["id"], alive["id"]}


def test_news_is_a_sign_of_life(office: Office, clinic: Endpoint) -> None:
    office.greet(clinic.url, channel={"extension": [heartbeat(60)]})
    office.result()
    office.deliver(wait=50)
    office.look_around(wait=50)

    assert clinic.kinds == ["handshake", "event-notification"]


def test_signs_of_life_do_not_pile_up_while_nobody_listens(office: Office, clinic: Endpoint) -> None:
    wish = office.greet(clinic.url, channel={"extension": [heartbeat(1)]})
    clinic.answer = 500
    for _ in range(4):
        office.look_around(wait=1)

    assert [each.kind for each in owed(office) if each.delivered is None] == ["heartbeat"]
    assert office.row(wish["id"]).status == "active"


def test_no_heartbeat_for_whoever_asked_for_none(office: Office, clinic: Endpoint) -> None:
    office.greet(clinic.url)
    office.look_around(wait=100_000)

    assert clinic.kinds == ["handshake"]


def test_a_subscription_ends_at_its_end(office: Office, clinic: Endpoint) -> None:
    wish = office.greet(clinic.url, end="2026-11-25T12:00:00Z")
    office.look_around()
    assert office.read(wish["id"])["status"] == "active"

    office.time.move(dt.timedelta(hours=2))
    office.result()
    office.deliver()
    assert clinic.kinds == ["handshake"]

    office.look_around()
    assert office.read(wish["id"])["status"] == "off"
    assert clinic.kinds == ["handshake"]


def test_one_that_is_off_hears_nothing_until_it_is_wanted_again(office: Office, clinic: Endpoint) -> None:
    wish = office.greet(clinic.url)
    office.change(wish, status="off")
    office.result("PA-1")
    office.look_around()
    assert clinic.kinds == ["handshake"]
    assert office.read(wish["id"])["status"] == "off"

    office.change(wish)
    office.result("PA-2")
    office.deliver()

    assert clinic.kinds == ["handshake", "handshake", "event-notification"]
    assert clinic.told[-1].number == 1


def test_one_that_is_made_off_is_not_greeted(office: Office, clinic: Endpoint) -> None:
    wish = office.subscribe(clinic.url, status="off")
    office.look_around()

    assert wish["status"] == "off"
    assert clinic.told == []


def test_a_changed_address_is_greeted_first_and_gets_what_the_old_one_missed(
    office: Office, clinic: Endpoint
) -> None:
    wish = office.subscribe(NOBODY)
    office.result("PA-1")
    office.deliver()
    failing = office.read(wish["id"])
    office.change(failing, channel={**wish["channel"], "endpoint": clinic.url})
    office.deliver()
    mended = office.read(wish["id"])

    assert clinic.kinds == ["handshake", "event-notification"]
    assert (bool(failing["error"]), mended["status"], mended.get("error")) == (True, "active", None)


def test_what_was_under_way_to_the_old_address_is_no_handshake_with_the_new(
    office: Office, clinic: Endpoint
) -> None:
    wish = office.greet(clinic.url)
    office.result()
    before = office.row(wish["id"])
    (event,) = [each for each in owed(office) if each.number]
    office.change(wish, channel={**wish["channel"], "endpoint": NOBODY})
    assert office.delivery._deliver(before, event) is None

    assert office.read(wish["id"])["status"] == "requested"
    assert office.row(wish["id"]).failures == 0


def test_whoever_unsubscribes_is_forgotten(office: Office, clinic: Endpoint) -> None:
    wish = office.subscribe(clinic.url)
    path = f"{office.payer.base}/Subscription/{wish['id']}"

    assert office.payer.http.delete(path).status_code == 204
    office.result()
    office.look_around()
    assert clinic.told == []
    assert office.payer.http.get(path).status_code == 404


def test_one_broken_subscription_keeps_no_other_from_its_turn(office: Office, clinic: Endpoint) -> None:
    """A row of an older release, or one that somebody mended by hand."""
    broken = office.subscribe(NOBODY)
    wish = office.subscribe(clinic.url, end="2026-11-25T12:00:00Z")
    with office.services.store.transaction() as tx:
        row = subscriptions.by_id(tx, broken["id"])
        assert row is not None
        row.resource = {"resourceType": "Subscription", "end": "some day"}
        row.status, row.told = "active", office.wall()
    office.time.move(dt.timedelta(hours=2))
    office.delivery.sweep()

    assert office.row(wish["id"]).status == "off"


def test_events_can_be_asked_for_again(
    office: Office, clinic: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    wish = office.subscribe(NOBODY)
    for number in range(1, 4):
        office.result(f"PA-{number}")
    told = office.read(wish["id"], "/$events?eventsSinceNumber=2&eventsUntilNumber=3")
    numbers = [
        part["valueString"]
        for each in told["entry"][0]["resource"]["parameter"]
        for part in each.get("part", [])
        if part["name"] == "event-number"
    ]

    assert numbers == ["2", "3"]
    assert len(told["entry"]) == 3

    path = f"{office.payer.base}/Subscription/{wish['id']}/$events"
    since = {"name": "eventsSinceNumber", "valueString": "2"}
    posted = office.payer.http.post(
        path, json={"resourceType": "Parameters", "parameter": [since]}, headers=FHIR
    )
    assert len(posted.json()["entry"]) == 3
    assert office.payer.http.get(f"{path}?eventsSinceNumber={10**20}").status_code == 400

    monkeypatch.setattr(routes, "MOST", 1)
    assert len(office.read(wish["id"], "/$events")["entry"]) == 2


def test_how_it_stands_can_be_asked(office: Office, clinic: Endpoint) -> None:
    wish = office.greet(clinic.url)
    office.result()
    standing = clinic_status(office, wish["id"])

    assert standing["status"] == "active"
    assert standing["type"] == "query-status"
    assert standing["events-since-subscription-start"] == "1"


def test_a_focus_that_cannot_be_told_is_tried_again_like_any_failure(
    office: Office, clinic: Endpoint
) -> None:
    """Nothing of ours that fails may look like a notification that arrived."""

    def broken(case_id: str, version: str) -> object:
        raise ValueError("no such case")

    wish = office.greet(clinic.url)
    office.result()
    failing = replace(office.delivery, focus=broken)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no such case"):
        failing.flush(wish["id"])
    office.deliver()

    assert clinic.kinds == ["handshake", "event-notification"]
