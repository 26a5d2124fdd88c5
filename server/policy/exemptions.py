"""Who is exempt from prior authorization by the payer's own records: gold cards.

A gold card list is a `Group` of practitioners (`type` practitioner, `actual` true) that the payer loads. A
member of it is named by NPI and exempt within its `period`. A list without members exempts nobody.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any

from server.fhir.dates import first_day, last_day
from server.policy.request import Resource

NPI = "http://hl7.org/fhir/sid/us-npi"


def gold_cards(records: Iterable[Resource], on: dt.date) -> Iterator[str]:
    """The NPIs that are exempt on that day."""
    for record in records:
        if record.get("resourceType") == "Group" and record.get("type") == "practitioner":
            members = record.get("member", ()) if record.get("active", True) else ()
            yield from (npi for each in members if (npi := _npi(each)) and _holds(each, on))


def _npi(member: Resource) -> str:
    identifier = (member.get("entity") or {}).get("identifier") or {}
    return str(identifier.get("value") or "") if identifier.get("system") == NPI else ""


def _holds(member: Resource, on: dt.date) -> bool:
    period: dict[str, Any] = member.get("period") or {}
    start, end = first_day(period.get("start")), last_day(period.get("end"))
    return not member.get("inactive") and (start is None or start <= on) and (end is None or on <= end)
