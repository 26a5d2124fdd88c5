"""String operators (ELM logical specification, "String Operators")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.elm.operators.registry import operator


@operator("Concatenate", nulls="propagate")
def concatenate(*texts: str) -> str:
    return "".join(texts)


@operator("EndsWith", nulls="propagate")
def ends_with(text: str, suffix: str) -> bool:
    return text.endswith(suffix)


@operator("Length", nulls="handle")
def length(value: str | Sequence[Any] | None) -> int | None:
    """Characters of a string (null of null) or items of a list."""
    return None if value is None else len(value)


@operator("StartsWith", nulls="propagate")
def starts_with(text: str, prefix: str) -> bool:
    return text.startswith(prefix)


@operator("Substring", nulls="handle", operands=("stringToSub", "startIndex", "length"))
def substring(text: str | None, start: int | None, length: int | None = None) -> str | None:
    """From `start` (0 is the first character); null outside the string."""
    if text is None or start is None or not 0 <= start < len(text):
        return None
    return text[start:] if length is None else text[start : start + max(length, 0)]
