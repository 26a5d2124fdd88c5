"""What pages for people share: their templates, what they send, and how a body is shown."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any
from urllib.parse import parse_qs

import msgspec
from fastapi import Header, Request
from jinja2 import Environment, FileSystemLoader, select_autoescape

from server.fhir import json
from server.fhir.elements import nodes
from server.fhir.errors import Forbidden, InvalidJson
from server.fhir.requests import read_limited
from server.web import TEMPLATES

MOST_BYTES = 500_000
"""Of a form."""

LONGEST = 400
"""Characters of one string that are shown; compiled libraries have hundreds of thousands."""

MOST = 20
"""Entries of one list that are shown; value sets have hundreds."""


OF_A_LINK = frozenset({"url", "title", "language", "size", "hash", "creation"})
"""What an Attachment has that does not say what it is; an extension has more beside its url."""

Accept = Annotated[str, Header(include_in_schema=False)]
"""The header, as a parameter of a route that has a page as well."""


@cache
def templates() -> Environment:
    """`{{ body | pretty }}` shows a body, `{{ resource | attachments }}` are the files in it."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["pretty"] = pretty
    found.filters["attachments"] = attachments
    return found


def for_people(accept: str) -> bool:
    """Whether a browser asks: it wants a page first of all."""
    return accept.startswith("text/html")


async def fields(request: Request) -> dict[str, str]:
    """The fields of a form that one of these pages sent. Raises Forbidden for one of another site, on whose
    behalf a browser, or a proxy that knows its user, would say who they are."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("A form of this server's own pages is taken, none of another site.")
    body = await read_limited(request, MOST_BYTES)
    return {name: first for name, (first, *_) in parse_qs(body.decode("utf-8", "replace")).items()}


def attachments(content: Any) -> Iterator[dict[str, Any]]:
    """Every FHIR Attachment in it, and a Binary itself: with its data, or with the address of that."""
    told = (each for each in nodes(content) if "contentType" in each or each.keys() <= OF_A_LINK)
    return (each for each in told if "data" in each or "url" in each)


def pretty(body: bytes | bytearray | dict[str, Any]) -> str:
    """JSON by lines, what is long in it cut short; anything else as far as it is text."""
    if isinstance(body, dict):
        body = json.encode(body)
    try:
        return msgspec.json.format(json.encode(_shortened(json.decode(bytes(body)))), indent=2).decode()
    except InvalidJson:
        return body[:LONGEST].decode("utf-8", "replace")


def _shortened(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _shortened(each) for name, each in content.items()}
    if isinstance(content, list):
        more = [f"… {len(content) - MOST:,} more"] if len(content) > MOST else []
        return [*map(_shortened, content[:MOST]), *more]
    if isinstance(content, str) and len(content) > LONGEST:
        return f"{content[:LONGEST]}… ({len(content):,} characters)"
    return content
