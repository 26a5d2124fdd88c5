"""The doors say the same of an authorization, whatever happened to it: CRD on the next order of the same
study, `$inquire`, the ClaimResponse under its URL, the metrics, and the notification where one is owed."""

import datetime as dt
import re
from collections import Counter
from typing import Any
from uuid import uuid4

import pytest

from server.fhir import json
from server.pas.usage import use
from server.report.pas import RESULTS, records
from server.review.desk import Desk
from server.store import authorizations
from tests.crd.builders import collection, searchset
from tests.crd.shape import Information, coverage_informations
from tests.pas import builders as a
from tests.pas import charts
from tests.pas.conftest import FHIR, Answer, Payer
from tests.pas.test_attachments import parameters, send
from tests.pas.test_changes import called, cancelled, marked, update
from tests.pas.test_lifecycle import quoting
from tests.review.test_desk import DR_KIM, ONE_BASE, decide, pended, waiting
from tests.subscriptions.conftest import Office
from tests.subscriptions.conftest import clinic as clinic
from tests.subscriptions.conftest import office as office
from tests.subscriptions.endpoint import Endpoint

Resource = dict[str, Any]


def told_by_crd(payer: Payer, planned: str = "2026-12-01") -> str | None:
    """The authorization that CRD says satisfies another order of the same study, signed without a chart."""
    order = a.order(occurrenceDateTime=planned)
    order["code"]["coding"].append({"system": a.CPT, "code": "73221-RT"})
    number = said_by_crd(payer, order).get("satisfied-pa-id")
    return str(number) if number else None


def said_by_crd(payer: Payer, signed: Resource) -> Information:
    """What CRD says of the order as a new one, signed without a chart."""
    order = {**signed, "id": f"o-{uuid4()}", "status": "draft"}
    body = {
        "hook": "order-sign",
        "hookInstance": str(uuid4()),
        "context": {
            "userId": "Practitioner/dr",
            "patientId": "anna",
            "draftOrders": collection([order]),
        },
        "prefetch": {
            "patient": a.anna(),
            "coverage": searchset([a.coverage()]),
            "payer": a.payer(),
            **dict.fromkeys(("conditions", "observations", "procedures", "encounters")),
        },
    }
    answered = payer.http.post(
        f"/r{payer.version}/cds-services/order-sign",
        content=json.encode(body),
        headers={"Content-Type": "application/json"},
    )
    assert answered.status_code == 200, answered.text
    (action,) = [one for one in answered.json()["systemActions"] if one["resource"]["id"] == order["id"]]
    (information,) = coverage_informations(action["resource"])
    return information


def agreed(payer: Payer, answer: Answer) -> tuple[list[str], str | None]:
    """Actions and number, after every way of asking PAS, and the metrics, said the same."""
    told = [found for found in payer.inquire(a.inquiry()) if found.url == answer.url]
    (found,) = told
    read = Answer({"entry": [{"resource": payer.read(answer.url)}]})
    assert found.actions == read.actions
    assert found.response["created"] == read.response["created"]
    assert found.response.get("preAuthRef") == read.response.get("preAuthRef")
    counted = metrics(payer)
    assert [each["result"] for each in counted] == [RESULTS[action] for action in found.actions]
    for each in counted:
        final = None if each["result"] == "pended" else found.response["created"]
        assert each.get("finalResponseTime") == final
    return found.actions, found.response.get("preAuthRef")


def metrics(payer: Payer) -> list[Resource]:
    """The items of the one record of PASMetricData."""
    year = (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2027, 1, 1, tzinfo=dt.UTC))
    (record,) = records(payer.app.state.services, *year)
    return list(record["itemDetail"])


def notified(office: Office, clinic: Endpoint) -> Answer:
    """The result that the clinic is told of last: 2.2.1 sends it, 2.0.1 says where it is read."""
    office.deliver()
    entry = clinic.events[-1].body["entry"][1]
    resource = entry.get("resource") or {"entry": [{"resource": office.payer.read(entry["fullUrl"])}]}
    return Answer(resource)


