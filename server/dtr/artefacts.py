"""Questionnaires, libraries and value sets as one guide version shows them, made once.

A package's static part is encoded once for each form: it is most of the answer and never changes while the
server runs. What is read or searched one by one is the very same resource, under the very same digest: its
`meta.versionId` is the SHA-256 of everything else in it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Raw

from server.dtr.form import CQF_LIBRARY, Form
from server.dtr.version import Version
from server.fhir import json
from server.fhir.canonical import canonical
from server.fhir.dates import begun, first_day
from server.fhir.references import entry_at
from server.policy.catalog import Catalog

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Package:
    """One form with all it needs: `head` and `tail` are the bundle entries around the draft response."""

    form: Form
    head: Raw
    tail: tuple[Raw, ...]
    changed: dt.date | None
    """The day on which the newest of its parts was made; None where one of them does not tell."""


class Artefacts:
    """All artefacts of a version under their addresses below `base`."""

    def __init__(self, catalog: Catalog, version: Version, base: str, *, without_version: bool) -> None:
        self._base, self._version, self._without_version = base, version, without_version
        self._kept: dict[str, dict[str, Resource]] = {"Questionnaire": {}, "Library": {}, "ValueSet": {}}
        self._packages: dict[str, Package] = {}
        entries: dict[str, Raw] = {}

        def entry(resource: Resource) -> Raw:
            kept, name = self._kept[resource["resourceType"]], resource["url"]
            if resource["resourceType"] == "Questionnaire":  # of which alone there are several versions
                name = f"{name}|{resource['version']}"
            if name not in kept:
                kept[name] = with_digest(resource)
                entries[name] = self._entry(kept[name])
            return entries[name]

        for neutral in sorted(catalog.questionnaires, key=_begins):
            form = Form(neutral)
            # The questions of an adaptive form come from all regions, and so does their CQL.
            needed = [canonical(library).name for library in form.libraries]
            needed += [policy.prefill for policy in catalog.policies] if form.adaptive else []
            closure = catalog.library_closure(dict.fromkeys(needed))
            sets = [catalog.value_set(url) for url in _value_sets(form, catalog, closure)]
            self._packages[form.canonical] = Package(
                form=form,
                head=entry(
                    version.adaptive(neutral, self.reference, base)
                    if form.adaptive
                    else version.questionnaire(neutral, self.reference)
                ),
                tail=(
                    *(entry(version.library(_pinned(found, catalog))) for found in closure),
                    *(made for found in sets if (made := entry(found)) and version.packs(found)),
                ),
                changed=_newest([neutral, *closure, *sets]),
            )

    def reference(self, library: str) -> str:
        """A form's reference to a library, from its canonical `url|version`."""
        return self._version.library_reference(library, self._without_version)

    def contained(
        self, form: Form, libraries: Iterable[str] = (), items: Iterable[Resource] = ()
    ) -> Resource:
        """The adaptive form as it lies in a response, with these questions; `libraries` are canonicals of
        more CQL that they are filled by."""
        more = [{"url": CQF_LIBRARY, "valueCanonical": library} for library in libraries]
        root = form.questionnaire
        made = {**root, "extension": [*root["extension"], *more], "item": list(items)}
        return self._version.contained(made, self.reference, self._base)

    def package(self, asked: str, today: dt.date) -> Package | None:
        """The package of a canonical; without a version the newest that is in force, else the newest."""
        wanted = canonical(asked)
        held = [found for name, found in self._packages.items() if wanted.names(canonical(name))]
        in_force = [each for each in held if begun(each.form.questionnaire.get("effectivePeriod"), today)]
        return (in_force or held)[-1] if held else None

    def of_type(self, kind: str) -> Mapping[str, Resource]:
        """The resources of a type by canonical: the URL, of a form with its version."""
        return self._kept[kind]

    def _entry(self, resource: Resource) -> Raw:
        return Raw(json.encode(entry_at(self._base, resource)))


@lru_cache(maxsize=8)
def artefacts_of(catalog: Catalog, version: Version, base: str, *, without_version: bool) -> Artefacts:
    """Those of a version; several applications in one process share them, as nothing in them changes."""
    return Artefacts(catalog, version, base, without_version=without_version)


def digest_of(resource: Resource) -> str:
    """SHA-256, in hexadecimal, of a resource's JSON with sorted members and without `meta.versionId`."""
    meta = {name: content for name, content in resource.get("meta", {}).items() if name != "versionId"}
    told = {name: content for name, content in resource.items() if name != "meta"}
    return sha256(_SORTED.encode({**told, **({"meta": meta} if meta else {})})).hexdigest()


def with_digest(resource: Resource) -> Resource:
    """The resource with its digest for a version: whoever holds two copies sees whether they differ."""
    return {**resource, "meta": {**resource.get("meta", {}), "versionId": digest_of(resource)}}


_SORTED = msgspec.json.Encoder(decimal_format="number", order="sorted")


def _begins(form: Mapping[str, Any]) -> dt.date:
    """The first day on which a form is in force."""
    return first_day(form.get("effectivePeriod", {}).get("start")) or dt.date.min


def _value_sets(form: Form, catalog: Catalog, libraries: Iterable[Resource]) -> list[str]:
    """Every value set that the form's items or its CQL use, each once."""
    bound = [item.node["answerValueSet"] for item in form.questions() if "answerValueSet" in item.node]
    used = [url for library in libraries for url in catalog.value_sets_of(library["name"])]
    return list(dict.fromkeys(canonical(url).url for url in (*bound, *used)))


def _pinned(library: Resource, catalog: Catalog) -> Resource:
    """The library with the value sets it reads by named with their versions (DTR: version-specific)."""

    def pinned(needed: Resource) -> Resource:
        filters = [
            {**each, "valueSet": f"{each['valueSet']}|{catalog.value_set(each['valueSet'])['version']}"}
            for each in needed.get("codeFilter", [])
        ]
        return {**needed, **({"codeFilter": filters} if filters else {})}

    needs = [pinned(needed) for needed in library.get("dataRequirement", [])]
    return {**library, **({"dataRequirement": needs} if needs else {})}


def _newest(resources: Iterable[Resource]) -> dt.date | None:
    days = [first_day(resource.get("date")) for resource in resources]
    return max(day for day in days if day) if days and None not in days else None
