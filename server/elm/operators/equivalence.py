"""Equivalence (ELM logical specification, "Comparison Operators": Equivalent).

Never null: what may or may not be the same is not equivalent, two nulls are. Text ignores case, numbers the
places only one of them has, codes everything but code and system.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from types import MappingProxyType
from typing import Any

from server.elm.operators.arithmetic import multiply_quantities
from server.elm.operators.bounds import end, start
from server.elm.operators.comparison import equal, on_one_scale
from server.elm.operators.registry import operator
from server.elm.ucum import common
from server.elm.values import ARITHMETIC, Code, Concept, Interval, Quantity, Ratio, Uncertainty

# 12.2 Equivalent


@operator("Equivalent", nulls="handle")
def equivalent(a: Any, b: Any) -> bool:
    """a ~ b: never null, and two nulls are equivalent."""
    if a is None or b is None:
        return a is None and b is None
    rule = _EQUIVALENT.get(type(a))
    if rule is not None:
        return rule(a, b)
    if isinstance(a, Mapping):
        return isinstance(b, Mapping) and all(equivalent(a.get(name), b.get(name)) for name in {**a, **b})
    return equal(a, b) is True


def equivalent_strings(a: str, b: Any) -> bool:
    """Ignoring case, and one whitespace character as good as another."""
    return isinstance(b, str) and (a == b or _folded(a) == _folded(b))


def _folded(text: str) -> str:
    return "".join(" " if letter.isspace() else letter for letter in text.casefold())


def equivalent_decimals(a: Any, b: Any) -> bool:
    """After rounding to the places of the less precise one, trailing zeros not counting as places."""
    if a == b:
        return True
    if not isinstance(b, Decimal | int) or not isinstance(a, Decimal | int):
        return False
    places = min(_places(Decimal(a)), _places(Decimal(b)))
    return _rounded(Decimal(a), places) == _rounded(Decimal(b), places)


def _places(value: Decimal) -> int:
    exponent = value.normalize(ARITHMETIC).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _rounded(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP, context=ARITHMETIC)


def equivalent_quantities(a: Quantity, b: Any) -> bool:
    """The same amount after conversion, a year standing for 'a' and a month for 'mo'."""
    if not isinstance(b, Quantity):
        return False
    if a.unit == b.unit:
        return equivalent_decimals(a.value, b.value)
    pair = common(a.unit, b.unit, equivalence=True)
    if pair is None:
        return False
    left, right = on_one_scale(a, b, pair)
    return left == right


def equivalent_ratios(a: Ratio, b: Any) -> bool:
    """The same proportion: 1:100 ~ 10:1000."""
    if not isinstance(b, Ratio):
        return False
    left = multiply_quantities(a.numerator, b.denominator)
    right = multiply_quantities(b.numerator, a.denominator)
    return left is not None and right is not None and equivalent_quantities(left, right)


def equivalent_intervals(a: Interval, b: Any) -> bool:
    """Equivalent starts and equivalent ends, of which two that are unknown alike are so."""
    return isinstance(b, Interval) and _same_bound(start(a), start(b)) and _same_bound(end(a), end(b))


def _same_bound(a: Any, b: Any) -> bool:
    return a == b if isinstance(a, Uncertainty) else equivalent(a, b)


def equivalent_lists(a: Sequence[Any], b: Any) -> bool:
    """Element by element in order."""
    return (
        isinstance(b, list | tuple)
        and len(a) == len(b)
        and all(equivalent(x, y) for x, y in zip(a, b, strict=True))
    )


def equivalent_codes(a: Code, b: Any) -> bool:
    """Code and system alone; a Concept is equivalent when one of its codes is."""
    if isinstance(b, Concept):
        return any(equivalent_codes(a, code) for code in b.codes)
    return isinstance(b, Code) and a.code == b.code and a.system == b.system


def equivalent_concepts(a: Concept, b: Any) -> bool:
    """At least one code in common."""
    if isinstance(b, Code):
        return any(equivalent_codes(code, b) for code in a.codes)
    return isinstance(b, Concept) and any(equivalent_codes(x, y) for x in a.codes for y in b.codes)


_EQUIVALENT: Mapping[type, Callable[[Any, Any], bool]] = MappingProxyType(
    {
        Code: equivalent_codes,
        Concept: equivalent_concepts,
        str: equivalent_strings,
        Decimal: equivalent_decimals,
        int: equivalent_decimals,
        Quantity: equivalent_quantities,
        Ratio: equivalent_ratios,
        Interval: equivalent_intervals,
        list: equivalent_lists,
        tuple: equivalent_lists,
    }
)
