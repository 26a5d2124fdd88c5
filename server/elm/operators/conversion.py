"""Conversions between types (ELM logical specification, "Type Operators")."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from server.elm.operators.registry import operator


@operator("ToDecimal", nulls="propagate")
def to_decimal(value: Any) -> Decimal | None:
    """Of an Integer, a Boolean or text; null where the text is no number."""
    if isinstance(value, bool):
        return Decimal(int(value))
    try:
        return Decimal(value)
    except InvalidOperation:
        return None
