"""The input of an operation: the query of a GET, or the Parameters of a POST (FHIR R4, operations.html).

asked = texts(json.decode_object(body))       [("eventsSinceNumber", "2"), …]
number(dict(asked), "eventsSinceNumber")      2
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from fastapi import Depends, Request

from server.fhir import json
from server.fhir.elements import elements, placed_elements
from server.fhir.errors import InvalidRequest, Issue
from server.fhir.requests import fhir_body

DIGITS = 18
"""Of a number, so that every database takes it."""

Asked = list[tuple[str, str]]
"""Names and values, as a query has them."""


def texts(body: Mapping[str, Any]) -> Asked:
    """The simple values of a Parameters resource. Raises InvalidRequest where it is none."""
    if body.get("resourceType") != "Parameters":
        raise InvalidRequest(Issue("structure", "Parameters", "The body is no Parameters resource."))
    return [
        (str(parameter.get("name")), str(content))
        for parameter in elements(body, "parameter")
        for name, content in parameter.items()
        if name.startswith("value")
    ]


def bundle_in(body: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The first Bundle in a Parameters that some clients put around it, and its place; the body itself, where
    there is none."""
    if body.get("resourceType") == "Parameters":
        for place, parameter in placed_elements(body, "parameter", "Parameters"):
            inner = parameter.get("resource")
            if isinstance(inner, dict) and inner.get("resourceType") == "Bundle":
                return inner, f"{place}.resource"
    return body, "Bundle"


def number(asked: Mapping[str, str], name: str) -> int | None:
    """A parameter that takes a number from 0, None where it is not sent. Raises InvalidRequest."""
    text = asked.get(name)
    if text is None:
        return None
    if not text.isdecimal() or len(text) > DIGITS:
        words = f"{name} takes a whole number of {DIGITS} digits at most."
        raise InvalidRequest(Issue("value", f"http.{name}", words))
    return int(text)


def unmodified(asked: Sequence[tuple[str, str]], names: Iterable[str]) -> None:
    """No modifier of a search parameter is understood here, and what it would change must not be answered as
    if it had not been sent (FHIR R4, search.html#modifiers). Raises InvalidRequest."""
    for name, _ in asked:
        parameter, modified, _ = name.partition(":")
        if modified and parameter in names:
            words = f"{parameter} takes no modifier here. Send it as {parameter}=…"
            raise InvalidRequest(Issue("not-supported", f"http.{parameter}", words))


def taking(*names: str) -> dict[str, Any]:
    """What OpenAPI says of a query that is read whole: `openapi_extra` of its route."""
    return {"parameters": [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names]}


async def posted(request: Request) -> Asked:
    """What a POST asks, by its query and its body; who asks for nothing in particular may leave both out."""
    body = await fhir_body(request) if await request.body() else b""
    return [*request.query_params.multi_items(), *(texts(json.decode_object(body)) if body else ())]


Posted = Annotated[Asked, Depends(posted)]
