"""Modifier extensions and implicit rules: what has one that nobody here knows is not acted upon (R4,
extensibility.html and resource.html)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from server.fhir.elements import NESTS, elements
from server.fhir.errors import Issue


def flagged(element: Mapping[str, Any], url: str) -> bool:
    """Whether the element has the modifier extension with this URL, and it says true."""
    told = (each for each in elements(element, "modifierExtension") if each.get("url") == url)
    return any(each.get("valueBoolean") is True for each in told)


def reversible(resource: Mapping[str, Any]) -> bool:
    """Whether something that nobody here knows may reverse what the whole resource says."""
    return "modifierExtension" in resource or "implicitRules" in resource


def unknown_modifiers(element: Any, path: str, known: Collection[str] = ()) -> Iterator[Issue]:
    """One issue for each, of the element and all below it. What a resource contains speaks for itself."""
    if isinstance(element, list):
        for index, each in enumerate(element):
            yield from unknown_modifiers(each, f"{path}[{index}]", known)
    elif isinstance(element, dict):
        if "implicitRules" in element:
            words = f"The rules {element['implicitRules']} are unknown here. Send it without them."
            yield Issue("not-supported", f"{path}.implicitRules", words)
        for found in elements(element, "modifierExtension"):
            if found.get("url") not in known:
                which = f"The modifier extension {found.get('url')}"
                words = f"{which} is unknown here and could reverse the meaning. Remove it."
                yield Issue("extension", f"{path}.modifierExtension", words)
        for name, content in element.items():
            if type(content) in NESTS and name not in ("modifierExtension", "contained"):
                yield from unknown_modifiers(content, f"{path}.{name}", known)
