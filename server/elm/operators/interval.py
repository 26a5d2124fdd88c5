"""Interval operators (ELM logical specification, chapter 19).

Bounds are what `bounds.start` and `bounds.end` say: a point, a range it lies in, or null; so an unknown
bound makes an answer null only where it matters. Every timing operator takes `precision`: dates are then
compared down to it. `Before`, `After` and the `Same…` operators take points beside intervals. What lists
and intervals share (`In`, `Contains`, `Includes`, `Union` …) is registered in `membership`; `Collapse` and
`Expand` are in `coverage`.
"""

from __future__ import annotations

from typing import Any

from server.elm.errors import EvaluationError
from server.elm.operators.arithmetic import subtract
from server.elm.operators.bounds import end, start, whole_days
from server.elm.operators.comparison import (
    order,
    precedes,
    precedes_or_same,
    same,
)
from server.elm.operators.logical import and_, not_, or_
from server.elm.operators.precision import at_precision
from server.elm.operators.registry import operator
from server.elm.operators.steps import step
from server.elm.temporal import PRECISION, Date, DateTime, Time
from server.elm.values import Interval, Uncertainty


def level_of(precision: str | None) -> int | None:
    """The component a `precision` names; None without one."""
    return None if precision is None else PRECISION[precision]


def first_point(value: Any) -> Any:
    """Where an interval starts; of a point, the point."""
    return start(value) if isinstance(value, Interval) else value


def last_point(value: Any) -> Any:
    """Where an interval ends; of a point, the point."""
    return end(value) if isinstance(value, Interval) else value


# 19.1 Interval


def interval(low: Any, high: Any, low_closed: bool = True, high_closed: bool = True) -> Interval:
    """An Interval; raises EvaluationError when it would end before it begins."""
    made = Interval(low, high, low_closed, high_closed)
    if low is not None and high is not None:
        turned = order(low, high) == 1
        if turned or (not (low_closed and high_closed) and precedes(_last(made), _first(made))):
            raise EvaluationError(f"{made} ends before it begins.")
    return made


def _first(made: Interval) -> Any:
    return made.low if made.low_closed else step(made.low, 1)


def _last(made: Interval) -> Any:
    return made.high if made.high_closed else step(made.high, -1)


# 19.2 After


@operator("After", nulls="propagate", options=("precision",))
def after(a: Any, b: Any, *, precision: str | None = None) -> bool | None:
    """a starts after b ends."""
    return precedes(last_point(b), first_point(a), level_of(precision))


# 19.3 Before


@operator("Before", nulls="propagate", options=("precision",))
def before(a: Any, b: Any, *, precision: str | None = None) -> bool | None:
    """a ends before b starts."""
    return precedes(last_point(a), first_point(b), level_of(precision))


# 19.8 Ends


@operator("Ends", nulls="propagate", options=("precision",))
def ends(a: Interval, b: Interval, *, precision: str | None = None) -> bool | None:
    """a starts no earlier than b and ends with it."""
    level = level_of(precision)
    return and_(precedes_or_same(start(b), start(a), level), same(end(a), end(b), level))


# 19.16 Meets, 19.17 MeetsAfter, 19.18 MeetsBefore


@operator("Meets", nulls="propagate", options=("precision",))
def meets(a: Interval, b: Interval, *, precision: str | None = None) -> bool | None:
    """No point lies between them, and none in both."""
    return or_(meets_before(a, b, precision=precision), meets_after(a, b, precision=precision))


@operator("MeetsAfter", nulls="propagate", options=("precision",))
def meets_after(a: Interval, b: Interval, *, precision: str | None = None) -> bool | None:
    """a starts with the point after the last of b."""
    return meets_before(b, a, precision=precision)


@operator("MeetsBefore", nulls="propagate", options=("precision",))
def meets_before(a: Interval, b: Interval, *, precision: str | None = None) -> bool | None:
    """a ends with the point before the first of b."""
    level = level_of(precision)
    last, first = end(a), start(b)
    if last is None or first is None:
        return None
    if level is not None and not isinstance(last, Uncertainty) and last.precision > level:
        last = at_precision(last, level)
    following = step(last, 1)
    if following is None:
        return False  # nothing follows the greatest value
    return same(following, first, level)


