"""A StructureDefinition's snapshot as a tree: elements, their children, and their slices."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from server.validation.primitives import FORMS, SYSTEM

Element = dict[str, Any]


@dataclass(slots=True)
class Node:
    """One element. `name` is its last step, `[x]` included; `slices` are its slices by name."""

    name: str
    element: Element
    children: dict[str, Node] = field(default_factory=dict)
    slices: dict[str, Node] = field(default_factory=dict)

    @property
    def types(self) -> list[str]:
        return [str(each.get("code", "")) for each in self.element.get("type", [])]

    @property
    def profiles(self) -> list[str]:
        return [url for each in self.element.get("type", []) for url in each.get("profile", [])]

    @property
    def minimum(self) -> int:
        return int(self.element.get("min", 0))

    @property
    def maximum(self) -> float:
        text = str(self.element.get("max", "*"))
        return float("inf") if text == "*" else int(text)

    @property
    def repeats(self) -> bool:
        """Whether it is an array in JSON: that is the base's affair, whatever a profile allows."""
        return str(self.element.get("base", {}).get("max", self.element.get("max"))) not in ("0", "1")

    @property
    def choice(self) -> bool:
        return self.name.endswith("[x]")


def tree(definition: dict[str, Any]) -> Node:
    """Raises ValueError for a definition without snapshot."""
    elements = definition.get("snapshot", {}).get("element")
    if not elements:
        raise ValueError(f"{definition.get('url')} has no snapshot")
    root = Node(elements[0]["path"], elements[0])
    for element in elements[1:]:
        _placed(root, element)
    return root


def _placed(root: Node, element: Element) -> None:
    *above, last = element["id"].split(".")[1:]
    holder = root
    for step in above:
        holder = _step(holder, step)
    name, _, slice_name = last.partition(":")
    if slice_name:
        base = holder.children.setdefault(name, Node(name, {"path": element["path"], "type": []}))
        base.slices[slice_name] = Node(name, element)
    else:
        holder.children.setdefault(name, Node(name, element))


def _step(holder: Node, step: str) -> Node:
    name, _, slice_name = step.partition(":")
    child = holder.children.setdefault(name, Node(name, {"path": name, "type": []}))
    if slice_name:
        return child.slices.setdefault(slice_name, Node(name, {"path": name, "type": []}))
    return child


def fixed(element: Element) -> tuple[str, Any] | None:
    """("fixed" | "pattern", value) of an element that has either."""
    for key, value in element.items():
        for kind in ("fixed", "pattern"):
            if key.startswith(kind) and key[len(kind) : len(kind) + 1].isupper():
                return kind, value
    return None


def fits(value: Any, pattern: Any) -> bool:
    """Whether a value has everything that the pattern has."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            key in value and fits(value[key], wanted) for key, wanted in pattern.items()
        )
    if isinstance(pattern, list):
        return isinstance(value, list) and all(
            any(fits(each, wanted) for each in value) for wanted in pattern
        )
    return type(value) is type(pattern) and bool(value == pattern)


def names_of(node: Node) -> dict[str, str]:
    """The JSON names of an element, each with the type it stands for."""
    kinds = [type_name(each) for each in node.element.get("type", [])]
    if not node.choice:
        return {node.name: kinds[0] if len(kinds) == 1 else ""}
    name = node.name.removesuffix("[x]")
    for own in node.slices.values():
        kinds += [type_name(each) for each in own.element.get("type", [])]
    return {f"{name}{kind[:1].upper()}{kind[1:]}": kind for kind in kinds}


def type_name(declared: dict[str, Any]) -> str:
    code = str(declared.get("code", ""))
    if code.startswith(SYSTEM):
        for extension in declared.get("extension", []):
            if extension.get("url", "").endswith("structuredefinition-fhir-type"):
                named = str(extension.get("valueUrl") or extension.get("valueUri") or "")
                # An element's id is any string, a resource's is an id; snapshots call both string.
                return named if named in FORMS else code
    return code
