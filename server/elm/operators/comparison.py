"""Comparison operators (ELM logical specification, "Comparison Operators").

`equal` and `order` are what everything else asks; `equivalent` has its own module. They answer None where
CQL answers null: a null operand, dates of different precision that agree as far as they go, units that do
not convert, bounds known only within a range. `order` says -1, 0, 1 or None.

Dates are compared as the spans of `temporal`; `order_at` compares them to a named precision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from server.elm.operators.bounds import end, start
from server.elm.operators.registry import operator
from server.elm.temporal import DAY, HOUR, MINUTE_MS, MONTH, UNIT_MS, Date, DateTime, Temporal, Time
from server.elm.ucum import Unit, common
from server.elm.values import (
    Code,
    CodeSystem,
    Concept,
    Interval,
    Long,
    Quantity,
    Ratio,
    Uncertainty,
    ValueSet,
)

# 12.1 Equal


@operator("Equal", nulls="propagate")
def equal(a: Any, b: Any) -> bool | None:
    """a = b; None when it cannot be known."""
    if a is None or b is None:
        return None
    if type(b) is Uncertainty:
        return _equal_uncertain(a, b)
    rule = _EQUAL.get(type(a))
    if rule is not None:
        return rule(a, b)
    if isinstance(a, Mapping):
        return equal_tuples(a, b) if isinstance(b, Mapping) else False
    return bool(a == b)


def equal_simple(a: Any, b: Any) -> bool:
    """Boolean, Integer, Long, Decimal, String."""
    return bool(a == b)


def equal_temporal(a: Temporal, b: Any) -> bool | None:
    """Date, DateTime, Time: null when one is known further than the other and they agree so far."""
    a, b = _same_kind(a, b)
    if a.high < b.low or a.low > b.high:
        return False
    return True if a.low == b.low and a.high == b.high else None


def equal_quantities(a: Quantity, b: Any) -> bool | None:
    """By value after conversion to a common unit; null when the units do not convert."""
    result = order_quantities(a, b)
    return None if result is None else result == 0


def equal_ratios(a: Ratio, b: Any) -> bool | None:
    """Numerator and denominator as given."""
    return _all((equal(a.numerator, b.numerator), equal(a.denominator, b.denominator)))


def equal_intervals(a: Interval, b: Any) -> bool | None:
    """The same start and the same end, as the Start and End operators give them."""
    if not isinstance(b, Interval):
        return False
    return _all((equal(start(a), start(b)), equal(end(a), end(b))))


def equal_lists(a: Sequence[Any], b: Any) -> bool | None:
    """Element by element in order, null elements equal to each other."""
    if not isinstance(b, list | tuple) or len(a) != len(b):
        return False
    return _all(_equal_or_both_null(x, y) for x, y in zip(a, b, strict=True))


def equal_tuples(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool | None:
    """Name by name, both null counting as equal; null where one lacks what the other has."""
    return _all(_equal_or_both_null(a.get(name), b.get(name)) for name in {**a, **b})


def equal_codes(a: Code, b: Any) -> bool | None:
    """Tuple equality: every element, version and display included."""
    if not isinstance(b, Code):
        return False
    parts = ((a.code, b.code), (a.system, b.system), (a.version, b.version), (a.display, b.display))
    return _all(_equal_or_both_null(x, y) for x, y in parts)


def equal_concepts(a: Concept, b: Any) -> bool | None:
    """Tuple equality: the codes in order, and the display."""
    if not isinstance(b, Concept):
        return False
    return _all((equal_lists(a.codes, b.codes), _equal_or_both_null(a.display, b.display)))


def equal_vocabularies(a: CodeSystem | ValueSet, b: Any) -> bool | None:
    """The same id and version; the name is only for people."""
    if type(a) is not type(b):
        return False
    return a.id == b.id and a.version == b.version


def _equal_uncertain(a: Any, b: Any) -> bool | None:
    result = order(a, b)
    if result is not None:
        return result == 0
    return False if less(a, b) or greater(a, b) else None


def _equal_or_both_null(a: Any, b: Any) -> bool | None:
    if a is None and b is None:
        return True
    return equal(a, b)


def _all(results: Any) -> bool | None:
    """Three-valued conjunction: one false decides, else one null."""
    outcome: bool | None = True
    for result in results:
        if result is False:
            return False
        if result is None:
            outcome = None
    return outcome


# 12.3 - 12.6 Greater, GreaterOrEqual, Less, LessOrEqual


def order(a: Any, b: Any) -> int | None:
    """-1, 0 or 1 as a is before, equal to or after b; None when it cannot be known.

    The operands are of one ordered type: numbers, strings, dates, quantities, or an Uncertainty of these.
    """
    if a is None or b is None:
        return None
    kind = type(a)
    if type(b) is Uncertainty or kind is Uncertainty:
        return _order_uncertain(a, b)
    if kind in _SIMPLE:
        return -1 if a < b else 1 if a > b else 0
    if kind is Quantity:
        return order_quantities(a, b)
    if isinstance(a, Date | DateTime | Time):
        return order_temporal(a, b)
    raise TypeError(f"{kind.__name__} has no order")


def order_temporal(a: Temporal, b: Any) -> int | None:
    """Dates as far as both are known; None when they agree so far and one is known further."""
    if type(a) is not type(b):
        a, b = _same_kind(a, b)
    if a.high < b.low:
        return -1
    if a.low > b.high:
        return 1
    return 0 if a.low == b.low and a.high == b.high else None


def order_quantities(a: Quantity, b: Any) -> int | None:
    """After conversion to a common unit; None when the units do not convert."""
    if not isinstance(b, Quantity):
        return None
    if a.unit == b.unit:
        return -1 if a.value < b.value else 1 if a.value > b.value else 0
    pair = common(a.unit, b.unit)
    if pair is None:
        return None
    left, right = on_one_scale(a, b, pair)
    return -1 if left < right else 1 if left > right else 0


def on_one_scale(a: Quantity, b: Quantity, pair: tuple[Unit, Unit]) -> tuple[int | Fraction, int | Fraction]:
    """Two numbers that compare as the quantities do: whole ones, unless a scale has a zero of its own."""
    one, other = pair
    if one.zero or other.zero:
        return Fraction(a.value) * one.factor + one.zero, Fraction(b.value) * other.factor + other.zero
    (a_above, a_below), (b_above, b_below) = a.value.as_integer_ratio(), b.value.as_integer_ratio()
    left = a_above * b_below * one.factor.numerator * other.factor.denominator
    right = b_above * a_below * other.factor.numerator * one.factor.denominator
    return left, right


def order_at(a: Temporal, b: Any, precision: int) -> int | None:
    """Dates compared down to `precision` and no further; None when one is not known that far.

    Offsets are brought together only when hours or less are compared: to the day and above each value
    speaks of its own local calendar.
    """
    if type(a) is not type(b):
        a, b = _same_kind(a, b)
    level = min(precision, a.precision, b.precision)
    if isinstance(a, Time):
        unit = UNIT_MS[level]
        left, right = a.low // unit, b.low // unit
    elif isinstance(a, Date):
        left, right = _calendar(a.low, level), _calendar(b.low, level)
    elif level >= HOUR:
        shift, unit = a.offset * MINUTE_MS, UNIT_MS[level]
        left, right = (a.low + shift) // unit, (b.low + shift) // unit
    else:
        if precision >= HOUR:
            a, b = _one_offset(a, b)
        left, right = _calendar(a.local_day, level), _calendar(b.local_day, level)
    if left != right:
        return -1 if left < right else 1
    return 0 if level >= precision else None


def _calendar(day: int, level: int) -> int:
    if level == DAY:
        return day
    known = Date(day, day, DAY)
    return known.year * 12 + (known.month or 0) if level == MONTH else known.year


def _one_offset(a: DateTime, b: DateTime) -> tuple[DateTime, DateTime]:
    """The one that has an hour, moved to the offset of the one that has not."""
    if a.precision < HOUR:
        return a, DateTime(b.low, b.high, b.precision, a.offset) if b.precision >= HOUR else b
    return DateTime(a.low, a.high, a.precision, b.offset), b


def _same_kind(a: Any, b: Any) -> tuple[Any, Any]:
    """A Date beside a DateTime becomes the DateTime of that day at the other's offset."""
    if isinstance(a, Date) and isinstance(b, DateTime):
        return DateTime.of(*a.components, offset=b.offset), b
    if isinstance(a, DateTime) and isinstance(b, Date):
        return a, DateTime.of(*b.components, offset=a.offset)
    if type(a) is not type(b):
        raise TypeError(f"{type(a).__name__} does not compare with {type(b).__name__}")
    return a, b


