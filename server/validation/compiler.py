"""Profiles to functions: each element of a snapshot becomes one object that checks its occurrences.

A profile is compiled when it is first met, its data types with it, and kept. Checking walks the data, not the
definition: what is absent costs nothing but the count of what must be there.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from server.fhir.errors import Severity
from server.validation import invariants, slicing
from server.validation.finding import Finding, Findings, Place, Resource, Run
from server.validation.packages import Packages
from server.validation.primitives import FORMS, SYSTEM
from server.validation.slicing import Belongs, Occurrence
from server.validation.snapshot import Node, fits, fixed, tree
from server.validation.terminology import Codes, Terminology

BASE = "http://hl7.org/fhir/StructureDefinition/"
ANY = frozenset({"Resource", "DomainResource"})
ALWAYS = frozenset({"resourceType", "fhir_comments"})

Check = Callable[[Occurrence, Run, Findings], None]


HL7 = ("http://hl7.org/fhir/", "http://terminology.hl7.org/")
OTHER_VERSION = re.compile(r"http://hl7\.org/fhir/\d\.\d/")
"""Extensions that stand for elements of another FHIR version; no package of this one has them."""

_SIDS = """
us-npi us-ssn us-mbi us-medicare icd-9 icd-9-cm icd-10 icd-10-cm icd-10-de icpc-1 icpc-2 ndc cvx mvx ca-hc-din
nui iso-3166-1 dicom-uid
"""
SIDS = frozenset(f"http://hl7.org/fhir/sid/{name}" for name in _SIDS.split())
"""Identifier and code systems that HL7 names without defining them."""


class Invented(OrderedDict[str, bool]):
    """Verdicts on addresses; callers choose them, so only the last few are kept."""

    def __setitem__(self, url: str, verdict: bool) -> None:
        super().__setitem__(url, verdict)
        if len(self) > 5_000:
            self.popitem(last=False)


class Compiler:
    """Compiled profiles by canonical. Shared by threads: compiling twice gives the same."""

    def __init__(self, packages: Packages) -> None:
        self.packages = packages
        self.terminology = Terminology(packages)
        self.unchecked: set[str] = set()
        self._trees: dict[str, Node | None] = {}
        self._shapes: dict[str, Shape | None] = {}
        self._invented = Invented()

    def shape(self, canonical: str) -> Shape | None:
        """The checks of a profile or type; None where the packages do not have it."""
        url = canonical.partition("|")[0]
        if url not in self._shapes:
            node = self.node_of(url)
            # Kept before it is filled: types refer to each other in circles.
            self._shapes[url] = shape = None if node is None else Shape(url)
            if shape is not None and node is not None:
                shape.fill(node, self)
        return self._shapes[url]

    def of_type(self, kind: str) -> Shape | None:
        return self.shape(BASE + kind)

    def kind_of(self, canonical: str) -> str:
        """The type that a profile is about; empty where it is not known."""
        definition = self.packages.find("StructureDefinition", canonical)
        return str(definition["type"]) if definition else ""

    def node_of(self, url: str) -> Node | None:
        url = url.partition("|")[0]
        if url not in self._trees:
            definition = self.packages.find("StructureDefinition", url)
            try:
                self._trees[url] = tree(definition) if definition else None
            except ValueError:
                self._trees[url] = None
            if self._trees[url] is None:
                self.unchecked.add(f"profile {url}: not in the packages, or without snapshot")
        return self._trees[url]

    def is_invented(self, url: str) -> bool:
        """Whether an address claims to be HL7's and is not."""
        if not url.startswith(HL7) or url in SIDS or OTHER_VERSION.match(url):
            return False
        if url not in self._invented:
            self._invented[url] = not self.packages.known(url.partition("|")[0])
        return self._invented[url]

    def codes_of(self, canonical: str) -> Codes | None:
        return self.terminology.codes(canonical)

    def conforms(self, occurrence: Occurrence, profile: str, run: Run) -> bool:
        """Whether a value has no fault under a profile; one that nobody knows asks for nothing."""
        shape = self.shape(profile)
        if shape is None:
            return True
        value = occurrence.value
        if isinstance(value, dict) and "resourceType" in value:
            kind = self.kind_of(profile)
            if kind and kind not in ANY and kind != value["resourceType"]:
                return False
            return not _errors(self.resource(Place(value, occurrence.path), shape, run))
        found: Findings = []
        shape.check(occurrence, run, found)
        return not _errors(found)

    def resource(self, place: Place, shape: Shape, run: Run) -> Findings:
        """What is wrong with a resource under one profile, found once a run."""
        key = id(place.resource), shape.url
        if key not in run.known:
            found = run.known[key] = []
            run.owners.append(place)
            shape.check(Occurrence(place.resource, None, "", place.path), run, found)
            run.owners.pop()
        return run.known[key]

    def whole(self, value: Any, path: str, expected: Iterable[str], run: Run) -> Findings:
        """A resource under the profiles it is expected to have, else those it claims, else its type."""
        if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
            return [
                Finding(
                    "error", "structure", path, "A resource must be an object with resourceType.", "type", ""
                )
            ]
        kind = value["resourceType"]
        base = self.of_type(kind)
        if base is None:
            return [Finding("error", "structure", path, "No FHIR R4 resource has this type.", "type", "")]
        meta = value.get("meta")
        claimed = meta.get("profile") if isinstance(meta, dict) else None
        urls = [
            *expected,
            *(url for url in (claimed if isinstance(claimed, list) else []) if isinstance(url, str)),
        ]
        shapes = [shape for url in dict.fromkeys(urls) if (shape := self.shape(url)) is not None]
        found: Findings = []
        for shape in shapes:
            wanted = self.kind_of(shape.url)
            if wanted not in (kind, *ANY):
                words = f"This must be a {wanted}."
                found.append(Finding("error", "structure", path, words, "type", shape.url))
                shapes = [each for each in shapes if each is not shape]
        for shape in shapes or [base]:
            found += self.resource(Place(value, path), shape, run)
        return found


