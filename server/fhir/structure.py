"""Is this JSON a FHIR R4 resource? Names, types, cardinalities and value formats, in words of FHIR.

    faults(claim, "Bundle.entry[0].resource")    -> one Issue a fault, each with its place

For what a request acts upon (order, claim, coverage); chart data is read as it comes. R4 and R4B differ in
nothing that the guides use. Profiles are another matter.
"""

from typing import Any

from server.fhir.errors import Issue
from server.fhir.shapes import violations

Resource = dict[str, Any]

_WORDS = {
    "missing": "The element is required. Add it.",
    "extra_forbidden": "FHIR has no element of this name here. Correct the name, or leave it out.",
    "list_type": "FHIR has a list here. Put what stands here into one.",
    "dict_type": "A value is of another type than FHIR has at its place. Correct it.",
    "string_type": "FHIR has a text here. Write one.",
    "string_pattern_mismatch": "The text is empty, or has a space or sign that FHIR does not allow here.",
}
"""What is told of a kind of fault that has no words of FHIR's yet."""

_CODES = {"missing": "required", "extra_forbidden": "structure", "resource_type": "structure"}
"""Issue codes by the kind of fault; every other kind is a wrong value."""


def faults(resource: Resource, path: str) -> list[Issue]:
    """What is wrong with the resource, in document order of the model; empty when nothing is."""
    return [_issue(fault, path) for fault in violations(resource) if not _narrative(fault)]


def _narrative(fault: Any) -> bool:
    """The part of a narrative that is missing: nothing is decided by it, and many a server keeps its text to
    itself."""
    return fault["loc"][-2:] in (("text", "div"), ("text", "status"))


def _issue(fault: Any, path: str) -> Issue:
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault["loc"])
    return Issue(_CODES.get(fault["type"], "value"), path + place, _WORDS.get(fault["type"], fault["msg"]))
