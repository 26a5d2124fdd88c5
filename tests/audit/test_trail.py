"""Every access to what is known of patients is on record: who, what, when, how it ended."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import DatabaseError

from server.audit.trail import Trail, tells_of_patients
from server.fhir.structure import faults
from server.store import Store, ledger
from server.store import tables as stored
from tests.conftest import NewDatabase
from tests.crd import builders as hook
from tests.ehr import Ehr
from tests.pas import builders as a
from tests.security.conftest import AUDITOR, REVIEWER, Build, Town, found_town  # noqa: F401

SUBMIT = "/r2.0/fhir/Claim/$submit"
NOW = dt.datetime(2026, 11, 25, 10, 0, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def town(found_town: Build) -> Town:  # noqa: F811
    return found_town()


def told(town: Town, query: str = "", version: str = "2.0") -> list[dict[str, Any]]:
    answer = town.get(f"/r{version}/fhir/AuditEvent{query}", AUDITOR)
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", [])]


def named(entry: dict[str, Any], kind: str) -> list[str]:
    return [
        each["what"]["identifier"]["value"] for each in entry["entity"] if each.get("description") == kind
    ]


def test_a_decision_is_on_record_with_client_patient_and_case(town: Town) -> None:
    answer = town.post(SUBMIT, a.request(), town.token("harbour"), **{"X-Request-ID": "first-call"})
    assert answer.status_code == 200
    (entry,) = told(town, "?entity=first-call")

    assert not faults(entry, "AuditEvent")
    assert entry["agent"][0]["who"]["identifier"]["value"] == "harbour"
    assert (entry["action"], entry["outcome"]) == ("E", "0")
    assert named(entry, "patient") == ["member:M-ANNA"]
    assert len(named(entry, "case")) == 1
    assert "Claim/$submit" in entry["entity"][-1]["description"]


@pytest.mark.parametrize("query", ["entity=first-call,second-call", "patient=M-ANNA"])
def test_of_all_the_accesses_there_were_those_are_read_that_are_asked_for(town: Town, query: str) -> None:
    """The trail is never shortened: of two million a second was spent on each question."""
    asked, engine = list[tuple[str, Any]](), town.app.state.services.store.engine

    def listen(*told: Any) -> None:
        asked.append((told[2], told[3]))

    event.listen(engine, "before_cursor_execute", listen)
    told(town, f"?{query}")
    event.remove(engine, "before_cursor_execute", listen)
    searches = [one for one in asked if "FROM audit_access" in one[0]]
    with engine.connect() as connection:
        plans = [
            str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {one}", given).all())
            for one, given in searches
        ]

    assert len(plans) == 2
    assert not [plan for plan in plans if "SCAN audit_" in plan]


def test_a_chart_that_was_read_from_an_ehr_is_on_record_with_its_server(found_town: Build) -> None:  # noqa: F811
    town = found_town(environment="development", cds_jwt="off")
    with Ehr([hook.PATIENT, hook.coverage()]) as ehr:
        call = {**hook.sign(hook.shoulder()), "fhirServer": ehr.base}
        assert town.post("/r2.0/cds-services/order-sign", call).status_code == 200
    town.post("/r2.0/cds-services/order-sign", hook.sign(hook.shoulder(), sent=hook.prefetch()))

    (entry,) = told(town, f"?entity={ehr.base}")
    assert not faults(entry, "AuditEvent")
    assert named(entry, "fhir-server") == [ehr.base]
    assert len(named(entry, "patient")) == 1


def test_a_refused_access_is_on_record_too(town: Town) -> None:
    assert town.get("/r2.0/fhir/ClaimResponse/x", **{"X-Request-ID": "no-token"}).status_code == 401
    (entry,) = told(town, "?entity=no-token&outcome=4")
    assert entry["agent"][0]["who"] == {"display": "nobody in particular"}


def test_reviewers_and_auditors_leave_traces_as_well(town: Town) -> None:
    town.get("/review", REVIEWER)
    told(town)
    agents = {entry["agent"][0]["who"].get("identifier", {}).get("value") for entry in told(town)}
    assert {"nurse", "auditor"} <= agents


def test_the_trail_is_searched_by_patient_agent_date_and_outcome(town: Town) -> None:
    town.post(SUBMIT, a.request(), town.token("harbour"))

    day = told(town)[0]["recorded"][:10]
    following = dt.date.fromisoformat(day) + dt.timedelta(days=1)

    assert told(town, f"?patient=M-ANNA&agent=harbour&date={day}&action=E&outcome=0")
    assert told(town, f"?date=ge{day}&date=lt{following}")
    assert told(town, f"?date={day[:7]}&date=ge{day[:4]}")
    assert not told(town, "?patient=M-BERT")
    assert told(town, f"?patient=M-BERT,M-ANNA&agent=hillside,harbour&date=1999,{day}&action=C,E")
    for alone in ("_count=0", "_summary=count&_total=accurate"):
        counted = town.get(f"/r2.0/fhir/AuditEvent?patient=M-ANNA&{alone}", AUDITOR).json()
        assert (counted["total"] > 0, counted.get("entry")) == (True, None)
    assert told(town, "?patient=&agent=harbour&_count=")
    assert not told(town, "?agent=hillside")
    assert not told(town, f"?date=gt{day}")
    for none in ("yesterday", "2026-02-30", "9999-12-31", "2026-11-25T10", "gt0001-01-01T00:00:00%2B14:00"):
        assert town.get(f"/r2.0/fhir/AuditEvent?date={none}", AUDITOR).status_code == 400
    assert town.get("/r2.0/fhir/AuditEvent?name=Roth", AUDITOR).status_code == 400
    assert town.get("/r2.0/fhir/AuditEvent?_count=²", AUDITOR).status_code == 400
    assert town.get("/r2.0/fhir/AuditEvent/²", AUDITOR).status_code == 404


def test_pages_lead_through_the_whole_trail(town: Town) -> None:
    for _ in range(3):
        town.get("/review", REVIEWER)
    seen, path = [], "/r2.0/fhir/AuditEvent?agent=nurse&_count=2"
    while path:
        page = town.get(path, AUDITOR).json()
        seen += [entry["resource"]["id"] for entry in page.get("entry", [])]
        following = [link["url"] for link in page["link"] if link["relation"] == "next"]
        path = following[0].partition("payer.test")[2] if following else ""

    assert len(seen) == len(set(seen)) == page["total"]
    assert seen == sorted(seen, key=int, reverse=True)


@pytest.mark.parametrize(
    ("method", "path", "action", "interaction"),
    [
        ("GET", "ClaimResponse?identifier=none", "E", "search-type"),
        ("POST", "ClaimResponse/_search?identifier=none", "E", "search-type"),
        ("GET", "ClaimResponse/none", "R", "read"),
        ("POST", "Subscription", "C", "create"),
        ("POST", "Claim/$inquire", "E", "operation"),
    ],
)
def test_what_was_done_is_called_by_its_name(
    town: Town, method: str, path: str, action: str, interaction: str
) -> None:
    headers = {**town.as_(town.token("harbour")), "X-Request-ID": f"{method}-{interaction}"}
    town.http.request(method, f"/r2.0/fhir/{path}", headers=headers)
    (entry,) = told(town, f"?entity={method}-{interaction}&action={action}")

    assert entry["subtype"] == [{"system": "http://hl7.org/fhir/restful-interaction", "code": interaction}]


def test_only_who_audits_reads_the_trail(town: Town) -> None:
    """And who tries to is on record by name."""
    for token in (town.token("harbour"), REVIEWER):
        assert town.get("/r2.0/fhir/AuditEvent", token).status_code == 403
    assert town.get("/review", town.token("harbour"), **{"X-Request-ID": "curious"}).status_code == 403
    (entry,) = told(town, "?entity=curious&outcome=4")
    assert entry["agent"][0]["who"] == {"identifier": {"value": "harbour"}}


@pytest.mark.parametrize(
    ("method", "path", "recorded"),
    [
        ("POST", "/r2.0/fhir/Claim/$submit", True),
        ("GET", "/r2.2/fhir/ClaimResponse/1", True),
        ("POST", "/r2.2/fhir/Questionnaire/$questionnaire-package", True),
        ("GET", "/r2.2/fhir/Questionnaire/mri-knee", False),
        ("POST", "/r2.2/fhir/ValueSet/$expand", False),
        ("GET", "/r2.0/fhir/metadata", False),
        ("POST", "/r2.0/cds-services/order-sign", True),
        ("GET", "/r2.0/cds-services", False),
        ("GET", "/why/1", True),
        ("GET", "/r2.2/appropriateness/criteria/1", True),
        ("GET", "/r2.2/appropriateness/launch", False),
        ("GET", "/health", False),
    ],
)
def test_what_is_an_access(method: str, path: str, recorded: bool) -> None:
    assert tells_of_patients(method, path) is recorded


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, new_database: NewDatabase) -> Iterator[Store]:
    opened = Store.open(new_database(request.param))
    yield opened
    opened.close()


def access(**changes: Any) -> ledger.Access:
    usual = {"at": NOW, "client": "c", "address": "", "method": "GET", "route": "/x", "status": 200}
    return ledger.Access(**{**usual, "request_id": "r", **changes})


@pytest.mark.parametrize("change", ["UPDATE audit_access SET client = 'nobody'", "DELETE FROM audit_subject"])
def test_the_database_refuses_to_change_the_trail(store: Store, change: str) -> None:
    with store.transaction() as tx:
        ledger.record(tx, access(), [("patient", "member:M-1")])
    with pytest.raises(DatabaseError, match="append only"), store.transaction() as tx:
        tx.execute(text(change))


def test_what_is_decided_and_its_record_are_one_commit(found_town: Build) -> None:  # noqa: F811
    """A second one would keep the answer waiting. Whatever is answered, it is on record once."""
    town = found_town(environment="development", cds_jwt="off")
    store, commits = town.app.state.services.store, []
    event.listen(store.engine, "commit", lambda connection: commits.append(1))
    sign = hook.sign(hook.shoulder(), sent=hook.prefetch())
    package = "/r2.0/fhir/Questionnaire/$questionnaire-package"
    for number, (path, body, status) in enumerate(
        (
            ("/r2.0/cds-services/order-sign", sign, 200),
            ("/r2.0/cds-services/order-sign", {**sign, "context": {}}, 422),
            (SUBMIT, a.request(), 200),
            (package, {"resourceType": "Parameters"}, 400),
        ),
        1,
    ):
        assert town.post(path, body).status_code == status
        with store.reading() as tx:
            total, (newest, *_) = ledger.search(tx, [], None, 1)
        assert (len(commits), total, newest.status) == (number, number, status)


def test_requests_that_end_together_are_written_together(tmp_path: Path) -> None:
    """Also where one event loop after another runs the application, as in tests of others with it."""
    store = Store.open(f"sqlite:///{tmp_path}/payer.db")
    commits: list[int] = []
    event.listen(store.engine, "commit", lambda connection: commits.append(1))

    trail = Trail(store)

    async def story(clients: range) -> None:
        await asyncio.gather(*(trail.record(access(client=str(n)), {("case", str(n))}) for n in clients))

    asyncio.run(story(range(25)))
    asyncio.run(story(range(25, 50)))
    with store.reading() as tx:
        total, _ = ledger.search(tx, [], None, 1)
    assert total == 50
    assert len(commits) < 10
    store.close()


def test_without_a_record_there_is_no_answer(found_town: Build) -> None:  # noqa: F811
    town = found_town(environment="development", cds_jwt="off")
    answer = town.post(SUBMIT, a.request()).json()
    with town.app.state.services.store.transaction() as tx:
        tx.execute(text("DROP TABLE audit_subject"))
    response = answer["entry"][0]["fullUrl"].partition("payer.test")[2]
    for refused in (town.get(response), town.post(SUBMIT, a.request(claim=a.claim(a.item(2))))):
        assert refused.status_code == 503
        assert "Roth" not in refused.text
        assert refused.headers["retry-after"]
    with town.app.state.services.store.reading() as tx:
        assert tx.scalar(select(func.count()).select_from(stored.PaCase)) == 1
