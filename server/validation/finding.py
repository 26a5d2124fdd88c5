"""What a check finds, and what it carries along while it looks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from server.fhir.elements import placed_elements
from server.fhir.errors import Issue, Severity

Resource = dict[str, Any]

WORST_FIRST: Mapping[str, int] = {"fatal": 0, "error": 1, "warning": 2, "information": 3}


class Finding(NamedTuple):
    """One fault: `rule` is the kind of rule or the key of an invariant, `profile` who made it."""

    code: str
    path: str
    words: str
    rule: str
    profile: str
    severity: Severity = "error"

    def issue(self) -> Issue:
        source = f" ({self.rule} of {self.profile})" if self.profile else f" ({self.rule})"
        return Issue(self.code, self.path, self.words + source, self.severity)


Findings = list[Finding]


class Place(NamedTuple):
    """A resource of what is checked, and where it lies."""

    resource: Resource
    path: str


@dataclass(slots=True)
class Run:
    """One check from its root. `index` finds the resources of a bundle by fullUrl and by Type/id; `known`
    are the results of resources that were checked already, by identity and profile, and `held` those of
    invariants, which an element has of its type and of every profile; `owners` are the resources around the
    element at hand, outermost first."""

    root: Resource
    index: dict[str, Place]
    known: dict[tuple[int, str], Findings] = field(default_factory=dict)
    held: dict[tuple[int, int, int], bool | None] = field(default_factory=dict)
    owners: list[Place] = field(default_factory=list)
    bases: list[str] = field(default_factory=list)

    def target(self, reference: str) -> Place | None:
        """What a reference leads to, within what is checked."""
        if reference.startswith("#"):
            for owner in reversed(self.owners):
                if reference == "#":
                    return self.owners[-2] if len(self.owners) > 1 else owner
                for place, held in placed_elements(owner.resource, "contained", owner.path):
                    if held.get("id") == reference[1:]:
                        return Place(held, place)
            return None
        text = reference.partition("/_history/")[0]
        if ":" not in text and self.bases and (found := self.index.get(self.bases[-1] + text)):
            return found
        return self.index.get(text)

    def relative(self, path: str) -> str:
        """Path of an element from the resource around it, without places in lists: `Claim.item.net`."""
        owner = self.owners[-1] if self.owners else Place(self.root, str(self.root.get("resourceType")))
        below = path.removeprefix(owner.path)
        return re.sub(r"\[\d+\]", "", f"{owner.resource.get('resourceType')}{below}")


def indexed(root: Resource) -> dict[str, Place]:
    """The entries of a bundle by fullUrl, and by Type/id where they have one."""
    found: dict[str, Place] = {}
    is_bundle = root.get("resourceType") == "Bundle"
    for path, entry in placed_elements(root, "entry", "Bundle") if is_bundle else ():
        resource = entry.get("resource")
        if not isinstance(resource, dict):
            continue
        place = Place(resource, f"{path}.resource")
        if isinstance(entry.get("fullUrl"), str):
            found.setdefault(entry["fullUrl"], place)
        if isinstance(resource.get("id"), str):
            found.setdefault(f"{resource.get('resourceType')}/{resource['id']}", place)
    return found
