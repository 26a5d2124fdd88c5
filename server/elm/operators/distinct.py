"""Distinctness: of items that are equal, the first.

Used by Distinct, by `return` (which is distinct unless it says `all`) and by the set operators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final

from server.elm.operators.bounds import end, start, whole_days
from server.elm.operators.comparison import equal
from server.elm.values import Code, Date, DateTime, Interval, Long, Time

_HASHED: Final = frozenset({str, bool, int, Long, Decimal})
"""What has one hash where it is equal: JSON writes a FHIR decimal as 6 or as 6.0."""


def distinct(items: list[Any]) -> list[Any]:
    """Items no two of which are equal (or both null), the first of each kept.

    Items are first put into buckets by what equal items must share, so the work grows with the list and not
    with its square.
    """
    if len(items) < 2:
        return items
    buckets: dict[Any, list[Any]] = {}
    kept: list[Any] = []
    for item in items:
        mark = _mark(item)
        bucket = buckets.get(mark)
        if bucket is None:
            buckets[mark] = [item]
            kept.append(item)
        elif not any(_same(item, other) for other in bucket):
            bucket.append(item)
            kept.append(item)
    return kept


def among(items: Iterable[Any]) -> Callable[[Any], bool]:
    """Whether something equals one of the items (or both are null), by the same buckets."""
    buckets: dict[Any, list[Any]] = {}
    for item in items:
        buckets.setdefault(_mark(item), []).append(item)
    return lambda item: any(_same(item, other) for other in buckets.get(_mark(item), ()))


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if a is None or b is None:
        return False
    return equal(a, b) is True


def _mark(item: Any) -> Any:
    """Something hashable that equal items share."""
    kind = item.__class__
    if kind is str or kind is bool or item is None:
        return item
    if kind is dict:
        resource = item.get("resourceType")
        if resource is not None:
            return (str(resource), str(item.get("id")))
        return ("tuple", _parts(item))
    if isinstance(item, DateTime | Date | Time):
        return (kind.__name__, item.low, item.high)
    if isinstance(item, Interval):
        days = whole_days(item)
        if days is not None:
            first, last = days
            return ("interval", ("Date", first, first), ("Date", last, last))
        return ("interval", _mark(start(item)), _mark(end(item)))
    if isinstance(item, Code):
        return (item.system, item.code)
    if isinstance(item, list):
        return ("list", len(item), _mark(item[0]) if item else None)
    if isinstance(item, int | Decimal):
        return ("number", item)
    return kind.__name__


def _parts(item: dict[str, Any]) -> int:
    """The same for equal tuples, in whatever order their elements are: of their words, numbers and dates."""
    mark = 0
    for name, value in item.items():
        kind = value.__class__
        if kind in _HASHED:
            mark ^= hash((name, value))
        elif kind is Date or kind is DateTime:
            mark ^= hash((name, value.low, value.high))
    return mark
