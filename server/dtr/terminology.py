"""`ValueSet/$expand`: the codes of a value set, optionally only those a filter matches.

Value sets come expanded from the catalog (no network, no key); this picks the active codes from them. FHIR
R4, valueset-operation-expand.html: `url`, `valueSetVersion`, `filter`, `count`, `offset` are honoured, what
else is sent is passed over. DTR 2.2.0, DTR-ValueSet-expand: as of today, active codes only.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from server.fhir.canonical import canonical
from server.fhir.dates import instant
from server.fhir.errors import InvalidRequest, Issue, NotFound
from server.fhir.parameters import number

Resource = dict[str, Any]


def expand(value_sets: Mapping[str, Resource], asked: Mapping[str, str], now: dt.datetime) -> Resource:
    """The ValueSet with the part of its expansion that was asked for, and what it depends on. Raises
    NotFound, InvalidRequest."""
    wanted = canonical(asked.get("url", ""))
    if not wanted.url:
        raise InvalidRequest(Issue("required", "Parameters.parameter", "Name the value set with url."))
    if wanted.version is None:
        wanted = wanted._replace(version=asked.get("valueSetVersion") or None)
    held = value_sets.get(wanted.url)
    if held is None or wanted.version not in (None, held.get("version")):
        raise NotFound(Issue("not-found", "Parameters.parameter", f"There is no value set {wanted}."))
    offset, count = number(asked, "offset"), number(asked, "count")
    matching = [
        code
        for code in held["expansion"].get("contains", [])
        if code.get("inactive") is not True and _matches(code, asked.get("filter", ""))
    ]
    page = matching[offset or 0 :][: count if count is not None else None]
    expansion = {name: content for name, content in held["expansion"].items() if name != "contains"}
    shown: Resource = {
        **expansion,
        "timestamp": instant(now),
        "total": len(matching),
        "parameter": [*_parameters(asked, offset, count, now)],
    }
    if offset is not None or count is not None:
        shown["offset"] = offset or 0
    if page:
        shown["contains"] = page
    # `meta` has the digest of the whole set, which a page of it does not have.
    return {**{name: content for name, content in held.items() if name != "meta"}, "expansion": shown}


def _parameters(
    asked: Mapping[str, str], offset: int | None, count: int | None, now: dt.datetime
) -> Iterator[Resource]:
    """ValueSet.expansion.parameter: all that makes this expansion differ from another of the same set."""
    yield {"name": "date", "valueDateTime": now.date().isoformat()}
    yield {"name": "activeOnly", "valueBoolean": True}
    if asked.get("filter"):
        yield {"name": "filter", "valueString": asked["filter"]}
    for name, sent in (("offset", offset), ("count", count)):
        if sent is not None:
            yield {"name": name, "valueInteger": sent}


def _matches(code: Mapping[str, Any], text: str) -> bool:
    """Every word of the filter begins a word of the display, or the code."""
    words = f"{code.get('display', '')} {code.get('code', '')}".lower().replace("-", " ").split()
    whole = str(code.get("code", "")).lower()
    return all(
        whole.startswith(part) or any(word.startswith(part) for word in words)
        for part in text.lower().split()
    )
