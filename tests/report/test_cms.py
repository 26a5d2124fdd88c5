"""The figures that a payer must publish, counted from what it decided; and the guide's own records."""

import csv
import datetime as dt
import io
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from server.cli import app
from server.fhir import json
from server.fhir.systems import NPI
from server.pas.verdict import Review
from server.report.cms import figures
from server.report.pas import records
from server.review.appeals import Appeals
from server.review.desk import Desk
from server.store.tables import PaCase, PaEvent, PaItem
from tests.pas import builders as a
from tests.pas import charts
from tests.pas.conftest import Payer
from tests.pas.conftest import payer as payer
from tests.pas.conftest import running as running
from tests.pas.test_changes import called, cancelled, marked, prior
from tests.pas.test_decision_clock import WEEK, clock
from tests.review.test_desk import ONE_BASE

Resource = dict[str, Any]

PRIORITY = "http://terminology.hl7.org/CodeSystem/processpriority"
COPIED = {
    PaCase.__table__: {'"id"': ":copy", '"chain_id"': ":copy"},
    PaItem.__table__: {'"case_id"': ":copy"},
    PaEvent.__table__: {'"id"': ":number", '"case_id"': ":copy"},
}
"""What a request leaves behind that figures are counted from, with what is another's in a copy of it."""
NOW = dt.datetime(2026, 11, 25, 10, tzinfo=dt.UTC)


def member(name: str, **changes: Any) -> dict[str, Resource]:
    """The parties of another member."""
    number = [
        {"type": a.concept(a.IDENTIFIER_TYPE, "MB"), "system": "https://payer.example/m", "value": name}
    ]
    return {"patient": a.anna(identifier=number), "coverage": a.coverage(subscriberId=name, **changes)}


def changed(*items: Resource) -> Resource:
    """The request once more, with these items."""
    return a.claim(*items, related=[prior("PA-1")], id="pa-2")


@pytest.fixture
def year(payer: Payer) -> Payer:
    """Two approvals, one of them urgent and one then changed, two denials of which one falls on appeal, one
    line that waits, one that needs no authorization."""
    whole, short = charts.meets_every_criterion(), charts.answers(**charts.SHORT_TRIAL)
    payer.submit(a.request(*whole, **member("M-1")))
    payer.submit(a.request(*whole, claim=changed(a.item(service="73222")), **member("M-1")))
    payer.submit(a.request(*whole, order=a.order(priority="urgent"), **member("M-2")))
    denied = payer.submit(a.request(short, *charts.film_and_examination(), **member("M-3")))
    payer.submit(a.request(short, *charts.film_and_examination(), **member("M-4")))
    payer.submit(a.request(**member("M-5")))
    payer.submit(a.request(claim=a.claim(a.item(service="73030")), **member("M-6")))
    appeals = Appeals(payer.app.state.services)
    appeals.receive(denied.response["id"], 1, "provider")
    appeals.decide(denied.response["id"], 1, Review("Dr Kim"), overturned=True, why="A new film.")
    return payer