# 19.20 Overlaps, 19.21 OverlapsBefore, 19.22 OverlapsAfter


@operator("Overlaps", nulls="propagate", options=("precision",))
def overlaps(a: Interval, b: Interval, *, precision: str | None = None) -> bool | None:
    """They have a point in common."""
    level = level_of(precision)
    if level is None and (one := whole_days(a)) is not None and (other := whole_days(b)) is not None:
        return one[0] <= other[1] and other[0] <= one[1]
    return and_(precedes_or_same(start(a), end(b), level), precedes_or_same(start(b), end(a), level))


@operator("OverlapsBefore", nulls="propagate", options=("precision",))
def overlaps_before(a: Interval, b: Interval, *, precision: str | None = None) -> bool | None:
    """They overlap and a starts first."""
    starts_first = precedes(start(a), start(b), level_of(precision))
    return and_(starts_first, overlaps(a, b, precision=precision))


@operator("OverlapsAfter", nulls="propagate", options=("precision",))
def overlaps_after(a: Interval, b: Interval, *, precision: str | None = None) -> bool | None:
    """They overlap and a ends last."""
    ends_last = precedes(end(b), end(a), level_of(precision))
    return and_(ends_last, overlaps(a, b, precision=precision))


# 19.23 PointFrom


@operator("PointFrom", nulls="propagate")
def point_from(source: Interval) -> Any:
    """The one point of an interval; raises EvaluationError when there are more."""
    low = start(source)
    if low is None:
        return None
    if same(low, end(source)) is not True:
        raise EvaluationError(f"{source} is more than one point.")
    return low


# 19.26 SameAs, 19.27 SameOrBefore, 19.28 SameOrAfter


@operator("SameAs", nulls="propagate", options=("precision",))
def same_as(a: Any, b: Any, *, precision: str | None = None) -> bool | None:
    """They start together and end together."""
    level = level_of(precision)
    if not isinstance(a, Interval) and not isinstance(b, Interval):
        return same(a, b, level)
    return and_(same(first_point(a), first_point(b), level), same(last_point(a), last_point(b), level))


@operator("SameOrBefore", nulls="propagate", options=("precision",))
def same_or_before(a: Any, b: Any, *, precision: str | None = None) -> bool | None:
    """a ends no later than b starts."""
    return precedes_or_same(last_point(a), first_point(b), level_of(precision))


@operator("SameOrAfter", nulls="propagate", options=("precision",))
def same_or_after(a: Any, b: Any, *, precision: str | None = None) -> bool | None:
    """a starts no earlier than b ends."""
    return precedes_or_same(last_point(b), first_point(a), level_of(precision))


# 19.29 Size


@operator("Size", nulls="propagate")
def size(source: Interval) -> Any:
    """Last point less first, and one point more."""
    span = width(source)
    return None if span is None else step(span, 1)


# 19.31 Starts


@operator("Starts", nulls="propagate", options=("precision",))
def starts(a: Interval, b: Interval, *, precision: str | None = None) -> bool | None:
    """a starts with b and ends no later."""
    level = level_of(precision)
    return and_(same(start(a), start(b), level), precedes_or_same(end(a), end(b), level))


# 19.33 Width


@operator("Width", nulls="propagate")
def width(source: Interval) -> Any:
    """Last point less first; raises EvaluationError of dates, whose durations and differences these are."""
    low, high = start(source), end(source)
    if isinstance(low, Date | DateTime | Time) or isinstance(high, Date | DateTime | Time):
        raise EvaluationError(f"{source} has no width: count a duration or a difference between its bounds.")
    if low is None or high is None or Uncertainty in (type(low), type(high)):
        return None
    return subtract(high, low)


# What `membership` registers for intervals and lists together: 19.5 Contains to 19.32 Union


