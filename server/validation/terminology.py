"""Which codes a value set has, as far as the packages tell.

A value set that includes a code system that is not there, or not complete, or that picks by a filter we do
not know, cannot be expanded: then nobody can say that a code is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from server.validation.packages import Packages

Resource = dict[str, Any]
Codes = frozenset[tuple[str, str]]


class NotExpandable(Exception):
    """Nobody can list the codes from what the packages hold."""


@dataclass(slots=True)
class Terminology:
    """Expansions, each made once."""

    packages: Packages
    _sets: dict[str, Codes | None] = field(default_factory=dict)
    _systems: dict[str, frozenset[str] | None] = field(default_factory=dict)

    def codes(self, canonical: str) -> Codes | None:
        """(system, code) of every member; None where it cannot be expanded."""
        url = canonical.partition("|")[0]
        if url not in self._sets:
            self._sets[url] = None  # a set that includes itself has no end
            try:
                self._sets[url] = frozenset(self._expanded(url))
            except NotExpandable:
                self._sets[url] = None
        return self._sets[url]

    def of_system(self, system: str) -> frozenset[str] | None:
        """Every code of a complete code system; None where it is not there or not complete."""
        if system not in self._systems:
            definition = self.packages.find("CodeSystem", system)
            if definition is None:
                return None
            complete = definition.get("content") == "complete"
            listed = {code for code, _ in _concepts(definition)} if complete else set()
            self._systems[system] = frozenset(listed) or None
        return self._systems[system]

    def systems(self, canonical: str) -> frozenset[str] | None:
        """Every code system that a value set draws from, whether or not its codes are there; None where a
        part of it is not."""
        definition = self.packages.find("ValueSet", canonical)
        found: set[str] = set()
        for part in (definition or {}).get("compose", {}).get("include", []):
            inner = [self.systems(url) for url in part.get("valueSet", []) if url != canonical]
            if any(each is None for each in inner):
                return None
            found.update(*(each for each in inner if each is not None))
            found |= {part["system"]} if "system" in part else set()
        return frozenset(found) or None

    def _expanded(self, url: str) -> Iterator[tuple[str, str]]:
        definition = self.packages.find("ValueSet", url)
        if definition is None:
            raise NotExpandable
        compose = definition.get("compose")
        if not compose:
            yield from _enumerated(definition)
            return
        excluded = {pair for part in compose.get("exclude", []) for pair in self._included(part)}
        for part in compose.get("include", []):
            yield from (pair for pair in self._included(part) if pair not in excluded)

    def _included(self, part: Resource) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] | None = None
        for canonical in part.get("valueSet", []):
            codes = self.codes(canonical)
            if codes is None:
                raise NotExpandable
            found = set(codes) if found is None else found & codes
        if "system" in part:
            own = {(part["system"], code) for code in self._picked(part)}
            found = own if found is None else found & own
        return found or set()

    def _picked(self, part: Resource) -> set[str]:
        if "concept" in part:
            return {concept["code"] for concept in part["concept"]}
        definition = self.packages.find("CodeSystem", part["system"])
        if definition is None or definition.get("content") != "complete":
            raise NotExpandable
        picked = {code for code, _ in _concepts(definition)}
        for condition in part.get("filter", []):
            picked &= _filtered(definition, condition)
        return picked


def _enumerated(definition: Resource) -> Iterator[tuple[str, str]]:
    contains = definition.get("expansion", {}).get("contains")
    if not contains:
        raise NotExpandable
    waiting = list(contains)
    while waiting:
        entry = waiting.pop()
        waiting += entry.get("contains", [])
        if "code" in entry:
            yield entry.get("system", ""), entry["code"]


def _concepts(definition: Resource) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every code with those above it, itself included; parents by nesting or by property."""
    above: dict[str, set[str]] = {}
    waiting: list[tuple[Resource, str | None]] = [(each, None) for each in definition.get("concept", [])]
    while waiting:
        concept, parent = waiting.pop()
        parents = above.setdefault(concept["code"], set())
        parents |= {parent} if parent else set()
        for entry in concept.get("property", []):
            if entry.get("code") in ("subsumedBy", "parent", "partOf") and "valueCode" in entry:
                parents.add(entry["valueCode"])
        waiting += [(child, concept["code"]) for child in concept.get("concept", [])]
    for code in above:
        yield code, tuple(_ancestors(code, above))


def _ancestors(code: str, above: dict[str, set[str]]) -> set[str]:
    seen, waiting = {code}, [code]
    while waiting:
        for parent in above.get(waiting.pop(), ()):
            if parent not in seen:
                seen.add(parent)
                waiting.append(parent)
    return seen


def _filtered(definition: Resource, condition: Resource) -> set[str]:
    operator, value = condition.get("op"), condition.get("value", "")
    if condition.get("property") not in ("concept", "code") or operator not in _OPERATORS:
        raise NotExpandable
    keeps = _OPERATORS[operator]
    return {code for code, above in _concepts(definition) if keeps(code, above, value)}


_OPERATORS: dict[str, Callable[[str, tuple[str, ...], str], bool]] = {
    "is-a": lambda code, above, value: value in above,
    "descendent-of": lambda code, above, value: value in above and code != value,
    "is-not-a": lambda code, above, value: value not in above,
    "=": lambda code, above, value: code == value,
    "in": lambda code, above, value: code in value.split(","),
}