def _order_uncertain(a: Any, b: Any) -> int | None:
    a_low, a_high = _range(a)
    b_low, b_high = _range(b)
    if order(a_high, b_low) == -1:
        return -1
    if order(a_low, b_high) == 1:
        return 1
    return 0 if order(a_low, a_high) == 0 and order(b_low, b_high) == 0 and order(a_low, b_low) == 0 else None


def _range(value: Any) -> tuple[Any, Any]:
    return (value.low, value.high) if type(value) is Uncertainty else (value, value)


def precedes(a: Any, b: Any, level: int | None = None) -> bool | None:
    """a < b, dates compared down to `level` when one is given; None when either is, or it cannot be known."""
    return _certainly(a, b, level, strictly=True)


def precedes_or_same(a: Any, b: Any, level: int | None = None) -> bool | None:
    """a <= b, as `precedes`."""
    return _certainly(a, b, level, strictly=False)


def same(a: Any, b: Any, level: int | None = None) -> bool | None:
    """a = b, as `precedes`."""
    if a is None or b is None:
        return None
    if type(a) is Uncertainty or type(b) is Uncertainty:
        before, after = precedes(a, b, level), precedes(b, a, level)
        if before or after:
            return False
        return True if precedes_or_same(a, b, level) and precedes_or_same(b, a, level) else None
    if level is None:
        return equal(a, b)
    result = order_at(a, b, level)
    return None if result is None else result == 0


