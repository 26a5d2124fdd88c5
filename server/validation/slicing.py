"""Which slice a value belongs to: discriminators, compiled to tests (FHIR R4, profiling, 5.1.0.7).

A discriminator that cannot be decided here (it needs something outside of what is checked) makes its slicing
unchecked; nobody is told that a slice is missing then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from server.validation.addresses import BASE
from server.validation.finding import Run
from server.validation.primitives import SYSTEM
from server.validation.snapshot import Node, fits, fixed
from server.validation.terminology import Codes

if TYPE_CHECKING:
    from server.validation.compiler import Compiler

EXTENSION = re.compile(r"(modifierExtension|extension)\('([^']+)'\)")


class Occurrence(NamedTuple):
    """A value of an element: its JSON, the object beside a primitive, its type, its place."""

    value: Any
    sibling: Any
    kind: str
    path: str


Belongs = Callable[[Occurrence, Run], bool]


def belongs(node: Node, own: Node, compiler: Compiler) -> Belongs | None:
    """The test of one slice of `node`; None where a discriminator cannot be decided."""
    tests: list[Belongs] = []
    for discriminator in node.element["slicing"].get("discriminator", []):
        test = _test(discriminator["type"], discriminator["path"], own, compiler)
        if test is None:
            return None
        tests.append(test)
    if not tests:
        return None
    return lambda occurrence, run: all(test(occurrence, run) for test in tests)


def _test(kind: str, path: str, own: Node, compiler: Compiler) -> Belongs | None:
    steps = _steps(path)
    found = _node_at(own, steps, compiler) if steps is not None else None
    if steps is None or found is None:
        return None
    if kind == "exists":
        wanted = found.maximum > 0
        return lambda occurrence, run: (next(_values(occurrence, steps, run), None) is not None) is wanted
    if kind == "type":
        types = frozenset(map(_plain, found.types))
        if not types or types & {"Resource", "DomainResource", "Element"}:
            return None
        return lambda occurrence, run: any(each.kind in types for each in _values(occurrence, steps, run))
    if kind == "profile":
        profiles = _targets(found) if steps[-1:] == ["resolve()"] else found.profiles
        if not profiles:
            return None
        return lambda occurrence, run: any(
            compiler.conforms(each, profile, run)
            for each in _values(occurrence, steps, run)
            for profile in profiles
        )
    tests = _wanted(found, compiler)
    if not tests:
        return None
    return lambda occurrence, run: any(
        all(test(each.value) for test in tests) for each in _values(occurrence, steps, run)
    )


def _wanted(node: Node, compiler: Compiler) -> list[Callable[[Any], bool]]:
    """What a slice fixes at its discriminator: a value, a pattern, a required binding, or such things
    further in."""
    said = fixed(node.element)
    if said is not None:
        kind, pattern = said
        if kind == "fixed":
            return [lambda value: bool(value == pattern)]
        return [lambda value: fits(value, pattern)]
    binding = node.element.get("binding", {})
    if binding.get("strength") == "required" and "valueSet" in binding:
        codes = compiler.terminology.codes(binding["valueSet"])
        if codes is None:
            return []
        return [lambda value: any(pair in codes for pair in pairs(value, codes))]
    tests: list[Callable[[Any], bool]] = []
    for name, child in node.children.items():
        for inner in (child, *child.slices.values()):
            tests += [_within(name, test) for test in _wanted(inner, compiler)]
    return tests


def _within(name: str, test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def inner(value: Any) -> bool:
        content = value.get(name) if isinstance(value, dict) else None
        return any(
            test(each) for each in (content if isinstance(content, list) else [content]) if each is not None
        )

    return inner


def pairs(value: Any, codes: Codes) -> Iterator[tuple[str, str]]:
    """The (system, code) of a code, Coding, CodeableConcept or Quantity; a bare code takes the systems of
    the value set."""
    if isinstance(value, str):
        yield from ((system, code) for system, code in codes if code == value)
    elif isinstance(value, dict):
        listed = value.get("coding") if "coding" in value else [value]
        for coding in listed if isinstance(listed, list) else []:
            if isinstance(coding, dict) and isinstance(coding.get("code"), str):
                yield str(coding.get("system", "")), coding["code"]


def _steps(path: str) -> list[str] | None:
    """`$this` is no step; a cast says nothing about JSON."""
    text = re.sub(r"\.ofType\(\w+\)|\s+as\s+\w+", "", path)
    text = EXTENSION.sub(lambda found: f"{found[1]}({found[2].replace('.', chr(0))})", text)
    steps = [step.replace("\0", ".") for step in text.split(".") if step not in ("$this", "")]
    known = re.compile(r"\w+|resolve\(\)|(modifierExtension|extension)\(.+\)")
    return steps if all(known.fullmatch(step) for step in steps) else None


def _node_at(own: Node, steps: list[str], compiler: Compiler) -> Node | None:
    """What a slice says about the element that its discriminator names."""
    node: Node | None = own
    for number, step in enumerate(steps):
        if node is None:
            return None
        if step == "resolve()":
            if number == len(steps) - 1:
                return node
            node = next(iter(_roots(_targets(node), compiler)), None)
            continue
        node = _child(node, step, compiler)
    return node


def _child(node: Node, step: str, compiler: Compiler) -> Node | None:
    holders = [node, *_roots(node.profiles, compiler)]
    if not node.children and not node.profiles:
        holders += _roots([BASE + _plain(kind) for kind in node.types[:1]], compiler)
    if "(" in step:
        name, _, url = step[:-1].partition("(")
        for holder in holders:
            for own in holder.children[name].slices.values() if name in holder.children else ():
                if url in own.profiles or _fixed_url(own) == url:
                    return own
        return None
    for holder in holders:
        for name in (step, f"{step}[x]"):
            if name in holder.children:
                return holder.children[name]
    return None


def _fixed_url(node: Node) -> str:
    said = fixed(node.children["url"].element) if "url" in node.children else None
    return str(said[1]) if said else ""


def _roots(urls: list[str], compiler: Compiler) -> list[Node]:
    return [node for url in urls if (node := compiler.node_of(url)) is not None]


def _targets(node: Node) -> list[str]:
    return [url for each in node.element.get("type", []) for url in each.get("targetProfile", [])]


def _plain(kind: str) -> str:
    return "string" if kind.startswith(SYSTEM) else kind


def _values(occurrence: Occurrence, steps: list[str], run: Run) -> Iterator[Occurrence]:
    """The values at a path below an occurrence."""
    if not steps:
        value = occurrence.value
        kind = value.get("resourceType", occurrence.kind) if isinstance(value, dict) else occurrence.kind
        yield occurrence._replace(kind=str(kind))
        return
    step, rest = steps[0], steps[1:]
    for found in _stepped(occurrence, step, run):
        yield from _values(found, rest, run)


def _stepped(occurrence: Occurrence, step: str, run: Run) -> Iterator[Occurrence]:
    value = occurrence.value
    if not isinstance(value, dict):
        return
    if step == "resolve()":
        reference = value.get("reference")
        place = run.target(reference) if isinstance(reference, str) else None
        if place is not None:
            yield Occurrence(place.resource, None, str(place.resource.get("resourceType")), place.path)
        return
    if "(" in step:
        name, _, url = step[:-1].partition("(")
        listed = value.get(name)
        for each in listed if isinstance(listed, list) else []:
            if isinstance(each, dict) and each.get("url") == url:
                yield Occurrence(each, None, "Extension", occurrence.path)
        return
    for key, content in value.items():
        if key == step or (
            key.startswith(step) and key[len(step) : len(step) + 1].isupper() and step == "value"
        ):
            kind = key[len(step) :] or ""
            for each in content if isinstance(content, list) else [content]:
                yield Occurrence(
                    each, None, kind[:1].lower() + kind[1:] if kind in _LOWER else kind, occurrence.path
                )


_LOWER = frozenset({"String", "Boolean", "Code", "Integer", "Decimal", "Date", "DateTime", "Uri", "Instant"})


def type_sliced(node: Node) -> bool:
    return all(
        each.get("type") == "type" and each.get("path") == "$this"
        for each in node.element["slicing"].get("discriminator", [])
    )


def kind_test(kinds: frozenset[str]) -> Belongs:
    return lambda occurrence, run: occurrence.kind in kinds


def extension_test(own: Node) -> Belongs | None:
    urls = [url.partition("|")[0] for url in own.profiles] or [_fixed_url(own)]
    if urls == [""]:
        return None
    return lambda occurrence, run: isinstance(occurrence.value, dict) and occurrence.value.get("url") in urls


def unknown_part(occurrence: Occurrence, node: Node) -> bool:
    """Whether it is a part of a complex extension that its definition does not name."""
    url = occurrence.value.get("url") if isinstance(occurrence.value, dict) else None
    is_part = str(node.element.get("path", "")).endswith("xtension.extension")
    return is_part and isinstance(url, str) and ":" not in url
