"""Is this JSON a FHIR R4 resource? Names, types, cardinalities and value formats, by the models of
fhir.resources.

    faults(claim, "Bundle.entry[0].resource")    -> one Issue a fault, each with its place

For what a request acts upon (order, claim, coverage); chart data is read as it comes. R4 and R4B differ in
nothing that the guides use. Profiles are another matter.
"""

import re
from decimal import Decimal
from functools import lru_cache
from typing import Any

from fhir.resources import R4B
from fhir.resources.R4B.resource import Resource as Model
from pydantic import ValidationError

from server.fhir.errors import Issue

Resource = dict[str, Any]

_CODES = {"missing": "required", "model_field_validation.missing": "required", "extra_forbidden": "structure"}
"""Issue codes by the kind of fault; every other kind is a wrong value."""

_MISPLACED = {"model_validation_format", "json_invalid", "fhir-validation-wrong-resource-type"}
"""Kinds of fault that tell of the models where the caller wants to know of FHIR."""

_WORDS = {
    "missing": "The element is required. Add it.",
    "model_field_validation.missing": "The element is required. Add it.",
    "extra_forbidden": "FHIR has no element of this name here. Correct the name, or leave it out.",
    "list_type": "FHIR has a list here. Put what stands here into one.",
    "string_type": "FHIR has a text here. Write one.",
    "int_parsing": "FHIR has a whole number here. Write one.",
    "bool_parsing": "FHIR has true or false here. Write one of them.",
    "bool_type": "FHIR has true or false here. Write one of them.",
    "string_pattern_mismatch": "The text is empty, or has a space or sign that FHIR does not allow here.",
}
"""What is told of a kind of fault, where the models speak of themselves."""

_FORMATS = {
    "DateTime": "a date such as 2026-11-30, or a time with its zone such as 2026-11-30T09:30:00-05:00",
    "Instant": "a time with its zone such as 2026-11-30T09:30:00-05:00",
    "Date": "a date such as 2026-11-30",
    "Time": "a time of day such as 09:30:00",
    "Decimal": "a number such as 1.5",
}
"""How what has a format is written, by the model's name of it."""

_TIMES = {"datetime_type": "DateTime", "date_type": "Date", "time_type": "Time"}
"""Formats by the kind of fault where no text stands at all."""

_OTHER_TYPE = "A value is of another type than FHIR has at its place. Correct it."


class _Number(Decimal):
    """A number that no model takes for seconds since 1970, or for a truth value."""

    def __float__(self) -> float:
        raise TypeError("a number is no time")


_YEAR = r"\d{4}"
_COERCED = re.compile(
    rf"(?!{_YEAR}\Z)\s*(?:[-+]?[\d_.]+(?:e[-+]?\d+)?|t(?:rue)?|f(?:alse)?|y(?:es)?|no?|on|off)\s*",
    re.IGNORECASE,
)
"""Texts that the models would read as a number or a truth value; a year alone is a date as well."""


def faults(resource: Resource, path: str) -> list[Issue]:
    """What is wrong with the resource, in document order of the model; empty when nothing is."""
    kind = resource.get("resourceType")
    model = _model(kind) if isinstance(kind, str) else None
    if model is None:
        return [
            Issue("structure", f"{path}.resourceType", "No FHIR R4 resource has this type. Correct the type.")
        ]
    try:
        model.model_validate(_as_json_has_it(resource))
    except ValidationError as error:
        found = error.errors(include_input=False)
        return [_issue(fault, path) for fault in found if not _sibling(fault) and not _narrative(fault)]
    except (ArithmeticError, AttributeError, LookupError, TypeError):
        # Some checks of the models take for granted that an address is a text, or a type one of FHIR's.
        return [Issue("structure", path, _OTHER_TYPE)]
    return []


def _as_json_has_it(value: Any) -> Any:
    """The same, so that the models take nothing for what JSON says it is not: no text for an object, a number
    or a truth value, no number for a time. All they look at in such a text is whether it is one."""
    match value:
        case dict():
            return {name: _as_json_has_it(content) for name, content in value.items()}
        case list():
            return [_as_json_has_it(content) for content in value]
        case str() if value.lstrip().startswith("{"):
            return f"|{value}"
        case str() if _COERCED.fullmatch(value):
            return re.sub(r"\w", "x", value)
        case int() | Decimal() if not isinstance(value, bool):
            return _Number(value)
    return value


def _sibling(fault: Any) -> bool:
    """The `_valueCode` beside a `valueCode` is FHIR; the models know such siblings only of other elements."""
    return fault["type"] == "extra_forbidden" and str(fault["loc"][-1]).startswith("_value")


def _narrative(fault: Any) -> bool:
    """The part of a narrative that is missing: nothing is decided by it, and many a server keeps its text to
    itself."""
    return fault["loc"][-2:] in (("text", "div"), ("text", "status"))


def _issue(fault: Any, path: str) -> Issue:
    misplaced = fault["type"] in _MISPLACED
    steps = [step for step in fault["loc"] if not misplaced or step not in ("root", "resource_type")]
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return Issue(_CODES.get(fault["type"], "value"), path + place, _OTHER_TYPE if misplaced else _told(fault))


def _told(fault: Any) -> str:
    message = fault["msg"].removeprefix("Value error, ").rstrip(".")
    kind, _, failed = message.partition(" value string does not match")
    if failed and kind in _FORMATS:
        return f"The value must be {_FORMATS[kind]}."
    if fault["type"] in _TIMES:
        return f"The value must be {_FORMATS[_TIMES[fault['type']]]}."
    return _WORDS.get(fault["type"], f"{message}.")


@lru_cache(maxsize=256)
def _model(kind: str) -> type[Model] | None:
    """Bounded, since the name comes from a request."""
    try:
        model = R4B.get_fhir_model_class(kind)
    except ValueError:
        return None
    return model if isinstance(model, type) and issubclass(model, Model) else None
