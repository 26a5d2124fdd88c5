"""The order line that is judged, read from a `ServiceRequest` (its shape: `server.policy.request`)."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from server.fhir.dates import first_day
from server.fhir.systems import BILLED
from server.policy.determination import Line
from server.policy.request import Resource

SIDE_BY_SITE = {"24028007": "RT", "7771000": "LT", "51440002": "50"}
SIDE_NAMES = {"RT": "right", "LT": "left", "50": "both sides"}


def line_of(order: Resource) -> Line:
    """Service, side, diagnoses, place and units of the order. Modifiers win over the body site's side. What a
    clinic or a terminology calls the service, which may stand first, is not what is billed."""
    listed = [c for c in (order.get("code") or {}).get("coding") or [] if "code" in c]
    coded = [c for c in listed if c.get("system") in BILLED] or listed
    codes = [str(c["code"]).partition("-") for c in coded]
    modifiers = tuple(dict.fromkeys(m for _, _, m in codes if m))
    sites = [c.get("code") for b in order.get("bodySite") or [] for c in b.get("coding") or []]
    by_site = next((SIDE_BY_SITE[s] for s in sites if s in SIDE_BY_SITE), None)
    sides = [m for m in modifiers if m in SIDE_NAMES]
    places = [c.get("code") for p in order.get("locationCode") or [] for c in p.get("coding") or []]
    return Line(
        code=codes[0][0] if codes else "",
        side=("50" if len(sides) > 1 else sides[0]) if sides else by_site,
        diagnoses=tuple(
            str(c["code"])
            for r in order.get("reasonCode") or []
            for c in r.get("coding") or []
            if "code" in c
        ),
        place_of_service=places[0] if places else None,
        quantity=Decimal(str((order.get("quantityQuantity") or {}).get("value", 1))),
        modifiers=modifiers,
    )


def planned_day(order: Resource) -> dt.date | None:
    """The day the service is planned for: `occurrence[x]` (a Period by its start, a Timing by its first
    event)."""
    period, timing = order.get("occurrencePeriod"), order.get("occurrenceTiming")
    events = timing.get("event") if isinstance(timing, dict) else None
    candidates = (
        order.get("occurrenceDateTime"),
        period.get("start") if isinstance(period, dict) else None,
        events[0] if isinstance(events, list) and events else None,
    )
    return next((day for text in candidates if (day := first_day(text)) is not None), None)
