"""Dates and times: what is not known of them is never guessed, and never makes an answer wrong."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.elm.code import Code
from server.elm.errors import EvaluationError
from server.elm.operators.arithmetic import add, subtract
from server.elm.operators.bounds import start
from server.elm.operators.calendar import add_duration, difference, duration
from server.elm.operators.comparison import equal, less, less_or_equal, order, order_at
from server.elm.operators.conversion import to_date, to_date_time, to_string, to_time
from server.elm.operators.datetime import date, date_from, date_time, date_time_component_from, time_from
from server.elm.operators.equivalence import equivalent
from server.elm.operators.interval import same_or_before
from server.elm.operators.registry import OPERATORS
from server.elm.specialise import fused
from server.elm.specialise_dates import BY_DAY, BY_VALUE
from server.elm.temporal import DAY, HOUR, MILLISECOND, MONTH
from server.elm.values import Date, DateTime, Interval, Quantity, Time, Uncertainty


class Clock:
    """An evaluation's clock: the fifth of January 2026, ten in the morning in New York."""

    now = DateTime.of(2026, 1, 5, 10, 0, 0, 0, offset=-300)
    today = Date.of(2026, 1, 5)
    offset = -300

    def message(self, severity: str, code: str | None, text: str | None, source: Any) -> None:
        raise AssertionError("no message is expected")


def day(text: str) -> Date:
    parsed = Date.parse(text)
    assert parsed is not None
    return parsed


def moment(text: str) -> DateTime:
    parsed = DateTime.parse(text, -300)
    assert parsed is not None
    return parsed


def of(value: int | str, unit: str) -> Quantity:
    return Quantity(Decimal(value), unit)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("2026-03-01", "2026-04-01", -1),
        ("2026-03", "2026-04-10", -1),  # any day of March is before the tenth of April
        ("2026-03", "2026-03-10", None),
        ("2026-03", "2026-03", 0),
        ("2026", "2025-12-31", 1),
    ],
)
def test_dates_are_ordered_as_far_as_they_are_known(a: str, b: str, expected: int | None) -> None:
    assert order(day(a), day(b)) == expected


def test_partial_dates_that_agree_are_neither_equal_nor_unequal_but_not_equivalent() -> None:
    assert equal(day("2026-03"), day("2026-03-10")) is None
    assert equivalent(day("2026-03"), day("2026-03-10")) is False
    assert less_or_equal(day("2026-03-01"), day("2026-03")) is None


def test_a_second_is_its_first_millisecond() -> None:
    assert equal(moment("2026-01-05T10:00:00"), moment("2026-01-05T10:00:00.000")) is True
    assert less(moment("2026-01-05T10:00:00"), moment("2026-01-05T10:00:00.001")) is True


def test_the_same_instant_is_equal_whatever_its_offset() -> None:
    assert equal(moment("2026-01-05T10:00:00-05:00"), moment("2026-01-05T15:00:00Z")) is True


def test_days_are_compared_on_the_calendar_each_was_written_in() -> None:
    night, next_day = moment("2026-01-05T23:30:00-05:00"), moment("2026-01-06T04:30:00Z")
    assert order_at(night, next_day, DAY) == -1
    assert order_at(night, next_day, HOUR) == 0


def test_a_date_beside_a_moment_is_that_whole_day() -> None:
    assert order(day("2026-01-04"), Clock.now) == -1
    assert order(day("2026-01-05"), Clock.now) is None
    assert same_or_before(day("2026-01-05"), Clock.now, precision="Day") is True


def spans() -> st.SearchStrategy[Date]:
    return st.dates().flatmap(
        lambda d: st.sampled_from(
            [Date.of(d.year), Date.of(d.year, d.month), Date.of(d.year, d.month, d.day)]
        )
    )


