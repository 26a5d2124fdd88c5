"""Intervals: their timing, their algebra, and what an unknown bound leaves open."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.elm.errors import EvaluationError
from server.elm.operators import coverage
from server.elm.operators.bounds import end, start
from server.elm.operators.comparison import equal
from server.elm.operators.coverage import collapse, expand
from server.elm.operators.distinct import distinct
from server.elm.operators.interval import (
    after,
    before,
    ends,
    interval,
    meets,
    overlaps,
    overlaps_after,
    overlaps_before,
    point_from,
    same_as,
    same_or_before,
    size,
    starts,
    width,
)
from server.elm.operators.membership import except_, in_, includes, intersect, proper_includes, union
from server.elm.values import Date, DateTime, Interval, Quantity, Time, Uncertainty


def days(low: str | None, high: str | None, low_closed: bool = True, high_closed: bool = True) -> Interval:
    first, last = (None if text is None else Date.parse(text) for text in (low, high))
    return Interval(first, last, low_closed, high_closed)


def test_open_bounds_exclude_their_value() -> None:
    assert start(Interval(1, 5, False, True)) == 2
    assert end(Interval(1, 5, True, False)) == 4
    assert equal(Interval(1, 5), Interval(0, 6, False, False)) is True


def test_null_bounds_are_the_end_of_the_type_or_unknown() -> None:
    assert end(Interval(1, None)) == 2**31 - 1
    assert end(Interval(1, None, True, False)) == Uncertainty(1, 2**31 - 1)
    assert end(Interval(None, None)) is None


def test_an_interval_may_not_end_before_it_begins() -> None:
    with pytest.raises(EvaluationError, match="ends before it begins"):
        interval(5, 3)
    with pytest.raises(EvaluationError, match="ends before it begins"):
        interval(5, 5, True, False)
    assert interval(5, 5) == Interval(5, 5)


def test_care_that_goes_on_still_overlaps_today_and_is_not_known_to_have_ended() -> None:
    ongoing = days("2026-01-05", None)
    of_unknown_end = days("2026-01-05", None, True, False)
    today = Date.of(2026, 3, 4)
    assert in_(today, ongoing) is True
    assert in_(today, of_unknown_end) is None
    assert in_(Date.of(2026, 1, 1), of_unknown_end) is False
    assert before(of_unknown_end, today) is None
    assert meets(of_unknown_end, days("2026-03-04", "2026-03-05")) is None
    assert union(of_unknown_end, days("2026-01-01", "2026-01-06")) == days("2026-01-01", None, True, False)
    assert collapse([of_unknown_end]) == [of_unknown_end]
    assert collapse([days("2026-01-01", "2026-01-06"), of_unknown_end, days("2026-03-01", "2026-03-02")]) == [
        days("2026-01-01", None, True, False),
        days("2026-03-01", "2026-03-02"),
    ]
    assert after(of_unknown_end, Date.of(2025, 12, 31)) is True


def test_timing_phrases() -> None:
    first, second = days("2026-01-01", "2026-01-31"), days("2026-02-01", "2026-02-28")
    assert before(first, second) is True
    assert meets(first, second) is True
    assert overlaps(first, second) is False
    assert overlaps(first, second, precision="Year") is True
    assert same_or_before(first, Date.of(2026, 1, 31)) is True
    assert overlaps_before(Interval(0, 4), Interval(1, 4)) is True
    assert overlaps_after(Interval(0, 4), Interval(1, 4)) is False
    assert starts(Interval(0, 5), Interval(0, 7)) is True
    assert ends(Interval(3, 7), Interval(0, 7)) is True
    assert (
        same_as(days("2026-01-01", "2026-03-31"), days("2026-01-20", "2026-03-01"), precision="Month") is True
    )


def test_a_day_overlaps_a_moment_only_perhaps_unless_days_are_asked_for() -> None:
    week = Interval(DateTime.of(2026, 1, 5, offset=0), DateTime.of(2026, 1, 12, offset=0))
    monday_morning = DateTime.of(2026, 1, 5, 9, 0, 0, 0, offset=0)
    assert in_(monday_morning, week) is None
    assert in_(monday_morning, week, precision="Day") is True


def test_membership_proper_and_not() -> None:
    assert includes(Interval(1, 10), Interval(1, 10)) is True
    assert proper_includes(Interval(1, 10), Interval(1, 10)) is False
    assert proper_includes(Interval(1, 10), Interval(2, 10)) is True
    assert proper_includes(Interval(5, 5), 5) is False
    assert includes(Interval(None, None), Interval(1, 10)) is True
    assert in_(3, None) is False
    assert in_(None, Interval(1, 3)) is None


def test_collapse_joins_what_meets_and_per_bridges_gaps() -> None:
    spells = [
        days("2026-01-10", "2026-01-20"),
        None,
        days("2026-01-01", "2026-01-09"),
        days("2026-02-01", "2026-02-05"),
    ]
    assert collapse(spells) == [days("2026-01-01", "2026-01-20"), days("2026-02-01", "2026-02-05")]
    assert collapse(spells, Quantity(Decimal(2), "weeks")) == [days("2026-01-01", "2026-02-05")]
    assert collapse(None) is None
    assert collapse([]) == []


def test_dates_known_to_the_month_meet_the_first_of_the_next() -> None:
    months = Interval(Date.of(2026, 1), Date.of(2026, 2))
    assert collapse([months, days("2026-03-04", "2026-03-05")]) == [
        Interval(Date.of(2026, 1), Date.of(2026, 3, 5))
    ]
    assert collapse([months, days("2026-04-01", "2026-04-05")]) == [months, days("2026-04-01", "2026-04-05")]


def test_expand_cuts_into_steps() -> None:
    assert expand(Interval(1, 10), Quantity(Decimal(2))) == [1, 3, 5, 7, 9]
    assert expand([Interval(Date.of(2026, 1, 1), Date.of(2026, 1, 4))], Quantity(Decimal(2), "days")) == [
        days("2026-01-01", "2026-01-02"),
        days("2026-01-03", "2026-01-04"),
    ]
    hours = expand([Interval(Time.of(10, 0), Time.of(12, 30))], Quantity(Decimal(1), "hour"))
    assert hours == [Interval(Time.of(hour), Time.of(hour)) for hour in (10, 11, 12)]
    assert expand([Interval(Time.of(10), Time.of(10))], Quantity(Decimal(1), "minute")) == []
    assert expand(Interval(1, None, True, False)) == []
    assert expand([Interval(1, 2), Interval(2, 3)]) == [Interval(1, 1), Interval(2, 2), Interval(3, 3)]


def test_an_expansion_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "MOST_EXPANDED", 1_000)
    with pytest.raises(EvaluationError, match="more than 1,000 steps"):
        expand(Interval(1, None))


def test_single_points_and_widths() -> None:
    assert point_from(Interval(4, 5, True, False)) == 4
    with pytest.raises(EvaluationError, match="more than one point"):
        point_from(Interval(1, 4))
    assert width(Interval(3, 7)) == 4
    assert size(Interval(3, 8, True, False)) == 5
    with pytest.raises(EvaluationError, match="has no width"):
        width(days("2026-01-01", "2026-01-31"))


@pytest.mark.parametrize("both", [intersect, union])
def test_of_bounds_whose_order_is_unknown_the_coarser_stays_whichever_comes_first(both: Any) -> None:
    months = Interval(Date.of(2021, 1), Date.of(2021, 3))
    days = Interval(Date.of(2021, 1, 15), Date.of(2021, 3, 10))
    assert both(months, days) == both(days, months) == months


def test_the_unknown_bound_stays_in_an_intersection() -> None:
    assert intersect(Interval(1, 10), Interval(5, None, True, False)) == Interval(5, None, True, False)
    assert except_(Interval(1, 10), Interval(3, 4)) is None
    assert union(Interval(1, 3), Interval(5, 9)) is None


bounded = st.tuples(st.integers(-20, 20), st.integers(0, 15), st.booleans(), st.booleans()).map(
    lambda t: Interval(t[0], t[0] + t[1] + 2, t[2], t[3])
)


def points(value: Any) -> set[int]:
    return set() if value is None else {point for point in range(-30, 50) if in_(point, value)}


@given(bounded, bounded)
def test_intervals_behave_as_the_sets_of_their_points(a: Interval, b: Interval) -> None:
    in_a, in_b = points(a), points(b)
    assert overlaps(a, b) is bool(in_a & in_b)
    assert includes(a, b) is (in_b <= in_a)
    assert proper_includes(a, b) is (in_b < in_a)
    assert before(a, b) is (max(in_a) < min(in_b))
    assert points(intersect(a, b)) == in_a & in_b
    assert size(a) == len(in_a)
    joined = union(a, b)
    if joined is not None:
        assert points(joined) == in_a | in_b
    rest = except_(a, b)
    if rest is not None:
        assert points(rest) == in_a - in_b


@given(st.lists(bounded, max_size=8))
def test_collapsed_intervals_cover_the_same_points_and_do_not_touch(intervals: list[Interval]) -> None:
    collapsed = collapse(intervals)
    assert collapsed is not None
    assert set().union(*map(points, collapsed)) == set().union(*map(points, intervals))
    for left, right in pairwise(collapsed):
        assert before(left, right) is True
        assert meets(left, right) is False


spell = st.tuples(st.integers(739_000, 739_060), st.integers(0, 12))


def of_days(first: int, length: int, open_low: bool = False) -> Interval:
    """So many days from one on; the same ones, said by a bound that is outside."""
    low, high = first - open_low, first + length
    return Interval(Date(low, low, 3), Date(high, high, 3), not open_low)


@given(st.lists(spell, max_size=8), st.integers(0, 6))
def test_days_are_the_same_however_their_bounds_are_said(spells: list[tuple[int, int]], gap: int) -> None:
    """Whole days are reckoned by their numbers, all else by the order of points."""
    per = Quantity(Decimal(gap), "days")
    by_number, by_order = ([of_days(*each, said) for each in spells] for said in (False, True))
    collapsed, also = (
        [(start(each), end(each)) for each in collapse(said, per) or ()] for said in (by_number, by_order)
    )
    assert collapsed == also
    for one, other in pairwise(spells):
        assert overlaps(of_days(*one), of_days(*other)) is overlaps(of_days(*one, True), of_days(*other))
    assert len(distinct([*by_number, *by_order])) == len(set(spells))


@given(bounded, st.integers(1, 5))
def test_expanding_in_ones_gives_every_point(whole: Interval, width: int) -> None:
    assert expand(whole) == sorted(points(whole))
    pieces = expand([whole], Quantity(Decimal(width)))
    assert pieces is not None
    assert all(size(piece) == width for piece in pieces)
    assert len(pieces) == len(points(whole)) // width
