"""The resources of a request as one patient's chart, whatever the sender called them.

A Bundle may name its resources by `urn:uuid:`, absolute or relative references; policy looks things up by
`Type/id`. Here every resource gets such a name, its own id where that is unique, and every reference among
them is written so. The same case then reads the same, decision and evidence, however it was sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from server.fhir import json
from server.fhir.elements import nodes
from server.fhir.references import Entry, Resolver

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LocalChart:
    """The request's resources in the order sent, by `Type/id`."""

    by_name: Mapping[str, Resource]
    _names: Mapping[int, str]

    def of(self, resource: Resource) -> Resource:
        """The local form of a resource of the request."""
        return self.by_name[self._names[id(resource)]]

    def find(self, reference: Mapping[str, Any] | None) -> Resource | None:
        """What a reference in local form points to."""
        return self.by_name.get((reference or {}).get("reference", ""))

    @property
    def resources(self) -> list[Resource]:
        return list(self.by_name.values())


def local_chart(resolver: Resolver) -> LocalChart:
    """Names first, then references, since a resource may point at one that follows it."""
    names: dict[int, str] = {}
    taken: set[str] = set()
    for index, entry in enumerate(resolver.entries):
        name = _name(entry, index, taken)
        taken.add(name)
        names[id(entry.resource)] = name
    local: dict[str, Resource] = {}
    for resource in resolver:
        name = names[id(resource)]
        kind, _, identifier = name.partition("/")
        local[name] = {**_rewritten(resource, resolver, names), "resourceType": kind, "id": identifier}
    return LocalChart(local, names)


def _name(entry: Entry, index: int, taken: set[str]) -> str:
    """The resource's own id, else the end of its fullUrl; a name that another has got already gives way to
    one made from the whole fullUrl."""
    kind = entry.resource.get("resourceType") or "Resource"
    own = entry.resource.get("id") or entry.full_url.rpartition("/")[2].rpartition(":")[2]
    name = f"{kind}/{own}"
    if own and name not in taken:
        return name
    return f"{kind}/{uuid5(NAMESPACE_URL, entry.full_url or f'entry {index}')}"


def _rewritten(resource: Resource, resolver: Resolver, names: Mapping[int, str]) -> Resource:
    """A copy of the resource with local references."""
    copy: Resource = json.decode_kept(json.encode(resource))
    for node in nodes(copy):
        if isinstance(text := node.get("reference"), str):
            target = resolver.resolve(text, source=resource)
            if target is not None and id(target) in names:
                node["reference"] = names[id(target)]
    return copy
