"""Aggregate operators (ELM logical specification, chapter 21).

Nulls in the list are left out. Of nothing, a count is 0, `AllTrue` true, `AnyTrue` false, and the rest
null. Variance is of a sample unless its name says population; quantities aggregate in the unit of the
first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import reduce
from typing import Any

from server.elm.operators.arithmetic import add, multiplied
from server.elm.operators.comparison import equal, greater, less
from server.elm.operators.registry import operator
from server.elm.ucum import convert
from server.elm.values import ARITHMETIC, Quantity, bounded_decimal

SOURCE = ("source",)


def _known(values: Iterable[Any] | None) -> list[Any]:
    return [] if values is None else [value for value in values if value is not None]


def _over_values(values: Sequence[Any], function: Callable[[list[Decimal]], Decimal | None]) -> Any:
    """A function of numbers, over quantities too: in the unit of the first; null if one does not convert."""
    if not isinstance(values[0], Quantity):
        return function([Decimal(value) for value in values])
    unit, numbers = values[0].unit, []
    for value in values:
        number = value.value if value.unit == unit else _in_unit(value, unit)
        if number is None:
            return None
        numbers.append(number)
    result = function(numbers)
    return None if result is None else Quantity(result, unit)


def _in_unit(value: Quantity, unit: str) -> Decimal | None:
    exact = convert(value.value, value.unit, unit)
    return None if exact is None else ARITHMETIC.divide(Decimal(exact.numerator), Decimal(exact.denominator))


# 21.1 AllTrue, 21.2 AnyTrue


@operator("AllTrue", nulls="handle", operands=SOURCE)
def all_true(values: Iterable[bool | None] | None) -> bool:
    """No element is false."""
    return all(_known(values))


@operator("AnyTrue", nulls="handle", operands=SOURCE)
def any_true(values: Iterable[bool | None] | None) -> bool:
    """Some element is true."""
    return any(_known(values))


# 21.3 Avg


@operator("Avg", nulls="handle", operands=SOURCE)
def average(values: Iterable[Any] | None) -> Any:
    """The arithmetic mean, a Decimal or Quantity."""
    known = _known(values)
    return _over_values(known, _mean) if known else None


def _mean(numbers: list[Decimal]) -> Decimal | None:
    return bounded_decimal(_exact_mean(numbers))


def _exact_mean(numbers: list[Decimal]) -> Decimal:
    return ARITHMETIC.divide(reduce(ARITHMETIC.add, numbers), Decimal(len(numbers)))


# 21.4 Count


@operator("Count", nulls="handle", operands=SOURCE)
def count(values: Iterable[Any] | None) -> int:
    """How many elements are not null."""
    return len(_known(values))


# 21.5 GeometricMean


@operator("GeometricMean", nulls="handle", operands=SOURCE)
def geometric_mean(values: Iterable[Any] | None) -> Decimal | None:
    """The n-th root of the product of n numbers; null where it is not real."""
    known = [Decimal(value) for value in _known(values)]
    if not known:
        return None
    product = reduce(ARITHMETIC.multiply, known)
    if product == 0:
        return Decimal("0.0")
    return bounded_decimal(ARITHMETIC.power(product, ARITHMETIC.divide(Decimal(1), Decimal(len(known)))))


# 21.6 Max, 21.9 Min


@operator("Max", nulls="handle", operands=SOURCE)
def largest(values: Iterable[Any] | None) -> Any:
    """The greatest element."""
    known = _known(values)
    return reduce(lambda best, each: each if greater(each, best) else best, known) if known else None


@operator("Min", nulls="handle", operands=SOURCE)
def smallest(values: Iterable[Any] | None) -> Any:
    """The least element."""
    known = _known(values)
    return reduce(lambda best, each: each if less(each, best) else best, known) if known else None


# 21.7 Median


@operator("Median", nulls="handle", operands=SOURCE)
def median(values: Iterable[Any] | None) -> Any:
    """The middle of the elements in order; of an even number, the mean of the two in the middle."""
    known = _known(values)
    return _over_values(known, _middle) if known else None


def _middle(numbers: list[Decimal]) -> Decimal | None:
    numbers = sorted(numbers)
    half = len(numbers) // 2
    return numbers[half] if len(numbers) % 2 else _mean(numbers[half - 1 : half + 1])


# 21.8 Mode


@operator("Mode", nulls="handle", operands=SOURCE)
def mode(values: Iterable[Any] | None) -> Any:
    """The element that occurs most often; of several, the one that came first."""
    found: list[list[Any]] = []
    for value in _known(values):
        group = next((group for group in found if equal(group[0], value)), None)
        if group is None:
            found.append([value])
        else:
            group.append(value)
    return max(found, key=len)[0] if found else None


# 21.10 PopulationStdDev, 21.11 PopulationVariance


@operator("PopulationStdDev", nulls="handle", operands=SOURCE)
def population_standard_deviation(values: Iterable[Any] | None) -> Any:
    """The square root of the population variance."""
    known = _known(values)
    return _over_values(known, lambda numbers: _root(_variance(numbers, 0))) if known else None


@operator("PopulationVariance", nulls="handle", operands=SOURCE)
def population_variance(values: Iterable[Any] | None) -> Any:
    """The mean square distance from the mean."""
    known = _known(values)
    return _over_values(known, lambda numbers: bounded_decimal(_variance(numbers, 0))) if known else None


def _variance(numbers: list[Decimal], fewer: int) -> Decimal:
    mean = _exact_mean(numbers)
    distances = [ARITHMETIC.subtract(number, mean) for number in numbers]
    squares = reduce(ARITHMETIC.add, [ARITHMETIC.multiply(each, each) for each in distances])
    return ARITHMETIC.divide(squares, Decimal(len(numbers) - fewer))


def _root(value: Decimal) -> Decimal | None:
    return bounded_decimal(ARITHMETIC.sqrt(value))


# 21.12 Product


@operator("Product", nulls="handle", operands=SOURCE)
def product(values: Iterable[Any] | None) -> Any:
    """All elements multiplied; null when the product overflows."""
    known = _known(values)
    result = known[0] if known else None
    for value in known[1:]:
        if result is None:
            return None
        result = multiplied(result, value)
    return result


# 21.13 StdDev, 21.15 Variance


@operator("StdDev", nulls="handle", operands=SOURCE)
def standard_deviation(values: Iterable[Any] | None) -> Any:
    """The square root of the sample variance; null of fewer than two."""
    known = _known(values)
    return _over_values(known, lambda numbers: _root(_variance(numbers, 1))) if len(known) > 1 else None


@operator("Variance", nulls="handle", operands=SOURCE)
def variance(values: Iterable[Any] | None) -> Any:
    """The sample variance; null of fewer than two."""
    known = _known(values)
    if len(known) < 2:
        return None
    return _over_values(known, lambda numbers: bounded_decimal(_variance(numbers, 1)))


# 21.14 Sum


@operator("Sum", nulls="handle", operands=SOURCE)
def total(values: Iterable[Any] | None) -> Any:
    """All elements added; null when a sum overflows or units do not convert."""
    known = _known(values)
    result = known[0] if known else None
    for value in known[1:]:
        if result is None:
            return None
        result = add(result, value)
    return result
