"""Faster functions for operators whose operands are known when the library is compiled.

Each does exactly what the operator does: it answers the plain case itself (two strings, two integers, a fixed
list of words) and leaves every other to the operator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from server.elm.operators.registry import Operator

if TYPE_CHECKING:
    from server.elm.compiler import Code

Function = Callable[..., Any]


def specialised(operator: Operator, operands: Sequence[Code]) -> Function:
    """The function for these operands: the operator's own, or one that is faster for them."""
    make = _MAKERS.get(operator.name)
    return operator.function if make is None else make(operator.function, operands)


def _equal(function: Function, operands: Sequence[Code]) -> Function:
    def equal(a: Any, b: Any) -> Any:
        kind = a.__class__
        if kind is b.__class__ and (kind is str or kind is int or kind is bool):
            return a == b
        return function(a, b)

    return equal


def _greater(function: Function, operands: Sequence[Code]) -> Function:
    return lambda a, b: a > b if a.__class__ is int and b.__class__ is int else function(a, b)


def _greater_or_equal(function: Function, operands: Sequence[Code]) -> Function:
    return lambda a, b: a >= b if a.__class__ is int and b.__class__ is int else function(a, b)


def _less(function: Function, operands: Sequence[Code]) -> Function:
    return lambda a, b: a < b if a.__class__ is int and b.__class__ is int else function(a, b)


def _less_or_equal(function: Function, operands: Sequence[Code]) -> Function:
    return lambda a, b: a <= b if a.__class__ is int and b.__class__ is int else function(a, b)


def _in(function: Function, operands: Sequence[Code]) -> Function:
    """`x in { 'a', 'b' }`: a hash set made once."""
    if len(operands) != 2 or not operands[1].constant:
        return function
    words = operands[1].run([None, None])
    if not isinstance(words, list) or not words or not all(type(word) is str for word in words):
        return function
    known = frozenset(words)

    def among(item: Any, items: Any, **options: Any) -> Any:
        return item in known if item.__class__ is str else function(item, items, **options)

    return among


_MAKERS: Final[Mapping[str, Callable[[Function, Sequence[Code]], Function]]] = MappingProxyType(
    {
        "Equal": _equal,
        "Greater": _greater,
        "GreaterOrEqual": _greater_or_equal,
        "Less": _less,
        "LessOrEqual": _less_or_equal,
        "In": _in,
    }
)
