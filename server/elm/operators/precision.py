"""Precision and boundaries (ELM logical specification, chapter 16: HighBoundary, LowBoundary, Precision).

Digits are counted as the reference does: after the point of a Decimal, in all of a date or time (2014-01 has
six, a moment to the millisecond seventeen).
"""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from types import MappingProxyType
from typing import Any, Final

from server.elm.operators.registry import operator
from server.elm.temporal import (
    DAY,
    HOUR,
    MILLISECOND,
    MINUTE,
    MONTH,
    SECOND,
    YEAR,
    Date,
    DateTime,
    Temporal,
    Time,
)
from server.elm.values import ARITHMETIC, STEP

# 16.7 HighBoundary, 16.10 LowBoundary

_DATE_DIGITS: Final = MappingProxyType(
    {4: YEAR, 6: MONTH, 8: DAY, 10: HOUR, 12: MINUTE, 14: SECOND, 17: MILLISECOND}
)
_TIME_DIGITS: Final = MappingProxyType({2: HOUR, 4: MINUTE, 6: SECOND, 9: MILLISECOND})


@operator("HighBoundary", nulls="handle")
def high_boundary(a: Any, digits: int | None = None) -> Any:
    """The greatest value a may stand for, to so many digits; null beyond what the type has."""
    if isinstance(a, Decimal | int):
        return _decimal_boundary(Decimal(a), digits, up=True)
    return None if a is None else _date_boundary(a, digits, up=True)


@operator("LowBoundary", nulls="handle")
def low_boundary(a: Any, digits: int | None = None) -> Any:
    """The least value a may stand for, to so many digits; null beyond what the type has."""
    if isinstance(a, Decimal | int):
        return _decimal_boundary(Decimal(a), digits, up=False)
    return None if a is None else _date_boundary(a, digits, up=False)


def _decimal_boundary(a: Decimal, digits: int | None, *, up: bool) -> Decimal | None:
    """CQL 1.5 reads 1.587 as 1.587 to 1.58799999…: what is not written may be any digit."""
    places = 8 if digits is None else digits
    if not 0 <= places <= 8:
        return None
    edge = a
    if up == (a >= 0):
        width = Decimal(1).scaleb(-decimal_places(a))
        edge = ARITHMETIC.add(a, (width - STEP).copy_sign(1 if up else -1))
    return edge.quantize(Decimal(1).scaleb(-places), ROUND_DOWN, ARITHMETIC)


def _date_boundary(a: Temporal, digits: int | None, *, up: bool) -> Temporal | None:
    table = _TIME_DIGITS if isinstance(a, Time) else _DATE_DIGITS
    most = {Date: 8, DateTime: 17, Time: 9}[type(a)]
    level = table.get(most if digits is None else digits)
    if level is None or (digits is not None and digits > most):
        return None
    return at_precision(last_moment(a) if up else first_moment(a), level)


def first_moment(a: Temporal) -> Temporal:
    """The first value of full precision that a may stand for."""
    if isinstance(a, Date):
        return Date(a.low, a.low, DAY)
    if isinstance(a, Time):
        return Time(a.low, a.low, MILLISECOND)
    return DateTime(a.low, a.low, MILLISECOND, a.offset)


def last_moment(a: Temporal) -> Temporal:
    """The last value of full precision that a may stand for: to the second still means .999 here."""
    if isinstance(a, Date):
        return Date(a.high, a.high, DAY)
    high = a.high + 999 if a.precision == SECOND else a.high
    if isinstance(a, Time):
        return Time(high, high, MILLISECOND)
    return DateTime(high, high, MILLISECOND, a.offset)


def at_precision(a: Temporal, level: int) -> Temporal:
    """The value with its components below `level` forgotten."""
    components = a.components
    if isinstance(a, Date):
        return Date.of(*components[:level])
    if isinstance(a, Time):
        return Time.of(*components[: level - 3])
    return DateTime.of(*components[:level], offset=a.offset)


# 16.17 Precision


@operator("Precision", nulls="propagate")
def precision(a: Any) -> int:
    """Digits after the point of a Decimal, digits in all of a date or time."""
    if isinstance(a, Decimal):
        return decimal_places(a)
    table = _TIME_DIGITS if isinstance(a, Time) else _DATE_DIGITS
    return next(digits for digits, level in table.items() if level == a.precision)


def decimal_places(a: Decimal) -> int:
    """Digits after the point as written."""
    exponent = a.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
