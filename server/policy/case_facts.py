"""What each fact of a case becomes in FHIR R4.

`apply` lets one fact add a resource to the chart (`case_chart`) or the payer's records (`case_records`), or
change an element of the order (`case_order`), and merges the fact's own `patch` into what it became.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from server.policy import case_chart, case_order, case_records
from server.policy.case_draft import Draft, Fact, Json, Kind, UnknownFact

KINDS: Mapping[tuple[str, str], Kind] = {**case_chart.KINDS, **case_records.KINDS, **case_order.KINDS}


def apply(fact: Fact, draft: Draft) -> None:
    """Add what the fact becomes to the draft. Raises UnknownFact."""
    kind = KINDS.get((fact.type, fact.system)) or case_order.ELEMENTS.get((fact.type, fact.system, fact.code))
    if kind is None:
        raise UnknownFact(f"no {fact.type} of system {fact.system} with code {fact.code} in the format")
    given = msgspec.structs.replace(fact, value=dated(fact.value, draft.day_zero))
    became = kind(given, draft)
    if fact.patch:
        merge(became, dated(fact.patch, draft.day_zero))


def dated(value: Any, day_zero: dt.date) -> Any:
    """The value with each "D-41" in it as the date 41 days before day zero, each "D+7" as the one after."""
    if isinstance(value, str) and (found := re.fullmatch(r"D([-+]\d+)", value)):
        return (day_zero + dt.timedelta(days=int(found[1]))).isoformat()
    if isinstance(value, list):
        return [dated(one, day_zero) for one in value]
    if isinstance(value, dict):
        return {key: dated(one, day_zero) for key, one in value.items()}
    return value


def merge(target: Json, patch: Mapping[str, Any]) -> None:
    """JSON merge patch (RFC 7396), in place: objects merge, null removes, all else replaces."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict) and isinstance(target.get(key), dict):
            merge(target[key], value)
        else:
            target[key] = value
