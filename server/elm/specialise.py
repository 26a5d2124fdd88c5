"""Faster code for operators whose operands are known when the library is compiled.

Each does exactly what the operator does: it answers the plain case itself (two strings, two integers, a fixed
list of words) and leaves every other to the operator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from server.elm.code import Code, Thunk
from server.elm.specialise_dates import BY_DAY, BY_VALUE, Function, Maker, between

_WORDS: Final = (str, int, bool)


def fused(
    operator: str, function: Function, operands: Sequence[Code], options: Mapping[str, Any]
) -> Thunk | None:
    """The whole expression as one closure, where there is one for these operands; else None."""
    table = _FUSED if not options else BY_DAY if options == {"precision": "Day"} else {}
    make = table.get(operator)
    return None if make is None else make(function, operands)


def _not(function: Function, operands: Sequence[Code]) -> Thunk:
    operand = operands[0].run

    def negation(frame: list[Any]) -> Any:
        value = operand(frame)
        return None if value is None else value is False

    return negation


def _is_null(function: Function, operands: Sequence[Code]) -> Thunk:
    operand, slot = operands[0].run, operands[0].slot
    if slot is not None:
        return lambda frame: frame[slot] is None
    return lambda frame: operand(frame) is None


def _is(known: bool) -> Callable[[Function, Sequence[Code]], Thunk]:
    """Whether a value is known to be true, or to be false."""

    def make(function: Function, operands: Sequence[Code]) -> Thunk:
        operand = operands[0].run
        return lambda frame: operand(frame) is known

    return make


def _equal(function: Function, operands: Sequence[Code]) -> Thunk:
    left, right = operands[0].run, operands[1].run
    if operands[1].constant and type(fixed := right([None, None])) in _WORDS:
        kind = type(fixed)

        def equals_word(frame: list[Any]) -> Any:
            value = left(frame)
            if value.__class__ is kind:
                return value == fixed
            return None if value is None else function(value, fixed)

        return equals_word

    def equal(frame: list[Any]) -> Any:
        a = left(frame)
        if a is None:
            return None
        b = right(frame)
        if b is None:
            return None
        kind = a.__class__
        if kind is b.__class__ and (kind is str or kind is int or kind is bool):
            return a == b
        return function(a, b)

    return equal


def _ordered(compare: Callable[[int, int], bool]) -> Maker:
    """Two whole numbers, or two days."""
    of_days = between(compare)

    def make(function: Function, operands: Sequence[Code]) -> Thunk:
        def otherwise(a: Any, b: Any) -> Any:
            return compare(a, b) if a.__class__ is int and b.__class__ is int else function(a, b)

        return of_days(otherwise, operands)

    return make


def _in(function: Function, operands: Sequence[Code]) -> Thunk | None:
    """A word in a list of words: a hash set made once for `{ 'a', 'b' }`."""
    if len(operands) != 2 or not operands[1].constant:
        return None
    item, words = operands[0].run, operands[1].run([None, None])
    if not isinstance(words, list) or not words or not all(type(word) is str for word in words):
        return None
    known = frozenset(words)

    def among(frame: list[Any]) -> Any:
        value = item(frame)
        return value in known if value.__class__ is str else function(value, words)

    return among


_FUSED: Final[Mapping[str, Callable[[Function, Sequence[Code]], Thunk | None]]] = MappingProxyType(
    {
        "Not": _not,
        "IsNull": _is_null,
        "IsTrue": _is(True),
        "IsFalse": _is(False),
        "Equal": _equal,
        "Greater": _ordered(int.__gt__),
        "GreaterOrEqual": _ordered(int.__ge__),
        "Less": _ordered(int.__lt__),
        "LessOrEqual": _ordered(int.__le__),
        "In": _in,
        **BY_VALUE,
    }
)
