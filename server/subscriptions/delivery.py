"""Sending what subscribers are owed: in order, again until it arrives.

One process at a time delivers to one subscription (a lease in the database); what does not arrive stays at
the head of the line and is tried again after a pause that grows. The pause is the lease, kept by nobody:
whoever comes earlier, for a new event or out of habit, finds it taken and goes away. After `PATIENCE`
failures the subscription is in `error`; the line is kept and tried on, so an endpoint that comes back gets
everything, and the subscription is active again.

Leases, pauses and heartbeats are between machines and go by the wall's clock; what a notification tells, and
when a subscription ends, by the server's.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import httpx
import structlog

from server.clock import wall
from server.fhir import json
from server.security.outbound import Outbound, why
from server.store import Store, Transaction, ledger, subscriptions
from server.store import tables as stored
from server.store.touched import watching
from server.subscriptions import resource, topic
from server.subscriptions.notification import Event, Focus, Standing, notification
from server.work import Work, apart

Resource = dict[str, Any]
FocusOf = Callable[[str, Any], Focus]

PAUSES = (2, 2, 2, 4, 4, 8, 8, 15, 15, 30, 60, 120, 300)
"""Seconds before the next try, by failures so far; the last one from there on."""

PATIENCE = 6
MARGIN = dt.timedelta(seconds=5)
"""How much longer a lease lasts than the subscriber may take: what our own side needs."""


NOT_REGISTERED = "client or endpoint is not registered any more"
STOPPED = "this server was stopped"

LOOK = 0.2
"""Seconds between two looks whether this server ends before a subscriber has answered."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """`focus(case, version)` tells what an event is about; `base(version)` is the FHIR base of links;
    `reaches(client, address)` says whether what that client is owed may go there."""

    store: Store
    work: Work
    outbound: Outbound
    clock: Callable[[], dt.datetime]
    base: Callable[[Any], str]
    focus: FocusOf
    reaches: Callable[[str, str], bool]
    wall: Callable[[], dt.datetime] = wall

    def flush(self, subscription_id: str) -> None:
        """Delivers until nothing is owed or something does not arrive."""
        while (held := self._lease(subscription_id)) is not None:
            again: dt.datetime | None = None
            try:
                while again is None and (owed := self._head(subscription_id)) is not None:
                    subscription, notice = owed
                    before, held = held, self._until(subscription)
                    with self.store.transaction() as tx:
                        if not subscriptions.renew(tx, subscription_id, before, held):
                            return
                    again = self._deliver(subscription, notice)
            finally:
                with self.store.transaction() as tx:
                    subscriptions.renew(tx, subscription_id, held, again)
            # What was added between the last look and the release had nobody who would take it.
            if again is not None or self._head(subscription_id) is None:
                return

    def sweep(self) -> None:
        """Ends what has ended, gives signs of life, wakes what is owed and nobody woke."""
        with self.store.reading() as tx:
            timed = subscriptions.speaking_of(tx, *resource.TIMED)
        for subscription in timed:
            with apart("subscription", subscription=subscription.id):
                if self._ended(subscription) or self._silent(subscription):
                    self._look_after(subscription.id)
        with self.store.reading() as tx:
            waiting = subscriptions.owed_to(tx, self.wall())
        if waiting:
            with self.store.transaction() as tx:
                for subscription_id in waiting:
                    topic.wake_later(tx, self.work, subscription_id)

    def _look_after(self, subscription_id: str) -> None:
        with self.store.transaction() as tx:
            subscription = subscriptions.hold(tx, subscription_id)
            if subscription is None or subscription.status == "off":
                return
            if self._ended(subscription):
                self._turn(subscription, "off", subscription.fault)
            elif self._silent(subscription) and subscriptions.next_owed(tx, subscription_id) is None:
                # What is on its way already is a sign of life itself.
                subscriptions.owe(tx, subscription, "heartbeat", self.clock())

    def _ended(self, subscription: stored.Subscription) -> bool:
        ended = resource.end(subscription.resource)
        return ended is not None and ended <= self.clock()

    def _silent(self, subscription: stored.Subscription) -> bool:
        """Whether a sign of life is due; one of the future was given before the clock was set back."""
        period, told = resource.heartbeat(subscription.resource), subscription.told
        due = period is not None and told is not None and abs(self.wall() - told) >= period
        return due and subscription.status == "active"

    def _lease(self, subscription_id: str) -> dt.datetime | None:
        """Until when it is ours; None where it is not to be had."""
        now = self.wall()
        with self.store.transaction() as tx:
            return now + MARGIN if subscriptions.lease(tx, subscription_id, now, now + MARGIN) else None

    def _until(self, subscription: stored.Subscription) -> dt.datetime:
        return self.wall() + dt.timedelta(seconds=resource.timeout(subscription.resource)) + MARGIN

    def _head(self, subscription_id: str) -> tuple[stored.Subscription, stored.Notice] | None:
        """The subscription and what it is owed first."""
        with self.store.reading() as tx:
            subscription = subscriptions.by_id(tx, subscription_id)
            notice = subscriptions.next_owed(tx, subscription_id)
        if subscription is None or notice is None or subscription.status == "off":
            return None
        # Its end counts from the moment it is reached, and not from the next sweep.
        return None if self._ended(subscription) else (subscription, notice)

    def _deliver(self, subscription: stored.Subscription, notice: stored.Notice) -> dt.datetime | None:
        """None when it arrived, else when to try again. Nothing is held in the database while the subscriber
        takes its time."""
        status, fault, rest = 0, NOT_REGISTERED, 0
        with watching() as touched:
            registered = self.reaches(subscription.client, subscription.resource["channel"]["endpoint"])
            bundle = self._bundle(subscription, notice) if registered else {}
        if registered:
            status, fault, rest = self._send(subscription, bundle)
        if fault:
            structlog.get_logger().warning(
                "notification", subscription=subscription.id, kind=notice.kind, fault=fault
            )
        with self.store.transaction() as tx:
            if touched:
                ledger.record(tx, self._access(subscription, status), touched)
            return self._noted(tx, subscription, notice.id, fault, rest)

    def _access(self, subscription: stored.Subscription, status: int) -> ledger.Access:
        """For the audit trail: something of a patient left for this subscriber."""
        return ledger.Access(
            at=self.clock(),
            client=subscription.client,
            address=urlsplit(subscription.resource["channel"]["endpoint"]).hostname or "",
            method=ledger.SENT,
            route="notification",
            status=status,
            request_id=subscription.id,
        )

    def _bundle(self, subscription: stored.Subscription, notice: stored.Notice) -> Resource:
        events = []
        if notice.kind == "event-notification":
            events = [Event(notice.number, notice.at, self.focus(notice.focus, subscription.version))]
        # A subscription that waits for its handshake, or is being tried again, says so of itself once only.
        status = "requested" if notice.kind == "handshake" else "active"
        told = notice.number if events else subscription.events
        standing = replace(standing_of(subscription, self.base), status=status, events=told, fault="")
        return notification(standing, notice.kind, events, self.clock())

    def _send(self, subscription: stored.Subscription, bundle: Resource) -> tuple[int, str, int]:
        """The status, 0 without an answer; why the subscriber did not take it, without its address; and the
        seconds in which it wants to be left alone."""
        channel = subscription.resource["channel"]
        try:
            status, rest = asyncio.run(
                _unless(
                    self.work.closing,
                    _post(
                        self.outbound,
                        channel["endpoint"],
                        json.encode(bundle),
                        [*resource.headers(subscription.resource), ("Content-Type", channel["payload"])],
                        resource.timeout(subscription.resource),
                    ),
                )
            )
        except asyncio.CancelledError:
            return 0, STOPPED, 0
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return 0, why(error), 0
        return status, "" if 200 <= status < 300 else f"status {status}", rest

    def _noted(
        self, tx: Transaction, seen: stored.Subscription, notice_id: int, fault: str, rest: int
    ) -> dt.datetime | None:
        subscription = subscriptions.hold(tx, seen.id)
        notice = tx.get(stored.Notice, notice_id)
        if notice is None or subscription is None:
            return None
        if fault == STOPPED:
            return self.wall()
        notice.attempts += 1
        if not fault:
            notice.delivered, subscription.told = self.clock(), self.wall()
            if notice.kind == "heartbeat":
                # One a minute, of each subscriber, would be kept for good.
                tx.delete(notice)
            subscription.failures = 0
            # What still reached the old address of a changed subscription is no handshake with the new one.
            there = subscription.status == "error" and subscription.resource == seen.resource
            self._turn(subscription, "active" if notice.kind == "handshake" or there else "")
            return None
        if subscription.resource != seen.resource:
            return None
        subscription.failures += 1
        # A handshake that fails shows an endpoint that is none (Subscriptions backport, REST-Hook).
        broken = notice.kind == "handshake" or subscription.failures >= PATIENCE
        self._turn(subscription, "error" if broken else "", fault)
        pause = max(PAUSES[min(subscription.failures, len(PAUSES)) - 1], min(rest, PAUSES[-1]))
        again = self.wall() + dt.timedelta(seconds=pause)
        topic.wake_later(tx, self.work, subscription.id, delay=pause)
        return again

    def _turn(self, subscription: stored.Subscription, status: str, fault: str = "") -> None:
        """To that status, unless it is none or the subscription is off; its date is that of a change."""
        before = subscription.status, subscription.fault
        if status and subscription.status != "off":
            subscription.status = status
        subscription.fault = fault
        if before != (subscription.status, fault):
            subscription.resource = resource.dated(subscription.resource, self.clock())


def standing_of(subscription: stored.Subscription, base: Callable[[Any], str]) -> Standing:
    """How it stands."""
    return Standing(
        url=f"{base(subscription.version)}/Subscription/{subscription.id}",
        status=subscription.status,
        events=subscription.events,
        content=resource.content(subscription.resource),
        fault=subscription.fault,
    )


async def _unless(closing: threading.Event, sending: Coroutine[Any, Any, tuple[int, int]]) -> tuple[int, int]:
    """What comes of it. Raises CancelledError once `closing` is set."""
    task = asyncio.create_task(sending)
    while not task.done():
        await asyncio.wait({task}, timeout=LOOK)
        if closing.is_set():
            task.cancel()
    return task.result()


async def _post(
    outbound: Outbound, url: str, body: bytes, headers: list[tuple[str, str]], seconds: float
) -> tuple[int, int]:
    """The status, and the seconds of a Retry-After, as soon as they are there: what a subscriber says beside
    it is not read, however much it is."""
    async with (
        asyncio.timeout(seconds),
        outbound.client(seconds) as http,
        http.stream("POST", url, content=body, headers=headers) as answer,
    ):
        rest = answer.headers.get("Retry-After", "")
        return answer.status_code, int(rest) if rest.isdecimal() and len(rest) < 10 else 0
