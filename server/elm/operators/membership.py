"""Operators that lists and intervals share (ELM logical specification, chapters 19 and 20).

Each looks at its operands once and hands over to `interval` or to `lists`. Nulls follow the reference: an
element is not in nothing (`x in null` is false), a null point is in an interval or not, one cannot know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.elm.operators import interval as intervals
from server.elm.operators import lists
from server.elm.operators.registry import operator
from server.elm.values import Interval

# 20.1 Contains, 20.11 In


@operator("Contains", nulls="handle", options=("precision",))
def contains(whole: Any, element: Any, *, precision: str | None = None) -> bool | None:
    """The element is in the list or interval."""
    if whole is None:
        return False
    if isinstance(whole, Interval):
        return None if element is None else intervals.includes_point(whole, element, precision)
    return lists.has_element(whole, element)


@operator("In", nulls="handle", options=("precision",))
def in_(element: Any, whole: Any, *, precision: str | None = None) -> bool | None:
    """The element is in the list or interval."""
    return contains(whole, element, precision=precision)


# 20.4 Except


@operator("Except", nulls="handle")
def except_(a: Any, b: Any) -> Any:
    """What is in a and not in b."""
    if a is None:
        return None
    if isinstance(a, Interval):
        return None if b is None else intervals.except_interval(a, b)
    return lists.except_list(a, b)


# 20.12 Includes, 20.13 IncludedIn


@operator("Includes", nulls="handle", options=("precision",))
def includes(whole: Any, part: Any, *, precision: str | None = None) -> bool | None:
    """All of `part`, or `part` itself if it is an element, is in `whole`."""
    if whole is None or part is None:
        return None
    if isinstance(whole, Interval):
        if isinstance(part, Interval):
            return intervals.includes_interval(whole, part, precision)
        return intervals.includes_point(whole, part, precision)
    return lists.includes_list(whole, part) if isinstance(part, list) else lists.has_element(whole, part)


@operator("IncludedIn", nulls="handle", options=("precision",))
def included_in(part: Any, whole: Any, *, precision: str | None = None) -> bool | None:
    """All of `part`, or `part` itself if it is an element, is in `whole`."""
    return includes(whole, part, precision=precision)


# 20.16 Intersect


@operator("Intersect", nulls="propagate")
def intersect(a: Any, b: Any) -> Any:
    """What is in both."""
    return intervals.intersect_intervals(a, b) if isinstance(a, Interval) else lists.intersect_lists(a, b)


# 20.20 ProperContains, 20.21 ProperIn


@operator("ProperContains", nulls="handle", options=("precision",))
def proper_contains(whole: Any, element: Any, *, precision: str | None = None) -> bool | None:
    """The element is in the list or interval, and is not all of it."""
    if whole is None:
        return False
    if isinstance(whole, Interval):
        return None if element is None else intervals.properly_includes_point(whole, element, precision)
    return lists.properly_has_element(whole, element)


@operator("ProperIn", nulls="handle", options=("precision",))
def proper_in(element: Any, whole: Any, *, precision: str | None = None) -> bool | None:
    """The element is in the list or interval, and is not all of it."""
    return proper_contains(whole, element, precision=precision)


# 20.22 ProperIncludes, 20.23 ProperIncludedIn


@operator("ProperIncludes", nulls="propagate", options=("precision",))
def proper_includes(whole: Any, part: Any, *, precision: str | None = None) -> bool | None:
    """All of `part` is in `whole`, which has more."""
    if isinstance(whole, Interval):
        if isinstance(part, Interval):
            return intervals.properly_includes_interval(whole, part, precision)
        return intervals.properly_includes_point(whole, part, precision)
    if isinstance(part, list):
        return lists.properly_includes_list(whole, part)
    return lists.properly_has_element(whole, part)


@operator("ProperIncludedIn", nulls="propagate", options=("precision",))
def proper_included_in(part: Any, whole: Any, *, precision: str | None = None) -> bool | None:
    """All of `part` is in `whole`, which has more."""
    return proper_includes(whole, part, precision=precision)


# 20.29 Union


@operator("Union", nulls="handle", options=("resultTypeSpecifier",))
def union(a: Any, b: Any, *, resultTypeSpecifier: Mapping[str, Any] | None = None) -> Any:
    """What is in either; a null list counts as empty, a null interval makes the union null.

    Of two nulls only the type that ELM notes tells which they are; where it does not, they are no lists.
    """
    if isinstance(a, Interval) or isinstance(b, Interval):
        return None if a is None or b is None else intervals.union_intervals(a, b)
    if a is None and b is None:
        noted = resultTypeSpecifier or {}
        return [] if noted.get("type") == "ListTypeSpecifier" else None
    return lists.union_lists(a or [], b or [])