def same(told: Answer, found: tuple[list[str], str | None], payer: Payer, answer: Answer) -> None:
    """The notification says what every other way of asking does."""
    assert (told.actions, told.response.get("preAuthRef")) == found
    assert told.response["created"] == payer.read(answer.url)["created"]


def test_after_a_submission(payer: Payer) -> None:
    answer = payer.granted()

    assert agreed(payer, answer) == (["A1"], answer.number)
    assert told_by_crd(payer) == answer.number


def test_after_an_update(payer: Payer) -> None:
    first = payer.granted()
    moved = payer.submit(update(a.item(1, servicedDate="2026-12-20")))

    assert agreed(payer, moved) == (["A1"], moved.number)
    assert told_by_crd(payer, "2026-12-21") == moved.number != first.number
    assert told_by_crd(payer, "2026-12-05") is None


def test_after_a_cancellation(payer: Payer) -> None:
    payer.granted()
    gone = payer.submit(update(cancelled(a.item(1))))

    assert agreed(payer, gone)[0] == ["C"]
    assert told_by_crd(payer) is None


def test_after_a_review(payer: Payer, office: Office, clinic: Endpoint) -> None:
    office.greet(clinic.url)
    asked = pended(payer)
    before = told_by_crd(payer)
    item = waiting(payer)
    said = {"revision": item["revision"], "reviewer": DR_KIM}
    payer.http.post(f"/review/{item['id']}/approve", json=said)
    actions, number = agreed(payer, asked)

    assert before is None
    assert actions == ["A1"]
    assert told_by_crd(payer) == number
    assert Desk(payer.app.state.services).queue().shown == []
    same(notified(office, clinic), (actions, number), payer, asked)


def test_after_its_time_is_up(payer: Payer, office: Office, clinic: Endpoint) -> None:
    office.greet(clinic.url)
    asked = payer.submit(a.request())
    pended_for = agreed(payer, asked)
    office.time.move(dt.timedelta(days=7))
    office.decisions.sweep()
    decided = agreed(payer, asked)

    assert (pended_for, decided) == ((["A4"], None), (["A3"], None))
    assert told_by_crd(payer) is None
    same(notified(office, clinic), decided, payer, asked)


def test_after_the_documents_came(payer: Payer, office: Office, clinic: Endpoint) -> None:
    office.greet(clinic.url)
    asked = payer.submit(a.request())
    send(payer, parameters(asked.tracking, *charts.meets_every_criterion()))
    actions, number = agreed(payer, asked)

    assert actions == ["A1"]
    assert told_by_crd(payer) == number
    same(notified(office, clinic), (actions, number), payer, asked)


def test_after_its_last_day(payer: Payer) -> None:
    answer = payer.granted()
    last = dt.date.fromisoformat(answer.response["preAuthPeriod"]["end"])

    assert told_by_crd(payer, last.isoformat()) == answer.number
    assert told_by_crd(payer, (last + dt.timedelta(days=1)).isoformat()) is None
    assert agreed(payer, answer) == (["A1"], answer.number)


