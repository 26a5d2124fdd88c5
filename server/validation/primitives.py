"""The form of primitive values (FHIR R4, data types)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

_YEAR = r"[0-9]{4}"
_DATE = rf"{_YEAR}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
_ZONE = r"(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"

_PATTERNS: Mapping[str, str] = {
    "code": r"[^\s]+(\s[^\s]+)*",
    "id": r"[A-Za-z0-9\-.]{1,64}",
    "oid": r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+",
    "uuid": r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "uri": r"\S+",
    "url": r"\S+",
    "canonical": r"\S+",
    "base64Binary": r"\s*([0-9a-zA-Z+/=]{4}\s*)+",
    "date": _DATE,
    "dateTime": rf"{_YEAR}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01])(T{_TIME}{_ZONE})?)?)?",
    "instant": rf"{_YEAR}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T{_TIME}{_ZONE}",
    "time": _TIME,
    "xhtml": r"[\s\S]*<div[\s\S]*",
}

_RANGES: Mapping[str, tuple[int, int]] = {
    "integer": (-(2**31), 2**31 - 1),
    "unsignedInt": (0, 2**31 - 1),
    "positiveInt": (1, 2**31 - 1),
}

SYSTEM = "http://hl7.org/fhirpath/System."
"""How snapshots name the types of ids, urls and primitive values."""

Form = Callable[[Any], bool]


def _text(pattern: str) -> Form:
    matches = re.compile(pattern).fullmatch
    return lambda value: type(value) is str and matches(value) is not None


def _whole(low: int, high: int) -> Form:
    return lambda value: type(value) is int and low <= value <= high


def _words(value: Any) -> bool:
    return type(value) is str and (value[:1] > " " or bool(value.strip()))


FORMS: Mapping[str, Form] = {
    **{name: _text(pattern) for name, pattern in _PATTERNS.items()},
    **{name: _whole(*limits) for name, limits in _RANGES.items()},
    "boolean": lambda value: type(value) is bool,
    "decimal": lambda value: type(value) in (int, Decimal),
    "string": _words,
    "markdown": _words,
    f"{SYSTEM}String": _words,
}
"""Whether a JSON value has the form of a primitive type."""
