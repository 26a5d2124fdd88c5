"""Profiles as checks, by canonical.

A profile is compiled when it is first met, its data types with it, and kept. Checking walks the data, not the
definition: what is absent costs nothing but the count of what must be there.
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import RLock
from typing import Any

from server.validation.addresses import BASE, inventions
from server.validation.contexts import Contexts
from server.validation.finding import Finding, Findings, Place, Run
from server.validation.packages import Packages
from server.validation.rules import tests
from server.validation.shape import ANY, Shape
from server.validation.slicing import Occurrence
from server.validation.snapshot import Node, tree
from server.validation.terminology import Terminology

MOST_UNCHECKED = 1_000
"""Callers choose which profiles they name; what nobody has is remembered of so many only."""


class Compiler:
    """Compiled profiles by canonical. Shared by threads."""

    def __init__(self, packages: Packages) -> None:
        self.packages = packages
        self.terminology = Terminology(packages)
        self.contexts = Contexts(packages)
        self.unchecked: set[str] = set()
        self._trees: dict[str, Node | None] = {}
        self._shapes: dict[str, Shape] = {}
        self._begun: dict[str, Shape] = {}
        self._compiling = RLock()
        self.is_invented = inventions(packages.known)

    def shape(self, canonical: str) -> Shape | None:
        """The checks of a profile or type; None where the packages do not have it."""
        url = canonical.partition("|")[0]
        return self._shapes.get(url) or self._compiled(url)

    def _compiled(self, url: str) -> Shape | None:
        """Types refer to each other in circles: a shape is known to its own thread before it is filled, and
        to the others when all that were begun with it are."""
        with self._compiling:
            shape = self._shapes.get(url) or self._begun.get(url)
            node = self.node_of(url) if shape is None else None
            if node is not None:
                outermost = not self._begun
                shape = self._begun[url] = Shape(url)
                shape.tests = list(tests(node, url, self))
                shape.fill(node, self)
                if outermost:
                    self._shapes |= self._begun
                    self._begun = {}
            return shape

    def of_type(self, kind: str) -> Shape | None:
        return self.shape(BASE + kind)

    def kind_of(self, canonical: str) -> str:
        """The type that a profile is about; empty where it is not known."""
        definition = self.packages.find("StructureDefinition", canonical)
        return str(definition["type"]) if definition else ""

    def is_kind(self, kind: str, canonical: str) -> bool:
        """Whether a profile may be about a type: it is, or it is about any, or nobody knows it."""
        return self.kind_of(canonical) in ("", kind, *ANY)

    def node_of(self, url: str) -> Node | None:
        """The tree of a profile or type; None where the packages do not have it, or no snapshot of it."""
        url = url.partition("|")[0]
        if url not in self._trees:
            definition = self.packages.find("StructureDefinition", url)
            if definition is None:
                if len(self.unchecked) < MOST_UNCHECKED:
                    self.unchecked.add(f"profile {url}: not in the packages")
                return None
            try:
                self._trees[url] = tree(definition)
            except ValueError:
                self._trees[url] = None
                self.unchecked.add(f"profile {url}: without snapshot")
        return self._trees[url]

    def conforms(self, occurrence: Occurrence, profile: str, run: Run) -> bool:
        """Whether a value has no fault under a profile; one that nobody knows asks for nothing."""
        shape = self.shape(profile)
        if shape is None:
            return True
        value = occurrence.value
        if isinstance(value, dict) and "resourceType" in value:
            kind = self.kind_of(profile)
            if kind and kind not in ANY and kind != value["resourceType"]:
                return False
            return not _errors(self.resource(Place(value, occurrence.path), shape, run))
        found: Findings = []
        shape.check(occurrence, run, found)
        return not _errors(found)

    def resource(self, place: Place, shape: Shape, run: Run) -> Findings:
        """What is wrong with a resource under one profile, found once a run."""
        key = id(place.resource), shape.url
        if key not in run.known:
            found = run.known[key] = []
            run.owners.append(place)
            shape.check(Occurrence(place.resource, None, "", place.path), run, found)
            run.owners.pop()
        return run.known[key]

    def whole(self, value: Any, path: str, expected: Iterable[str], run: Run) -> Findings:
        """A resource under the profiles it is expected to have, else those it claims, else its type."""
        if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
            words = "A resource must be an object with resourceType."
            return [Finding("structure", path, words, "type", "")]
        kind = value["resourceType"]
        base = self.of_type(kind)
        if base is None:
            return [Finding("structure", path, "No FHIR R4 resource has this type.", "type", "")]
        meta = value.get("meta")
        claimed = meta.get("profile") if isinstance(meta, dict) else None
        urls = [
            *expected,
            *(url for url in (claimed if isinstance(claimed, list) else []) if isinstance(url, str)),
        ]
        shapes = [shape for url in dict.fromkeys(urls) if (shape := self.shape(url)) is not None]
        found: Findings = []
        for shape in shapes:
            wanted = self.kind_of(shape.url)
            if wanted not in (kind, *ANY):
                words = f"This must be a {wanted}."
                found.append(Finding("structure", path, words, "type", shape.url))
                shapes = [each for each in shapes if each is not shape]
        for shape in shapes or [base]:
            found += self.resource(Place(value, path), shape, run)
        self.misplaced(value, kind, path, found, kind)
        return found

    def misplaced(self, holder: Any, kind: str, path: str, out: Findings, *paths: str) -> None:
        """Extensions that may not stand where they do."""
        for place, allowed in self.contexts.misplaced(holder, kind, *paths):
            words = f"This extension belongs in {allowed}. Put it there, or leave it out."
            out.append(Finding("structure", f"{path}{place}", words, "context", ""))


def _errors(found: Findings) -> bool:
    return any(finding.severity in ("error", "fatal") for finding in found)
