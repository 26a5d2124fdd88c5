"""Searching what is few and held in memory (FHIR R4, search.html).

used = honoured(request, "Endpoint", ("_id", "status"))       [("status", "active")]
is_one_of("active", "active,error", STATUS)                   True
searchset(base, "Endpoint", used, found, page_of(request))    a Bundle whose self link says what was used
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import Request

from server.fhir.errors import InvalidRequest, Issue
from server.fhir.parameters import Asked, number, unmodified

Resource = dict[str, Any]

OFFSET = "_offset"
"""Of a page, in links to the next: clients follow them and know nothing of it."""

RESULT_PARAMETERS = ("_count", "_format", "_summary", "_total", OFFSET)


@dataclass(frozen=True, slots=True)
class Page:
    """So many of what is found, from there on; all, where nobody says how many."""

    count: int | None = None
    offset: int = 0

    def asked(self, offset: int) -> Asked:
        begins = [(OFFSET, str(offset))] if offset else []
        return [] if self.count is None else [("_count", str(self.count)), *begins]


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


def page_of(request: Request) -> Page:
    """The page that is asked for: no search gives more than `_count`, and the number alone for `_count=0` or
    `_summary=count` (R4, search.html#count). Raises InvalidRequest."""
    asked = {name: text for name, text in request.query_params.multi_items() if text}
    if asked.get("_summary") == "count":
        return Page(0)
    return Page(number(asked, "_count"), number(asked, OFFSET) or 0)


def searchset(
    base: str,
    kind: str,
    used: Sequence[tuple[str, str]],
    found: Sequence[Mapping[str, Any]],
    page: Page,
) -> Resource:
    """Bundle of that page of what was found by the parameters used."""

    def link(relation: str, offset: int) -> Resource:
        query = urlencode([*used, *page.asked(offset)])
        return {"relation": relation, "url": f"{base}/{kind}{query and '?'}{query}"}

    end = len(found) if page.count is None else page.offset + page.count
    shown = found[page.offset : end]
    following = [link("next", end)] if shown and end < len(found) else []
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(found),
        "link": [link("self", page.offset), *following],
        **({"entry": [*_entries(base, kind, shown)]} if shown else {}),
    }


def _entries(base: str, kind: str, found: Iterable[Mapping[str, Any]]) -> Iterable[Resource]:
    for resource in found:
        url = f"{base}/{kind}/{resource['id']}"
        yield {"fullUrl": url, "resource": resource, "search": {"mode": "match"}}
