"""Value sets as hash sets of (system, code), expanded once when the engine is made.

A value set comes as a FHIR `ValueSet` with an `expansion`, or with a `compose` that can be expanded from what
is at hand: listed concepts, and other value sets among those given. A whole code system, or a filter, would
need a terminology server: that is a LoadError, as is a value set a library names and nobody gave.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from server.elm.errors import LoadError
from server.elm.values import Code

Key = tuple[str | None, str | None]
Spellings = Callable[[Collection[Key]], Iterable[Key]]


@dataclass(frozen=True, slots=True)
class Expansion:
    """One value set, expanded. `keys` answers membership by (system, code), `words` by code alone.

    A retrieve looks for `sought`: the keys, and each code without its system, which is what an element of
    type `code` has. One object serves every retrieve: a chart finds again by it what it found, and sets that
    are not the same object are compared code by code.
    """

    url: str
    version: str | None
    name: str
    codes: tuple[Code, ...]
    keys: frozenset[Key]
    words: frozenset[str | None]
    sought: frozenset[Key]


class Terminology:
    """The value sets an engine knows, by url and version. Immutable once made. `spellings` gives other
    keys that data may have for these codes."""

    def __init__(
        self, value_sets: Iterable[Mapping[str, Any]], spellings: Spellings = lambda codes: ()
    ) -> None:
        self._spellings = spellings
        self._sources: dict[str, dict[str | None, Mapping[str, Any]]] = {}
        for value_set in value_sets:
            url = value_set.get("url")
            if value_set.get("resourceType") != "ValueSet" or not isinstance(url, str):
                raise LoadError(f"Not a FHIR ValueSet with a url: {value_set.get('id', 'without id')}.")
            self._sources.setdefault(url, {})[value_set.get("version")] = value_set
        self._expanded: dict[tuple[str, str | None], Expansion] = {}

    def find(self, url: str, version: str | None = None) -> Expansion:
        """The expansion of `url` (or `url|version`); LoadError when it, or that version, was not given.

        Without a version there must be exactly one to choose from.
        """
        url, _, pinned = url.partition("|")
        version = version or pinned or None
        key = (url, version)
        known = self._expanded.get(key)
        if known is None:
            known = self._expanded[key] = self._expand(self._source(url, version), ())
        return known

    def _source(self, url: str, version: str | None) -> Mapping[str, Any]:
        versions = self._sources.get(url)
        if versions is None:
            raise LoadError(f"Value set {url} was not given to the engine.")
        if version is not None:
            if version not in versions:
                have = ", ".join(str(known) for known in versions)
                raise LoadError(f"Value set {url} was given as version {have}, but {version} is asked for.")
            return versions[version]
        if len(versions) > 1:
            have = ", ".join(sorted(str(known) for known in versions))
            raise LoadError(f"Value set {url} was given in versions {have}: name one.")
        return next(iter(versions.values()))

    def _expand(self, source: Mapping[str, Any], within: tuple[str, ...]) -> Expansion:
        url = source["url"]
        if url in within:
            raise LoadError(f"Value sets include each other in a circle: {' -> '.join((*within, url))}.")
        expansion = source.get("expansion")
        if isinstance(expansion, Mapping):
            codes = dict(_contained(expansion.get("contains") or ()))
        else:
            codes = self._compose(source, (*within, url))
        keys = frozenset(codes).union(self._spellings(codes.keys()))
        words = frozenset(word for _, word in codes)
        return Expansion(
            url=url,
            version=source.get("version"),
            name=source.get("title") or source.get("name") or url,
            codes=tuple(codes.values()),
            keys=keys,
            words=words,
            sought=keys.union((None, word) for word in words),
        )

    def _compose(self, source: Mapping[str, Any], within: tuple[str, ...]) -> dict[Key, Code]:
        compose = source.get("compose")
        if not isinstance(compose, Mapping):
            raise LoadError(f"Value set {source['url']} has neither an expansion nor a compose.")
        codes: dict[Key, Code] = {}
        for part in compose.get("include") or ():
            codes.update(self._part(source["url"], part, within))
        for part in compose.get("exclude") or ():
            for key in self._part(source["url"], part, within):
                codes.pop(key, None)
        return codes

    def _part(self, url: str, part: Mapping[str, Any], within: tuple[str, ...]) -> dict[Key, Code]:
        if part.get("filter"):
            raise LoadError(f"Value set {url} is defined by a filter: give its expansion.")
        listed: dict[Key, Code] | None = None
        if "concept" in part:
            system, version = part.get("system"), part.get("version")
            listed = {
                (system, concept.get("code")): Code(
                    concept.get("code"), system, version, concept.get("display")
                )
                for concept in part["concept"]
            }
        elif "system" in part:
            raise LoadError(f"Value set {url} takes in a whole code system: give its expansion.")
        for reference in part.get("valueSet") or ():
            other_url, _, version = reference.partition("|")
            other = self._expand(self._source(other_url, version or None), within)
            found = {(code.system, code.code): code for code in other.codes}
            # Several in one part are an intersection (FHIR R4, ValueSet.compose.include).
            listed = found if listed is None else {key: listed[key] for key in listed if key in found}
        return listed or {}


def _contained(entries: Iterable[Mapping[str, Any]]) -> Iterator[tuple[Key, Code]]:
    for entry in entries:
        system, word = entry.get("system"), entry.get("code")
        if word is not None and not entry.get("abstract"):
            yield (system, word), Code(word, system, entry.get("version"), entry.get("display"))
        yield from _contained(entry.get("contains") or ())
