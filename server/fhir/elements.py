"""Reading JSON that comes as it comes: elements that repeat, and every object in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def elements(parent: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The elements of this name. What is no element at its place, or stands there without its brackets, is
    passed over."""
    listed = parent.get(name)
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of a JSON value, itself and those below, from outside in."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting.extend(reversed(each.values()))
        elif isinstance(each, list):
            waiting.extend(reversed(each))
