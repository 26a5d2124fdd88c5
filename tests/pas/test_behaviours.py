"""Rare behaviour on a tester's request; both guide versions."""

import asyncio
import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from server import background
from server.clock import SetClock
from server.fhir.errors import Unavailable
from server.pas import behaviours
from server.pas.behaviours import SLOW_SECONDS, SYSTEM, Behaviour
from server.review import demo
from server.services import Services
from server.settings import Settings
from server.store import work_items
from server.store.tables import Notice, Subscription, SubscriptionFilter
from tests.pas import builders as a
from tests.pas import charts
from tests.pas.conftest import Payer
from tests.pas.test_attachments import parameters, send
from tests.pas.test_changes import called, marked, update
from tests.review.test_desk import ONE_BASE

Resource = dict[str, Any]


def tagged(*codes: str) -> Resource:
    tags = [{"system": SYSTEM, "code": code} for code in codes]
    return a.request(*charts.meets_every_criterion(), claim=a.claim(meta={"tag": tags}))


def obeying(payer: Payer) -> Services:
    """The server's services, as if it had been started with TEST_BEHAVIOURS=true."""
    services: Services = payer.app.state.services
    return replace(services, settings=services.settings.model_copy(update={"test_behaviours": True}))


def test_the_tags_are_passed_over_unless_the_server_is_set_to_obey(payer: Payer) -> None:
    assert payer.submit(tagged("failure", "pend-then-approve", "slow")).action == "A1"


def test_production_refuses_to_obey() -> None:
    with pytest.raises(ValidationError, match="TEST_BEHAVIOURS"):
        Settings(_env_file=None, environment="production", test_behaviours=True)


def test_tags_of_another_system_ask_for_nothing(payer: Payer) -> None:
    claim = {"meta": {"tag": [{"system": "https://ehr.example/tags", "code": "failure"}, {"code": "slow"}]}}

    assert behaviours.wished(obeying(payer), claim) == frozenset()


@pytest.mark.parametrize("meta", ["x", {"tag": 3}, {"tag": [{"system": SYSTEM, "code": ["slow"]}]}])
def test_tags_that_are_no_fhir_ask_for_nothing(payer: Payer, meta: Any) -> None:
    assert behaviours.wished(obeying(payer), {"meta": meta}) == frozenset()


@pytest.mark.parametrize("body", [b"", b"[]", b'{"entry": 3}', b'{"entry": []}', b'{"entry": [4]}'])
def test_a_body_that_is_no_request_asks_for_nothing(payer: Payer, body: bytes) -> None:
    assert behaviours.wished_by(obeying(payer), body) == frozenset()


def test_a_failure_is_a_503_and_slow_is_slow(payer: Payer) -> None:
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    asked = behaviours.wished_by(obeying(payer), a.raw(tagged("slow", "failure")))
    with pytest.raises(Unavailable) as refused:
        asyncio.run(behaviours.before_answering(asked, wait))

    assert waited == [SLOW_SECONDS]
    assert refused.value.headers["Retry-After"]


def test_a_pend_on_request_is_approved_afterwards(payer: Payer, monkeypatch: pytest.MonkeyPatch) -> None:
    services = payer.app.state.services
    monkeypatch.setattr(behaviours, "wished_by", lambda *_: frozenset({Behaviour.PEND}))
    moved = update(marked(a.item(1, servicedDate="2026-12-02"), "changed"))
    for sent in (tagged("pend-then-approve"), moved):
        assert payer.submit(sent, **{"X-Dry-Run": "true"}).action == "A4"
        pended = payer.submit(sent)
        with services.store.reading() as tx:
            (item,) = work_items.of_case(tx, pended.response["id"])
        demo.decide(services, item.id)
        (found,) = payer.inquire(a.inquiry())

        assert pended.action == "A4"
        assert found.action == "A1"


@ONE_BASE
def test_a_pend_on_request_of_what_is_authorized_already_is_approved_under_its_number(
    payer: Payer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tester sends the same order day after day; it names no day of its own."""
    services = payer.app.state.services
    undated = {name: told for name, told in a.item().items() if name != "servicedDate"}
    first = payer.submit(a.request(*charts.meets_every_criterion(), claim=a.claim(undated)))
    monkeypatch.setattr(services.clock, "_now", services.clock() + dt.timedelta(days=1))
    monkeypatch.setattr(behaviours, "wished_by", lambda *_: frozenset({Behaviour.PEND}))
    again = a.claim(undated, id="pa-2", identifier=[called("PA-2")])
    pended = payer.submit(a.request(*charts.meets_every_criterion(), claim=again))
    with services.store.reading() as tx:
        (item,) = work_items.of_case(tx, pended.response["id"])
    demo.decide(services, item.id)

    assert pended.action == "A4"
    assert [told.number for told in payer.inquire(a.inquiry())] == [first.number] * 2


@pytest.mark.parametrize(("code", "told"), [("duplicate-notification", 2), ("late-notification", 0)])
def test_a_result_is_told_twice_or_late(payer: Payer, code: str, told: int) -> None:
    services = obeying(payer)
    pended = payer.submit(a.request(claim=a.claim(meta={"tag": [{"system": SYSTEM, "code": code}]})))
    with services.store.transaction() as tx:
        row = tx.get_one(behaviours.stored.PaCase, pended.response["id"])
        read = behaviours.casebook.read_again(tx, row).read
        subscribe(tx, services)
        behaviours.tell(services, tx, row, read, services.clock())
        at_once = tx.query(Notice).count()
    behaviours.tell_late(services, row.id)
    with services.store.reading() as tx:
        afterwards = tx.query(Notice).count()

    assert at_once == told
    assert afterwards == told + 1


@pytest.mark.parametrize("by", ["what was attached", "the clock"])
def test_whoever_reaches_the_result_it_is_told_as_asked(
    payer: Payer, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    services = payer.app.state.services
    monkeypatch.setattr(behaviours, "wished", lambda *_: frozenset({Behaviour.TWICE}))
    pended = payer.submit(a.request())
    with services.store.transaction() as tx:
        subscribe(tx, services)
    if by == "the clock":
        much_later = SetClock(services.clock() + dt.timedelta(days=60))
        background.clock(replace(services, clock=much_later)).sweep()
    else:
        send(payer, parameters(pended.tracking, *charts.meets_every_criterion()))
    with services.store.reading() as tx:
        told = tx.query(Notice).count()

    assert told == 2


def subscribe(tx: Any, services: Services) -> None:
    tx.add(
        Subscription(id="s", client="", version="2.0", status="active", resource={}, created=services.clock())
    )
    tx.flush()
    tx.add(SubscriptionFilter(subscription_id="s", organization="1992999999", client=""))
    tx.flush()
