"""What compiled libraries (ELM) read: value sets, and texts such as the ids of immediate indications."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from server.fhir.elements import nodes

Elm = Mapping[str, Any]


def value_sets_read(libraries: Iterable[Elm]) -> set[str]:
    """Canonicals of the value sets that some define or function refers to. One that is only declared is
    not read."""
    declared: dict[tuple[str, str], str] = {}
    read: set[tuple[str, str]] = set()
    for library in (each["library"] for each in libraries):
        own = library["identifier"]["id"]
        included = {each["localIdentifier"]: each["path"] for each in _defs(library, "includes")}
        declared.update({(own, each["name"]): each["id"] for each in _defs(library, "valueSets")})
        for node in nodes(library.get("statements")):
            for reference in _references(node):
                read.add((included.get(reference.get("libraryName", ""), own), reference["name"]))
    return {declared[each] for each in read if each in declared}


def texts(library: Elm) -> set[str]:
    """Every string written in the library."""
    return {
        node["value"]
        for node in nodes(library["library"].get("statements"))
        if node.get("type") == "Literal" and isinstance(node.get("value"), str)
    }


def _references(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if node.get("type") == "ValueSetRef":
        yield node
    if isinstance(node.get("valueset"), dict) and "name" in node["valueset"]:
        yield node["valueset"]


def _defs(library: Mapping[str, Any], section: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = library.get(section, {}).get("def", [])
    return found
