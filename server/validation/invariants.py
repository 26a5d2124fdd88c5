"""Invariants: those met everywhere written in Python, all others by fhirpathpy, compiled once.

What fhirpathpy cannot evaluate (`resolve`, `memberOf`, `conformsTo` …) is left out and listed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import fhirpathpy
from fhirpathpy.models import models

from server.fhir.elements import elements
from server.fhir.systems import is_npi

Test = Callable[[Any, Any], bool | None]
"""From the element and the resource around it: whether it holds; None where nobody can say."""

IMPLIES = " implies "
TRACE = re.compile(r"\.trace\('[^']*'(,[^()]*)?\)")

SINGLE = re.compile(r"(\.where\((?:[^()]|\([^()]*\))*\))(?= (?:and|or|xor|implies) )")

CANNOT = re.compile(
    r"\b(resolve|memberOf|conformsTo|hasValue|htmlChecks|elementDefinition|slice|checkModifiers|subsumes"
    r"|lowBoundary|highBoundary|comparable|defineVariable)\s*\("
)


@cache
def compiled(key: str, expression: str) -> Test | None:
    """One function for all profiles that repeat a rule; None where it cannot be evaluated here."""
    if key in NATIVE:
        return NATIVE[key]
    if expression in WRITTEN:
        return WRITTEN[expression]
    if CANNOT.search(expression):
        return None
    terms = _terms(expression)
    if len(terms) == 2:
        premise, conclusion = map(_evaluated, terms)
        return None if premise is None or conclusion is None else _implied(premise, conclusion)
    return _evaluated(expression)


def as_boolean(expression: str) -> str:
    """The expression with one element that a `where` selects as true where a Boolean is due (FHIRPath,
    "Singleton evaluation of collections"): fhirpathpy's operators know only Booleans."""
    return SINGLE.sub(r"\1.select(true)", expression)


def _evaluated(expression: str) -> Test | None:
    """By fhirpathpy; what comes out empty holds. A trace would be printed, values and all: it is left out."""
    try:
        evaluate = fhirpathpy.compile(as_boolean(TRACE.sub("", expression)), models["r4"])
    except Exception:
        return None

    def holds(element: Any, resource: Any) -> bool | None:
        try:
            found = evaluate(element, {"resource": resource, "rootResource": resource})
        except Exception:
            return None
        return bool(found[0]) if found else True

    return holds


def _implied(premise: Test, conclusion: Test) -> Test:
    """A conclusion is looked at only where the premise holds, which it rarely does; fhirpathpy looks at
    both."""

    def holds(element: Any, resource: Any) -> bool | None:
        given = premise(element, resource)
        return conclusion(element, resource) if given else None if given is None else True

    return holds


def _terms(expression: str) -> list[str]:
    """Premise and conclusion of an implication; the whole expression where it is none, or more than one."""
    depth, quoted, places = 0, False, []
    for place, letter in enumerate(expression):
        if letter == "'" and expression[place - 1 : place] != "\\":
            quoted = not quoted
        elif not quoted:
            depth += (letter == "(") - (letter == ")")
            if depth == 0 and expression.startswith(IMPLIES, place):
                places.append(place)
    if len(places) != 1:
        return [expression]
    return [expression[: places[0]], expression[places[0] + len(IMPLIES) :]]


def _has(*names: str) -> Callable[[dict[str, Any]], bool]:
    return lambda element: any(name in element for name in names)


def _extension(element: Any, resource: Any) -> bool:
    return ("extension" in element) != any(key.startswith(("value", "_value")) for key in element)


def _reference(element: Any, resource: Any) -> bool:
    text = element.get("reference")
    if not isinstance(text, str) or not text.startswith("#") or text == "#":
        return True
    inside = elements(resource, "contained") if isinstance(resource, dict) else []
    return any(each.get("id") == text[1:] for each in inside)


def _period(element: Any, resource: Any) -> bool:
    start, end = element.get("start"), element.get("end")
    if not isinstance(start, str) or not isinstance(end, str):
        return True
    length = min(len(start), len(end), 10)
    return start[:length] <= end[:length]


def _once(element: Any, resource: Any) -> bool:
    """bdl-7: a fullUrl is there once, or under several versions."""
    seen = set()
    for entry in elements(element, "entry"):
        if entry.get("fullUrl"):
            held = entry.get("resource")
            meta = held.get("meta") if isinstance(held, dict) else None
            version = meta.get("versionId") if isinstance(meta, dict) else None
            key = str(entry["fullUrl"]), version
            if key in seen:
                return False
            seen.add(key)
    return True


def _entries_have(name: str, *types: str) -> Test:
    def holds(element: Any, resource: Any) -> bool:
        concerned = elements(element, "entry") if element.get("type") in types else []
        return all(name in entry for entry in concerned)

    return holds


def _contained_alone(*names: str) -> Test:
    def holds(element: Any, resource: Any) -> bool:
        for held in elements(element, "contained"):
            meta = held.get("meta")
            inside = {**held, **(meta if isinstance(meta, dict) else {})}
            if any(name in inside for name in names):
                return False
        return True

    return holds


def _used(element: Any, resource: Any) -> bool:
    """dom-3: what is contained is referred to, or refers to what contains it."""
    inside = elements(element, "contained")
    named = set(_local_names(element)) if inside else set()
    return all(f"#{held.get('id')}" in named or "#" in set(_local_names(held)) for held in inside)


def _local_names(value: Any) -> Any:
    if isinstance(value, dict):
        for content in value.values():
            yield from _local_names(content)
    elif isinstance(value, list):
        for content in value:
            yield from _local_names(content)
    elif isinstance(value, str) and value.startswith("#"):
        yield value