@given(spans(), spans(), st.data())
def test_an_answer_about_partial_dates_holds_whichever_day_was_meant(a: Date, b: Date, data: Any) -> None:
    ordinal = data.draw(st.integers(a.low, a.high)), data.draw(st.integers(b.low, b.high))
    exact = [Date(each, each, DAY) for each in ordinal]
    known = order(a, b)
    if known:
        assert order(*exact) == known
    months = duration(a, b, "Month")
    whole = duration(*exact, "Month")
    assert isinstance(whole, int)
    low, high = (months.low, months.high) if isinstance(months, Uncertainty) else (months, months)
    assert low <= whole <= high


@pytest.mark.parametrize(
    ("start", "amount", "end"),
    [
        ("2026-01-31", of(1, "month"), "2026-02-28"),
        ("2024-02-29", of(1, "year"), "2025-02-28"),
        ("2026-01-05", of(6, "weeks"), "2026-02-16"),
        ("2026-01-05", of("1.9", "days"), "2026-01-06"),
        ("2014", of(18, "months"), "2015"),
        ("2014", of(24, "months"), "2016"),
        ("2014-03", of(35, "days"), "2014-04"),
    ],
)
def test_a_duration_is_added_by_the_calendar(start: str, amount: Quantity, end: str) -> None:
    assert add_duration(day(start), amount) == day(end)


def test_seconds_have_fractions_and_clocks_go_round() -> None:
    assert add_duration(moment("2026-01-05T10:00:00.000"), of("1.5", "s")) == moment(
        "2026-01-05T10:00:01.500"
    )
    assert add_duration(Time.of(23, 30), of(1, "hour")) == Time.of(0, 30)


@pytest.mark.parametrize(
    ("start", "amount", "problem"),
    [
        (Date.of(2026, 1, 5), of(1, "a"), "calendar duration"),
        (Date.of(2026, 1, 5), of(1, "mg"), "calendar duration"),
        (Date.of(2026, 1, 5), of(8000, "years"), "outside the years"),
        (Date.of(2026, 1, 5), of(5, "hours"), "days are its smallest"),
        (Time.of(10), of(1, "day"), "calendar duration"),
    ],
)
def test_what_cannot_be_added_is_refused(start: Any, amount: Quantity, problem: str) -> None:
    with pytest.raises(EvaluationError, match=problem):
        add_duration(start, amount)


@given(spans(), st.integers(-400, 400))
def test_days_added_are_days_between(start: Date, days: int) -> None:
    if start.precision == DAY and 400 < start.low < Date.of(9990).low:
        later = add_duration(start, of(days, "days"))
        assert duration(start, later, "Day") == days
        assert difference(start, later, "Day") == days


@pytest.mark.parametrize(
    ("a", "b", "unit", "whole", "crossed"),
    [
        ("2026-01-31", "2026-02-28", "Month", 0, 1),
        ("2025-12-31", "2026-01-01", "Year", 0, 1),
        ("2026-01-05", "2026-02-16", "Week", 6, 6),
        ("2026-01-03", "2026-01-04", "Week", 0, 1),  # Saturday to Sunday
        ("2026-02-16", "2026-01-05", "Week", -6, -6),
        ("2000-02-29", "2026-02-28", "Year", 26, 26),  # appendix H, scenario 4: the last of February will do
        ("2000-02-29", "2026-02-27", "Year", 25, 26),
        ("2026-02-28", "2000-02-29", "Year", -26, -26),
        ("2000-02-29", "2024-02-28", "Year", 23, 24),
    ],
)
def test_periods_are_counted_whole_and_boundaries_as_crossed(
    a: str, b: str, unit: str, whole: int, crossed: int
) -> None:
    assert duration(day(a), day(b), unit) == whole
    assert difference(day(a), day(b), unit) == crossed


def test_a_year_from_the_29th_of_february_ends_at_its_time_of_day() -> None:
    assert duration(moment("2012-02-29T10:18:00"), moment("2014-02-28T10:18:00"), "Year") == 2
    assert duration(moment("2012-02-29T10:18:00"), moment("2014-02-28T10:17:59"), "Year") == 1


def test_time_that_passed_ignores_offsets() -> None:
    assert duration(moment("2026-03-12T01:00:00-07:00"), moment("2026-03-12T03:00:00-06:00"), "Hour") == 1


