"""Reading JSON that comes as it comes: elements that repeat, every object in it, it without some members."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from server.fhir import json

T = TypeVar("T")

NESTS = {dict, list}
"""What of JSON has more of it inside: whoever looks for objects passes all else over, which is most of it."""


def elements(parent: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The elements of this name. What is no element at its place, or stands there without its brackets, is
    passed over."""
    listed = parent.get(name)
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def placed_elements(
    parent: Mapping[str, Any], name: str, path: str = ""
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same, each with its FHIRPath; `path` is that of the parent."""
    listed = parent.get(name)
    for index, each in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(each, dict):
            yield f"{path}.{name}[{index}]", each


def once(listed: Sequence[T]) -> list[T]:
    """Each of equal JSON values the first time."""
    found: dict[bytes, T] = {}
    for each in listed:
        found.setdefault(json.spelling(each), each)
    return list(found.values())


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of a JSON value, itself and those below, from outside in."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting += [content for content in reversed(each.values()) if type(content) in NESTS]
        elif isinstance(each, list):
            waiting += [content for content in reversed(each) if type(content) in NESTS]


def without(value: Any, names: Collection[str]) -> Any:
    """A JSON value without the members of these names, its own and those of every object below."""
    if isinstance(value, dict):
        return {name: without(content, names) for name, content in value.items() if name not in names}
    return [without(each, names) for each in value] if isinstance(value, list) else value
