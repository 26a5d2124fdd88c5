"""Faster code for dates known to the day, which most dates of a chart are.

Between two of them everything asked to the day, or to no precision, is a comparison of two day numbers. Every
other operand (an interval, a DateTime, a date known to the month) is left to the operator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from server.elm.code import Code, Thunk
from server.elm.temporal import DAY, Date
from server.elm.values import Interval

Function = Callable[..., Any]
Maker = Callable[[Function, Sequence[Code]], Thunk]


def between(answer: Callable[[int, int], Any]) -> Maker:
    """An operator of two dates, by what it answers for the numbers of two days."""

    def make(function: Function, operands: Sequence[Code]) -> Thunk:
        left, right = operands[0].run, operands[1].run

        def days(frame: list[Any]) -> Any:
            a = left(frame)
            if a is None:
                return None
            b = right(frame)
            if b is None:
                return None
            if a.__class__ is Date and b.__class__ is Date and a.precision == DAY and b.precision == DAY:
                return answer(a.low, b.low)
            return function(a, b)

        return days

    return make


def _bound(first: bool) -> Maker:
    """`start of` or `end of` an interval with that bound closed and known: the bound."""

    def make(function: Function, operands: Sequence[Code]) -> Thunk:
        operand = operands[0].run

        def start(frame: list[Any]) -> Any:
            value = operand(frame)
            if value.__class__ is Interval and value.low_closed and value.low is not None:
                return value.low
            return None if value is None else function(value)

        def end(frame: list[Any]) -> Any:
            value = operand(frame)
            if value.__class__ is Interval and value.high_closed and value.high is not None:
                return value.high
            return None if value is None else function(value)

        return start if first else end

    return make


BY_DAY: Final[Mapping[str, Maker]] = MappingProxyType(
    {
        "DifferenceBetween": between(lambda a, b: b - a),
        "Before": between(int.__lt__),
        "After": between(int.__gt__),
        "SameOrBefore": between(int.__le__),
        "SameOrAfter": between(int.__ge__),
    }
)
"""Of the operators that name a precision: when it is the day."""

BY_VALUE: Final[Mapping[str, Maker]] = MappingProxyType(
    {
        "Start": _bound(first=True),
        "End": _bound(first=False),
        **{name: make for name, make in BY_DAY.items() if name != "DifferenceBetween"},
    }
)
"""Of the operators without a precision."""
