"""FHIR packages (.tgz) as a library of definitions, looked up by canonical.

A guide's version decides which packages it sees: the guide itself and, from there, what packages say they
depend on, in that version or else the nearest that is there. So two versions of a guide lie side by side.
Definitions are decoded when they are first asked for.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from server.fhir import json

Resource = dict[str, Any]

CORE = "hl7.fhir.r4.core"
KINDS = ("StructureDefinition", "ValueSet", "CodeSystem", "NamingSystem")
GUIDE = "hl7.fhir.us.davinci-{}"

ALIKE: Mapping[str, str] = {
    "hl7.fhir.uv.extensions": "hl7.fhir.uv.extensions.r4",
    "hl7.terminology.r4": "hl7.terminology",
}
"""Packages that are published under two names, one for each FHIR version or neither."""


class _Head(msgspec.Struct):
    """As much of a definition as the catalogue needs."""

    resourceType: str = ""
    url: str = ""
    version: str = ""


class _Manifest(msgspec.Struct):
    name: str
    version: str
    dependencies: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Package:
    """One package: definitions as raw JSON by canonical."""

    name: str
    version: str
    dependencies: Mapping[str, str]
    definitions: Mapping[tuple[str, str], bytes]

    @classmethod
    def read(cls, path: Path) -> Package:
        """Raises OSError, and ValueError for what is no FHIR package."""
        manifest: _Manifest | None = None
        definitions: dict[tuple[str, str], bytes] = {}
        try:
            with tarfile.open(path) as archive:
                for member in archive:
                    kind = member.name.removeprefix("package/").partition("-")[0]
                    if member.name == "package/package.json":
                        manifest = msgspec.json.decode(_content(archive, member), type=_Manifest)
                    elif member.isfile() and kind in KINDS and member.name.count("/") == 1:
                        raw = _content(archive, member)
                        head = msgspec.json.decode(raw, type=_Head)
                        definitions[head.resourceType, head.url] = raw
        except (tarfile.TarError, msgspec.DecodeError, EOFError) as error:
            raise ValueError(f"{path.name} is no FHIR package: {type(error).__name__}") from None
        if manifest is None:
            raise ValueError(f"{path.name} is no FHIR package: it has no package/package.json")
        return cls(manifest.name, manifest.version, manifest.dependencies, definitions)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file is not None else b""


@dataclass(slots=True)
class Packages:
    """Definitions of several packages; the first package that has a canonical counts. Only what is there is
    remembered: callers choose what is asked for."""

    packages: Sequence[Package]
    _decoded: dict[tuple[str, str], Resource] = field(default_factory=dict)

    def find(self, kind: str, canonical: str) -> Resource | None:
        """The definition of that kind, its version left aside: the set of packages decides it."""
        key = kind, canonical.partition("|")[0]
        if key not in self._decoded:
            raw = next((each.definitions[key] for each in self.packages if key in each.definitions), None)
            if raw is None:
                return None
            self._decoded[key] = json.decode(raw)
        return self._decoded[key]

    def known(self, url: str) -> bool:
        """Whether any definition has this address."""
        return any((kind, url) in each.definitions for each in self.packages for kind in KINDS)


def found_in(folder: Path) -> list[Package]:
    """Every package of the folder, by file name."""
    return [Package.read(path) for path in sorted(folder.glob("*.tgz"))]


def for_guides(available: Iterable[Package], guides: Mapping[str, str]) -> Packages:
    """What the versions of these guides see, `{"PAS": "2.0.1"}`; nothing where no guide is there."""
    listed = list(available)
    waiting = [(GUIDE.format(guide.lower()), version) for guide, version in guides.items()]
    chosen: dict[str, Package] = {}
    while waiting:
        name, version = waiting.pop(0)
        name = name if any(each.name == name for each in listed) else ALIKE.get(name, name)
        found = _nearest(listed, name, version)
        if found is not None and name not in chosen:
            chosen[name] = found
            waiting += found.dependencies.items()
    core = _nearest(listed, CORE, "4.0.1")
    rest = [each for each in _others(listed, chosen) if each.name != CORE]
    return Packages([*chosen.values(), *rest, *([core] if core and CORE not in chosen else [])])


def _others(listed: list[Package], chosen: Mapping[str, Package]) -> Iterator[Package]:
    """Packages that nobody names and no other version of which was chosen: terminology, extensions."""
    for package in listed:
        if package.name not in chosen and not package.name.startswith("hl7.fhir.us."):
            yield package


def _nearest(listed: Iterable[Package], name: str, version: str) -> Package | None:
    """The package in that version; else the one with most leading numbers in common, the newest of them."""
    wanted = _numbers(version)

    def closeness(package: Package) -> tuple[bool, int, tuple[int, ...]]:
        numbers = _numbers(package.version)
        common = 0
        for one, other in zip(wanted, numbers, strict=False):
            if one != other:
                break
            common += 1
        return package.version == version, common, numbers

    named = [each for each in listed if each.name == name]
    return max(named, key=closeness, default=None)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