def report(payer: Payer, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    store = payer.app.state.services.store
    monkeypatch.setenv("DATABASE_URL", store.engine.url.render_as_string(hide_password=False))
    result = CliRunner().invoke(app, ["report", *arguments])
    assert result.exit_code == 0, result.output
    return str(result.output)


def test_each_figure_says_what_it_is_a_share_of(year: Payer, monkeypatch: pytest.MonkeyPatch) -> None:
    told = json.decode(report(year, monkeypatch, "cms", "--year", "2026", "--format", "json").encode())
    shares = {row["figure"]: (row["numerator"], row["denominator"], row["value"]) for row in told["figures"]}

    assert shares["Standard requests approved"] == (1, 3, Decimal("33.3"))
    assert shares["Standard requests denied"] == (2, 3, Decimal("66.7"))
    assert shares["Standard requests approved after appeal"] == (1, 1, 100)
    assert shares["Requests whose review was extended and that were approved"] == (0, 4, 0)
    assert shares["Expedited requests approved"] == (1, 1, 100)
    assert shares["Expedited requests denied"] == (0, 1, 0)
    assert shares["Standard requests: mean time to decision"] == (0, 3, 0)
    assert shares["Expedited requests decided within 72 hours"] == (1, 1, 100)
    assert {"code": "73221", "title": "MRI of the upper limb"} in told["services"]


@ONE_BASE
def test_another_year_and_another_plan_have_figures_of_their_own(
    year: Payer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = json.decode(report(year, monkeypatch, "cms", "--year", "2025", "--format", "json").encode())
    other = report(year, monkeypatch, "cms", "--year", "2026", "--plan", "no-imaging-pa", "--format", "json")

    assert {row["denominator"] for row in before["figures"]} == {0}
    assert {row["value"] for row in before["figures"]} == {None}
    assert json.decode(other.encode())["services"] == []


@ONE_BASE
def test_a_year_of_twice_as_many_lines_takes_twice_as_long(payer: Payer) -> None:
    """By what the database does for it, in hundreds of its steps."""
    payer.submit(a.request(charts.answers(**charts.SHORT_TRIAL), *charts.film_and_examination()))
    steps = []
    with payer.app.state.services.store.transaction() as tx:
        database = tx.connection().connection.driver_connection
        assert database is not None
        for copies in (range(60), range(60, 120)):
            for each in copies:
                for table, names in COPIED.items():
                    columns = [f'"{column.name}"' for column in table.columns]
                    told = ", ".join(names.get(column, column) for column in columns)
                    copy = f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {told} FROM {table.name}"
                    tx.execute(text(f"{copy} LIMIT 1"), {"copy": f"copy-{each}", "number": 1000 + each})
            steps.append(0)

            def counted() -> int:
                steps[-1] += 1
                return 0

            database.set_progress_handler(counted, 100)
            assert figures(tx, payer.app.state.services.catalog, 2026)[1].numerator == copies.stop + 1
            database.set_progress_handler(None, 0)

    assert steps[1] < 2.5 * steps[0]


@ONE_BASE
def test_what_is_no_decision_on_an_authorization_is_in_no_figure(payer: Payer) -> None:
    """Of a coverage that ended: an MRI where the plan asks for none, and a film. A request that is told the
    number of the one before. And a clock that was extended is not that of what is asked anew, nor late what
    the clock denies when it comes round."""
    whole, ended = charts.meets_every_criterion(), {"period": {"start": "2020-01-01", "end": "2026-06-30"}}
    short = [charts.answers(**charts.SHORT_TRIAL), *charts.film_and_examination()]
    reviewed, services = a.coverage("reviewed"), payer.app.state.services
    payer.submit(a.request(**member("M-1", plan="no-imaging-pa", **ended)))
    payer.submit(a.request(claim=a.claim(a.item(service="73030")), **member("M-2", **ended)))
    for name in ("PA-3", "PA-4"):
        payer.submit(a.request(*whole, claim=a.claim(identifier=[called(name)]), **member("M-3")))
    payer.submit(a.request(*short, coverage=reviewed))
    (item,) = Desk(services).queue().shown
    Desk(services).extend(item.item.id, 1, Review("Dr Kim"), dt.date(2026, 12, 9), "A film is on its way.")
    payer.submit(a.request(*short, claim=changed(cancelled(a.item())), coverage=reviewed))
    anew = a.claim(marked(a.item(), "changed"), related=[prior("PA-1")], id="pa-3")
    payer.submit(a.request(*whole, claim=anew, coverage=reviewed))
    payer.submit(a.request(**member("M-4")))
    clock(payer, WEEK + dt.timedelta(seconds=5)).sweep()
    with services.store.reading() as tx:
        shares = {each.title: each.row for each in figures(tx, services.catalog, 2026)}

    assert shares["Standard requests approved"]["numerator"] == 2
    assert shares["Standard requests denied"]["numerator"] == 1
    assert shares["Standard requests decided within 7 days"]["value"] == 100
    assert shares["Requests whose review was extended and that were approved"]["numerator"] == 0


@ONE_BASE
def test_the_same_figures_as_a_table_and_as_csv(year: Payer, monkeypatch: pytest.MonkeyPatch) -> None:
    table = report(year, monkeypatch, "cms", "--year", "2026")
    rows = list(
        csv.DictReader(io.StringIO(report(year, monkeypatch, "cms", "--year", "2026", "--format", "csv")))
    )

    assert "33.3 percent" in table
    assert rows[0]["figure"] == "Standard requests approved"
    assert (rows[0]["numerator"], rows[0]["denominator"]) == ("1", "3")


@ONE_BASE
def test_a_line_that_waits_is_timed_from_its_receipt_whatever_changes_meanwhile(
    payer: Payer, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = [charts.answers(**charts.SHORT_TRIAL), *charts.film_and_examination()]
    payer.submit(a.request(*short, coverage=a.coverage("reviewed")))
    store = payer.app.state.services.store
    monkeypatch.setenv("DATABASE_URL", store.engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("TEST_CLOCK", "2026-11-27T22:00:00Z")
    prolong = ["extend", "--until", "2026-12-09", "--why", "A film is on its way."]
    for said in (prolong, ["approve"]):
        (item,) = payer.http.get("/review").json()["items"]
        done = CliRunner().invoke(app, ["review", *said, item["id"], "--by", "Dr Kim"])
        assert done.exit_code == 0, done.output
        if said is prolong:
            payer.submit(a.request(*short, claim=changed(), coverage=a.coverage("reviewed")))
    told = json.decode(report(payer, monkeypatch, "cms", "--year", "2026", "--format", "json").encode())
    rows = {row["figure"]: row for row in told["figures"]}
    prolonged = rows["Requests whose review was extended and that were approved"]

    assert rows["Standard requests: mean time to decision"]["value"] == 2.5
    assert rows["Standard requests: median time to decision"]["value"] == 2.5
    assert (prolonged["numerator"], prolonged["denominator"]) == (1, 1)


@ONE_BASE
def test_what_waited_is_not_counted_with_the_number_that_another_request_got(
    payer: Payer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The later one was decided at once; the earlier one is told of it two days after it came."""
    services = payer.app.state.services
    payer.submit(a.request(coverage=a.coverage("reviewed")))
    monkeypatch.setattr(services.clock, "_now", NOW + dt.timedelta(days=2))
    better = a.claim(id="pa-2", identifier=[called("PA-2")])
    payer.submit(a.request(*charts.meets_every_criterion(), claim=better))
    clock(payer, dt.timedelta(0)).sweep()
    with services.store.reading() as tx:
        rows = {each.title: each.row for each in figures(tx, services.catalog, 2026)}

    assert {told.action for told in payer.inquire(a.inquiry())} == {"A1"}
    assert rows["Standard requests approved"]["denominator"] == 1
    assert rows["Standard requests: mean time to decision"]["value"] == 0


@ONE_BASE
def test_what_becomes_urgent_is_timed_from_then(payer: Payer, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the third day, as is said once more on the fourth; it is decided on the fifth."""
    services, reviewed = payer.app.state.services, {"coverage": a.coverage("reviewed")}
    short = [charts.answers(**charts.SHORT_TRIAL), *charts.film_and_examination()]
    payer.submit(a.request(*short, **reviewed))
    for day in (3, 4):
        urgent = a.claim(related=[prior("PA-1")], id=f"pa-{day}", priority=a.concept(PRIORITY, "stat"))
        monkeypatch.setattr(services.clock, "_now", NOW + dt.timedelta(days=day))
        payer.submit(a.request(*short, claim=urgent, **reviewed))
    monkeypatch.setattr(services.clock, "_now", NOW + dt.timedelta(days=5))
    (waiting,) = Desk(services).queue().shown
    Desk(services).approve(waiting.item.id, waiting.item.revision, Review("Dr Kim"))
    with services.store.reading() as tx:
        rows = {each.title: each.row for each in figures(tx, services.catalog, 2026)}

    assert rows["Expedited requests: mean time to decision"]["value"] == 2
    assert rows["Expedited requests decided within 72 hours"]["value"] == 100


def test_what_the_guide_asks_of_each_authorization(year: Payer, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = report(year, monkeypatch, "metrics", "--guide", "pas").splitlines()
    told = [json.decode(line.encode()) for line in lines]
    results = [record["itemDetail"][0]["result"] for record in told]

    assert sorted(results) == ["approved", "approved", "approved", "approved", "denied", "pended"]
    denied = told[results.index("denied")]["itemDetail"][0]
    asking = next(record for record in told if record["itemDetail"][0]["result"] == "pended")
    assert denied["denialReason"] == "44"
    assert asking["requestedDoc"][0]["docRequest"][0]["coding"][0]["code"] == "102089-0"
    for record in told:
        assert record["source"] == "payer-src"
        assert record["providerId"]["value"] == "1992999999"
        assert record["exchange"][0]["type"] == "initial"
        assert "M-" not in json.encode(record).decode().replace("requestTime", "")


@ONE_BASE
def test_where_a_service_is_done_is_told_as_it_was_asked_for(payer: Payer) -> None:
    for number, place in enumerate(("21", "22", "")):
        where = {"locationCodeableConcept": a.concept(a.PLACE, place) if place else {"text": "There"}}
        payer.submit(a.request(claim=a.claim(a.item(**where)), **member(f"M-{number}")))
    told = records(payer.app.state.services, NOW, NOW + dt.timedelta(days=1))
    places = {record["itemDetail"][0].get("locationType") for record in told}
    assert places == {"inpatient", "outpatient", None}


@ONE_BASE
def test_a_change_is_an_exchange_of_the_same_record(payer: Payer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dr Kim asks in her role. What is asked of her comes after two days; after five it is another study."""
    services, whole = payer.app.state.services, charts.meets_every_criterion()
    named = {"name": [{"family": "Kim"}], "identifier": [{"system": NPI, "value": "1112223338"}]}
    role = {
        "resourceType": "PractitionerRole",
        "id": "role",
        "meta": {"profile": [a.profile("practitionerrole")]},
        "practitioner": {"reference": "Practitioner/kim"},
        "organization": {"reference": "Organization/clinic"},
        "telecom": [{"system": "phone", "value": "555 0100"}],
    }
    kim = {"meta": {"profile": [a.profile("practitioner")]}, **named}
    asking = [role, {"resourceType": "Practitioner", "id": "kim", **kim}]
    versions = [([], a.item()), (whole, a.item()), (whole, a.item(service="73222"))]
    for passed, (chart, item) in zip((0, 2, 5), versions, strict=True):
        monkeypatch.setattr(services.clock, "_now", NOW + dt.timedelta(days=passed))
        change = {"related": [prior("PA-1")], "id": f"pa-{passed}"} if passed else {}
        claim = a.claim(item, provider={"reference": "PractitionerRole/role"}, **change)
        payer.submit(a.request(*chart, *asking, claim=claim))
    (record,) = records(services, NOW, NOW + dt.timedelta(days=1))
    (line,), (asked,) = record["itemDetail"], record["requestedDoc"]

    assert [exchange["type"] for exchange in record["exchange"]] == ["initial", "update", "update"]
    assert record["providerId"]["value"] == "1112223338"
    assert (line["result"], line["responsesRequired"]) == ("approved", 3)
    assert (line["initialSubmissionTime"][:10], line["finalResponseTime"][:10]) == (
        "2026-11-25",
        "2026-11-30",
    )
    assert (asked["timeRequested"][:10], asked["timeSubmitted"][:10]) == ("2026-11-25", "2026-11-27")
