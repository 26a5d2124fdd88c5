"""What is malformed in a request that the rules tripped over.

Doors validate what a request acts upon; the rest is read as it comes, and some of it breaks a reader all the
same. Validating every chart before reading it would cost more than the answer, so it is done here, after the
fact: if the request was malformed the caller is told where, and only otherwise is it our failure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from server.fhir import json
from server.fhir.errors import FhirError, Issue
from server.fhir.structure import faults

READING = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a reader raises that met something of another shape than FHIR promises."""

MOST = 50
"""Faults that are told; more help nobody."""


def malformed(raw: bytes) -> list[Issue]:
    """The faults of every resource in a body, with their places; empty where it is sound."""
    try:
        body = json.decode_object(raw)
    except FhirError as error:
        return list(error.issues)
    found = [*nulls(body, str(body.get("resourceType", ""))), *_faults(body)]
    return found[:MOST]


def _faults(body: dict[str, Any]) -> Iterator[Issue]:
    if "resourceType" in body:
        yield from faults(body, str(body["resourceType"]))
        return
    for path, resource in _resources(body, ""):
        yield from faults(resource, path)


def _resources(value: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The outermost resources of a body that is none itself, such as a hook call."""
    if isinstance(value, dict):
        if "resourceType" in value:
            yield path, value
            return
        for name, content in value.items():
            yield from _resources(content, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for number, content in enumerate(value):
            yield from _resources(content, f"{path}[{number}]")


def nulls(value: Any, path: str, within: bool = False) -> Iterator[Issue]:
    """In a resource null is known only in an array of primitives, to keep step with the array beside it;
    around resources (in prefetch) it has a meaning."""
    if isinstance(value, dict):
        within = within or "resourceType" in value
        for name, content in value.items():
            place = f"{path}.{name}".lstrip(".")
            beside = {f"_{name}", name[1:]} & set(value)
            if within and (content is None or (isinstance(content, list) and None in content and not beside)):
                yield Issue("structure", place, "An element must not be null. Leave it out.")
            yield from nulls(content, place, within)
    elif isinstance(value, list):
        for number, content in enumerate(value):
            yield from nulls(content, f"{path}[{number}]", within)
