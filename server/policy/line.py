"""The order line that is judged, read from a `ServiceRequest` (its shape: `server.policy.request`)."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from server.fhir.dates import begun, first_day, over
from server.fhir.elements import elements
from server.fhir.systems import coding_key, is_billed, is_place_of_service
from server.policy.determination import Line
from server.policy.request import Resource

SIDE_CODES = {"24028007": "RT", "7771000": "LT", "51440002": "50"}
SIDE_NAMES = {"RT": "right", "LT": "left", "50": "both sides"}
_LETTERS = {"(r)": "RT", "(l)": "LT"}
_WORDS = {"rt": "RT", "lt": "LT", "bilat": "50", "right": "RT", "left": "LT", "bilateral": "50"}
SIDE_WORDS = {**_LETTERS, **_WORDS}
"""The short words of radiology before the long ones, in which a side is said."""
WORD_OF_SIDE = re.compile(rf"\b(?:{'|'.join(_WORDS)})\b|\([rl]\)", re.IGNORECASE)
STRUCTURES = (
    ("91774008", "91775009"),
    ("368149001", "368148009"),
    ("9736006", "5951000"),
    ("78791008", "85151006"),
    ("287579007", "287679003"),
    ("6757004", "82169009"),
    ("6685009", "51636004"),
    ("7769000", "22335008"),
    ("368209003", "368208006"),
    ("64262003", "66480008"),
    ("11207009", "61396006"),
    ("719443008", "719442003"),
    ("32696007", "48979004"),
)
"""Right and left shoulder, elbow, wrist, hand, hip, knee, ankle, foot, upper arm, forearm, thigh, knee joint
and lower leg in SNOMED CT, as the value sets `side-right` and `side-left` have them."""
LATERALITY = re.compile(r"\b(272741003\s*+(?:\|[^|]*+\|\s*+)?+=\s*+)(\d+)(\s*\|[^|]*\|)?")
"""The side in an expression of SNOMED CT ("16982005:272741003=24028007", with terms or without). What is
possessive is read once, however long it is."""
SIDE_BY_SITE = {
    **SIDE_CODES,
    **{right: "RT" for right, _ in STRUCTURES},
    **{left: "LT" for _, left in STRUCTURES},
}


def line_of(order: Resource) -> Line:
    """Service, side, diagnoses, place and units of the order. What a clinic or a terminology calls the
    service, which may stand first, is not what is billed."""
    codes = [code.partition("-") for code in _billed(order)]
    modifiers = tuple(dict.fromkeys(m for _, _, m in codes if m))
    places = (c.get("code") for c in codings(order.get("locationCode") or []) if is_place_of_service(c))
    return Line(
        code=codes[0][0] if codes else "",
        side=side(order),
        diagnoses=tuple(
            coding_key(c)[1]
            for r in order.get("reasonCode") or []
            for c in r.get("coding") or []
            if "code" in c
        ),
        place_of_service=next(places, None),
        quantity=Decimal(str((order.get("quantityQuantity") or {}).get("value", 1))),
        modifiers=modifiers,
    )


def side(order: Resource) -> str | None:
    """The modifier of the side (both: "50"), or what the body site says, or the words for site and service;
    None where no side is stated. Right and left together are both, in words neither."""
    modifiers = (part for code in _billed(order) for part in code.split("-")[1:])
    sites = order.get("bodySite")
    coded = (str(c.get("code")) for c in codings(sites if isinstance(sites, list) else [sites]))
    named = (lateral[2] if (lateral := LATERALITY.search(code)) else code for code in coded)
    by_modifier = {part for part in modifiers if part in SIDE_NAMES}
    by_site = {SIDE_BY_SITE[site] for site in named if site in SIDE_BY_SITE}
    sides = by_modifier or by_site
    return "50" if len(sides) > 1 else next(iter(sides), None) or _side_in_words(order)


def _side_in_words(order: Resource) -> str | None:
    """As the rules read it: `cql/MRIOrder`, "Side in words"."""
    sites = order.get("bodySite")
    concepts = [order.get("code"), *(sites if isinstance(sites, list) else [sites])]
    told = in_words(concepts)
    sides = {SIDE_WORDS[word.lower()] for text in told for word in WORD_OF_SIDE.findall(text)}
    return sides.pop() if len(sides) == 1 else None


def in_words(concepts: Sequence[Any]) -> Iterator[str]:
    """What these CodeableConcepts say in words: their texts, and the displays of their codings."""
    told = [each.get("text") for each in concepts if isinstance(each, dict)]
    told += [each.get("display") for each in codings(concepts)]
    yield from (str(text) for text in told if text)


def codings(concepts: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    """Every coding of these CodeableConcepts; what is none is passed over."""
    for concept in concepts:
        yield from elements(concept, "coding") if isinstance(concept, dict) else ()


def _billed(order: Resource) -> list[str]:
    """The codes that the service is billed by; all that it has, where none of them is one."""
    listed = [each for each in codings([order.get("code")]) if "code" in each]
    coded = [each for each in listed if is_billed(each)] or listed
    return [str(each["code"]) for each in coded]


def planned_day(order: Resource) -> dt.date | None:
    """The day the service is planned for: `occurrence[x]` (a Period by its start, a Timing by its first
    event, else by the start of its bounds)."""
    period, timing = order.get("occurrencePeriod"), order.get("occurrenceTiming")
    events, repeat = (timing.get("event"), timing.get("repeat")) if isinstance(timing, dict) else (None, None)
    bounds = repeat.get("boundsPeriod") if isinstance(repeat, dict) else None
    candidates = (
        order.get("occurrenceDateTime"),
        period.get("start") if isinstance(period, dict) else None,
        events[0] if isinstance(events, list) and events else None,
        bounds.get("start") if isinstance(bounds, dict) else None,
    )
    return next((day for text in candidates if (day := first_day(text)) is not None), None)


def day_zero(order: Resource, today: dt.date) -> dt.date:
    """The day evidence windows count from: `authoredOn`, else today."""
    return first_day(order.get("authoredOn")) or today


def day_of_service(order: Resource, today: dt.date) -> dt.date:
    """The day an authorization must hold on: the planned day, of a period that is under way today; where none
    is planned, not before the order was written, nor before today."""
    planned = planned_day(order)
    if planned is None:
        return max(day_zero(order, today), today)
    period = order.get("occurrencePeriod")
    under_way = isinstance(period, dict) and begun(period, today) and not over(period, today)
    return today if under_way else planned
