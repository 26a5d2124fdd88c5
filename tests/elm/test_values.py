"""CQL values: they print as the CQL that makes them, turn into JSON, and keep what is known of a date."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.elm.temporal import DAY, MONTH
from server.elm.values import (
    Code,
    CodeSystem,
    Concept,
    Date,
    DateTime,
    Interval,
    Long,
    Quantity,
    Ratio,
    Time,
    Uncertainty,
    ValueSet,
    bounded_decimal,
    bounded_integer,
    bounded_long,
    literal,
    to_json,
)

LOINC = "http://loinc.org"


@pytest.mark.parametrize(
    ("value", "cql"),
    [
        (None, "null"),
        (True, "true"),
        (6, "6"),
        (Long(6), "6L"),
        (Decimal("6"), "6.0"),
        (Decimal("1E+3"), "1000.0"),
        ("it's \\ here", "'it\\'s \\\\ here'"),
        (Date.of(2026, 1), "@2026-01"),
        (DateTime.of(2026, 1, 5, offset=-300), "@2026-01-05T"),
        (DateTime.of(2026, 1, 5, 9, 30, offset=-300), "@2026-01-05T09:30-05:00"),
        (Time.of(9, 30, 0), "@T09:30:00"),
        (Quantity(Decimal(6), "weeks"), "6 'weeks'"),
        (Ratio(Quantity(Decimal(1)), Quantity(Decimal(128))), "1 '1':128 '1'"),
        (Interval(1, None, True, False), "Interval[1, null)"),
        (Uncertainty(4, 5), "Interval[4, 5]"),
        (Code("8480-6", LOINC), f"Code {{code: '8480-6', system: '{LOINC}'}}"),
        ([1, "a"], "{1, 'a'}"),
        ({"weeks": 6, "note": None}, "Tuple {weeks: 6, note: null}"),
    ],
)
def test_a_value_prints_as_the_cql_that_makes_it(value: Any, cql: str) -> None:
    assert literal(value) == cql


@pytest.mark.parametrize(
    ("value", "json"),
    [
        (Long(6), 6),
        (Date.of(2026), "2026"),
        (DateTime.of(2026, 1, 5, 9, 30, 0, offset=0), "2026-01-05T09:30:00Z"),
        (Time.of(9, 30), "09:30"),
        (Quantity(Decimal("2.50"), "cm"), {"value": Decimal("2.50"), "unit": "cm"}),
        (
            Interval(Date.of(2026, 1, 5), None),
            {"low": "2026-01-05", "high": None, "lowClosed": True, "highClosed": True},
        ),
        (Code("8480-6", LOINC), {"code": "8480-6", "system": LOINC}),
        (Concept((Code("a"),), "A"), {"codes": [{"code": "a"}], "display": "A"}),
        (ValueSet("http://example.org/vs", name="Vs"), {"id": "http://example.org/vs", "name": "Vs"}),
        ([{"when": Date.of(2026, 1, 5)}], [{"when": "2026-01-05"}]),
    ],
)  # fmt: skip
def test_a_value_turns_into_json(value: Any, json: Any) -> None:
    assert to_json(value) == json


def test_what_is_no_cql_value_has_no_json() -> None:
    with pytest.raises(TypeError, match="object is not a CQL value"):
        to_json(object())


def test_values_are_hashable_and_cannot_be_changed() -> None:
    values = {
        Date.of(2026),
        DateTime.of(2026, offset=0),
        Time.of(9),
        Quantity(Decimal(1), "mg"),
        Code("a", LOINC),
        Concept((Code("a"),)),
        CodeSystem(LOINC),
        Interval(1, 2),
    }
    assert len(values) == 8
    with pytest.raises(AttributeError):
        Quantity(Decimal(1), "mg").unit = "g"  # type: ignore[misc]


@pytest.mark.parametrize("text", ["2026-13", "2026-02-30", "26-01-01", "2026-1-5", "", "2026-01-05T10:00"])
def test_text_that_is_no_date_is_none(text: str) -> None:
    assert Date.parse(text) is None


@pytest.mark.parametrize("text", ["2026-01-05T25", "2026-01-05T10:60", "2026-01-05T10:00+15:00", "soon"])
def test_text_that_is_no_moment_is_none(text: str) -> None:
    assert DateTime.parse(text, 0) is None


def test_a_month_stands_for_all_its_days() -> None:
    month = Date.parse("2024-02")
    assert month == Date(Date.of(2024, 2, 1).low, Date.of(2024, 2, 29).low, MONTH)
    assert (month.year, month.month, month.day) == (2024, 2, None)


def test_a_moment_without_an_offset_has_the_evaluations() -> None:
    moment = DateTime.parse("2026-01-05T10:00:00", -300)
    assert moment is not None
    assert moment.isoformat() == "2026-01-05T10:00:00-05:00"
    assert moment == DateTime.parse("2026-01-05T15:00:00Z", -300)


def test_the_day_of_a_moment_is_that_of_its_own_clock() -> None:
    late = DateTime.parse("2026-01-05T23:30:00-05:00", 0)
    assert late is not None
    assert late.date == Date.of(2026, 1, 5)
    assert late.date.precision == DAY


def test_fhir_instants_are_cut_to_the_millisecond() -> None:
    moment = DateTime.parse("2026-01-05T10:00:00.123456Z", 0)
    assert moment is not None
    assert moment.millisecond == 123


@given(
    st.datetimes(
        min_value=datetime(2, 1, 1),
        max_value=datetime(9998, 12, 31),
        timezones=st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    )
)
def test_a_python_moment_comes_back_to_the_millisecond(moment: datetime) -> None:
    back = DateTime.of_python(moment)
    kept = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert datetime.fromisoformat(back.isoformat()) == kept
    assert DateTime.parse(back.isoformat(), 0) == back


@given(st.dates())
def test_a_date_parses_what_it_prints(day: Any) -> None:
    date = Date.of(day.year, day.month, day.day)
    assert date.isoformat() == day.isoformat()
    assert Date.parse(day.isoformat()) == date
    assert date.components == (day.year, day.month, day.day)


def test_numbers_are_held_to_their_type() -> None:
    assert bounded_integer(2**31) is None
    assert bounded_long(2**63) is None
    assert bounded_decimal(Decimal(10) ** 28) is None
    assert bounded_decimal(Decimal("-1E28")) is None
    assert bounded_decimal(Decimal("0.123456785")) == Decimal("0.12345679")


def test_now_in_utc_prints_a_z() -> None:
    assert DateTime.of_python(datetime(2026, 1, 5, tzinfo=UTC)).isoformat() == "2026-01-05T00:00:00.000Z"
