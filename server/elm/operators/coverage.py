"""Lists of intervals, joined and cut up (ELM logical specification, chapter 19: Collapse, Expand)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import ROUND_FLOOR, Decimal
from functools import cmp_to_key
from typing import Any, Final

from server.elm.errors import EvaluationError
from server.elm.operators.arithmetic import add
from server.elm.operators.bounds import end, start, whole_days
from server.elm.operators.calendar import add_duration
from server.elm.operators.comparison import order, precedes, precedes_or_same
from server.elm.operators.distinct import distinct
from server.elm.operators.interval import meets_before, overlaps, union_intervals
from server.elm.operators.logical import or_
from server.elm.operators.precision import at_precision, decimal_places
from server.elm.operators.registry import operator
from server.elm.operators.steps import step
from server.elm.temporal import HOUR, PRECISION, Date, DateTime, Time
from server.elm.ucum import DURATION_WORD
from server.elm.values import ARITHMETIC, Interval, Long, Quantity, Uncertainty

MOST_EXPANDED: Final = 1_000_000
"""Points an `Expand` gives before it is taken for a mistake: a century of hours fits."""


# 19.4 Collapse


@operator("Collapse", nulls="handle")
def collapse(
    intervals: Sequence[Interval | None] | None, per: Quantity | None = None
) -> list[Interval] | None:
    """The fewest intervals that cover the same points, in order.

    Neighbours are joined when they overlap or meet, or lie no further apart than `per`; without one, at the
    coarsest precision that bounds of dates and times are known to. Where one bound is not known, an interval
    is joined with what it overlaps in any case. Nulls, and intervals of which nothing is known, are left out.
    """
    if intervals is None:
        return None
    known = [each for each in intervals if each is not None]
    gap, days = _days(per), [whole_days(each) for each in known]
    if gap is not None and None not in days:
        return _collapsed_days(known, [each for each in days if each is not None], gap)
    levels = _precisions(known)
    precision = _name_of(min(levels)) if per is None and len(levels) > 1 else None
    joined: list[Interval] = []
    for each in _ordered(filter(_bounded, known)):
        if joined and _reaches(joined[-1], each, per, precision):
            former = joined.pop()
            longer = each if precedes(end(former), end(each)) else former
            joined.append(Interval(former.low, longer.high, former.low_closed, longer.high_closed))
        else:
            joined.append(each)
    for each in known:
        if not _bounded(each) and (each.low, each.high) != (None, None):
            joined = _joined_with(each, joined)
    return joined


def _ordered(intervals: Iterable[Interval]) -> list[Interval]:
    def earlier(a: Interval, b: Interval) -> int:
        return order(start(a), start(b)) or 0

    return sorted(intervals, key=cmp_to_key(earlier))


def _joined_with(each: Interval, others: list[Interval]) -> list[Interval]:
    """The intervals with one more, of which a bound is not known."""
    apart = []
    for other in others:
        both = union_intervals(each, other)
        each = each if both is None else both
        if both is None:
            apart.append(other)
    return _ordered([*apart, each])


def _days(per: Quantity | None) -> int | None:
    """A `per` of so many days; None of any other."""
    if per is None:
        return 0
    whole = DURATION_WORD.get(per.unit) == "day" and per.value == per.value.to_integral_value()
    return max(0, int(per.value)) if whole else None


def _collapsed_days(known: list[Interval], days: list[tuple[int, int]], gap: int) -> list[Interval]:
    """As `collapse`, of intervals of whole days, by the numbers of their days."""
    joined: list[Interval] = []
    last = 0
    for place in sorted(range(len(known)), key=lambda place: days[place][0]):
        each, (first, end_of_it) = known[place], days[place]
        if not joined or first > last + max(gap, 1):
            joined.append(each)
            last = end_of_it
        elif end_of_it > last:
            joined[-1] = Interval(joined[-1].low, each.high)
            last = end_of_it
    return joined


def _bounded(each: Interval) -> bool:
    return not any(bound is None or type(bound) is Uncertainty for bound in (start(each), end(each)))


def _reaches(former: Interval, latter: Interval, per: Quantity | None, precision: str | None) -> bool:
    """Whether no point, or none of a `per`, lies between the two."""
    if or_(overlaps(former, latter, precision=precision), meets_before(former, latter, precision=precision)):
        return True
    if per is None or per.value <= 0:
        return False
    return bool(precedes_or_same(start(latter), _advanced(end(former), per)))


# 19.11 Expand


@operator("Expand", nulls="handle")
def expand(source: Any, per: Quantity | None = None) -> list[Any] | None:
    """An interval as its points, or a list of intervals as intervals, each `per` apart and wide, and once.

    Without `per`, steps of the coarsest precision among the bounds. An interval with an open unknown bound,
    or known less finely than `per`, gives nothing. Raises EvaluationError past a million steps.
    """
    if source is None:
        return None
    if isinstance(source, Interval):
        return [low for low, _ in _pieces(source, per or _natural_step([source]))]
    known = [each for each in source if each is not None]
    width = per or _natural_step(known)
    pieces = [Interval(low, high) for each in known for low, high in _pieces(each, width)]
    return pieces if len(known) < 2 else distinct(pieces)


def _precisions(intervals: Sequence[Interval]) -> set[int]:
    """To which precisions dates and times among the bounds are known."""
    bounds = (bound for each in intervals for bound in (each.low, each.high))
    return {bound.precision for bound in bounds if isinstance(bound, Date | DateTime | Time)}


def _name_of(precision: int) -> str:
    return next(name for name, level in PRECISION.items() if level == precision)


def _natural_step(intervals: Sequence[Interval]) -> Quantity:
    levels = _precisions(intervals)
    if levels:
        return Quantity(Decimal(1), _name_of(min(levels)).lower())
    points = [bound for each in intervals for bound in (each.low, each.high) if bound is not None]
    numbers = [point.value if isinstance(point, Quantity) else point for point in points]
    places = min((decimal_places(number) for number in numbers if isinstance(number, Decimal)), default=0)
    unit = points[0].unit if points and isinstance(points[0], Quantity) else "1"
    return Quantity(Decimal(1).scaleb(-places), unit)


def _pieces(source: Interval, per: Quantity) -> Iterator[tuple[Any, Any]]:
    """First and last point of each step that lies within the interval."""
    if not _bounded(source) or per.value <= 0:
        return
    low, last = _aligned(start(source), per), _aligned(end(source), per)
    if isinstance(last, Decimal) and isinstance(end(source), int):
        last += 1 - Decimal(1).scaleb(-decimal_places(per.value))  # 10 stands for 10.0 to 10.9
    if low is None or last is None:
        return
    for _ in range(MOST_EXPANDED):
        after_it = _advanced(low, per)
        high = None if after_it is None else _previous(after_it, per)
        if high is None or precedes_or_same(high, last) is not True:
            return
        if isinstance(low, Time) and precedes(high, low):
            return  # past midnight
        yield low, high
        if isinstance(after_it, Time) and precedes(after_it, low):
            return
        low = after_it
    raise EvaluationError(f"{source} per {per} has more than {MOST_EXPANDED:,} steps.")


def _aligned(point: Any, per: Quantity) -> Any:
    """The point at the precision of `per`; None when it is not known that finely, or has no such unit."""
    if isinstance(point, Date | DateTime | Time):
        word = DURATION_WORD.get(per.unit)
        level = None if word is None else PRECISION["Day" if word == "week" else word.capitalize()]
        if level is None or point.precision < level or (isinstance(point, Time) and level < HOUR):
            return None
        return at_precision(point, level)
    if per.unit != "1" and not isinstance(point, Quantity):
        return None
    places = decimal_places(per.value)
    if isinstance(point, Quantity):
        value = point.value.quantize(Decimal(1).scaleb(-places), ROUND_FLOOR, ARITHMETIC)
        return Quantity(value, point.unit)
    if isinstance(point, Decimal):
        return point.quantize(Decimal(1).scaleb(-places), ROUND_FLOOR, ARITHMETIC)
    return point if places == 0 else Decimal(point).quantize(Decimal(1).scaleb(-places))


def _advanced(point: Any, per: Quantity) -> Any:
    """`per` further on; None where that cannot be."""
    if isinstance(point, Date | DateTime | Time):
        try:
            return add_duration(point, per)
        except EvaluationError:
            return None
    if isinstance(point, Quantity):
        return add(point, per if per.unit != "1" else Quantity(per.value, point.unit))
    if isinstance(point, int) and per.value == per.value.to_integral_value():
        width = int(per.value)
        return add(point, Long(width) if isinstance(point, Long) else width)
    return add(Decimal(point), per.value)


def _previous(point: Any, per: Quantity) -> Any:
    """The neighbour before, at the precision of `per`."""
    if isinstance(point, Date | DateTime | Time):
        return step(point, -1)
    width = Decimal(1).scaleb(-decimal_places(per.value))
    if isinstance(point, Quantity):
        return Quantity(ARITHMETIC.subtract(point.value, width), point.unit)
    return step(point, -1) if isinstance(point, int) else ARITHMETIC.subtract(point, width)
