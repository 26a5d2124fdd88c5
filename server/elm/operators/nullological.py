"""Nullological operators (ELM logical specification, chapter 14).

`Null` and the lazy form of `Coalesce` are the compiler's.
"""

from __future__ import annotations

from typing import Any

from server.elm.operators.registry import operator

# 14.2 Coalesce


@operator("Coalesce", nulls="handle")
def coalesce(*operands: Any) -> Any:
    """The first operand that is not null; of a single list, its first element that is not."""
    if len(operands) == 1 and isinstance(operands[0], list | tuple):
        operands = tuple(operands[0])
    return next((operand for operand in operands if operand is not None), None)


# 14.3 IsFalse


@operator("IsFalse", nulls="handle")
def is_false(a: bool | None) -> bool:
    """Known to be false."""
    return a is False


# 14.4 IsNull


@operator("IsNull", nulls="handle")
def is_null(a: Any) -> bool:
    """Not known."""
    return a is None


# 14.5 IsTrue


@operator("IsTrue", nulls="handle")
def is_true(a: bool | None) -> bool:
    """Known to be true."""
    return a is True
