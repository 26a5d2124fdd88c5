"""Reading elements that repeat, out of JSON that comes as it comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def elements(parent: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The elements of this name. What is no element at its place, or stands there without its brackets, is
    passed over."""
    listed = parent.get(name)
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
