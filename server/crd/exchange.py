"""What is kept of a call for disputes and for the measures of CRDMetricData (CRD, "Metrics").

The call as it came, without its access token, and the answer as it went; beside them a summary that the
report counts without reading either again.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from server.crd.intake import Call
from server.crd.sight import Prefetch
from server.crd.version import Element, Version
from server.fhir import json
from server.fhir.elements import elements
from server.fhir.errors import FhirError
from server.fhir.references import Resolver, reference_text
from server.fhir.systems import npis
from server.store import tables as stored

DOOR = "crd"
SECRET = "fhirAuthorization"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A call as it came in: whose, when, under which request id."""

    request_id: str
    client: str
    started: dt.datetime
    body: Mapping[str, Any]
    """The decoded body; empty where it could not be decoded."""


def exchange(
    version: Version,
    service: str,
    arrival: Arrival,
    status: int,
    response: Element,
    summary: Element,
    now: dt.datetime,
) -> stored.Exchange:
    """The row to keep. The token is left out: nobody needs it once the call has ended."""
    told = {name: content for name, content in arrival.body.items() if name != SECRET}
    return stored.Exchange(
        id=stored.new_id(),
        request_id=arrival.request_id,
        client=arrival.client,
        door=DOOR,
        version=version.name,
        operation=service,
        instance=_instance(arrival.body),
        status=status,
        started=arrival.started,
        milliseconds=(now - arrival.started).total_seconds() * 1000,
        summary=summary,
        request=json.encode(told),
        response=json.encode(response),
    )


def summary_of_call(call: Call, seen: Prefetch, people: Element, requests: list[Element]) -> Element:
    """What the measures count: who asked, what was sent and what was read, what was said of each order."""
    queried = Counter(_kinds(seen.queried))
    return {
        "hook": call.hook.name,
        "token": _token_use(call, seen),
        **people,
        "prefetched": dict(Counter(_kinds(seen.resources)) - queried),
        "queried": dict(queried),
        "requests": requests,
    }


def _token_use(call: Call, seen: Prefetch) -> str:
    if seen.rejected:
        return "rejected"
    return "used" if call.access and call.access.token else "not-used"


def people(user: str, resolver: Resolver) -> Element:
    """NPI of the user and of the organization they act for, as far as either can be seen."""
    asked = resolver.resolve(user) or {}
    roles = (
        [asked] if asked.get("resourceType") == "PractitionerRole" else resolver.of_type("PractitionerRole")
    )
    role = next((role for role in roles if role is asked or _is_of(role, user)), {})
    person = resolver.resolve(role.get("practitioner")) or asked
    group = resolver.resolve(role.get("organization")) or {}
    told = {"provider": npis(elements(person, "identifier")), "group": npis(elements(group, "identifier"))}
    return {name: number for name, numbers in told.items() if (number := next(numbers, ""))}


def _is_of(role: Mapping[str, Any], user: str) -> bool:
    return reference_text(role.get("practitioner")) == user


def summary_of_error(error: FhirError) -> Element:
    return {"issues": [issue.code for issue in error.issues]}


def _instance(body: Mapping[str, Any]) -> str:
    instance = body.get("hookInstance")
    return instance if isinstance(instance, str) else ""


def _kinds(resources: Iterable[Element]) -> list[str]:
    return [resource["resourceType"] for resource in resources]
