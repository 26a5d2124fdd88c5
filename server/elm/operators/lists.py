"""List operators without scope (ELM logical specification, "List Operators")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from server.elm.operators.registry import operator
from server.elm.operators.distinct import distinct as without_repeats


@operator("Distinct", nulls="propagate")
def distinct(items: Sequence[Any]) -> list[Any]:
    """Each item once, the first kept; two nulls are the same."""
    return without_repeats(list(items))


@operator("Flatten", nulls="propagate")
def flatten(items: Sequence[Any]) -> list[Any]:
    """The items of the lists in a list; what is no list stays, a null list adds nothing."""
    flat: list[Any] = []
    for each in items:
        if isinstance(each, list):
            flat.extend(each)
        elif each is not None:
            flat.append(each)
    return flat


@operator("Union", nulls="handle")
def union(a: Sequence[Any] | None, b: Sequence[Any] | None) -> list[Any] | None:
    """Items of either list, each once."""
    if a is None and b is None:
        return None
    return without_repeats([*(a or ()), *(b or ())])
