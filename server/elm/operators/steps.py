"""Neighbours and ends of a type (ELM logical specification, chapter 16: MaxValue to Successor).

A step is 1 for whole numbers, 0.00000001 for Decimals and quantities, and one unit of the precision a date
or time is known to.
"""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from server.elm.errors import EvaluationError
from server.elm.operators.calendar import add_duration
from server.elm.operators.registry import operator
from server.elm.temporal import (
    DAY,
    DAY_MS,
    HOUR,
    MILLISECOND,
    MINUTE,
    MONTH,
    SECOND,
    UNIT_MS,
    YEAR,
    Date,
    DateTime,
    Time,
)
from server.elm.values import (
    ARITHMETIC,
    INTEGER_MAX,
    INTEGER_MIN,
    LONG_MAX,
    LONG_MIN,
    MAX_DECIMAL,
    MIN_DECIMAL,
    STEP,
    Long,
    Quantity,
    Uncertainty,
    bounded_integer,
    bounded_long,
)

ELM_TYPES: Final = "{urn:hl7-org:elm-types:r1}"

# 16.11 MaxValue, 16.12 MinValue

_END: Final = Date.of(9999, 12, 31)
_BEGINNING: Final = Date.of(1, 1, 1)
MAXIMUM: Final = MappingProxyType(
    {
        "Integer": INTEGER_MAX,
        "Long": Long(LONG_MAX),
        "Decimal": MAX_DECIMAL,
        "Quantity": Quantity(MAX_DECIMAL),
        "Date": _END,
        "DateTime": DateTime.of(9999, 12, 31, 23, 59, 59, 999, offset=0),
        "Time": Time.of(23, 59, 59, 999),
    }
)
MINIMUM: Final = MappingProxyType(
    {
        "Integer": INTEGER_MIN,
        "Long": Long(LONG_MIN),
        "Decimal": MIN_DECIMAL,
        "Quantity": Quantity(MIN_DECIMAL),
        "Date": _BEGINNING,
        "DateTime": DateTime.of(1, 1, 1, 0, 0, 0, 0, offset=0),
        "Time": Time.of(0, 0, 0, 0),
    }
)


@operator("MaxValue", nulls="handle", options=("valueType",))
def maximum(*, valueType: str) -> Any:
    """The greatest value of a type."""
    return _extreme(MAXIMUM, "maximum", valueType)


@operator("MinValue", nulls="handle", options=("valueType",))
def minimum(*, valueType: str) -> Any:
    """The least value of a type."""
    return _extreme(MINIMUM, "minimum", valueType)


def _extreme(table: Any, word: str, value_type: str) -> Any:
    name = value_type.removeprefix(ELM_TYPES)
    if name not in table:
        raise EvaluationError(f"{name} has no {word}: only numbers, quantities, dates and times do.")
    return table[name]


# 16.18 Predecessor, 16.21 Successor


@operator("Predecessor", nulls="propagate")
def predecessor(a: Any) -> Any:
    """The value one step before; raises at the minimum of the type."""
    result = step(a, -1)
    if result is None:
        raise EvaluationError(f"{a} is the least of its type: it has no predecessor.")
    return result


@operator("Successor", nulls="propagate")
def successor(a: Any) -> Any:
    """The value one step after; raises at the maximum of the type."""
    result = step(a, 1)
    if result is None:
        raise EvaluationError(f"{a} is the greatest of its type: it has no successor.")
    return result


def step(a: Any, sign: int) -> Any:
    """The neighbour of a value: 1, 0.00000001, or one unit of a date's precision; None beyond the type."""
    if isinstance(a, Decimal):
        moved = ARITHMETIC.add(a, STEP * sign)
        return moved if MIN_DECIMAL <= moved <= MAX_DECIMAL else None
    if isinstance(a, int):
        return bounded_long(a + sign) if type(a) is Long else bounded_integer(a + sign)
    if isinstance(a, Quantity):
        value = step(a.value, sign)
        return None if value is None else Quantity(value, a.unit)
    if isinstance(a, Time):
        width = UNIT_MS[a.precision] * sign
        return Time(a.low + width, a.high + width, a.precision) if 0 <= a.low + width < DAY_MS else None
    if isinstance(a, Date | DateTime):
        try:
            return add_duration(a, _STEP_OF[a.precision], sign)
        except EvaluationError:
            return None
    if isinstance(a, Uncertainty):
        # The end of the type has no neighbour; where the value may be another, it has one.
        low, high = step(a.low, sign), step(a.high, sign)
        if low is None and high is None:
            return None
        return Uncertainty(a.low if low is None else low, a.high if high is None else high)
    raise EvaluationError(f"A {type(a).__name__} has no neighbours.")


_STEP_OF: Final = MappingProxyType(
    {
        level: Quantity(Decimal(1), word)
        for level, word in (
            (YEAR, "year"),
            (MONTH, "month"),
            (DAY, "day"),
            (HOUR, "hour"),
            (MINUTE, "minute"),
            (SECOND, "second"),
            (MILLISECOND, "millisecond"),
        )
    }
)
