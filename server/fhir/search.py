"""Searching what is few and held in memory (FHIR R4, search.html).

used = honoured(request, "Endpoint", ("_id", "status"))       [("status", "active")]
is_one_of("active", "active,error", STATUS)                   True
searchset(base, "Endpoint", used, found)                      a Bundle whose self link says what was used
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from fastapi import Request

from server.fhir.errors import InvalidRequest, Issue
from server.fhir.parameters import Asked, unmodified

Resource = dict[str, Any]

RESULT_PARAMETERS = ("_count", "_format", "_summary", "_total")


def honoured(request: Request, kind: str, names: Collection[str]) -> Asked:
    """What of the query counts. A parameter of another name is passed over, or refused where the client
    prefers strictness. Raises InvalidRequest for that, and for a modifier."""
    asked = request.query_params.multi_items()
    unmodified(asked, names)
    unknown = [name for name, _ in asked if name not in names and name not in RESULT_PARAMETERS]
    if unknown and "handling=strict" in request.headers.get("prefer", ""):
        raise InvalidRequest(
            *(
                Issue("not-supported", f"http.{name}", f"{kind} is not searched by {name}.")
                for name in unknown
            )
        )
    return [(name, text) for name, text in asked if name in names and text]


def is_one_of(code: str, wanted: str, system: str = "") -> bool:
    """Whether it is among the alternatives, each alone or with its system."""
    return not {code, f"{system}|{code}"}.isdisjoint(wanted.split(","))


def searchset(
    base: str, kind: str, used: Sequence[tuple[str, str]], found: Sequence[Mapping[str, Any]]
) -> Resource:
    """Bundle of what was found by the parameters used."""
    query = f"?{urlencode(used)}" if used else ""
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(found),
        "link": [{"relation": "self", "url": f"{base}/{kind}{query}"}],
        **({"entry": [*_entries(base, kind, found)]} if found else {}),
    }


def _entries(base: str, kind: str, found: Iterable[Mapping[str, Any]]) -> Iterable[Resource]:
    for resource in found:
        url = f"{base}/{kind}/{resource['id']}"
        yield {"fullUrl": url, "resource": resource, "search": {"mode": "match"}}
