"""Logical operators (ELM logical specification, chapter 13).

Null means "not known": `false and null` is false, `true and null` is null. The compiler evaluates `And`,
`Or` and `Implies` lazily; these are their truth tables.
"""

from __future__ import annotations

from server.elm.operators.registry import operator

# 13.1 And


@operator("And", nulls="handle")
def and_(a: bool | None, b: bool | None) -> bool | None:
    """True when both are, false when one is false."""
    if a is False or b is False:
        return False
    return None if a is None or b is None else True


# 13.2 Implies


@operator("Implies", nulls="handle")
def implies(a: bool | None, b: bool | None) -> bool | None:
    """False only when a is true and b false."""
    return or_(not_(a), b)


# 13.3 Not


@operator("Not", nulls="propagate")
def not_(a: bool | None) -> bool | None:
    """The opposite; what is not known stays so."""
    return None if a is None else not a


# 13.4 Or


@operator("Or", nulls="handle")
def or_(a: bool | None, b: bool | None) -> bool | None:
    """True when one is, false when both are false."""
    if a is True or b is True:
        return True
    return None if a is None or b is None else False


# 13.5 Xor


@operator("Xor", nulls="propagate")
def xor(a: bool | None, b: bool | None) -> bool | None:
    """True when they differ."""
    return None if a is None or b is None else a is not b