@ONE_BASE
def test_an_order_without_a_day_is_done_when_it_is_asked_for_at_the_earliest(
    payer: Payer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was written some days before: that takes no day of the authorization, and vouches for none after."""
    undated = a.item()
    del undated["servicedDate"]
    first = payer.submit(a.request(*charts.meets_every_criterion(), claim=a.claim(undated)))
    twin = payer.submit(a.request(claim=a.claim(undated, id="pa-2")))
    clock = payer.app.state.services.clock
    monkeypatch.setattr(clock, "_now", clock() + dt.timedelta(days=61))
    late = payer.submit(a.request(claim=a.claim(undated, id="pa-3")))

    assert first.response["preAuthPeriod"] == {"start": "2026-11-20", "end": "2027-01-24"}
    assert twin.number == first.number
    assert late.action == "A4"


@ONE_BASE
def test_a_period_under_way_is_authorized_from_the_day_it_is_asked_for(payer: Payer) -> None:
    """Sixty days from its first would be over, and what was done on those was not asked for in time."""
    running = a.item(servicedPeriod={"start": "2026-08-01", "end": "2027-01-31"})
    del running["servicedDate"]
    first = payer.submit(a.request(*charts.meets_every_criterion(), claim=a.claim(running)))
    twin = payer.submit(a.request(claim=a.claim(running, id="pa-2")))
    pended(payer, claim=a.claim({**running, "modifier": [a.concept(a.CPT, "LT")]}, id="pa-3"))
    by_a_person = decide(payer, "approve", waiting(payer)).json()["number"]
    with payer.app.state.services.store.reading() as tx:
        row = authorizations.by_number(tx, by_a_person)

    assert first.response["preAuthPeriod"] == {"start": "2026-11-25", "end": "2027-01-24"}
    assert twin.number == first.number == told_by_crd(payer)
    assert row is not None
    assert (row.span_start, row.span_end) == (dt.date(2026, 11, 25), dt.date(2027, 1, 24))


def test_after_it_was_used(payer: Payer) -> None:
    answer = payer.granted()
    services = payer.app.state.services
    with services.store.transaction() as tx:
        use(tx, answer.number, 1, dt.date(2026, 12, 1), services.clock())
    with services.store.reading() as tx:
        row = authorizations.by_number(tx, answer.number)

    assert told_by_crd(payer) is None
    assert row is not None
    assert (row.used, row.units) == (1, 1)
    assert agreed(payer, answer) == (["A1"], answer.number)


def forms(payer: Payer, number: str) -> list[str]:
    """What DTR has filled for one line, by the number under which it is pended."""
    named = [{"name": "context", "valueString": number}, {"name": "coverage", "resource": a.coverage()}]
    body = json.encode({"resourceType": "Parameters", "parameter": named})
    answered = payer.http.post(
        f"{payer.base}/Questionnaire/$questionnaire-package", content=body, headers=FHIR
    )
    bundles = [part["resource"] for part in answered.json()["parameter"]]
    return [bundle["entry"][0]["resource"]["id"] for bundle in bundles if bundle["resourceType"] == "Bundle"]


@ONE_BASE
def test_each_line_is_documented_under_its_own_number_as_it_stands_now(payer: Payer) -> None:
    back = a.item(2, "72148", diagnosisSequence=[2], modifier=[], extension=a.item(2)["extension"][:3])
    two = {"diagnosis": [a.diagnosis(), a.diagnosis("M54.16", 2)]}
    asked = payer.submit(a.request(claim=a.claim(a.item(1), back, **two)))
    shoulder, spine = (f"{asked.response['id']}-{line}" for line in (1, 2))
    before = [forms(payer, number) for number in (shoulder, spine)]
    moved = marked(a.item(1, servicedDate="2027-03-01"), "changed")
    payer.submit(update(moved, back, chart=[], **two))
    send(payer, parameters(shoulder, *charts.meets_every_criterion()))

    assert asked.actions == ["A4", "A4"]
    assert before == [["mri-shoulder"], ["mri-lumbar-spine"]]
    assert [forms(payer, number) for number in (shoulder, spine)] == [[], ["mri-lumbar-spine"]]

    payer.submit(update(moved, cancelled(back), id="pa-3", chart=[], **two))
    assert forms(payer, spine) == []


def counted(payer: Payer) -> Counter[str]:
    """Lines decided at PAS, by outcome, as operators read them."""
    series = rf'payer_decisions_total{{door="pas",outcome="(.+?)",version="{payer.version}"}} (.+)'
    told = re.findall(series, payer.http.get("/metrics").text)
    return Counter({outcome: int(float(times)) for outcome, times in told})


@ONE_BASE
def test_operators_count_a_line_when_it_is_decided(payer: Payer) -> None:
    before = counted(payer)
    other_side = a.item(modifier=[a.concept(a.CPT, "LT")])
    payer.submit(a.request(*charts.meets_every_criterion()), **{"X-Dry-Run": "true"})
    longer = a.claim(quoting(payer.granted().number, "4"), id="pa-9", identifier=[called("PA-9")])
    payer.submit(a.request(claim=longer), **{"X-Dry-Run": "true"})
    pended(payer, claim=a.claim(other_side, id="pa-2", identifier=[called("PA-2")]))
    decide(payer, "deny", waiting(payer))
    payer.submit(update(cancelled(a.item())))

    assert counted(payer) - before == {"approve": 1, "pend": 1, "deny": 1}
