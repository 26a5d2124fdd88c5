"""What pages for people share: their templates, and how a body is shown."""

from __future__ import annotations

from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, select_autoescape

from server.fhir import json
from server.fhir.errors import InvalidJson
from server.web import TEMPLATES

LONGEST = 400
"""Characters of one string that are shown; compiled libraries have hundreds of thousands."""

MOST = 20
"""Entries of one list that are shown; value sets have hundreds."""


def templates() -> Environment:
    """`{{ body | pretty }}` shows a body."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["pretty"] = pretty
    return found


def pretty(body: bytes | bytearray) -> str:
    """JSON by lines, what is long in it cut short; anything else as far as it is text."""
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