def _first_is(kind: str, where: str = "") -> Test:
    """The first entry holds a resource of this kind; asked of bundles of one type, where one is named."""

    def holds(element: Any, resource: Any) -> bool:
        if where and element.get("type") != where:
            return True
        listed = element.get("entry")
        entry = listed[0] if isinstance(listed, list) and listed else None
        first = entry.get("resource") if isinstance(entry, dict) else None
        return isinstance(first, dict) and first.get("resourceType") == kind

    return holds


def _whole_date(element: Any, resource: Any) -> bool:
    """FullDateRule: year, month and day."""
    return not isinstance(element, str) or len(element) == 10


def _named_or_not(element: Any, resource: Any) -> bool:
    """us-core-6, us-core-8 of old: a name, or the reason why there is none."""
    told = elements(element, "extension")
    said = any(str(each.get("url", "")).endswith("/data-absent-reason") for each in told)
    return ("family" in element or "given" in element) != said


def _ten_digits(element: Any, resource: Any) -> bool:
    value = element.get("value")
    return not isinstance(value, str) or bool(re.fullmatch("[0-9]{10}", value))


def _check_digit(element: Any, resource: Any) -> bool:
    """us-core-17: an NPI's last digit."""
    value = element.get("value")
    return not isinstance(value, str) or not re.fullmatch("[0-9]{10}", value) or is_npi(value)


_CERTIFICATION = "http://hl7.org/fhir/us/davinci-pas/StructureDefinition/extension-certificationType"
_SERVICE_LEVEL = "http://hl7.org/fhir/us/davinci-pas/StructureDefinition/extension-levelOfServiceCode"


def _level_of_appeal(element: Any, resource: Any) -> bool:
    """ImmediateLevelOfCare as PAS 2.2.1 words it: it asks a CodeableConcept for its code."""
    told = elements(element, "extension")
    values = [
        content
        for each in told
        if each.get("url") == _CERTIFICATION
        for name, content in each.items()
        if name.startswith("value")
    ]
    appeals = any(isinstance(content, dict) and content.get("code") == "1" for content in values)
    return not appeals or any(each.get("url") == _SERVICE_LEVEL for each in told)


def _not_at_home(element: Any, resource: Any) -> bool:
    return bool(element.get("use") != "home")


def _one_content(element: Any, resource: Any) -> bool:
    """inv-1 of Parameters.parameter: a value, a resource, or parts."""
    values = any(key.startswith(("value", "_value")) for key in element)
    return values + ("resource" in element) + ("part" in element) == 1


def _answered_or_grouped(element: Any, resource: Any) -> bool:
    """qrs-1, of every item of a form."""
    return not (element.get("answer") and element.get("item"))


def _of_objects(test: Test) -> Test:
    """A test of an object; what is none is told elsewhere."""
    return lambda element, resource: test(element, resource) if isinstance(element, dict) else True


def _true(element: Any, resource: Any) -> bool:
    return True


_entry = _has("resource", "request", "response")

NATIVE: Mapping[str, Test] = {
    "ele-1": _true,  # an empty element is refused by itself
    "ext-1": _extension,
    "ref-1": _reference,
    "per-1": _period,
    "qty-3": lambda element, resource: "code" not in element or "system" in element,
    "cpt-2": lambda element, resource: "value" not in element or "system" in element,
    "att-1": lambda element, resource: "data" not in element or "contentType" in element,
    "dom-2": _contained_alone("contained"),
    "dom-3": _used,
    "dom-4": _contained_alone("versionId", "lastUpdated"),
    "dom-5": _contained_alone("security"),
    "bdl-1": lambda element, resource: (
        "total" not in element or element.get("type") in ("searchset", "history")
    ),
    "bdl-2": lambda element, resource: (
        element.get("type") == "searchset"
        or not any("search" in entry for entry in elements(element, "entry"))
    ),
    "bdl-3": _entries_have("request", "batch", "transaction", "history"),
    "bdl-4": _entries_have("response", "batch-response", "transaction-response", "history"),
    "bdl-5": lambda element, resource: _entry(element),
    "bdl-7": _once,
    "bdl-8": lambda element, resource: "/_history/" not in str(element.get("fullUrl", "")),
    "bdl-9": lambda element, resource: (
        element.get("type") != "document" or {"system", "value"} <= set(element.get("identifier") or ())
    ),
    "bdl-10": lambda element, resource: element.get("type") != "document" or "timestamp" in element,
    "bdl-11": _first_is("Composition", where="document"),
    "bdl-12": _first_is("MessageHeader", where="message"),
    "org-1": lambda element, resource: bool(element.get("identifier") or element.get("name")),
    "org-2": _not_at_home,
    "org-3": _not_at_home,
    "us-core-16": _ten_digits,
    "us-core-17": _check_digit,
    "ClaimFirst": _first_is("Claim"),
    "ClaimResponseFirst": _first_is("ClaimResponse"),
    "txt-1": _true,
    "txt-2": lambda element, resource: "<div" in str(element),
}
"""Written out because every resource has them, or because fhirpathpy cannot."""

WRITTEN: Mapping[str, Test] = {
    "(part.exists() and value.empty() and resource.empty()) or "
    "(part.empty() and (value.exists() xor resource.exists()))": _of_objects(_one_content),
    "(family.exists() or given.exists()) xor extension.where("
    "url='http://hl7.org/fhir/StructureDefinition/data-absent-reason').exists()": _of_objects(_named_or_not),
    "$this.toString().length() = 10": _whole_date,
    "(answer.exists() and item.exists()).not()": _of_objects(_answered_or_grouped),
    f"extension.where(url='{_CERTIFICATION}' and value.code='1').exists() "
    f"implies extension.where(url='{_SERVICE_LEVEL}').exists()": _of_objects(_level_of_appeal),
}
"""The same by expression: guides give one key to rules that have nothing in common."""
