"""Searching the forms, libraries and value sets: few, fixed, and held in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from server.fhir.errors import InvalidRequest, Issue

Resource = dict[str, Any]

PARAMETERS = ("_id", "url", "version", "name", "title", "status")
"""`name` and `title` match beginnings, whatever the case; the others match whole."""

RESULT_PARAMETERS = ("_count", "_format", "_summary", "_total")


def search_parameters() -> list[Resource]:
    """CapabilityStatement.rest.resource.searchParam of each."""
    kinds = {"_id": "token", "url": "uri", "version": "token", "status": "token"}
    return [{"name": name, "type": kinds.get(name, "string")} for name in PARAMETERS]


def searchset(
    resources: Iterable[Resource], base: str, kind: str, asked: Sequence[tuple[str, str]], *, strict: bool
) -> Resource:
    """Bundle of those that match every parameter, alternatives after commas. A parameter that is none is
    passed over and left out of the self link, or refused where the client prefers strictness."""
    unknown = [name for name, _ in asked if name not in PARAMETERS and name not in RESULT_PARAMETERS]
    if unknown and strict:
        raise InvalidRequest(
            *(
                Issue("not-supported", f"http.{name}", f"{kind} is not searched by {name}.")
                for name in unknown
            )
        )
    used = [(name, text) for name, text in asked if name in PARAMETERS and text]
    found = [resource for resource in resources if all(_matches(resource, *each) for each in used)]
    query = f"?{urlencode(used)}" if used else ""
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(found),
        "link": [{"relation": "self", "url": f"{base}/{kind}{query}"}],
        **({"entry": [_entry(resource, base) for resource in found]} if found else {}),
    }


def _entry(resource: Mapping[str, Any], base: str) -> Resource:
    url = f"{base}/{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": url, "resource": resource, "search": {"mode": "match"}}


def _matches(resource: Mapping[str, Any], name: str, text: str) -> bool:
    held = str(resource.get("id" if name == "_id" else name, ""))
    if name in ("name", "title"):
        return any(held.lower().startswith(wanted.lower()) for wanted in text.split(","))
    return held in text.split(",")
