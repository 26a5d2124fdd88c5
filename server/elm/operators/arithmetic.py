"""Arithmetic operators (ELM logical specification, "Arithmetic Operators").

Integers are 32 bits, Longs 64, Decimals 28 digits with at most 8 places; a result that does not fit, and
division by zero, are null. Quantities convert to the finer of the two units before they are added. What is
known only within a range (`Uncertainty`) is added, subtracted, multiplied and divided at its ends. Dates plus
durations are `calendar`'s; boundaries and Precision are in `precision`, neighbours and the ends of a type in
`steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import cmp_to_key
from types import MappingProxyType
from typing import Any, Final

from server.elm.errors import EvaluationError
from server.elm.operators.calendar import add_duration
from server.elm.operators.comparison import order
from server.elm.operators.registry import operator
from server.elm.temporal import (
    Date,
    DateTime,
    Time,
)
from server.elm.ucum import common, divide, multiply
from server.elm.values import (
    ARITHMETIC,
    Long,
    Quantity,
    Ratio,
    Uncertainty,
    bounded_decimal,
    bounded_integer,
    bounded_long,
)


def _number(value: int, *like: Any) -> int | None:
    """A whole number as a Long if one of the operands was one, else as an Integer; None when too large."""
    return bounded_long(value) if any(type(each) is Long for each in like) else bounded_integer(value)


def _decimal(value: Fraction) -> Decimal | None:
    return bounded_decimal(ARITHMETIC.divide(Decimal(value.numerator), Decimal(value.denominator)))


def _quantity(value: Decimal | None, unit: str | None) -> Quantity | None:
    return None if value is None or unit is None else Quantity(value, unit)


def _ends(function: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """The function over the ranges of its operands: its extremes lie at their ends, which may be one. Null
    where one cannot be reckoned: the last day there is has none after it."""
    a_ends = (a.low, a.high) if type(a) is Uncertainty else (a,)
    b_ends = (b.low, b.high) if type(b) is Uncertainty else (b,)
    try:
        results = [function(x, y) for x in a_ends for y in b_ends]
    except EvaluationError:
        return None
    if None in results:
        return None
    least, *_, most = sorted(results, key=cmp_to_key(lambda x, y: order(x, y) or 0))
    return least if least == most else Uncertainty(least, most)


def _at_ends(function: Callable[[Any], Any], a: Uncertainty) -> Any:
    """A function that rises with its operand, over a range of it."""
    low, high = function(a.low), function(a.high)
    return low if low == high else None if None in (low, high) else Uncertainty(low, high)


def _may_be_zero(b: Any) -> bool:
    return bool(b.low <= 0 <= b.high if isinstance(b, Uncertainty) else b == 0)


def _no_overload(name: str, *operands: Any) -> EvaluationError:
    kinds = ", ".join(type(operand).__name__ for operand in operands)
    return EvaluationError(f"{name} is not defined for {kinds}.")


# 16.1 Abs


@operator("Abs", nulls="propagate")
def absolute(a: Any) -> Any:
    """|a|, the unit unchanged; null of a range."""
    if isinstance(a, Uncertainty):
        return None
    if isinstance(a, Quantity):
        return Quantity(ARITHMETIC.abs(a.value), a.unit)
    return ARITHMETIC.abs(a) if isinstance(a, Decimal) else _number(abs(int(a)), a)


# 16.2 Add


@operator("Add", nulls="propagate")
def add(a: Any, b: Any) -> Any:
    """a + b, over numbers, quantities, and dates with durations; strings concatenate."""
    rule = _ADD.get(type(a))
    if rule is None or type(b) is Uncertainty:
        if Uncertainty in (type(a), type(b)):
            return _ends(add, a, b)
        raise _no_overload("Add", a, b)
    return rule(a, b)


def add_integers(a: int, b: Any) -> Any:
    """Integer or Long, a Decimal beside it taking over."""
    return add_decimals(Decimal(a), b) if isinstance(b, Decimal) else _number(int(a) + int(b), a, b)


def add_decimals(a: Decimal, b: Any) -> Decimal | None:
    """Decimal."""
    return bounded_decimal(ARITHMETIC.add(a, b))


def add_quantities(a: Quantity, b: Any) -> Quantity | None:
    """In the finer unit of the two; null when they do not convert."""
    return _sum(a, b.value, b.unit)


def _sum(a: Quantity, value: Decimal, unit: str) -> Quantity | None:
    if a.unit == unit:
        return _quantity(add_decimals(a.value, value), unit)
    pair = common(a.unit, unit)
    if pair is None or pair[0].special or pair[1].special:
        return None
    left, right = pair
    finer, name = (left, a.unit) if left.factor <= right.factor else (right, unit)
    total = Fraction(a.value) * left.factor + Fraction(value) * right.factor
    return _quantity(_decimal(total / finer.factor), name)


# 16.3 Ceiling


@operator("Ceiling", nulls="propagate")
def ceiling(a: Any) -> Any:
    """The first Integer at or above a."""
    if isinstance(a, Uncertainty):
        return _at_ends(ceiling, a)
    return bounded_integer(int(Decimal(a).to_integral_value(ROUND_CEILING, ARITHMETIC)))


# 16.4 Divide


@operator("Divide", nulls="propagate")
def divided(a: Any, b: Any) -> Any:
    """a / b as a Decimal, or a Quantity in the quotient of the units; null over zero."""
    if isinstance(a, Quantity) or isinstance(b, Quantity):
        return divide_quantities(_as_quantity(a), _as_quantity(b))
    if isinstance(a, Uncertainty) or isinstance(b, Uncertainty):
        return None if _may_be_zero(b) else _ends(divided, a, b)
    return bounded_decimal(ARITHMETIC.divide(Decimal(a), Decimal(b)))


def divide_quantities(a: Quantity, b: Quantity) -> Quantity | None:
    """Equal dimensions cancel to '1'."""
    if b.value == 0:
        return None
    pair = common(a.unit, b.unit)
    if pair is not None and a.unit != b.unit and not (pair[0].special or pair[1].special):
        ratio = Fraction(a.value) * pair[0].factor / (Fraction(b.value) * pair[1].factor)
        return _quantity(_decimal(ratio), "1")
    return _quantity(bounded_decimal(ARITHMETIC.divide(a.value, b.value)), divide(a.unit, b.unit))


def _as_quantity(value: Any) -> Quantity:
    return value if isinstance(value, Quantity) else Quantity(Decimal(value))


# 16.5 Exp


@operator("Exp", nulls="propagate")
def exponential(a: Any) -> Decimal:
    """e to the a; raises when that does not fit a Decimal."""
    result = bounded_decimal(ARITHMETIC.exp(Decimal(a)))
    if result is None:
        raise EvaluationError(f"Exp({a}) is too large for a Decimal.")
    return result


# 16.6 Floor


@operator("Floor", nulls="propagate")
def floor(a: Any) -> Any:
    """The last Integer at or below a."""
    if isinstance(a, Uncertainty):
        return _at_ends(floor, a)
    return bounded_integer(int(Decimal(a).to_integral_value(ROUND_FLOOR, ARITHMETIC)))


# 16.8 Log, 16.9 Ln


@operator("Log", nulls="propagate")
def logarithm(a: Any, base: Any) -> Decimal | None:
    """The logarithm of a to a base; null where there is none."""
    number, base = Decimal(a), Decimal(base)
    if number <= 0 or base <= 0 or base == 1:
        return None
    return bounded_decimal(ARITHMETIC.divide(ARITHMETIC.ln(number), ARITHMETIC.ln(base)))


@operator("Ln", nulls="propagate")
def natural_logarithm(a: Any) -> Decimal | None:
    """The natural logarithm; null of a negative number, and raises at zero, where it has no bound."""
    number = Decimal(a)
    if number == 0:
        raise EvaluationError("Ln(0) has no value: the logarithm of zero is unbounded.")
    return None if number < 0 else bounded_decimal(ARITHMETIC.ln(number))


# 16.13 Modulo


@operator("Modulo", nulls="propagate")
def modulo(a: Any, b: Any) -> Any:
    """What truncated division leaves, with the sign of a; null over zero, and of a range."""
    if isinstance(a, Uncertainty) or isinstance(b, Uncertainty):
        return None
    if isinstance(a, Quantity) or isinstance(b, Quantity):
        return _in_unit(modulo, _as_quantity(a), _as_quantity(b))
    if b == 0:
        return None
    if isinstance(a, Decimal) or isinstance(b, Decimal):
        return bounded_decimal(ARITHMETIC.remainder(Decimal(a), Decimal(b)))
    remainder = abs(int(a)) % abs(int(b))
    return _number(-remainder if a < 0 else remainder, a, b)


def _in_unit(function: Callable[[Any, Any], Any], a: Quantity, b: Quantity) -> Quantity | None:
    """The function over the values, b brought to the unit of a, which the result keeps."""
    pair = common(a.unit, b.unit)
    if a.unit == b.unit:
        other: Decimal | None = b.value
    elif pair is None or pair[0].special or pair[1].special:
        return None
    else:
        other = _decimal(Fraction(b.value) * pair[1].factor / pair[0].factor)
    return None if other is None else _quantity(function(a.value, other), a.unit)


# 16.14 Multiply


@operator("Multiply", nulls="propagate")
def multiplied(a: Any, b: Any) -> Any:
    """a * b; units multiply with their values."""
    if isinstance(a, Uncertainty) or isinstance(b, Uncertainty):
        return _ends(multiplied, a, b)
    if isinstance(a, Quantity) or isinstance(b, Quantity):
        return multiply_quantities(_as_quantity(a), _as_quantity(b))
    if isinstance(a, Decimal) or isinstance(b, Decimal):
        return bounded_decimal(ARITHMETIC.multiply(Decimal(a), Decimal(b)))
    return _number(int(a) * int(b), a, b)


def multiply_quantities(a: Quantity, b: Quantity) -> Quantity | None:
    """12 'cm' * 3 'cm' is 36 'cm2'; null over a unit without a true zero."""
    return _quantity(bounded_decimal(ARITHMETIC.multiply(a.value, b.value)), multiply(a.unit, b.unit))


# 16.15 Negate


@operator("Negate", nulls="propagate")
def negated(a: Any) -> Any:
    """-a; null for the minimum of the type, whose opposite does not fit."""
    if isinstance(a, Quantity):
        return Quantity(ARITHMETIC.minus(a.value), a.unit)
    if isinstance(a, Uncertainty):
        return Uncertainty(negated(a.high), negated(a.low))
    return ARITHMETIC.minus(a) if isinstance(a, Decimal) else _number(-int(a), a)


# 16.16 Power


@operator("Power", nulls="propagate")
def power(a: Any, exponent: Any) -> Any:
    """a to an exponent: whole for whole numbers unless the exponent is negative; null where undefined."""
    if isinstance(a, Decimal) or isinstance(exponent, Decimal) or exponent < 0:
        base, up = Decimal(a), Decimal(exponent)
        if base == 0 and up <= 0:
            return Decimal("1.0") if up == 0 else None
        return bounded_decimal(ARITHMETIC.power(base, up))
    times = int(exponent)
    if abs(a) <= 1:
        times = 2 - times % 2 if times else 0  # 0, 1 and -1 only ask whether it is odd
    return None if times > 64 else _number(int(a) ** times, a, exponent)


# 16.19 Round


@operator("Round", nulls="handle", operands=("operand", "precision"))
def rounded(a: Any, places: int | None = None) -> Any:
    """To so many places, halves away from zero."""
    if a is None:
        return None
    if isinstance(a, Uncertainty):
        return _at_ends(lambda end: rounded(end, places), a)
    if isinstance(a, Quantity):
        return Quantity(rounded(a.value, places), a.unit)
    digits = min(max(places or 0, -28), 8)  # beyond these nothing is left to round
    return Decimal(a).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP, ARITHMETIC)


# 16.20 Subtract


@operator("Subtract", nulls="propagate")
def subtract(a: Any, b: Any) -> Any:
    """a - b, over numbers, quantities, and dates with durations."""
    if isinstance(a, Date | DateTime | Time):
        return add_duration(a, b, -1)
    if isinstance(a, Uncertainty) or isinstance(b, Uncertainty):
        return _ends(subtract, a, b)
    if isinstance(a, Quantity):
        return _sum(a, ARITHMETIC.minus(b.value), b.unit)
    if isinstance(a, Decimal) or isinstance(b, Decimal):
        return bounded_decimal(ARITHMETIC.subtract(Decimal(a), Decimal(b)))
    return _number(int(a) - int(b), a, b)


# 16.22 Truncate


@operator("Truncate", nulls="propagate")
def truncate(a: Any) -> Any:
    """The whole part."""
    if isinstance(a, Uncertainty):
        return _at_ends(truncate, a)
    return bounded_integer(int(Decimal(a)))


# 16.23 TruncatedDivide


@operator("TruncatedDivide", nulls="propagate")
def truncated_divide(a: Any, b: Any) -> Any:
    """The whole part of a / b; a quantity keeps the unit of a; null over zero."""
    if isinstance(a, Uncertainty) or isinstance(b, Uncertainty):
        raise _no_overload("TruncatedDivide", a, b)
    if isinstance(a, Quantity) or isinstance(b, Quantity):
        return _in_unit(truncated_divide, _as_quantity(a), _as_quantity(b))
    if b == 0:
        return None
    if isinstance(a, Decimal) or isinstance(b, Decimal):
        whole = ARITHMETIC.divide(Decimal(a), Decimal(b)).to_integral_value(ROUND_DOWN, ARITHMETIC)
        return bounded_decimal(whole)
    quotient = abs(int(a)) // abs(int(b))
    return _number(quotient if (a < 0) == (b < 0) else -quotient, a, b)


_ADD: Final[Mapping[type, Callable[[Any, Any], Any]]] = MappingProxyType(
    {
        int: add_integers,
        Long: add_integers,
        Decimal: add_decimals,
        Quantity: add_quantities,
        Date: add_duration,
        DateTime: add_duration,
        Time: add_duration,
        str: lambda a, b: a + b,
    }
)


def quantity_of_ratio(ratio: Ratio) -> Quantity | None:
    """The numerator over the denominator."""
    return divide_quantities(ratio.numerator, ratio.denominator)