def test_a_count_between_partial_dates_is_a_range() -> None:
    assert duration(day("2026-01-15"), day("2026-02"), "Day") == Uncertainty(17, 44)
    assert duration(moment("2005"), moment("2010"), "Year") == Uncertainty(4, 5)
    assert less(duration(day("2026-01-15"), day("2026-02"), "Day"), 45) is True
    assert less(duration(day("2026-01-15"), day("2026-02"), "Day"), 30) is None


def test_what_is_known_of_a_moment_between_two_others_is_told() -> None:
    ended = start(Interval(None, moment("2026-01-05T10:00"), low_closed=False))
    assert less(duration(ended, moment("2026-03-05T09:00"), "Day"), 58) is False
    assert less(difference(ended, moment("2026-03-05T09:00"), "Month"), 3) is None
    assert less(date_from(ended), day("2026-01-06")) is True
    assert less(add(ended, Quantity(Decimal(1), "week")), moment("2026-01-13")) is True
    assert subtract(ended, Quantity(Decimal(1), "week")) is None
    assert date_time_component_from(ended, precision="Month") is None
    assert less(date_time_component_from(ended, precision="Year"), 2027) is True


def test_components_are_null_where_they_are_not_known() -> None:
    assert date_time_component_from(day("2026-03"), precision="Month") == 3
    assert date_time_component_from(day("2026-03"), precision="Day") is None
    assert time_from(moment("2026-03-05")) is None
    assert time_from(moment("2026-03-05T10:30")) == Time.of(10, 30)


def test_constructors_refuse_what_is_no_date() -> None:
    assert date(None, None, None) is None
    assert date_time(2026, 3, context=Clock()) == DateTime.of(2026, 3, offset=-300)
    with pytest.raises(EvaluationError, match="no date"):
        date(2026, 2, 30)
    with pytest.raises(EvaluationError, match="below one that is null"):
        date(2026, None, 5)
    with pytest.raises(EvaluationError, match="no offset"):
        date_time(2026, 1, 5, 10, 0, 0, 0, Decimal(20), context=Clock())


def test_text_converts_to_dates_and_back() -> None:
    assert to_date("2026-01-05T10:00:00") == day("2026-01-05")
    assert to_date("soon") is None
    assert to_date_time("2026-01-05T10:00", context=Clock()) == moment("2026-01-05T10:00-05:00")
    assert to_string(moment("2026-01-05T10:00:00.000")) == "2026-01-05T10:00:00.000-05:00"
    assert to_time("T10:30") == to_time("10:30") == Time.of(10, 30)


def test_precision_of_a_comparison_is_what_was_asked() -> None:
    a, b = moment("2026-01-05T10:00:00.100"), moment("2026-01-20T10:00:00.900")
    assert order_at(a, b, MONTH) == 0
    assert order_at(a, b, MILLISECOND) == -1
    assert order_at(a, moment("2026-01"), DAY) is None


KNOWN = st.builds(
    lambda date, far: day(date.isoformat()[:far]),
    st.dates(dt.date(2026, 1, 30), dt.date(2026, 2, 2)),
    st.sampled_from((10, 10, 7, 4)),
)
BETWEEN = st.builds(Interval, st.none() | KNOWN, st.none() | KNOWN, st.booleans(), st.booleans())


@given(KNOWN, KNOWN, BETWEEN)
def test_the_short_way_between_two_days_answers_as_the_operator_does(
    a: Date, b: Date, span: Interval
) -> None:
    to_the_day = {"precision": "Day"}
    asked: list[tuple[str, dict[str, str]]] = [
        *((name, to_the_day) for name in BY_DAY),
        *((name, {}) for name in (*BY_VALUE, "Less", "GreaterOrEqual")),
    ]
    for name, options in asked:
        function = partial(OPERATORS[name].function, **options)
        operands = (span,) if name in ("Start", "End") else (a, b)
        short = fused(name, function, [Code(lambda frame, each=each: each) for each in operands], options)
        assert short is not None
        assert short([]) == function(*operands), name
