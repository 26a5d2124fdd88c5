"""Closures that read a path off its root, recording it where evidence is asked for.

They are most of what an evaluation does, so a path of plain elements of a variable is one closure each.
"""

from __future__ import annotations

from typing import Any, Final

from server.elm.code import LOG, RUN, Frame, Getter, Thunk, Trail
from server.elm.model import SYSTEM_VALUE

STRING_VALUE: Final = SYSTEM_VALUE["System.String"]


def itself(value: Any, run: Any) -> Any:
    """The getter of a path without elements."""
    return value


def listed(value: Any, offset: int) -> list[Any]:
    """An element that may repeat, which JSON of little care writes without its brackets."""
    return value if isinstance(value, list) else [value]


_STANDING: Final = {STRING_VALUE: str, listed: list}
"""What a value is that stays what it is when it is converted."""


def recorded(trail: Trail) -> Thunk:
    """The value at a path, and a log entry: which resource, which path, whether something was there."""
    if trail.slot is not None and len(trail.direct) == 1:
        return _recorded_element(trail, trail.slot, trail.direct[0])
    base, path, read = trail.base, trail.path, _from_root(trail)

    def record(frame: Frame) -> Any:
        root = base(frame)
        value = read(root, frame[RUN])
        if root.__class__ is dict and "resourceType" in root:
            frame[LOG].append((root, path, value is not None))
        return value

    return record


def _recorded_element(trail: Trail, slot: int, key: str) -> Thunk:
    get, path, convert = trail.get, trail.path, trail.convert
    standing = None if convert is None else _STANDING.get(convert)

    def record(frame: Frame) -> Any:
        root = frame[slot]
        if root.__class__ is not dict or "resourceType" not in root:
            return get(root, frame[RUN])
        value = root.get(key)
        if value is not None and convert is not None and value.__class__ is not standing:
            value = convert(value, frame[RUN].offset)
        frame[LOG].append((root, path, value is not None))
        return value

    return record


def plain(trail: Trail) -> Thunk:
    """The value at a path."""
    if trail.slot is not None and len(trail.direct) == 1:
        return _element(trail, trail.slot, trail.direct[0])
    base, get = trail.base, _from_root(trail)
    return lambda frame: get(base(frame), frame[RUN])


def _element(trail: Trail, slot: int, key: str) -> Thunk:
    get, convert = trail.get, trail.convert
    standing = None if convert is None else _STANDING.get(convert)

    def direct(frame: Frame) -> Any:
        root = frame[slot]
        return root.get(key) if root.__class__ is dict else get(root, frame[RUN])

    def converted(frame: Frame) -> Any:
        root = frame[slot]
        if root.__class__ is not dict:
            return get(root, frame[RUN])
        value = root.get(key)
        if value is None or value.__class__ is standing:
            return value
        return convert(value, frame[RUN].offset)  # type: ignore[misc]

    return direct if convert is None else converted


def _from_root(trail: Trail) -> Getter:
    """The trail's getter; for a path of plain elements one that goes all of it."""
    keys, convert = trail.direct, trail.convert
    standing = None if convert is None else _STANDING.get(convert)
    if not keys:
        return trail.get

    def get(root: Any, run: Any) -> Any:
        value = root
        for key in keys:
            if not isinstance(value, dict):
                return None
            value = value.get(key)
        if value is None or convert is None or value.__class__ is standing:
            return value
        return convert(value, run.offset)

    return get
