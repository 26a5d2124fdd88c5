"""Sending what subscribers are owed: in order, again until it arrives.

One process at a time delivers to one subscription (a lease in the database); what does not arrive stays at
the head of the line and is tried again after a pause that grows. The pause is the lease, kept by nobody:
whoever comes earlier, for a new event or out of habit, finds it taken and goes away. After `PATIENCE`
failures the subscription is in `error`; the line is kept and tried on, so an endpoint that comes back gets
everything, and the subscription is active again.
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
from server.store import Store, Transaction, subscriptions
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
        while (held := self._lease(subscription_id)) is not None:
            pause: dt.timedelta | None = None
            try:
                while pause is None and (notice := self._head(subscription_id)) is not None:
                    held, before = self.clock() + LEASE, held
                    with self.store.transaction() as tx:
                        if not subscriptions.renew(tx, subscription_id, before, held):
                            return
                    pause = self._deliver(notice)
            finally:
                with self.store.transaction() as tx:
                    rest = self.clock() + pause if pause else None
                    subscriptions.release(tx, subscription_id, held, rest)
            # What was added between the last look and the release had nobody who would take it.
            if pause is not None or self._head(subscription_id) is None:
                return

    def sweep(self) -> None:
        """Wakes what is owed and nobody woke, ends what has ended, gives signs of life."""
        now = self.clock()
        with self.store.transaction() as tx:
            for subscription in subscriptions.living(tx):
                ended = resource.end(subscription.resource)
                if ended is not None and ended <= now:
                    subscription.status = "off"
                elif subscription.status == "active" and self._silent(tx, subscription, now):
                    subscriptions.owe(tx, subscription, "heartbeat", now)
            for subscription_id in subscriptions.owed_to(tx, now):
                topic.wake(tx, self.work, subscription_id)

    def _lease(self, subscription_id: str) -> dt.datetime | None:
        """Until when it is ours; None where it is not to be had."""
        now = self.clock()
        with self.store.transaction() as tx:
            return now + LEASE if subscriptions.lease(tx, subscription_id, now, now + LEASE) else None

    def _silent(self, tx: Transaction, subscription: stored.Subscription, now: dt.datetime) -> bool:
        """Whether a sign of life is due. What is on its way already is one."""
        period = resource.heartbeat(subscription.resource)
        told = subscription.told
        overdue = period is not None and told is not None and told + period <= now
        return overdue and subscriptions.next_owed(tx, subscription.id) is None

    def _head(self, subscription_id: str) -> stored.Notice | None:
        with self.store.reading() as tx:
            return subscriptions.next_owed(tx, subscription_id)

    def _deliver(self, notice: stored.Notice) -> dt.timedelta | None:
        """None when it arrived, else how long to wait. Nothing is held in the database while the subscriber
        takes its time."""
        with self.store.reading() as tx:
            subscription = subscriptions.by_id(tx, notice.subscription_id)
        if subscription is None or subscription.status == "off":
            return dt.timedelta(0)
        now = self.clock()
        fault = self._send(subscription, self._bundle(subscription, notice, now))
        with self.store.transaction() as tx:
            pause = self._noted(tx, notice, fault, now)
        if fault:
            structlog.get_logger().warning(
                "notification", subscription=subscription.id, kind=notice.kind, fault=fault
            )
        return pause

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
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return type(error).__name__
        return "" if 200 <= status < 300 else f"status {status}"

    def _noted(
        self, tx: Transaction, seen: stored.Notice, fault: str, now: dt.datetime
    ) -> dt.timedelta | None:
        notice = tx.get(stored.Notice, seen.id)
        subscription = tx.get(stored.Subscription, seen.subscription_id)
        if notice is None or subscription is None:
            return dt.timedelta(0)
        notice.attempts += 1
        if not fault:
            notice.delivered = subscription.told = now
            subscription.failures, subscription.fault = 0, ""
            if subscription.status != "off":
                subscription.status = "active"
            return None
        subscription.failures += 1
        subscription.fault = fault
        if subscription.failures >= PATIENCE and subscription.status != "off":
            subscription.status = "error"
        pause = PAUSES[min(subscription.failures, len(PAUSES)) - 1]
        topic.wake(tx, self.work, subscription.id, delay=pause)
        return dt.timedelta(seconds=pause)


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


async def _post(
    outbound: Outbound, url: str, body: bytes, headers: list[tuple[str, str]], seconds: float
) -> int:
    async with httpx.AsyncClient(
        transport=outbound.transport(), timeout=seconds, follow_redirects=False
    ) as http:
        return (await http.post(url, content=body, headers=headers)).status_code
