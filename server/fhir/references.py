"""Finding what a reference points to.

    inside = Resolver.of_bundle(bundle)
    inside.resolve(claim["patient"], source=claim)       -> the Patient, or None

A bundle may name the same case with `urn:uuid:`, absolute or relative references; all resolve alike. A
relative reference is read against the base of the entry it stands in (FHIR R4, bundle.html#references), so
two servers' `Patient/1` in one bundle stay apart. Where no base is known (prefetched resources, entries named
by `urn:uuid:` or not at all) `Type/id` is looked up as such, provided it means one resource only. A
`/_history/n` suffix picks that version where several are there, and is ignored where one is.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from server.fhir.elements import NESTS, elements, nodes, placed_elements

Resource = dict[str, Any]
Reference = Mapping[str, Any] | str

_REST = re.compile(
    r"(?P<base>https?://.+?/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})"
    r"(/_history/(?P<version>[A-Za-z0-9\-.]{1,64}))?"
)


class _Rest(NamedTuple):
    """What the parts of a RESTful reference are; what it does not have is empty."""

    base: str
    type: str
    id: str
    version: str


@lru_cache(maxsize=1024)
def _rest(text: str) -> _Rest | None:
    match = _REST.fullmatch(text)
    return _Rest(match["base"] or "", match["type"], match["id"], match["version"] or "") if match else None


MOST_NAMESAKES = 100
"""Different resources, or versions of one, that are told apart under one name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A resource and how it can be pointed at: `path` is its FHIRPath, `full_url` as sent or empty."""

    resource: Resource
    full_url: str = ""
    path: str = ""

    @property
    def base(self) -> str:
        named = _rest(self.full_url)
        return named.base if named else ""


@dataclass(slots=True)
class Resolver:
    """The resources of one request, by every name they can be called. Resources stay the dicts they were."""

    entries: list[Entry] = field(default_factory=list)
    _by_url: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    _by_id: dict[tuple[str, str], list[Entry]] = field(default_factory=lambda: defaultdict(list))
    _by_identity: dict[int, Entry] = field(default_factory=dict)

    @classmethod
    def of_bundle(cls, bundle: Mapping[str, Any], path: str = "Bundle") -> "Resolver":
        """Over the entries of a Bundle; entries that hold no resource are passed over."""
        resolver = cls()
        resolver.add_bundle(bundle, path)
        return resolver

    @classmethod
    def of(cls, resources: Iterable[Any]) -> "Resolver":
        """Over resources that came one by one; a Bundle among them counts as its entries."""
        resolver = cls()
        for resource in resources:
            if isinstance(resource, dict) and resource.get("resourceType") == "Bundle":
                resolver.add_bundle(resource)
            elif isinstance(resource, dict):
                resolver.add(Entry(resource))
        return resolver

    def add_bundle(self, bundle: Mapping[str, Any], path: str = "Bundle") -> None:
        for place, entry in placed_elements(bundle, "entry", path):
            resource, full_url = entry.get("resource"), entry.get("fullUrl")
            if isinstance(resource, dict):
                url = full_url if isinstance(full_url, str) else ""
                self.add(Entry(resource, url, f"{place}.resource"))

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        self._by_identity[id(entry.resource)] = entry
        if entry.full_url:
            _call(self._by_url[entry.full_url.partition("/_history/")[0]], entry)
        kind, identifier = entry.resource.get("resourceType"), entry.resource.get("id")
        if isinstance(kind, str) and isinstance(identifier, str):
            _call(self._by_id[kind, identifier], entry)

    def __iter__(self) -> Iterator[Resource]:
        return (entry.resource for entry in self.entries)

    def of_type(self, *types: str) -> list[Resource]:
        """Every resource of these types, in the order sent."""
        return [resource for resource in self if resource.get("resourceType") in types]

    def entry_of(self, resource: Resource) -> Entry | None:
        """The entry that holds this very dict (not an equal one)."""
        return self._by_identity.get(id(resource))

    def resolve(self, reference: Reference | None, source: Resource | None = None) -> Resource | None:
        """The resource pointed at, or None. `source` is the resource the reference stands in: it owns
        contained resources (`#id`) and gives relative references their base."""
        text = reference_text(reference)
        if not text:
            return None
        if text.startswith("#"):
            return contained(source, text[1:])
        found = self.find(text, source)
        return found.resource if found else None

    def find(self, text: str, source: Resource | None = None) -> Entry | None:
        """As `resolve`, for a reference text, giving the entry."""
        named = _rest(text)
        if named is None:
            return _only(self._by_url.get(text, []))
        base = named.base or self.base_of(source)
        if base and (same_url := self._by_url.get(f"{base}{named.type}/{named.id}")):
            return _pick(same_url, named.version)
        same_id = self._by_id.get((named.type, named.id), [])
        # A resource that is known to live on another server is another resource, for all its equal id.
        at_home = [entry for entry in same_id if not base or entry.base in ("", base)]
        return _pick(at_home, named.version)

    def base_of(self, source: Resource | None) -> str:
        """The base of the entry that holds a resource; empty where that is not known."""
        holder = self.entry_of(source) if source is not None else None
        return holder.base if holder else ""


def reference_text(reference: Reference | None) -> str:
    """`Reference.reference`, or the text itself; empty for a logical reference or none."""
    text = reference if isinstance(reference, str) else (reference or {}).get("reference")
    return text if isinstance(text, str) else ""


def type_and_id(reference: Reference | None) -> tuple[str, str] | None:
    """`("Patient", "1")` of a relative or absolute reference; None for `urn:`, contained and logical ones."""
    named = _rest(reference_text(reference))
    return (named.type, named.id) if named else None


def local_reference(resource: Mapping[str, Any]) -> str:
    """`Patient/1`; empty when the resource has no id."""
    kind, identifier = resource.get("resourceType"), resource.get("id")
    return f"{kind}/{identifier}" if kind and identifier else ""


def entry_at(base: str, resource: Mapping[str, Any]) -> Resource:
    """The entry of a bundle for what is read at its own address."""
    return {"fullUrl": f"{base}/{local_reference(resource)}", "resource": resource}


def among(resources: Iterable[Mapping[str, Any]], reference: Reference) -> Mapping[str, Any]:
    """The first that a reference names by type and id; {} where none is."""
    named = type_and_id(reference)
    return next((each for each in resources if (each.get("resourceType"), each.get("id")) == named), {})


def contained(source: Resource | None, identifier: str) -> Resource | None:
    """A contained resource by its id; the empty id (`#`) is the container itself."""
    if source is None:
        return None
    if not identifier:
        return source
    inside = elements(source, "contained")
    return next((each for each in inside if each.get("id") in (identifier, f"#{identifier}")), None)


def contents(source: Mapping[str, Any]) -> dict[str, Resource]:
    """All that a resource contains, by the reference (`#id`) that leads there: for whoever follows many."""
    found: dict[str, Resource] = {}
    for each in elements(source, "contained"):
        if isinstance(name := each.get("id"), str) and name:
            found.setdefault(f"#{name.removeprefix('#')}", each)
    return found


def reference_texts(element: Any) -> Iterator[str]:
    """Every literal reference in an element and below."""
    return (text for node in nodes(element) if isinstance(text := node.get("reference"), str))


def references_of(element: Any, path: str) -> Iterator[tuple[str, str]]:
    """The same, each with its FHIRPath before it, in document order."""
    if isinstance(element, dict):
        for name, content in element.items():
            if name == "reference" and isinstance(content, str):
                yield f"{path}.reference", content
            elif type(content) in NESTS:
                yield from references_of(content, f"{path}.{name}")
    elif isinstance(element, list):
        for index, content in enumerate(element):
            if type(content) in NESTS:
                yield from references_of(content, f"{path}[{index}]")


def _call(named: list[Entry], entry: Entry) -> None:
    """One more that goes by a name: what came before in the same words is not looked through again with every
    reference to it, and of so many different ones none is meant."""
    if len(named) < MOST_NAMESAKES and not any(
        each.base == entry.base and each.resource == entry.resource for each in named
    ):
        named.append(entry)


def _pick(entries: list[Entry], version: str) -> Entry | None:
    if version and len(entries) > 1:
        entries = [
            entry for entry in entries if (entry.resource.get("meta") or {}).get("versionId") == version
        ]
    return _only(entries)


def _only(entries: list[Entry]) -> Entry | None:
    """One resource, perhaps sent twice in the same words; two different ones under a name mean neither."""
    if not entries or any(entry.resource != entries[0].resource for entry in entries[1:]):
        return None
    return entries[0]
