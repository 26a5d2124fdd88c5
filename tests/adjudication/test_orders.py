"""The order's own facts, by the conventions of one shape."""

import datetime as dt
from typing import Any

import pytest

from server.adjudication.orders import day_zero, order_key, plainly_coded, planned_day, service_code, side

CPT = "http://www.ama-assn.org/go/cpt"
NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)


def order(*codes: str, sites: tuple[str, ...] = (), **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "code": {"coding": [{"system": CPT, "code": code} for code in codes]},
        "bodySite": [{"coding": [{"system": "http://snomed.info/sct", "code": site}]} for site in sites],
        **elements,
    }


@pytest.mark.parametrize(
    ("asked", "code", "stated"),
    [
        (order("73221"), "73221", None),
        (order("73221-RT"), "73221", "RT"),
        (order("73221", "73221-26"), "73221", None),
        (order("73221", sites=("16982005", "7771000")), "73221", "LT"),
        (order("73221-RT", sites=("7771000",)), "73221", "RT"),
        (order("73221-RT", "73221-LT"), "73221", "50"),
        (order("73221", sites=("24028007", "7771000")), "73221", "50"),
        (order("73221", sites=("51440002",)), "73221", "50"),
        (order("73221", sites=("91774008",)), "73221", "RT"),
        (order("73721", sites=("6757004", "82169009")), "73721", "50"),
        (order("73221", sites=("16982005:272741003=24028007",)), "73221", "RT"),
        (
            order("73221", sites=("16982005 |Shoulder| : 272741003 |Laterality| = 7771000 |Left|",)),
            "73221",
            "LT",
        ),
        (plainly_coded(order("73221:26,RT")), "73221", "RT"),
        (plainly_coded(order("73221", "lt")), "73221", "LT"),
        (order("MRI-SHOULDER"), "", None),
        ({"code": {"text": "MRI of the shoulder"}}, "", None),
        ({"code": {"coding": [{"system": "http://loinc.org", "code": "24899-7"}]}}, "", None),
        ({"code": {"coding": "?"}, "bodySite": "?"}, "", None),
    ],
)
def test_code_and_side(asked: dict[str, Any], code: str, stated: str | None) -> None:
    assert (service_code(asked), side(asked)) == (code, stated)


@pytest.mark.parametrize(
    ("elements", "day"),
    [
        ({"occurrenceDateTime": "2026-12-01T09:00:00-05:00"}, dt.date(2026, 12, 1)),
        ({"occurrencePeriod": {"start": "2026-12-02"}}, dt.date(2026, 12, 2)),
        ({"occurrenceTiming": {"event": ["2026-12-03"]}}, dt.date(2026, 12, 3)),
        ({"occurrenceTiming": {"repeat": {"boundsPeriod": {"start": "2026-12-04"}}}}, dt.date(2026, 12, 4)),
        ({"occurrencePeriod": {"end": "2026-12-02"}}, None),
        ({}, None),
    ],
)
def test_the_planned_day(elements: dict[str, Any], day: dt.date | None) -> None:
    assert planned_day(order("73221", **elements)) == day


def test_day_zero_is_the_day_of_the_order_else_today() -> None:
    assert day_zero(order("73221", authoredOn="2026-11-18T23:30:00Z"), NOW) == dt.date(2026, 11, 18)
    assert day_zero(order("73221"), NOW) == NOW.date()


def test_an_order_is_the_same_by_member_service_side_and_planned_day() -> None:
    right = order("73221-RT", occurrenceDateTime="2026-12-01")
    assert order_key("m", right) == order_key(
        "m", order("73221", sites=("24028007",), occurrenceDateTime="2026-12-01T10:00:00Z")
    )
    others = [
        order("73221-LT", occurrenceDateTime="2026-12-01"),
        order("73222-RT", occurrenceDateTime="2026-12-01"),
        order("73221-RT"),
    ]
    assert (
        len({order_key("m", right), order_key("n", right), *(order_key("m", other) for other in others)}) == 5
    )