def includes_point(whole: Interval, point: Any, precision: str | None) -> bool | None:
    """The point is in the interval; an open bound itself is not."""
    level = level_of(precision)
    return and_(_from_low(whole, point, level), _up_to_high(whole, point, level))


def _from_low(whole: Interval, point: Any, level: int | None) -> bool | None:
    if whole.low is None:
        return True if whole.low_closed else precedes_or_same(start(whole, point), point, level)
    return (
        precedes_or_same(whole.low, point, level) if whole.low_closed else precedes(whole.low, point, level)
    )


def _up_to_high(whole: Interval, point: Any, level: int | None) -> bool | None:
    if whole.high is None:
        return True if whole.high_closed else precedes_or_same(point, end(whole, point), level)
    return (
        precedes_or_same(point, whole.high, level)
        if whole.high_closed
        else precedes(point, whole.high, level)
    )


def properly_includes_point(whole: Interval, point: Any, precision: str | None) -> bool | None:
    """The point is in the interval, and not all of it."""
    level = level_of(precision)
    alone = and_(same(start(whole, point), point, level), same(end(whole, point), point, level))
    return and_(includes_point(whole, point, precision), not_(alone))


def includes_interval(whole: Interval, part: Interval, precision: str | None) -> bool | None:
    """Every point of `part` is in `whole`."""
    level, (whole_start, whole_end, part_start, part_end) = level_of(precision), _points(whole, part)
    return and_(
        precedes_or_same(whole_start, part_start, level), precedes_or_same(part_end, whole_end, level)
    )


def properly_includes_interval(whole: Interval, part: Interval, precision: str | None) -> bool | None:
    """Every point of `part` is in `whole`, which has more."""
    level, (whole_start, whole_end, part_start, part_end) = level_of(precision), _points(whole, part)
    equal = and_(same(whole_start, part_start, level), same(whole_end, part_end, level))
    return and_(includes_interval(whole, part, precision), not_(equal))


def _points(a: Interval, b: Interval) -> tuple[Any, Any, Any, Any]:
    """Start and end of both, a boundless one having the point type of the other."""
    a_like = b.low if b.low is not None else b.high
    b_like = a.low if a.low is not None else a.high
    return start(a, a_like), end(a, a_like), start(b, b_like), end(b, b_like)


def except_interval(a: Interval, b: Interval) -> Interval | None:
    """What of a is not in b; null when that is nothing, two pieces, or not known."""
    meet = overlaps(a, b)
    if meet is False:
        return a
    if meet is None:
        return None
    left, right = precedes(start(a), start(b)), precedes(end(b), end(a))
    if left and right is False:
        return Interval(a.low, step(start(b), -1), a.low_closed, True)
    if right and left is False:
        return Interval(step(end(b), 1), a.high, True, a.high_closed)
    return None


def intersect_intervals(a: Interval, b: Interval) -> Interval | None:
    """The points in both; null when there are none. Of bounds whose order is unknown, the unknown one."""
    if overlaps(a, b) is False:
        return None
    a_start, a_end, b_start, b_end = _points(a, b)
    low = a if _governs(precedes_or_same(b_start, a_start), a.low, b.low) else b
    high = a if _governs(precedes_or_same(a_end, b_end), a.high, b.high) else b
    return Interval(low.low, high.high, low.low_closed, high.high_closed)


def _governs(certain: bool | None, bound: Any, other: Any) -> bool:
    """Whether a bound is the result's: where that is not `certain`, whether less is known of it."""
    if certain is not None or bound is None or other is None:
        return bound is None if certain is None else certain
    return isinstance(bound, Date | DateTime | Time) and bound.precision < other.precision


def union_intervals(a: Interval, b: Interval) -> Interval | None:
    """From the first start to the last end; null when a gap lies between, or it is not known. Of bounds whose
    order is unknown, the unknown one."""
    if or_(overlaps(a, b), meets(a, b)) is not True:
        return None
    low = a if _governs(precedes_or_same(start(a), start(b)), a.low, b.low) else b
    high = a if _governs(precedes_or_same(end(b), end(a)), a.high, b.high) else b
    return Interval(low.low, high.high, low.low_closed, high.high_closed)
