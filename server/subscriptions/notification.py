"""The Bundles a subscriber gets (backport-subscription-notification-r4)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from server.fhir.dates import instant
from server.subscriptions.resource import BACKPORT, TOPIC, WHOLE

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Focus:
    """What an event is about: the URL of a resource that can be read, and a Bundle that tells everything,
    with the address it goes by."""

    url: str
    bundle_url: str
    bundle: Resource


@dataclass(frozen=True, slots=True)
class Event:
    number: int
    at: dt.datetime
    focus: Focus


@dataclass(frozen=True, slots=True)
class Standing:
    """How a subscription stands when it is spoken of: `url` is its own, `events` how many it had."""

    url: str
    status: str
    events: int
    content: str
    fault: str = ""


def notification(standing: Standing, kind: str, events: Sequence[Event], now: dt.datetime) -> Resource:
    """A notification of that kind: handshake and heartbeat tell of no event."""
    return {
        "resourceType": "Bundle",
        "id": str(uuid4()),
        "meta": {"profile": [f"{BACKPORT}/backport-subscription-notification-r4"]},
        "type": "history",
        "timestamp": instant(now),
        "entry": [
            {
                "fullUrl": f"urn:uuid:{uuid4()}",
                "resource": status_parameters(standing, kind, events),
                "request": {"method": "GET", "url": f"{standing.url}/$status"},
                "response": {"status": "200"},
            },
            *(_entry(event, standing.content) for event in events),
        ],
    }


def status_bundle(standings: Sequence[Standing], url: str, now: dt.datetime) -> Resource:
    """The answer of `$status`, asked at that address."""
    entries = [
        {
            "fullUrl": f"urn:uuid:{uuid4()}",
            "resource": status_parameters(standing, "query-status", ()),
            "search": {"mode": "match"},
        }
        for standing in standings
    ]
    return {
        "resourceType": "Bundle",
        "id": str(uuid4()),
        "type": "searchset",
        "timestamp": instant(now),
        "total": len(standings),
        "link": [{"relation": "self", "url": url}],
        **({"entry": entries} if entries else {}),
    }


def status_parameters(standing: Standing, kind: str, events: Sequence[Event]) -> Resource:
    """backport-subscription-status-r4."""
    return {
        "resourceType": "Parameters",
        "id": str(uuid4()),
        "meta": {"profile": [f"{BACKPORT}/backport-subscription-status-r4"]},
        "parameter": [
            {"name": "subscription", "valueReference": {"reference": standing.url}},
            {"name": "topic", "valueCanonical": TOPIC},
            {"name": "status", "valueCode": standing.status},
            {"name": "type", "valueCode": kind},
            {"name": "events-since-subscription-start", "valueString": str(standing.events)},
            *(_told(event, standing.content) for event in events),
            *(
                [{"name": "error", "valueCodeableConcept": {"text": standing.fault}}]
                if standing.fault
                else []
            ),
        ],
    }


def _told(event: Event, content: str) -> Resource:
    return {
        "name": "notification-event",
        "part": [
            {"name": "event-number", "valueString": str(event.number)},
            {"name": "timestamp", "valueInstant": instant(event.at)},
            {"name": "focus", "valueReference": {"reference": _focus_url(event.focus, content)}},
        ],
    }


def _entry(event: Event, content: str) -> Resource:
    focus = event.focus
    url = _focus_url(focus, content)
    name = "/".join(url.split("/")[-2:])
    return {
        "fullUrl": url,
        **({"resource": focus.bundle} if content == WHOLE else {}),
        "request": {"method": "PUT", "url": name},
        "response": {"status": "200"},
    }


def _focus_url(focus: Focus, content: str) -> str:
    """Ids lead to what can be read; a whole resource is the Bundle itself."""
    return focus.bundle_url if content == WHOLE else focus.url
