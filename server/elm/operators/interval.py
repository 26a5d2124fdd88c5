"""Interval operators and their point forms (ELM logical specification, "Interval Operators").

`In`, `Before`, `SameOrBefore`, `SameOrAfter`, `After`, `Overlaps`, `Collapse`; a bound that is not known
makes the answer unknown unless the known part decides. What is not here yet is refused at load.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import cmp_to_key
from typing import Any

from server.elm.operators.arithmetic import add, successor
from server.elm.operators.bounds import end, start
from server.elm.operators.calendar import add_duration
from server.elm.operators.comparison import equal, less, less_or_equal, order, order_at
from server.elm.operators.logical import and_
from server.elm.operators.registry import operator
from server.elm.temporal import PRECISION, Date, DateTime, Time
from server.elm.values import Interval, Quantity


def _first(value: Any) -> Any:
    return start(value) if isinstance(value, Interval) else value


def _last(value: Any) -> Any:
    return end(value) if isinstance(value, Interval) else value


def _earlier(a: Any, b: Any, precision: str | None) -> bool | None:
    if a is None or b is None:
        return None
    if precision is not None and isinstance(a, Date | DateTime | Time):
        found = order_at(a, b, PRECISION[precision])
        return None if found is None else found < 0
    return less(a, b)


def _not_later(a: Any, b: Any, precision: str | None) -> bool | None:
    if a is None or b is None:
        return None
    if precision is not None and isinstance(a, Date | DateTime | Time):
        found = order_at(a, b, PRECISION[precision])
        return None if found is None else found <= 0
    return less_or_equal(a, b)


@operator("After", nulls="propagate", options=("precision",))
def after(a: Any, b: Any, *, precision: str | None = None) -> bool | None:
    return _earlier(_last(b), _first(a), precision)


@operator("Before", nulls="propagate", options=("precision",))
def before(a: Any, b: Any, *, precision: str | None = None) -> bool | None:
    return _earlier(_last(a), _first(b), precision)


@operator("SameOrAfter", nulls="propagate", options=("precision",))
def same_or_after(a: Any, b: Any, *, precision: str | None = None) -> bool | None:
    return _not_later(_last(b), _first(a), precision)


@operator("SameOrBefore", nulls="propagate", options=("precision",))
def same_or_before(a: Any, b: Any, *, precision: str | None = None) -> bool | None:
    return _not_later(_last(a), _first(b), precision)


@operator("Collapse", nulls="handle")
def collapse(intervals: Sequence[Interval | None] | None, per: Quantity | None = None) -> Any:
    """Intervals joined where the next starts no later than `per` after the end of the former, in order.

    Without `per` they are joined where they meet or overlap. Intervals of unknown bounds are left out.
    """
    if intervals is None:
        return None
    known = [i for i in intervals if i is not None and start(i) is not None and end(i) is not None]
    known.sort(key=cmp_to_key(lambda a, b: order(start(a), start(b)) or 0))
    joined: list[Interval] = []
    for each in known:
        if joined and less_or_equal(start(each), _reach(end(joined[-1]), per)):
            former = joined.pop()
            later = less(end(former), end(each))
            joined.append(Interval(start(former), end(each) if later else end(former)))
        else:
            joined.append(Interval(start(each), end(each)))
    return joined


def _reach(last: Any, per: Quantity | None) -> Any:
    if isinstance(last, Date | DateTime):
        return add_duration(last, per if per is not None and per.value else Quantity(Decimal(1), "day"))
    return add(last, per.value) if per is not None and per.value else successor(last)


@operator("In", nulls="handle", options=("precision",))
def in_(element: Any, whole: Any, *, precision: str | None = None) -> bool | None:
    """Membership of a list (null where only unknown elements could match) or of an interval."""
    if whole is None:
        return False
    if isinstance(whole, Interval):
        if element is None:
            return None
        return and_(
            _not_later(start(whole), element, precision), _not_later(element, end(whole), precision)
        )
    if element is None:
        return None if not whole else any(each is None for each in whole)
    unknown = False
    for each in whole:
        same = equal(each, element) if each is not None else None
        if same:
            return True
        unknown = unknown or (same is None and each is not None)
    return None if unknown else False


@operator("Overlaps", nulls="propagate", options=("precision",))
def overlaps(a: Interval, b: Interval, *, precision: str | None = None) -> bool | None:
    return and_(
        _not_later(start(a), end(b), precision), _not_later(start(b), end(a), precision)
    )

