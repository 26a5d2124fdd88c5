"""A Subscription as a client asks for it.

The guides differ in one thing: 2.0.1 sends ids (full resources may be asked for), 2.2.1 sends full resources
only. What we cannot honour is refused with its place: another topic, a filter we do not know, another
channel, a payload the version has not.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import httpx

from server.fhir.dates import instant, moment
from server.fhir.errors import InvalidRequest, Issue, Unprocessable
from server.fhir.extensions import extension, value, values
from server.fhir.structure import faults
from server.security.outbound import Outbound, Refused

Resource = dict[str, Any]

TOPIC = "http://hl7.org/fhir/us/davinci-pas/SubscriptionTopic/PASSubscriptionTopic"
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
FILTER = f"{BACKPORT}/backport-filter-criteria"
CONTENT = f"{BACKPORT}/backport-payload-content"
HEARTBEAT = f"{BACKPORT}/backport-heartbeat-period"
TIMED = ('"end"', HEARTBEAT)
"""What a subscription has in it that has to be looked after as time goes by."""

TIMEOUT = f"{BACKPORT}/backport-timeout"
CHANNEL = f"{BACKPORT}/backport-channel-type"
"""Of a channel that R4 has no code for; it is asked for instead of the type that it is on."""
STATUSES = ("requested", "active", "error", "off")
FILTER_NAMES = ("orgidentifier", "org-identifier", "identifier")
"""As the topic has it, as the narrative of 2.2.1 has it, and as that of 2.0.1 has it."""

JSON_OF_R4 = re.compile(
    r'application/(fhir\+)?json *(; *(charset="?utf-8"?|fhirVersion="?4\.0(\.1)?"?) *)*', re.IGNORECASE
)
"""What we can send: a payload may name a FHIR version too (Subscriptions backport, "Subscriptions and FHIR
Versions")."""

OUR_HEADERS = frozenset({"host", "content-type", "content-length", "transfer-encoding", "connection"})
"""What says how a message is framed and whither it goes."""

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e]*")

IDS, WHOLE = "id-only", "full-resource"

CONTENTS: Mapping[str, frozenset[str]] = {"2.0": frozenset({IDS, WHOLE}), "2.2": frozenset({WHOLE})}
"""Payload contents a version allows."""

PROFILES: Mapping[str, tuple[str, ...]] = {
    "2.0": (f"{BACKPORT}/backport-subscription",),
    "2.2": (
        "http://hl7.org/fhir/us/davinci-pas/StructureDefinition/profile-subscription",
        f"{BACKPORT}/backport-subscription",
    ),
}
"""What a Subscription is held to; 2.2.1 has a profile of its own."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A checked Subscription. `resource` is as sent, header lines included, and dated; `organizations` are
    the values of its filters, `value` or `system|value`."""

    resource: Resource
    organizations: tuple[str, ...]
    off: bool


def wish(resource: Resource, version: str, outbound: Outbound, now: dt.datetime) -> Wish:
    """Raises InvalidRequest for what is no Subscription, Unprocessable for one we cannot honour."""
    broken = faults(resource, "Subscription")
    if resource.get("resourceType") != "Subscription" or broken:
        raise InvalidRequest(*(broken or [Issue("structure", "Subscription", "Send a Subscription.")]))
    refused = [*_refused(resource, version, outbound), *_end_faults(resource, now)]
    if refused:
        raise Unprocessable(*refused)
    organizations = tuple(one for text in _filters(resource) for one in _values(text))
    return Wish(dated(resource, now), organizations, resource["status"] == "off")


def dated(resource: Resource, now: dt.datetime) -> Resource:
    """The Subscription as it was changed now. What a client says of version and day is ours to say (FHIR,
    "create"), and versions we count none."""
    meta = {name: content for name, content in (resource.get("meta") or {}).items() if name != "versionId"}
    return {**resource, "meta": {**meta, "lastUpdated": instant(now)}}


def heartbeat(resource: Resource) -> dt.timedelta | None:
    """How often the subscriber wants a sign of life; None where it did not ask for any."""
    seconds = value(extension(resource["channel"], HEARTBEAT))
    return dt.timedelta(seconds=int(seconds)) if seconds else None


def timeout(resource: Resource) -> float:
    """Seconds to wait for the subscriber's answer: as it says, within reason."""
    seconds = value(extension(resource["channel"], TIMEOUT))
    return min(float(seconds), 30.0) if seconds else 10.0


def headers(resource: Resource) -> list[tuple[str, str]]:
    """The subscriber's header lines, as name and value."""
    lines = (line.partition(":") for line in resource["channel"].get("header") or [])
    return [(name, content.strip()) for name, _, content in lines]


