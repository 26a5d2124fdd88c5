"""Each element of a snapshot as one object that checks its occurrences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.validation import slicing
from server.validation.addresses import BASE, is_no_code_system
from server.validation.finding import Finding, Findings, Resource, Run
from server.validation.primitives import FORMS, SYSTEM
from server.validation.rules import Check, tests
from server.validation.slicing import Belongs, Occurrence
from server.validation.snapshot import Node, names_of, type_name
from server.validation.target import Target

if TYPE_CHECKING:
    from server.validation.compiler import Compiler

ANY = frozenset({"Resource", "DomainResource"})
ALWAYS = frozenset({"resourceType", "fhir_comments"})


class Shape:
    """The checks of one object: its properties, what must be there, what must hold. A partial one says
    nothing of what it does not name."""

    def __init__(self, url: str, partial: bool = False) -> None:
        self.url = url
        self.partial = partial
        self.properties: dict[str, tuple[ElementCheck, str]] = {}
        self.required: list[ElementCheck] = []
        self.tests: list[Check] = []

    def fill(self, node: Node, compiler: Compiler) -> None:
        """With the children of an element."""
        for child in node.children.values():
            check = ElementCheck(child, self.url, compiler)
            if check.must:
                self.required.append(check)
            for name, kind in check.names.items():
                self.properties[name] = check, kind

    def check(self, occurrence: Occurrence, run: Run, out: Findings) -> None:
        value, path = occurrence.value, occurrence.path
        if not isinstance(value, dict):
            out.append(Finding("structure", path, "This must be an object.", "type", self.url))
            return
        if not value:
            out.append(Finding("structure", path, "An object must not be empty.", "ele-1", self.url))
            return
        properties = self.properties
        seen = []
        for key in value:
            name = key[1:] if key[:1] == "_" else key
            if name is not key and name in value:
                continue
            known = properties.get(name)
            if known is None:
                if key not in ALWAYS and not self.partial:
                    words = "This property is not known here. Correct its name, or leave it out."
                    out.append(Finding("structure", f"{path}.{key}", words, "structure", self.url))
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
        self.names = names_of(node)
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
                out.append(Finding("structure", place, "This must be an array.", "type", self.profile))
                return
            found = _listed(value, sibling, kind, place)
            if not found:
                out.append(Finding("structure", place, "An array must not be empty.", "type", self.profile))
                return
        else:
            if isinstance(value, list):
                words = "This must be one value, not an array."
                out.append(Finding("structure", place, words, "type", self.profile))
                return
            found = [Occurrence(value, sibling, kind, place)]
        if len(found) > self.maximum:
            words = f"At most {self.maximum:g} may be here; {len(found)} are."
            if not self.maximum:
                words = "This must not be here. Leave it out."
            out.append(Finding("structure", place, words, "cardinality", self.profile))
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
            elif slicing.unknown_part(occurrence, self.node):
                words = "The extension around this one has no such part."
                out.append(Finding("structure", occurrence.path, words, "extension", self.profile))
            elif self.node.element["slicing"].get("rules") == "closed":
                words = "This fits none of the slices, and nothing else is allowed here."
                out.append(Finding("structure", occurrence.path, words, "slicing", self.profile))
        for own in self.slices:
            if counts[own.name] < own.minimum:
                self._too_few(counts[own.name], own.minimum, place, out, own.name)
            elif counts[own.name] > own.maximum:
                words = f"At most {own.maximum:g} of slice {own.name} may be here; {counts[own.name]} are."
                out.append(Finding("structure", place, words, "cardinality", self.profile))

    def _too_few(self, count: int, minimum: int, place: str, out: Findings, slice_name: str) -> None:
        which = f" of slice {slice_name}" if slice_name else ""
        there = f"{count} {'is' if count == 1 else 'are'}" if count else "none is"
        words = f"At least {minimum}{which} must be here; {there}. Add it."
        out.append(Finding("required", place, words, "cardinality", self.profile))


class Slice:
    """One slice of an element, with the test of what belongs to it."""

    def __init__(self, name: str, node: Node, belongs: Belongs, profile: str, compiler: Compiler) -> None:
        self.name = name
        self.belongs = belongs
        self.minimum, self.maximum = node.minimum, node.maximum
        self.content = Content(node, profile, compiler)


class Content:
    """What one value must be: of a type, of its profiles, with its children, fixed, bound, and as the
    invariants say."""

    def __init__(self, node: Node, profile: str, compiler: Compiler) -> None:
        self.profile = profile
        self.compiler = compiler
        self.types = {type_name(each): each for each in node.element.get("type", [])}
        self.tests = list(tests(node, profile, compiler))
        # Of a choice between types a profile says only what all of them have.
        several = len(self.types) > 1
        self.inline = Shape(profile, partial=several) if node.children else None
        self.reference = node.element.get("contentReference", "")
        self._paths = _paths(node)
        root, _, below = str(node.element["path"]).partition(".")
        self._own_url = below == "url" and root != "Extension"
        self._target = Target(self.types.get("Reference", {}).get("targetProfile", []), profile, compiler)
        self._referred: Shape | None = None
        self.whole = self.inline is not None or bool(node.profiles)
        self._only = next(iter(self.types)) if len(self.types) == 1 else ""
        self._resources = {kind for kind in self.types if self._any(kind)}
        self._urls = {kind: list(each.get("profile", [])) for kind, each in self.types.items()}
        if self.inline is not None:
            self.inline.fill(node, compiler)

    def check(self, occurrence: Occurrence, run: Run, out: Findings) -> None:
        kind = occurrence.kind or self._only
        if self.types and kind not in self.types and not self._resources:
            words = f"This must be of type {' or '.join(self.types)}."
            out.append(Finding("structure", occurrence.path, words, "type", self.profile))
            return
        if kind in FORMS:
            self._primitive(occurrence, kind, run, out)
        elif kind in self._resources or (self._resources and not self._only):
            self._resource(occurrence, run, out)
            if self.inline is None:
                return
        else:
            self._complex(occurrence, kind, run, out)
        for test in self.tests:
            test(occurrence, run, out)
        holder = occurrence.sibling if kind in FORMS else occurrence.value
        if isinstance(holder, dict) and ("extension" in holder or "modifierExtension" in holder):
            actual = run.relative(occurrence.path)
            self.compiler.misplaced(holder, kind, occurrence.path, out, actual, *self._paths)

    def _any(self, kind: str) -> bool:
        """Whether it holds a resource."""
        return kind in ANY or (kind[:1].isupper() and _is_resource(kind, self.compiler))

    def _primitive(self, occurrence: Occurrence, kind: str, run: Run, out: Findings) -> None:
        value, sibling, path = occurrence.value, occurrence.sibling, occurrence.path
        if value is not None and not FORMS[kind](value):
            words = f"This is no {kind.removeprefix(SYSTEM).lower() if kind.startswith(SYSTEM) else kind}."
            out.append(Finding("value", path, words, "type", self.profile))
        elif kind == "uri" and value and not self._own_url and self.compiler.is_invented(value):
            words = "HL7 has nothing at this address. Correct it."
            out.append(Finding("invalid", path, words, "address", self.profile))
        if sibling is not None:
            shape = self.inline or self.compiler.of_type("Element")
            if shape is not None:
                if isinstance(sibling, dict):
                    _element(sibling, shape, path, run, out)
                else:
                    words = "What stands beside a primitive value must be an object."
                    out.append(Finding("structure", path, words, "type", self.profile))
        elif value is None:
            out.append(Finding("structure", path, "A value must not be null.", "type", self.profile))
        elif self.inline is not None:
            for check in self.inline.required:
                check.absent(path, out)

    def _resource(self, occurrence: Occurrence, run: Run, out: Findings) -> None:
        """A resource of the one profile for its type, or of any where there are several."""
        expected = [url for urls in self._urls.values() for url in urls]
        if len(expected) > 1 and isinstance(occurrence.value, dict):
            kind = str(occurrence.value.get("resourceType"))
            fitting = [url for url in expected if self.compiler.is_kind(kind, url)]
            if not fitting:
                kinds = " or ".join(dict.fromkeys(map(self.compiler.kind_of, expected)))
                words = f"This must be a {kinds}."
                out.append(Finding("structure", occurrence.path, words, "type", self.profile))
            elif len(fitting) > 1 and not any(
                self.compiler.conforms(occurrence, url, run) for url in fitting
            ):
                words = f"This fits none of the profiles {', '.join(fitting)}."
                out.append(Finding("structure", occurrence.path, words, "profile", self.profile))
            expected = fitting if len(fitting) == 1 else []
        out += self.compiler.whole(occurrence.value, occurrence.path, expected, run)

    def _complex(self, occurrence: Occurrence, kind: str, run: Run, out: Findings) -> None:
        urls = self._urls.get(kind, [])
        profiled = self.compiler.shape(urls[0]) if len(urls) == 1 else None
        if profiled is not None:
            profiled.check(occurrence, run, out)
        elif (self.inline is None or self.inline.partial) and (shape := self._own_shape(kind)) is not None:
            shape.check(occurrence, run, out)
        if self.inline is not None:
            self.inline.check(occurrence, run, out)
            # What holds of the type holds here too, said again in the profile or not.
            own = None if self.inline.partial else self.compiler.of_type(kind)
            for test in own.tests if own is not None else ():
                test(occurrence, run, out)
        if len(urls) > 1 and not any(self.compiler.conforms(occurrence, url, run) for url in urls):
            words = f"This fits none of the profiles {', '.join(urls)}."
            out.append(Finding("structure", occurrence.path, words, "profile", self.profile))
        if kind == "Extension" and not urls:
            self._extension(occurrence, run, out)
        if kind == "Reference" and isinstance(occurrence.value, dict):
            self._target.check(occurrence, run, out)
        if kind == "Coding" and isinstance(occurrence.value, dict):
            self._coding(occurrence, out)

    def _coding(self, occurrence: Occurrence, out: Findings) -> None:
        system, code = occurrence.value.get("system"), occurrence.value.get("code")
        if not isinstance(system, str) or not isinstance(code, str):
            return
        if is_no_code_system(system):
            words = "Only the beginning of this address is a code system's. Correct it."
            place = f"{occurrence.path}.system"
            out.append(Finding("code-invalid", place, words, "address", self.profile))
        codes = self.compiler.terminology.of_system(system)
        if codes is not None and code not in codes:
            words = f"{system} has no such code."
            out.append(Finding("code-invalid", occurrence.path, words, "code", self.profile))

    def _own_shape(self, kind: str) -> Shape | None:
        if not self.reference:
            return self.compiler.of_type(kind)
        if self._referred is None:
            root, *steps = self.reference.rpartition("#")[2].split(".")
            node = self.compiler.node_of(BASE + root)
            for step in steps:
                node = node.children.get(step) if node is not None else None
            referred = Shape(self.profile)
            if node is not None:
                referred.fill(node, self.compiler)
            self._referred = referred
        return self._referred

    def _extension(self, occurrence: Occurrence, run: Run, out: Findings) -> None:
        """An extension that no slice names is held to its own definition, where the packages have it."""
        url = occurrence.value.get("url") if isinstance(occurrence.value, dict) else None
        if isinstance(url, str) and url.startswith("http"):
            shape = self.compiler.shape(url)
            if shape is not None:
                shape.check(occurrence, run, out)


def _element(sibling: Resource, shape: Shape, path: str, run: Run, out: Findings) -> None:
    """The id and extensions beside a primitive value."""
    for key, content in sibling.items():
        known = shape.properties.get(key)
        if known is None:
            out.append(Finding("structure", f"{path}.{key}", "This property is not known here.", "type", ""))
        else:
            known[0](key, known[1], content, None, path, run, out)
    for check in shape.required:
        if check.name not in sibling:
            check.absent(path, out)


def _paths(node: Node) -> frozenset[str]:
    """How definitions call an element: its path in the profile, in the type it comes from, and that of the
    element whose content it has."""
    element = node.element
    referred = str(element.get("contentReference", "")).rpartition("#")[2]
    return frozenset({str(element["path"]), str(element.get("base", {}).get("path", "")), referred} - {""})


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


def _slices(node: Node, profile: str, compiler: Compiler) -> list[Slice] | None:
    """None where the element is not sliced, or cannot be told apart."""
    if "slicing" not in node.element or not node.slices:
        return None
    found = []
    is_extension = node.name in ("extension", "modifierExtension")
    for name, own in node.slices.items():
        if is_extension:
            test = slicing.extension_test(own)
        elif node.choice and slicing.type_sliced(node):
            kinds = frozenset(type_name(each) for each in own.element.get("type", []))
            test = slicing.kind_test(kinds)
        else:
            test = slicing.belongs(node, own, compiler)
        if test is None:
            compiler.unchecked.add(f"slicing of {node.element.get('path')} in {profile}")
            return None
        found.append(Slice(name, own, test, profile, compiler))
    return found


def _is_resource(kind: str, compiler: Compiler) -> bool:
    definition = compiler.packages.find("StructureDefinition", BASE + kind)
    return definition is not None and definition.get("kind") == "resource"
