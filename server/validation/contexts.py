"""Where an extension may stand: the contexts of its definition (FHIR R4, StructureDefinition.context).

A context that is no path (FHIRPath, a profile) is left aside: such an extension may stand anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from server.fhir.elements import placed_elements
from server.validation.addresses import BASE
from server.validation.packages import Packages

Resource = dict[str, Any]

HOLDERS = ("extension", "modifierExtension")
ANY_RESOURCE = frozenset({"Resource", "DomainResource", "CanonicalResource", "MetadataResource"})


@dataclass(slots=True)
class Contexts:
    """Shared by threads; each definition is read once."""

    packages: Packages
    _allowed: dict[str, frozenset[str] | None] = field(default_factory=dict)
    _kinds: dict[str, frozenset[str]] = field(default_factory=dict)

    def misplaced(self, holder: Any, kind: str, *paths: str) -> Iterator[tuple[str, str]]:
        """(place below the holder, allowed contexts in words) of each extension that may not stand in an
        element of that type, which has these paths."""
        for name in HOLDERS:
            for place, extension in placed_elements(holder, name):
                url = extension.get("url")
                allowed = self._of(url) if isinstance(url, str) and url.startswith("http") else None
                if allowed is None:
                    continue
                here = self._kinds_of(kind).union(
                    paths, [str(holder.get("url"))] if kind == "Extension" else ()
                )
                if allowed.isdisjoint(here):
                    yield place, ", ".join(sorted(allowed))

    def _of(self, url: str) -> frozenset[str] | None:
        """Paths, types and extensions; None where anything goes or nobody knows."""
        if url not in self._allowed:
            definition = self.packages.find("StructureDefinition", url)
            if definition is None:
                return None  # its address is the caller's: not kept
            told = definition.get("context") or []
            plain = all(
                each.get("type") == "extension"
                or (each.get("type") == "element" and not str(each["expression"]).startswith("http"))
                for each in told
            )
            words = frozenset(str(each["expression"]) for each in told) if plain else frozenset()
            self._allowed[url] = words or None
        return self._allowed[url]

    def _kinds_of(self, kind: str) -> frozenset[str]:
        """A type and those it is made from."""
        if kind not in self._kinds:
            found, last = {kind, "Element"}, kind
            while definition := self.packages.find("StructureDefinition", BASE + last):
                last = str(definition.get("baseDefinition", "")).removeprefix(BASE)
                found |= {last} if last else set()
                if definition.get("kind") == "resource":
                    found |= ANY_RESOURCE
            self._kinds[kind] = frozenset(found - {""})
        return self._kinds[kind]