def _errors(found: Findings) -> bool:
    return any(finding.severity in ("error", "fatal") for finding in found)


class Shape:
    """The checks of one object: its properties, what must be there, what must hold."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.properties: dict[str, tuple[ElementCheck, str]] = {}
        self.elements: list[ElementCheck] = []
        self.required: list[ElementCheck] = []
        self.tests: list[Check] = []
        self.is_primitive = False

    def fill(self, node: Node, compiler: Compiler) -> None:
        self.tests = list(_tests(node, self.url, compiler))
        for child in node.children.values():
            self.add(ElementCheck(child, self.url, compiler))

    def add(self, check: ElementCheck) -> None:
        self.elements.append(check)
        if check.must:
            self.required.append(check)
        for name, kind in check.names.items():
            self.properties[name] = check, kind

    def check(self, occurrence: Occurrence, run: Run, out: Findings) -> None:
        value, path = occurrence.value, occurrence.path
        if not isinstance(value, dict):
            out.append(Finding("error", "structure", path, "This must be an object.", "type", self.url))
            return
        if not value:
            out.append(Finding("error", "structure", path, "An object must not be empty.", "ele-1", self.url))
            return
        properties = self.properties
        seen = []
        for key in value:
            name = key[1:] if key[:1] == "_" else key
            if name is not key and name in value:
                continue
            known = properties.get(name)
            if known is None:
                if key not in ALWAYS:
                    words = "This property is not known here. Correct its name, or leave it out."
                    out.append(Finding("error", "structure", f"{path}.{key}", words, "structure", self.url))
                continue
            check, kind = known
            seen.append(check)
            check(name, kind, value.get(name), value.get("_" + name), path, run, out)
        for check in self.required:
            if check not in seen:
                check.absent(path, out)
        for test in self.tests:
            test(occurrence, run, out)


class ElementCheck:
    """The checks of one element, wherever it occurs."""

    def __init__(self, node: Node, profile: str, compiler: Compiler) -> None:
        self.node = node
        self.profile = profile
        self.compiler = compiler
        self.name = node.name.removesuffix("[x]")
        self.names = _names(node)
        self.minimum, self.maximum = node.minimum, node.maximum
        self.repeats = node.repeats
        self.slices = _slices(node, profile, compiler)
        self.must = self.minimum > 0 or any(each.minimum > 0 for each in self.slices or ())
        self.content = Content(node, profile, compiler)

    def absent(self, path: str, out: Findings) -> None:
        if self.minimum > 0:
            self._too_few(0, self.minimum, f"{path}.{self.name}", out, "")
        else:
            for own in self.slices or ():
                if own.minimum > 0:
                    self._too_few(0, own.minimum, f"{path}.{self.name}", out, own.name)

    def __call__(
        self, name: str, kind: str, value: Any, sibling: Any, path: str, run: Run, out: Findings
    ) -> None:
        place = f"{path}.{name}"
        if self.repeats:
            if not isinstance(value if value is not None else sibling, list):
                out.append(
                    Finding("error", "structure", place, "This must be an array.", "type", self.profile)
                )
                return
            found = _listed(value, sibling, kind, place)
            if not found:
                out.append(
                    Finding("error", "structure", place, "An array must not be empty.", "type", self.profile)
                )
                return
        else:
            if isinstance(value, list):
                words = "This must be one value, not an array."
                out.append(Finding("error", "structure", place, words, "type", self.profile))
                return
            found = [Occurrence(value, sibling, kind, place)]
        if len(found) > self.maximum:
            words = f"At most {self.maximum:g} may be here; {len(found)} are."
            if not self.maximum:
                words = "This must not be here. Leave it out."
            out.append(Finding("error", "structure", place, words, "cardinality", self.profile))
        if len(found) < self.minimum:
            self._too_few(len(found), self.minimum, place, out, "")
        if self.slices is not None:
            self._sliced(found, place, run, out)
        else:
            for occurrence in found:
                self.content.check(occurrence, run, out)

    def _sliced(self, found: list[Occurrence], place: str, run: Run, out: Findings) -> None:
        assert self.slices is not None
        counts = dict.fromkeys((own.name for own in self.slices), 0)
        for occurrence in found:
            own = next((each for each in self.slices if each.belongs(occurrence, run)), None)
            # A slice says of its content all that the element says, unless it leaves that to the element.
            if own is None or not own.content.whole:
                self.content.check(occurrence, run, out)
            if own is not None:
                counts[own.name] += 1
                own.content.check(occurrence, run, out)
            elif _unknown_part(occurrence, self.node):
                words = "The extension around this one has no such part."
                out.append(Finding("error", "structure", occurrence.path, words, "extension", self.profile))
            elif self.node.element["slicing"].get("rules") == "closed":
                words = "This fits none of the slices, and nothing else is allowed here."
                out.append(Finding("error", "structure", occurrence.path, words, "slicing", self.profile))
        for own in self.slices:
            if counts[own.name] < own.minimum:
                self._too_few(counts[own.name], own.minimum, place, out, own.name)
            elif counts[own.name] > own.maximum:
                words = f"At most {own.maximum:g} of slice {own.name} may be here; {counts[own.name]} are."
                out.append(Finding("error", "structure", place, words, "cardinality", self.profile))

    def _too_few(self, count: int, minimum: int, place: str, out: Findings, slice_name: str) -> None:
        which = f" of slice {slice_name}" if slice_name else ""
        there = f"{count} {'is' if count == 1 else 'are'}" if count else "none is"
        words = f"At least {minimum}{which} must be here; {there}. Add it."
        out.append(Finding("error", "required", place, words, "cardinality", self.profile))


class Slice:
    """One slice of an element, with the test of what belongs to it."""

    def __init__(self, name: str, node: Node, belongs: Belongs, profile: str, compiler: Compiler) -> None:
        self.name = name
        self.belongs = belongs
        self.minimum, self.maximum = node.minimum, node.maximum
        self.content = Content(node, f"{profile}", compiler)


class Content:
    """What one value must be: of a type, of its profiles, with its children, fixed, bound, and as the
    invariants say."""

    def __init__(self, node: Node, profile: str, compiler: Compiler) -> None:
        self.profile = profile
        self.compiler = compiler
        self.types = {_type_name(each): each for each in node.element.get("type", [])}
        self.contained = node.name == "contained"
        self.tests = list(_tests(node, profile, compiler))
        self.inline = Shape(profile) if node.children else None
        self.reference = node.element.get("contentReference", "")
        self._referred: Shape | None = None
        self.whole = self.inline is not None or bool(node.profiles)
        self._only = next(iter(self.types)) if len(self.types) == 1 else ""
        self._resources = {kind for kind in self.types if self._any(kind)}
        self._urls = {kind: list(each.get("profile", [])) for kind, each in self.types.items()}
        if self.inline is not None:
            for child in node.children.values():
                self.inline.add(ElementCheck(child, profile, compiler))

    def check(self, occurrence: Occurrence, run: Run, out: Findings) -> None:
        kind = occurrence.kind or self._only
        if self.types and kind not in self.types and not self._resources:
            words = f"This must be of type {' or '.join(self.types)}."
            out.append(Finding("error", "structure", occurrence.path, words, "type", self.profile))
            return
        if kind in FORMS:
            self._primitive(occurrence, kind, run, out)
        elif kind in self._resources or (self._resources and not self._only):
            expected = [url for urls in self._urls.values() for url in urls]
            out += self.compiler.whole(occurrence.value, occurrence.path, expected, run)
            if self.inline is None:
                return
        else:
            self._complex(occurrence, kind, run, out)
        for test in self.tests:
            test(occurrence, run, out)

    def _any(self, kind: str) -> bool:
        """Whether it holds a resource."""
        return kind in ANY or (kind[:1].isupper() and _is_resource(kind, self.compiler))

    def _primitive(self, occurrence: Occurrence, kind: str, run: Run, out: Findings) -> None:
        value, sibling, path = occurrence.value, occurrence.sibling, occurrence.path
        if value is not None and not FORMS[kind](value):
            words = f"This is no {kind.removeprefix(SYSTEM).lower() if kind.startswith(SYSTEM) else kind}."
            out.append(Finding("error", "value", path, words, "type", self.profile))
        elif kind == "uri" and value is not None and self.compiler.is_invented(value):
            words = "HL7 has nothing at this address. Correct it."
            out.append(Finding("error", "invalid", path, words, "address", self.profile))
        if sibling is not None:
            shape = self.inline or self.compiler.of_type("Element")
            if shape is not None:
                if isinstance(sibling, dict):
                    _element(sibling, shape, path, run, out)
                else:
                    words = "What stands beside a primitive value must be an object."
                    out.append(Finding("error", "structure", path, words, "type", self.profile))
        elif value is None:
            out.append(Finding("error", "structure", path, "A value must not be null.", "type", self.profile))
        elif self.inline is not None:
            for check in self.inline.required:
                check.absent(path, out)

    def _complex(self, occurrence: Occurrence, kind: str, run: Run, out: Findings) -> None:
        urls = self._urls.get(kind, [])
        profiled = self.compiler.shape(urls[0]) if len(urls) == 1 else None
        if profiled is not None:
            profiled.check(occurrence, run, out)
        elif self.inline is None and (shape := self._own_shape(kind)) is not None:
            shape.check(occurrence, run, out)
        if self.inline is not None:
            self.inline.check(occurrence, run, out)
        if len(urls) > 1 and not any(self.compiler.conforms(occurrence, url, run) for url in urls):
            words = f"This fits none of the profiles {', '.join(urls)}."
            out.append(Finding("error", "structure", occurrence.path, words, "profile", self.profile))
        if kind == "Extension" and not urls:
            self._extension(occurrence, run, out)
        if kind == "Reference" and isinstance(occurrence.value, dict):
            self._target(occurrence, run, out)
        if kind == "Coding" and isinstance(occurrence.value, dict):
            self._coding(occurrence, out)

    def _coding(self, occurrence: Occurrence, out: Findings) -> None:
        system, code = occurrence.value.get("system"), occurrence.value.get("code")
        if not isinstance(system, str) or not isinstance(code, str):
            return
        codes = self.compiler.terminology.of_system(system)
        if codes is not None and code not in codes:
            words = f"{system} has no such code."
            out.append(Finding("error", "code-invalid", occurrence.path, words, "code", self.profile))

    def _own_shape(self, kind: str) -> Shape | None:
        if not self.reference:
            return self.compiler.of_type(kind)
        if self._referred is None:
            root, _, _ = self.reference.removeprefix("#").partition(".")
            owner = self.compiler.node_of(BASE + root.rpartition("#")[2])
            steps = self.reference.rpartition("#")[2].split(".")[1:]
            node = owner
            for step in steps:
                node = node.children.get(step) if node is not None else None
            self._referred = Shape(self.profile)
            for child in node.children.values() if node is not None else ():
                self._referred.add(ElementCheck(child, self.profile, self.compiler))
        return self._referred

    def _extension(self, occurrence: Occurrence, run: Run, out: Findings) -> None:
        """An extension that no slice names is held to its own definition, where the packages have it."""
        url = occurrence.value.get("url") if isinstance(occurrence.value, dict) else None
        if isinstance(url, str) and url.startswith("http"):
            shape = self.compiler.shape(url)
            if shape is not None:
                shape.check(occurrence, run, out)

    def _target(self, occurrence: Occurrence, run: Run, out: Findings) -> None:
        reference = occurrence.value.get("reference")
        targets = self.types.get("Reference", {}).get("targetProfile", [])
        if not isinstance(reference, str) or not targets:
            return
        place = run.target(reference)
        if place is None:
            kind = _kind_in(reference)
            # Nobody sees what is not sent along: its type by the text alone is a hint, no proof.
            if kind and not any(self._is_kind(kind, url) for url in targets):
                self._wrong_target(occurrence, targets, out, "warning")
            return
        kind = str(place.resource.get("resourceType"))
        fitting = [url for url in targets if self._is_kind(kind, url)]
        if not fitting:
            self._wrong_target(occurrence, targets, out)
            return
        profiled = [url for url in fitting if not url.startswith(BASE)]
        if len(profiled) == len(fitting) and not any(
            self.compiler.conforms(Occurrence(place.resource, None, kind, place.path), url, run)
            for url in profiled
        ):
            words = f"What it refers to ({place.path}) does not fit {' or '.join(profiled)}."
            out.append(Finding("error", "structure", occurrence.path, words, "reference", self.profile))

    def _wrong_target(
        self, occurrence: Occurrence, targets: list[str], out: Findings, severity: Severity = "error"
    ) -> None:
        kinds = sorted({self.compiler.kind_of(url) or url for url in targets})
        words = f"It must refer to a {' or '.join(kinds)}."
        out.append(Finding(severity, "structure", occurrence.path, words, "reference", self.profile))

    def _is_kind(self, kind: str, url: str) -> bool:
        wanted = self.compiler.kind_of(url)
        return wanted in ("", kind, *ANY)


def _element(sibling: Resource, shape: Shape, path: str, run: Run, out: Findings) -> None:
    """The id and extensions beside a primitive value."""
    for key, content in sibling.items():
        known = shape.properties.get(key)
        if known is None:
            out.append(
                Finding("error", "structure", f"{path}.{key}", "This property is not known here.", "type", "")
            )
        else:
            known[0](key, known[1], content, None, path, run, out)
    for check in shape.required:
        if check.name not in sibling:
            check.absent(path, out)


def _listed(value: Any, sibling: Any, kind: str, place: str) -> list[Occurrence]:
    values = value if isinstance(value, list) else []
    siblings = sibling if isinstance(sibling, list) else []
    return [
        Occurrence(
            values[number] if number < len(values) else None,
            siblings[number] if number < len(siblings) else None,
            kind,
            f"{place}[{number}]",
        )
        for number in range(max(len(values), len(siblings)))
    ]


def _names(node: Node) -> dict[str, str]:
    """The JSON names of an element, each with the type it stands for."""
    kinds = [_type_name(each) for each in node.element.get("type", [])]
    if not node.choice:
        return {node.name: kinds[0] if len(kinds) == 1 else ""}
    name = node.name.removesuffix("[x]")
    for own in node.slices.values():
        kinds += [_type_name(each) for each in own.element.get("type", [])]
    return {f"{name}{kind[:1].upper()}{kind[1:]}": kind for kind in kinds}


def _type_name(declared: dict[str, Any]) -> str:
    code = str(declared.get("code", ""))
    if code.startswith(SYSTEM):
        for extension in declared.get("extension", []):
            if extension.get("url", "").endswith("structuredefinition-fhir-type"):
                named = str(extension.get("valueUrl") or extension.get("valueUri") or "")
                # An element's id is any string, a resource's is an id; snapshots call both string.
                return named if named in FORMS else code
    return code


def _is_resource(kind: str, compiler: Compiler) -> bool:
    definition = compiler.packages.find("StructureDefinition", BASE + kind)
    return definition is not None and definition.get("kind") == "resource"


def _kind_in(reference: str) -> str:
    steps = reference.partition("/_history/")[0].rsplit("/", 2)
    return steps[-2] if len(steps) > 1 and steps[-2][:1].isupper() and steps[-2].isalpha() else ""


def _slices(node: Node, profile: str, compiler: Compiler) -> list[Slice] | None:
    """None where the element is not sliced, or cannot be told apart."""
    if "slicing" not in node.element or not node.slices:
        return None
    found = []
    is_extension = node.name in ("extension", "modifierExtension")
    for name, own in node.slices.items():
        if is_extension:
            test = _extension_test(own)
        elif node.choice and _type_sliced(node):
            kinds = frozenset(_type_name(each) for each in own.element.get("type", []))
            test = _kind_test(kinds)
        else:
            test = slicing.belongs(node, own, compiler)
        if test is None:
            compiler.unchecked.add(f"slicing of {node.element.get('path')} in {profile}")
            return None
        found.append(Slice(name, own, test, profile, compiler))
    return found


def _unknown_part(occurrence: Occurrence, node: Node) -> bool:
    """Whether it is a part of a complex extension that its definition does not name."""
    url = occurrence.value.get("url") if isinstance(occurrence.value, dict) else None
    is_part = str(node.element.get("path", "")).endswith("xtension.extension")
    return is_part and isinstance(url, str) and ":" not in url


def _type_sliced(node: Node) -> bool:
    return all(
        each.get("type") == "type" and each.get("path") == "$this"
        for each in node.element["slicing"].get("discriminator", [])
    )


def _kind_test(kinds: frozenset[str]) -> Belongs:
    return lambda occurrence, run: occurrence.kind in kinds


def _extension_test(own: Node) -> Belongs | None:
    urls = frozenset(url.partition("|")[0] for url in own.profiles)
    if not urls and "url" in own.children and (said := fixed(own.children["url"].element)):
        urls = frozenset({str(said[1])})
    if not urls:
        return None
    return lambda occurrence, run: isinstance(occurrence.value, dict) and occurrence.value.get("url") in urls


def _tests(node: Node, profile: str, compiler: Compiler) -> Iterable[Check]:
    said = fixed(node.element)
    if said is not None:
        yield _fixed_test(*said, profile)
    binding = node.element.get("binding", {})
    if binding.get("strength") == "required" and "valueSet" in binding:
        codes = compiler.codes_of(binding["valueSet"])
        systems = compiler.terminology.systems(binding["valueSet"])
        if codes is None:
            compiler.unchecked.add(f"value set {binding['valueSet']}")
        if codes is None and systems is not None:
            yield _system_test(systems, binding["valueSet"], profile)
        elif codes is not None:
            yield _binding_test(codes, binding["valueSet"], profile)
    for constraint in node.element.get("constraint", []):
        if constraint.get("severity") != "error" or constraint["key"] == "ele-1":
            continue
        if constraint["key"] not in invariants.NATIVE and not constraint.get("expression"):
            continue
        test = invariants.compiled(constraint["key"], constraint.get("expression", ""))
        if test is None:
            compiler.unchecked.add(f"invariant {constraint['key']}: {constraint.get('human', '')}")
        else:
            yield _invariant_test(test, constraint, profile, compiler)


def _fixed_test(kind: str, wanted: Any, profile: str) -> Check:
    def check(occurrence: Occurrence, run: Run, out: Findings) -> None:
        value = occurrence.value
        if value is None and occurrence.sibling is not None:
            return
        if not (value == wanted if kind == "fixed" else fits(value, wanted)):
            words = f"This must {'be' if kind == 'fixed' else 'have'} {_shown(wanted)}."
            out.append(Finding("error", "value", occurrence.path, words, kind, profile))

    return check


def _shown(wanted: Any) -> str:
    """Short words for a fixed value or pattern."""
    if isinstance(wanted, dict):
        codings = wanted.get("coding", [wanted])
        return ", ".join(
            "|".join(str(coding[name]) for name in ("system", "code", "value") if name in coding)
            for coding in codings
        )
    return str(wanted)


def _binding_test(codes: Codes, value_set: str, profile: str) -> Check:
    def check(occurrence: Occurrence, run: Run, out: Findings) -> None:
        value = occurrence.value
        if value is None or (isinstance(value, dict) and not ({"coding", "code"} & set(value))):
            if isinstance(value, dict) and ("text" in value or "extension" in value):
                words = f"A code of {value_set} is needed."
                if "extension" not in value:
                    out.append(Finding("error", "code-invalid", occurrence.path, words, "binding", profile))
            return
        if isinstance(value, dict) and isinstance(value.get("coding"), list):
            coded = [each for each in value["coding"] if isinstance(each, dict) and "code" in each]
            if not coded:
                return
        if not any(pair in codes for pair in slicing.pairs(value, codes)):
            words = f"The code must be one of {value_set}."
            out.append(Finding("error", "code-invalid", occurrence.path, words, "binding", profile))

    return check


def _system_test(systems: frozenset[str], value_set: str, profile: str) -> Check:
    """Of a value set whose codes nobody can list it is known at least which systems they come from."""

    def check(occurrence: Occurrence, run: Run, out: Findings) -> None:
        value = occurrence.value
        if not isinstance(value, dict):
            return
        listed = value.get("coding") if "coding" in value else [value]
        coded = [each for each in listed or [] if isinstance(each, dict) and "code" in each]
        if coded and not any(each.get("system") in systems for each in coded):
            words = f"The code must be one of {value_set}; its system is none of that value set's."
            out.append(Finding("error", "code-invalid", occurrence.path, words, "binding", profile))

    return check


def _invariant_test(
    test: invariants.Test, constraint: dict[str, Any], profile: str, compiler: Compiler
) -> Check:
    def check(occurrence: Occurrence, run: Run, out: Findings) -> None:
        value = occurrence.value
        if value is None or (not isinstance(value, dict) and constraint["key"] in invariants.NATIVE):
            return
        owner = run.owners[-1].resource if run.owners else run.root
        held = test(value, owner)
        if held is None:
            compiler.unchecked.add(f"invariant {constraint['key']}: {constraint.get('human', '')}")
        elif not held:
            words = f"{str(constraint.get('human', 'A rule does not hold')).rstrip('.')}."
            out.append(Finding("error", "invariant", occurrence.path, words, constraint["key"], profile))

    return check
