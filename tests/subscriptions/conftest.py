"""A payer, a clinic that subscribed, and the hands of the clocks. Nothing runs by itself: a test says when
what is owed goes out, and moves the time where it must pass."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import select

from server import background
from server.clock import SetClock
from server.pas.clock import Clock
from server.review.demo import REVIEWER
from server.review.desk import Desk
from server.services import Services
from server.store import subscriptions
from server.store import tables as stored
from server.subscriptions.delivery import Delivery
from tests.emitted import record
from tests.pas import builders as a
from tests.pas import charts
from tests.pas.conftest import FHIR, GUIDE, Answer, Payer
from tests.pas.conftest import payer as payer
from tests.pas.conftest import running as running
from tests.subscriptions.builders import subscription
from tests.subscriptions.endpoint import Endpoint

Resource = dict[str, Any]


@dataclass(frozen=True)
class Office:
    """What a serving process does in the background, by hand. `time` is the server's, `wall` the world's."""

    payer: Payer
    time: SetClock
    wall: SetClock

    @property
    def services(self) -> Services:
        services: Services = self.payer.app.state.services
        return replace(services, clock=self.time)

    @property
    def delivery(self) -> Delivery:
        return replace(background.delivery(self.services), wall=self.wall)

    @property
    def decisions(self) -> Clock:
        return background.clock(self.services)

    def deliver(self, wait: float = 0.0) -> None:
        """What is owed goes out, `wait` seconds from now."""
        self.wall.move(dt.timedelta(seconds=wait))
        with self.services.store.reading() as tx:
            living = tx.scalars(
                select(stored.Subscription.id).where(stored.Subscription.status != "off")
            ).all()
        for subscription_id in living:
            self.delivery.flush(subscription_id)

    def look_around(self, wait: float = 0.0) -> None:
        """What is done again and again, and then what is owed."""
        self.wall.move(dt.timedelta(seconds=wait))
        self.delivery.sweep()
        self.deliver()

    def subscribe(self, endpoint: str, **changes: Any) -> Resource:
        wish = subscription(self.payer.version, endpoint, **changes)
        answered = self.payer.http.post(f"{self.payer.base}/Subscription", json=wish, headers=FHIR)
        assert answered.status_code == 201, answered.text
        return dict(answered.json())

    def greet(self, endpoint: str, **changes: Any) -> Resource:
        """A subscription whose handshake is over, unless nobody took it."""
        wish = self.subscribe(endpoint, **changes)
        self.deliver()
        return wish

    def change(self, wish: Resource, **changes: Any) -> Resource:
        path = f"{self.payer.base}/Subscription/{wish['id']}"
        answered = self.payer.http.put(path, json={**wish, **changes}, headers=FHIR)
        assert answered.status_code == 200, answered.text
        return dict(answered.json())

    def read(self, subscription_id: str, operation: str = "") -> Resource:
        answered = self.payer.http.get(f"{self.payer.base}/Subscription/{subscription_id}{operation}")
        assert answered.status_code == 200, answered.text
        body = dict(answered.json())
        if operation:
            record(GUIDE[self.payer.version], body)
        return body

    def row(self, subscription_id: str) -> stored.Subscription:
        with self.services.store.reading() as tx:
            found = subscriptions.by_id(tx, subscription_id)
        assert found is not None
        return found

    def pend(self, name: str = "PA-1") -> Answer:
        """A request of the clinic's that waits for a person, each name for a member of its own."""
        return self.payer.submit(
            a.request(
                charts.answers(**charts.SHORT_TRIAL),
                *charts.film_and_examination(),
                coverage=a.coverage("reviewed", subscriberId=f"M-{name}"),
                claim=a.claim(identifier=[{"system": "https://ehr.example/pa", "value": name}]),
            )
        )

    def decide(self) -> None:
        """A reviewer decides whatever waits."""
        desk = Desk(self.services)
        for waiting in desk.queue().shown:
            desk.approve(waiting.item.id, waiting.item.revision, REVIEWER)

    def result(self, name: str = "PA-1") -> Answer:
        """A request is pended, and then decided."""
        pended = self.pend(name)
        self.decide()
        return pended


@pytest.fixture
def office(payer: Payer) -> Office:
    now = payer.app.state.services.clock()
    return Office(payer, SetClock(now), SetClock(now))


@pytest.fixture
def clinic() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint
