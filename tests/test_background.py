"""A serving process works in the background: the whole loop, from a pend to the news of its outcome."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import func, select, text
from starlette.testclient import TestClient

from server import background
from server.fhir import json
from server.pas.handover import DEMO, assign_of
from server.pas.settling import settle
from server.pas.submit import Submit
from server.pas.verdict import Review
from server.pas.versions import VERSIONS
from server.review import demo
from server.review.desk import Desk
from server.store import Store, Transaction, cases, events
from server.store import tables as stored
from tests.conftest import DATABASES, NewDatabase, started
from tests.crd import builders as hook
from tests.crd.conftest import HEADERS
from tests.crd.shape import coverage_informations
from tests.pas import builders as a
from tests.pas import charts
from tests.pas.conftest import FHIR, Answer, Payer
from tests.serving import Serving
from tests.subscriptions.builders import subscription
from tests.subscriptions.endpoint import Endpoint

Resource = dict[str, Any]


def waits_for_a_person(member: str = "M-ANNA", name: str = "PA-1") -> Resource:
    return a.request(
        charts.answers(**charts.SHORT_TRIAL),
        *charts.film_and_examination(),
        coverage=a.coverage("reviewed", subscriberId=member),
        claim=a.claim(identifier=[{"system": "https://ehr.example/pa", "value": name}]),
    )


@pytest.fixture(scope="module", params=DATABASES)
def serving(request: pytest.FixtureRequest, new_database: NewDatabase) -> Iterator[TestClient]:
    """A whole server: it answers, works, and has a reviewer who takes a second."""
    with started(new_database(request.param), demo_reviewer=1) as http:
        services = http.app.state.services  # type: ignore[attr-defined]  # starlette's client has any ASGI app
        with background.running(services):
            yield http


def test_a_tester_alone_sees_the_whole_loop(serving: TestClient) -> None:
    """Pended, decided as the rules recommend, told, and found again."""
    payer = Payer(serving, serving.app, "2.2")  # type: ignore[arg-type]
    with Endpoint() as clinic:
        wish = subscription("2.2", clinic.url)
        serving.post("/r2.2/fhir/Subscription", json=wish, headers=FHIR)
        clinic.wait_for("handshake")
        pended = payer.submit(waits_for_a_person())
        told = clinic.wait_for("event-notification")
    (found,) = payer.inquire(a.inquiry())

    assert pended.action == "A4"
    assert Answer(told.body["entry"][1]["resource"]).action == "A3"
    assert found.action == "A3"
    assert "CC-DUR" in found.words
    with serving.app.state.services.store.reading() as tx:  # type: ignore[attr-defined]
        actors = [event.actor for event in events.of_case(tx, pended.response["id"])]
    assert actors == ["rules", "reviewer Demo reviewer"]


@pytest.mark.parametrize("database", DATABASES)
def test_a_call_of_crd_is_forgotten_when_it_was_kept_for_long_enough(
    new_database: NewDatabase, database: str
) -> None:
    """What it came to is not: whoever asks why is told."""
    with started(new_database(database), keep_exchanges_days=30) as http:
        call = json.encode(hook.sign(hook.shoulder(), sent=hook.prefetch()))
        answered = http.post("/r2.0/cds-services/order-sign", content=call, headers=HEADERS).json()
        (told,) = coverage_informations(answered["systemActions"][0]["resource"])
        kept = [doors(http)]
        for days in (29, 2):
            http.post("/clock", json={"days": days})
            kept.append(doors(http))

        assert kept == [{"crd"}, {"crd", "clock"}, {"clock"}]
        assert http.get(f"/why/{told['coverage-assertion-id']}").is_success


@pytest.mark.parametrize("database", DATABASES)
def test_bytes_that_would_be_asked_anew_are_forgotten(new_database: NewDatabase, database: str) -> None:
    def kept() -> int | None:
        with http.app.state.services.store.reading() as tx:  # type: ignore[attr-defined]
            return tx.scalar(select(func.count()).select_from(stored.PaRepeat))

    with started(new_database(database)) as http:
        payer = Payer(http, http.app, "2.2")  # type: ignore[arg-type]
        payer.submit(waits_for_a_person())
        http.post("/clock", json={"minutes": 4})
        still = kept()
        http.post("/clock", json={"minutes": 2})
        assert (still, kept()) == (1, 0)


def test_a_round_that_finds_nothing_to_do_waits_for_nobody_who_writes(new_database: NewDatabase) -> None:
    with started(new_database("sqlite"), keep_exchanges_days=30) as http:
        services = http.app.state.services  # type: ignore[attr-defined]
        sweeps = background.sweeps(services)
        rounds = Thread(target=lambda: [sweep() for sweep in sweeps])
        with services.store.transaction():
            rounds.start()
            rounds.join(10)
            waits = rounds.is_alive()
        rounds.join()

    assert not waits


def doors(http: TestClient) -> set[str]:
    """Whose calls are kept."""
    with http.app.state.services.store.reading() as tx:  # type: ignore[attr-defined]
        return set(tx.scalars(select(stored.Exchange.door)))


def test_what_is_rolled_back_with_a_decision_is_done_by_nobody(serving: TestClient) -> None:
    """A pend whose transaction fails at its very end is no pend, and no reviewer decides it."""
    services = serving.app.state.services  # type: ignore[attr-defined]
    assign = assign_of(services)

    def fails_after(tx: Transaction, item: stored.WorkItem) -> None:
        assign(tx, item)
        assert demo_reviews(tx) == before + 1
        raise OSError("the disk is full")

    submit = Submit(
        VERSIONS["2.2"],
        services.fhir_base("2.2"),
        services.store,
        services.adjudicator,
        fails_after,
        partial(settle, services),
    )
    with services.store.reading() as tx:
        before = demo_reviews(tx)
    with pytest.raises(OSError, match="the disk is full"):
        submit.answer(a.raw(waits_for_a_person("M-BERTA")), "", services.clock())

    with services.store.reading() as tx:
        assert demo_reviews(tx) == before
        assert cases.of_member(tx, "M-BERTA") == []


def demo_reviews(tx: Transaction) -> int:
    """How many turns of the demo reviewer there are, whatever became of them."""
    place = "workflow_status" if tx.get_bind().dialect.name == "sqlite" else "dbos.workflow_status"
    return int(tx.scalar(text(f"SELECT count(*) FROM {place} WHERE name = :job"), {"job": DEMO}) or 0)


def test_a_person_is_quicker_than_the_demo_reviewer(serving: TestClient) -> None:
    """Its turn comes, and it finds nothing left to do."""
    services = serving.app.state.services  # type: ignore[attr-defined]
    payer = Payer(serving, serving.app, "2.2")  # type: ignore[arg-type]
    pended = payer.submit(waits_for_a_person("M-CLARA"))
    (waiting,) = [each for each in Desk(services).queue().shown if each.case.id == pended.response["id"]]
    Desk(services).approve(waiting.item.id, waiting.item.revision, Review(name="Dr Kim"))
    demo.decide(services, waiting.item.id)

    with services.store.reading() as tx:
        actors = [event.actor for event in events.of_case(tx, pended.response["id"])]
    assert actors == ["rules", "reviewer Dr Kim"]


def test_f23_what_was_pended_when_the_process_died_is_decided_once_and_told_once(
    new_database: NewDatabase,
) -> None:
    url = new_database("sqlite")
    with Endpoint() as clinic, Serving(database_url=url, demo_reviewer="2") as server:
        server.ready()
        wish = subscription("2.2", clinic.url)
        server.http.post("/r2.2/fhir/Subscription", json=wish, headers=FHIR).raise_for_status()
        clinic.wait_for("handshake")
        body = a.raw(waits_for_a_person())
        pended = server.http.post("/r2.2/fhir/Claim/$submit", content=body, headers=FHIR).json()
        server.kill()
        assert clinic.events == []
        server.start()
        clinic.wait_for("event-notification")
        found = server.http.post("/r2.2/fhir/Claim/$inquire", content=a.raw(a.inquiry()), headers=FHIR).json()

    (told,) = clinic.events
    assert Answer(pended).action == "A4"
    assert Answer(told.body["entry"][1]["resource"]).action == "A3"
    assert [Answer(part["resource"]).action for part in found["parameter"]] == ["A3"]
    # Stopped as operators stop it, the one file is all there is to be kept.
    assert not Path(url.removeprefix("sqlite:///") + "-wal").exists()


def test_f23_two_processes_on_one_database_share_the_work_and_double_nothing(
    new_database: NewDatabase,
) -> None:
    """Requests go to either, a reviewer of either decides, and one clinic hears of each result once."""
    url, count = new_database("postgresql"), 12
    with (
        Endpoint() as clinic,
        Serving(database_url=url, demo_reviewer="1") as one,
        Serving(database_url=url, demo_reviewer="1") as other,
    ):
        one.ready()
        other.ready()
        wish = subscription("2.2", clinic.url)
        one.http.post("/r2.2/fhir/Subscription", json=wish, headers=FHIR).raise_for_status()
        clinic.wait_for("handshake")
        for number in range(count):
            server = one if number % 2 else other
            body = a.raw(waits_for_a_person(f"M-{number}", f"PA-{number}"))
            server.http.post("/r2.2/fhir/Claim/$submit", content=body, headers=FHIR).raise_for_status()
        clinic.wait_until(lambda: len(clinic.events) >= count)
    store = Store.open(url)
    with store.reading() as tx:
        decided = tx.scalars(select(stored.PaEvent).where(stored.PaEvent.kind == "decided")).all()
        done = text("SELECT count(DISTINCT executor_id) FROM dbos.workflow_status WHERE status = 'SUCCESS'")
        workers = tx.scalar(done)
    store.close()

    assert [told.number for told in clinic.events] == list(range(1, count + 1))
    assert len({event.case_id for event in decided}) == len(decided) == count
    assert workers == 2