def end(resource: Resource) -> dt.datetime | None:
    return moment(resource.get("end"))


def content(resource: Resource) -> str:
    return str(value(extension(resource["channel"].get("_payload"), CONTENT)))


def passes(resource: Resource, organizations: Collection[str]) -> bool:
    """Whether a result of these organizations passes its filters: one value of each, and every filter."""
    return all(any(one in organizations for one in _values(text)) for text in _filters(resource))


def _refused(resource: Resource, version: str, outbound: Outbound) -> Iterator[Issue]:
    """FHIR lets extensions stand where a value is missing; here a value is needed."""
    channel = resource["channel"]
    if resource.get("status") not in STATUSES:
        yield Issue("value", "Subscription.status", "Say `requested`, or `off` to end it.")
    if resource.get("criteria") != TOPIC:
        yield Issue("value", "Subscription.criteria", f"There is one topic here: {TOPIC}.")
    if channel.get("type") != "rest-hook" or extension(channel.get("_type"), CHANNEL) is not None:
        yield Issue("value", "Subscription.channel.type", "Notifications go out by rest-hook only.")
    if not JSON_OF_R4.fullmatch(channel.get("payload", "")):
        words = "Ask for application/fhir+json of FHIR 4.0."
        yield Issue("value", "Subscription.channel.payload", words)
    allowed = CONTENTS[version]
    if content(resource) not in allowed:
        yield Issue(
            "value",
            f"Subscription.channel.payload.extension('{CONTENT}')",
            f"The payload content must be {' or '.join(sorted(allowed))} at this base.",
        )
    yield from _endpoint_faults(channel.get("endpoint"), outbound)
    yield from _filter_faults(resource)
    yield from _header_faults(channel.get("header") or [])
    yield from _seconds_faults(channel)


def _endpoint_faults(endpoint: str | None, outbound: Outbound) -> Iterator[Issue]:
    if not endpoint:
        yield Issue("required", "Subscription.channel.endpoint", "Say where notifications go.")
        return
    try:
        outbound.check_url(endpoint)
        httpx.URL(endpoint)
    except Refused as refused:
        yield Issue("value", "Subscription.channel.endpoint", f"We do not call this address: {refused}.")
    except (ValueError, httpx.InvalidURL):
        yield Issue("value", "Subscription.channel.endpoint", "This is no address. Send an absolute URL.")


def _end_faults(resource: Resource, now: dt.datetime) -> Iterator[Issue]:
    """What is over may be said to be off, and nothing else."""
    ended = end(resource)
    if ended is not None and ended <= now and resource.get("status") != "off":
        yield Issue("value", "Subscription.end", "It would be over already. Send a later end, or none.")


def _header_faults(lines: list[str]) -> Iterator[Issue]:
    for index, line in enumerate(lines):
        place = f"Subscription.channel.header[{index}]"
        if not _HEADER.fullmatch(line):
            yield Issue("value", place, "A header is a line `Name: value`, without control characters.")
        elif line.partition(":")[0].lower() in OUR_HEADERS:
            yield Issue("value", place, "This header is ours to say. Leave it out.")


def _seconds_faults(channel: Resource) -> Iterator[Issue]:
    """What is no number would be met again only when the first notification leaves."""
    for url in (HEARTBEAT, TIMEOUT):
        found = extension(channel, url)
        seconds = value(found) if found is not None else 0
        if type(seconds) is not int or seconds < 0:
            place = f"Subscription.channel.extension('{url}')"
            yield Issue("value", place, "This is a number of whole seconds. Send it as valueUnsignedInt.")


def _filter_faults(resource: Resource) -> Iterator[Issue]:
    place = f"Subscription.criteria.extension('{FILTER}')"
    filters = _filters(resource)
    if not filters:
        yield Issue("required", place, "Filter by orgIdentifier=<identifier of your organization>.")
    for text in filters:
        name, _, wanted = text.rpartition("?")[2].partition("=")
        if name.strip().lower() not in FILTER_NAMES or not wanted.strip():
            yield Issue(
                "value", place, "The topic has one filter: orgIdentifier=<identifier>[,<identifier>]."
            )


def _filters(resource: Resource) -> list[str]:
    """Each `name=value`; one text may have several, joined as in a search."""
    texts = [str(text) for text in values(resource.get("_criteria"), FILTER)]
    return [unquote(one) for text in texts for one in text.split("&") if one]


def _values(text: str) -> Iterator[str]:
    yield from (one.strip() for one in text.partition("=")[2].split(",") if one.strip())
