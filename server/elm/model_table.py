"""Makes `fhir_4_0_1.json` from the published FHIR 4.0.1 model info (XML).

    python -m server.elm.model_table fhir-modelinfo-4.0.1.xml

One entry a class: base, the element a retrieve filters by, elements relating it to a patient, and the
elements as `name: type`, where `Coding*` is a list and `dateTime|Period` a choice.
"""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from server.elm.model import TABLE

_NS = "{urn:hl7-org:elm-modelinfo:r1}"
_KIND = "{http://www.w3.org/2001/XMLSchema-instance}type"


def table(model_info: Path) -> dict[str, Any]:
    """The whole table of a model info file."""
    root = ElementTree.parse(model_info).getroot()
    classes = {info.attrib["name"]: _class(info) for info in root.findall(f"{_NS}typeInfo")}
    return {"model": "FHIR", "version": root.attrib["version"], "classes": dict(sorted(classes.items()))}


def _class(info: ElementTree.Element) -> dict[str, Any]:
    related = [
        link.attrib["relatedKeyElement"]
        for link in info.findall(f"{_NS}contextRelationship")
        if link.attrib["context"] == "Patient"
    ]
    entry = {
        "base": _short(info.get("baseType")),
        "codePath": info.get("primaryCodePath"),
        "patient": related,
        "elements": {element.attrib["name"]: _element(element) for element in info.findall(f"{_NS}element")},
    }
    return {key: value for key, value in entry.items() if value}


def _element(element: ElementTree.Element) -> str | None:
    name = element.get("elementType")
    if name is not None:
        return _short(name)
    specifier = element.find(f"{_NS}elementTypeSpecifier")
    return None if specifier is None else _specifier(specifier)


def _specifier(node: ElementTree.Element) -> str | None:
    match node.get(_KIND):
        case "ListTypeSpecifier":
            inner = node.find(f"{_NS}elementTypeSpecifier")
            name = _short(node.get("elementType")) if inner is None else _specifier(inner)
            return f"{name}*"
        case "ChoiceTypeSpecifier":
            return "|".join(_choice(option) for option in node.findall(f"{_NS}choice"))
    return _short(node.get("name"))


def _choice(option: ElementTree.Element) -> str:
    name = option.attrib["name"]
    return f"System.{name}" if option.get("namespace") == "System" else name


def _short(name: str | None) -> str | None:
    return name.removeprefix("FHIR.") if name is not None and name != "System.Any" else None


if __name__ == "__main__":
    made = table(Path(sys.argv[1]))
    TABLE.write_text(json.dumps(made, separators=(",", ":"), sort_keys=False) + "\n", encoding="utf-8")
