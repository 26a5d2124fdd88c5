"""List operators (ELM logical specification, chapter 20).

Elements are compared by equality, two nulls being equal. Where dates of different precision leave it open
whether an element is there, the answer is null. `First`, `Last`, `Indexer`, `SingletonFrom`, `Exists` and
everything with a scope are the compiler's forms; what intervals have too is registered in `membership`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from server.elm.operators.comparison import equal
from server.elm.operators.distinct import among
from server.elm.operators.distinct import distinct as without_repeats
from server.elm.operators.registry import operator
from server.elm.values import Code, CodeSystem, Concept, Quantity, Ratio, ValueSet


def _same(a: Any, b: Any) -> bool | None:
    if a is None or b is None:
        return a is b
    return True if a is b else equal(a, b)


def _any(answers: Iterable[bool | None]) -> bool | None:
    """True when one is, null when one may be, else false."""
    unknown = False
    for answer in answers:
        if answer:
            return True
        unknown = unknown or answer is None
    return None if unknown else False


def _all(answers: Iterable[bool | None]) -> bool | None:
    unknown = False
    for answer in answers:
        if answer is False:
            return False
        unknown = unknown or answer is None
    return None if unknown else True


# 20.1 Contains, 20.20 ProperContains


def has_element(items: Sequence[Any], element: Any) -> bool | None:
    """Some item is the element."""
    return _any(_same(item, element) for item in items)


def properly_has_element(items: Sequence[Any], element: Any) -> bool | None:
    """Some item is the element, and another is not."""
    return has_element(items, element) if len(without_repeats(list(items))) > 1 else False


# 20.2 Current: a form


# 20.3 Distinct


@operator("Distinct", nulls="propagate")
def distinct(items: Sequence[Any]) -> list[Any]:
    """Each item once, the first kept."""
    return without_repeats(list(items))


# 20.4 Except, 20.16 Intersect, 20.29 Union


def except_list(a: Sequence[Any], b: Sequence[Any] | None) -> list[Any]:
    """Items of a that are not in b, each once."""
    held = among(b or ())
    return without_repeats([item for item in a if not held(item)])


def intersect_lists(a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
    """Items in both, each once, in the order of a."""
    held = among(b)
    return without_repeats([item for item in a if held(item)])


def union_lists(a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
    """Items in either, each once."""
    return without_repeats([*a, *b])


# 20.8 Flatten


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


# 20.12 Includes, 20.22 ProperIncludes


def includes_list(whole: Sequence[Any], part: Sequence[Any]) -> bool | None:
    """Every item of `part` is in `whole`."""
    return _all(has_element(whole, item) for item in part)


def properly_includes_list(whole: Sequence[Any], part: Sequence[Any]) -> bool | None:
    """Every item of `part` is in `whole`, which has more of them."""
    if len(without_repeats(list(whole))) <= len(without_repeats(list(part))):
        return False
    return includes_list(whole, part)


# 20.15 IndexOf


@operator("IndexOf", nulls="handle", operands=("source", "element"))
def index_of(items: Sequence[Any] | None, element: Any) -> int | None:
    """Where the element first stands, from 0; -1 when nowhere."""
    if items is None or element is None:
        return None
    return next((index for index, item in enumerate(items) if _same(item, element)), -1)


# 20.26 Slice


@operator("Slice", nulls="handle", operands=("source", "startIndex", "endIndex"))
def slice_(items: Sequence[Any] | None, first: int | None, stop: int | None) -> list[Any] | None:
    """Items from `first` up to but not including `stop`; `Skip`, `Tail` and `Take` are made of it.

    Without a bound, from the beginning or to the end. A negative bound gives nothing: in CQL 1.5 these are
    `Skip` and `Take` of a negative number, which are empty.
    """
    if items is None:
        return None
    if (first is not None and first < 0) or (stop is not None and stop < 0):
        return []
    return list(items[first or 0 : stop])


# 20.28 Times


@operator("Times", nulls="propagate")
def times(a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
    """Each tuple of a with each of b, as one tuple that has the elements of both."""
    return [{**first, **second} for first in a for second in b]


# 20.x Children, Descendents


@operator("Children", nulls="propagate", operands=("source",))
def children(value: Any) -> list[Any]:
    """The parts of a structure that are not null, lists item by item; of a list, its items' children."""
    if isinstance(value, list):
        return [child for item in value for child in children(item)]
    if isinstance(value, dict):
        parts: Iterable[Any] = value.values()
    else:
        parts = msgspec.structs.astuple(value) if isinstance(value, _STRUCTURES) else ()
    found: list[Any] = []
    for part in parts:
        found.extend(
            item for item in (part if isinstance(part, list | tuple) else [part]) if item is not None
        )
    return found


_STRUCTURES = (Code, CodeSystem, Concept, Quantity, Ratio, ValueSet)


@operator("Descendents", nulls="propagate", operands=("source",))
def descendents(value: Any) -> list[Any]:
    """Its children, their children, and so on, level by level."""
    found = children(value)
    for each in found:  # grows while it is walked
        found.extend(children(each))
    return found
