"""Reading JSON that comes as it comes: elements that repeat, every object in it, it without some members."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
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


def without(value: Any, names: Collection[str]) -> Any:
    """A JSON value without the members of these names, its own and those of every object below."""
    if isinstance(value, dict):
        return {name: without(content, names) for name, content in value.items() if name not in names}
    return [without(each, names) for each in value] if isinstance(value, list) else value
