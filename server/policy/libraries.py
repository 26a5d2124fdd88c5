"""CQL libraries as FHIR Library resources, source and ELM included, made from the committed files."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from server.fhir import json
from server.fhir.elements import nodes, without

BASE = "https://payer.example"
RELEASED = "2026-11-01"


class Libraries:
    """The libraries of a folder (`*.cql` with `elm/*.json` beside them), by name."""

    def __init__(self, folder: Path, publisher: str) -> None:
        self._folder = folder
        self._publisher = publisher
        self._made: dict[str, dict[str, Any]] = {}
        self._read: dict[str, dict[str, _Define]] = {}
        self.elm: Mapping[str, dict[str, Any]] = {
            path.stem: msgspec.json.decode(path.read_bytes()) for path in sorted(folder.glob("elm/*.json"))
        }

    @property
    def value_sets(self) -> frozenset[str]:
        """Canonicals of every value set that some library declares."""
        return frozenset(url for name in self.elm for url in self.value_sets_of(name))

    def value_sets_of(self, name: str) -> list[str]:
        """Canonicals of the value sets that a library declares, and so may look into."""
        return [each["id"] for each in self.elm[name]["library"].get("valueSets", {}).get("def", [])]

    def closure(self, names: Iterable[str]) -> list[str]:
        """These names and those of all they include, each once, the included last."""
        found: list[str] = []
        open_names = list(names)
        while open_names:
            name = open_names.pop(0)
            if name not in found:
                found.append(name)
                open_names.extend(each["path"] for each in _included(self.elm[name]["library"]))
        return found

    def fhir(self, name: str) -> dict[str, Any]:
        """Library, FHIR R4, made when it is first asked for. KeyError where there is none of that name."""
        if name not in self._made:
            self._made[name] = self._fhir(name)
        return self._made[name]

    def _defines(self, name: str) -> dict[str, _Define]:
        if name not in self._read:
            self._read[name] = _defines(self.elm[name]["library"])
        return self._read[name]

    def _data_requirements(self, name: str) -> list[dict[str, Any]]:
        """What the library's defines read of a chart, themselves or by what they call elsewhere: each type
        and the value set that filters it. An app fetches what a form's library lists, and no more."""
        reads: set[_Read] = set()
        reached: set[tuple[str, str]] = set()
        calls = {(name, define) for define in self._defines(name)}
        while calls:
            library, define = call = calls.pop()
            reached.add(call)
            reads |= self._defines(library)[define].reads
            calls |= self._defines(library)[define].calls - reached
        return [
            {"type": kind, **({"codeFilter": [{"path": path, "valueSet": url}]} if url else {})}
            for kind, path, url in sorted(reads)
            if kind not in PAYERS_OWN
        ]

    def _fhir(self, name: str) -> dict[str, Any]:
        elm = self.elm[name]["library"]
        depends_on, needs = _depends_on(elm), self._data_requirements(name)
        source = self._folder / f"{name}.cql"
        return {
            "resourceType": "Library",
            "id": name,
            "url": f"{BASE}/Library/{name}",
            "version": elm["identifier"].get("version", "1.0.0"),
            "name": name,
            "title": name,
            "status": "active",
            "type": {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/library-type",
                        "code": "logic-library",
                        "display": "Logic Library",
                    }
                ]
            },
            "date": RELEASED,
            "publisher": self._publisher,
            # FHIR allows no empty list.
            **({"relatedArtifact": depends_on} if depends_on else {}),
            **({"dataRequirement": needs} if needs else {}),
            "content": [
                _attached("text/cql", source.read_bytes()),
                _attached("application/elm+json", json.encode({"library": _bare(elm)})),
            ],
        }


def _attached(kind: str, content: bytes) -> dict[str, str]:
    """Attachment; its hash is the SHA-1 that FHIR fixes."""
    digest = hashlib.sha1(content, usedforsecurity=False).digest()
    return {
        "contentType": kind,
        "data": base64.b64encode(content).decode(),
        "hash": base64.b64encode(digest).decode(),
    }


def _bare(elm: Mapping[str, Any]) -> dict[str, Any]:
    """ELM as it travels: it says which translator made it, and leaves out what only a tracer or debugger
    reads (places in the source, types of results), two thirds of it."""
    return {**without(elm, TRACES), "annotation": elm.get("annotation", [])}


TRACES = frozenset({"annotation", "localId", "locator", "resultTypeName", "resultTypeSpecifier"})


def _included(elm: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(elm.get("includes", {}).get("def", []))


def _depends_on(elm: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "type": "depends-on",
            "display": each["path"],
            "url": f"{BASE}/Library/{each['path']}",
            "resource": f"{BASE}/Library/{each['path']}|{each['version']}",
        }
        for each in _included(elm)
    ]


PAYERS_OWN = frozenset({"ExplanationOfBenefit"})
"""What is read of the payer's files and no EHR has: DTR lets nothing be expected of one that neither it nor
HRex nor US Core profiles (2.2, conf-8)."""

_Read = tuple[str, str, str]
"""Type, path of the code, value set; the last two empty where all of a type is read."""


@dataclass(slots=True)
class _Define:
    """What a define itself reads, and the defines that it calls by library and name; overloads as one."""

    reads: set[_Read] = field(default_factory=set)
    calls: set[tuple[str, str]] = field(default_factory=set)


def _defines(elm: Mapping[str, Any]) -> dict[str, _Define]:
    urls = {each["name"]: each["id"] for each in elm.get("valueSets", {}).get("def", [])}
    paths = {each["localIdentifier"]: each["path"] for each in _included(elm)}
    found: dict[str, _Define] = {}
    for define in elm.get("statements", {}).get("def", []):
        told = found.setdefault(define["name"], _Define())
        for node in nodes(define):
            match node.get("type"):
                case "Retrieve":
                    kind, codes = str(node["dataType"]).rpartition("}")[2], node.get("codes") or {}
                    url = urls.get(codes.get("name", ""), "")
                    told.reads.add((kind, str(node.get("codeProperty", "")), url))
                case "ExpressionRef" | "FunctionRef":
                    library = paths.get(node.get("libraryName", ""), elm["identifier"]["id"])
                    told.calls.add((library, node["name"]))
    return found
