"""Sending what subscribers are owed: in order, again until it arrives.

One process at a time delivers to one subscription (a lease in the database); what does not arrive stays at
the head of the line and is tried again after a pause that grows. After `PATIENCE` failures the subscription
is in `error`; the line is kept and tried on, so an endpoint that comes back gets everything, and the
subscription is active again.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import structlog

from server.fhir import json
from server.security.outbound import Outbound
from server.store import Store, subscriptions
from server.store import tables as stored
from server.subscriptions import resource, topic
from server.subscriptions.notification import Event, Focus, Standing, notification
from server.work import Work

Resource = dict[str, Any]
FocusOf = Callable[[str, str], Focus]

PAUSES = (2, 2, 2, 4, 4, 8, 8, 15, 15, 30, 60, 120, 300)
"""Seconds before the next try, by failures so far; the last one from there on."""

PATIENCE = 6
LEASE = dt.timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Delivery:
    """`focus(case, version)` tells what an event is about; `base(version)` is the FHIR base of links."""

    store: Store
    work: Work
    outbound: Outbound
    clock: Callable[[], dt.datetime]
    base: Callable[[Any], str]
    focus: FocusOf

    def flush(self, subscription_id: str) -> None:
        """Delivers until nothing is owed or something does not arrive."""
        while self._lease(subscription_id):
            arrived = True
            try:
                while arrived and (notice := self._head(subscription_id)) is not None:
                    arrived = self._deliver(notice)
            finally:
                with self.store.transaction() as tx:
                    subscriptions.release(tx, subscription_id)
            # What was added between the last look and the release had nobody who would take it.
            if not arrived or self._head(subscription_id) is None:
                return

    def sweep(self) -> None:
        """Wakes what is owed and nobody woke, ends what has ended, gives signs of life."""
        now = self.clock()
        with self.store.transaction() as tx:
            for subscription in subscriptions.living(tx):
                ended = resource.end(subscription.resource)
                if ended is not None and ended <= now:
                    subscription.status = "off"
                elif subscription.status == "active" and _silent(subscription, now):
                    subscriptions.owe(tx, subscription, "heartbeat", now)
            for subscription_id in subscriptions.owed_to(tx):
                topic.wake(tx, self.work, subscription_id)

    def _lease(self, subscription_id: str) -> bool:
        now = self.clock()
        with self.store.transaction() as tx:
            return subscriptions.lease(tx, subscription_id, now, now + LEASE)

    def _head(self, subscription_id: str) -> stored.Notice | None:
        with self.store.reading() as tx:
            return subscriptions.next_owed(tx, subscription_id)

    def _deliver(self, notice: stored.Notice) -> bool:
        """Whether it arrived. Nothing is held in the database while the subscriber takes its time."""
        with self.store.reading() as tx:
            subscription = subscriptions.by_id(tx, notice.subscription_id)
        if subscription is None or subscription.status == "off":
            return False
        now = self.clock()
        fault = self._send(subscription, self._bundle(subscription, notice, now))
        with self.store.transaction() as tx:
            self._noted(tx, notice, fault, now)
        if fault:
            structlog.get_logger().warning(
                "notification", subscription=subscription.id, kind=notice.kind, fault=fault
            )
        return not fault

    def _bundle(self, subscription: stored.Subscription, notice: stored.Notice, now: dt.datetime) -> Resource:
        events = []
        if notice.kind == "event-notification":
            events = [Event(notice.number, notice.at, self.focus(notice.focus, subscription.version))]
        # A subscription that waits for its handshake, or is being tried again, says so of itself once only.
        status = "requested" if notice.kind == "handshake" else "active"
        standing = standing_of(subscription, self.base, status=status, events=notice.number)
        return notification(standing, notice.kind, events, now)

    def _send(self, subscription: stored.Subscription, bundle: Resource) -> str:
        """Empty where the subscriber took it, else why not, without its address."""
        channel = subscription.resource["channel"]
        lines = (line.partition(":") for line in channel.get("header") or [])
        headers = [(name.strip(), content.strip()) for name, _, content in lines]
        try:
            status = asyncio.run(
                _post(
                    self.outbound,
                    channel["endpoint"],
                    json.encode(bundle),
                    [*headers, ("Content-Type", channel["payload"])],
                    resource.timeout(subscription.resource),
                )
            )
        except (httpx.HTTPError, OSError, ValueError) as error:
            return type(error).__name__
        return "" if 200 <= status < 300 else f"status {status}"

    def _noted(self, tx: Any, seen: stored.Notice, fault: str, now: dt.datetime) -> None:
        notice = tx.get(stored.Notice, seen.id)
        subscription = tx.get(stored.Subscription, seen.subscription_id)
        if notice is None or subscription is None:
            return
        notice.attempts += 1
        if not fault:
            notice.delivered = subscription.told = now
            subscription.failures, subscription.fault = 0, ""
            if subscription.status != "off":
                subscription.status = "active"
            return
        subscription.failures += 1
        subscription.fault = fault
        if subscription.failures >= PATIENCE and subscription.status != "off":
            subscription.status = "error"
        pause = PAUSES[min(subscription.failures, len(PAUSES)) - 1]
        topic.wake(tx, self.work, subscription.id, delay=pause)


def standing_of(
    subscription: stored.Subscription,
    base: Callable[[Any], str],
    status: str | None = None,
    events: int | None = None,
) -> Standing:
    return Standing(
        url=f"{base(subscription.version)}/Subscription/{subscription.id}",
        status=status or subscription.status,
        events=subscription.events if events is None else events,
        content=resource.content(subscription.resource),
        fault=subscription.fault,
    )


def _silent(subscription: stored.Subscription, now: dt.datetime) -> bool:
    period = resource.heartbeat(subscription.resource)
    return period is not None and subscription.told is not None and subscription.told + period <= now


async def _post(
    outbound: Outbound, url: str, body: bytes, headers: list[tuple[str, str]], seconds: float
) -> int:
    async with httpx.AsyncClient(
        transport=outbound.transport(), timeout=seconds, follow_redirects=False
    ) as http:
        return (await http.post(url, content=body, headers=headers)).status_code