def _certainly(a: Any, b: Any, level: int | None, *, strictly: bool) -> bool | None:
    """Between ranges a < b may be certain though their order is not: the ends decide."""
    if a is None or b is None:
        return None
    if type(a) is not Uncertainty and type(b) is not Uncertainty:
        result = order(a, b) if level is None else order_at(a, b, level)
        return None if result is None else result < 0 or (result == 0 and not strictly)
    (a_low, a_high), (b_low, b_high) = _range(a), _range(b)
    top = order(a_high, b_low) if level is None else order_at(a_high, b_low, level)
    bottom = order(a_low, b_high) if level is None else order_at(a_low, b_high, level)
    if top == -1 or (top == 0 and not strictly):
        return True
    if bottom == 1 or (bottom == 0 and strictly):
        return False
    return None


@operator("Greater", nulls="propagate")
def greater(a: Any, b: Any) -> bool | None:
    """a > b."""
    return less(b, a)


@operator("GreaterOrEqual", nulls="propagate")
def greater_or_equal(a: Any, b: Any) -> bool | None:
    """a >= b."""
    return less_or_equal(b, a)


@operator("Less", nulls="propagate")
def less(a: Any, b: Any) -> bool | None:
    """a < b."""
    if type(a) is Uncertainty or type(b) is Uncertainty:
        return precedes(a, b)
    result = order(a, b)
    return None if result is None else result < 0


@operator("LessOrEqual", nulls="propagate")
def less_or_equal(a: Any, b: Any) -> bool | None:
    """a <= b."""
    if type(a) is Uncertainty or type(b) is Uncertainty:
        return precedes_or_same(a, b)
    result = order(a, b)
    return None if result is None else result <= 0


# 12.7 NotEqual


@operator("NotEqual", nulls="propagate")
def not_equal(a: Any, b: Any) -> bool | None:
    """a != b."""
    result = equal(a, b)
    return None if result is None else not result


_SIMPLE = frozenset({int, Decimal, str, Long, bool})

_EQUAL: Mapping[type, Callable[[Any, Any], bool | None]] = MappingProxyType(
    {
        str: equal_simple,
        int: equal_simple,
        bool: equal_simple,
        Decimal: equal_simple,
        Long: equal_simple,
        Date: equal_temporal,
        DateTime: equal_temporal,
        Time: equal_temporal,
        Quantity: equal_quantities,
        Code: equal_codes,
        Concept: equal_concepts,
        Interval: equal_intervals,
        list: equal_lists,
        tuple: equal_lists,
        dict: lambda a, b: equal_tuples(a, b) if isinstance(b, Mapping) else False,
        Ratio: equal_ratios,
        Uncertainty: _equal_uncertain,
        CodeSystem: equal_vocabularies,
        ValueSet: equal_vocabularies,
    }
)
