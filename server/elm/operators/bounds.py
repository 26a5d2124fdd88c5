"""Where an interval starts and ends (ELM logical specification, "Interval Operators": Start and End).

A closed null bound is the least or greatest of the point type, an open one is known only to lie between
that and the other bound. The point type is read off the bound that is there; an interval without any says
nothing, and both answers are null, unless the caller names the type.
"""

from __future__ import annotations

from typing import Any

from server.elm.operators.registry import operator
from server.elm.operators.steps import MAXIMUM, MINIMUM, predecessor, successor
from server.elm.temporal import Date, DateTime
from server.elm.values import Interval, Quantity, Uncertainty


@operator("Start", nulls="propagate")
def start(interval: Interval, like: Any = None) -> Any:
    """The first point: a value, an Uncertainty, or null. `like` tells the point type of a boundless one."""
    if interval.low is not None:
        return interval.low if interval.low_closed else successor(interval.low)
    least = _extreme(MINIMUM, like if interval.high is None else interval.high)
    if interval.low_closed or least is None:
        return least
    if interval.high is None:
        return Uncertainty(least, _extreme(MAXIMUM, like))
    return Uncertainty(least, interval.high if interval.high_closed else predecessor(interval.high))


@operator("End", nulls="propagate")
def end(interval: Interval, like: Any = None) -> Any:
    """The last point: a value, an Uncertainty, or null. `like` tells the point type of a boundless one."""
    if interval.high is not None:
        return interval.high if interval.high_closed else predecessor(interval.high)
    greatest = _extreme(MAXIMUM, like if interval.low is None else interval.low)
    if interval.high_closed or greatest is None:
        return greatest
    if interval.low is None:
        return Uncertainty(_extreme(MINIMUM, like), greatest)
    return Uncertainty(interval.low if interval.low_closed else successor(interval.low), greatest)


def whole_days(interval: Interval) -> tuple[int, int] | None:
    """First and last day, as ordinals, where both are known to the day and belong to the interval: most that
    charts tell of. None of any other interval."""
    low, high = interval.low, interval.high
    if low.__class__ is not Date or high.__class__ is not Date:
        return None
    known = low.low == low.high and high.low == high.high
    return (low.low, high.low) if known and interval.low_closed and interval.high_closed else None


def _extreme(table: Any, like: Any) -> Any:
    """The least or greatest value of the type of a bound, in its unit or offset."""
    if like is None:
        return None
    if isinstance(like, Uncertainty):
        return _extreme(table, like.low)
    value = table.get(type(like).__name__ if type(like) is not int else "Integer")
    if isinstance(like, Quantity):
        return Quantity(value.value, like.unit)
    if isinstance(like, DateTime):
        return DateTime.of(*value.components, offset=like.offset)
    return value
