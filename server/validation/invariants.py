"""Invariants: those met everywhere written in Python, all others by fhirpathpy, compiled once.

What fhirpathpy cannot evaluate (`resolve`, `memberOf`, `conformsTo` …) is left out and listed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import fhirpathpy
from fhirpathpy.models import models

Test = Callable[[Any, Any], bool | None]
"""From the element and the resource around it: whether it holds; None where nobody can say."""

CANNOT = re.compile(
    r"\b(resolve|memberOf|conformsTo|hasValue|htmlChecks|elementDefinition|slice|checkModifiers|subsumes"
    r"|lowBoundary|highBoundary|comparable|defineVariable)\s*\("
)


def compiled(key: str, expression: str) -> Test | None:
    """None where it cannot be evaluated here."""
    if key in NATIVE:
        return NATIVE[key]
    if key == "inv-1" and "part.exists()" in expression:
        return _one_content
    if CANNOT.search(expression):
        return None
    try:
        evaluate = fhirpathpy.compile(expression, models["r4"])
    except Exception:
        return None

    def holds(element: Any, resource: Any) -> bool | None:
        try:
            found = evaluate(element, {"resource": resource, "rootResource": resource})
        except Exception:
            return None
        return bool(found[0]) if found else True

    return holds


def _has(*names: str) -> Callable[[dict[str, Any]], bool]:
    return lambda element: any(name in element for name in names)


def _extension(element: Any, resource: Any) -> bool:
    return ("extension" in element) != any(key.startswith(("value", "_value")) for key in element)


def _reference(element: Any, resource: Any) -> bool:
    text = element.get("reference")
    if not isinstance(text, str) or not text.startswith("#") or text == "#":
        return True
    contained = resource.get("contained") if isinstance(resource, dict) else None
    return any(isinstance(each, dict) and each.get("id") == text[1:] for each in contained or [])


def _period(element: Any, resource: Any) -> bool:
    start, end = element.get("start"), element.get("end")
    if not isinstance(start, str) or not isinstance(end, str):
        return True
    length = min(len(start), len(end), 10)
    return start[:length] <= end[:length]


def _once(element: Any, resource: Any) -> bool:
    """bdl-7: a fullUrl is there once, or under several versions."""
    seen = set()
    for entry in element.get("entry") or []:
        if isinstance(entry, dict) and entry.get("fullUrl"):
            held = entry.get("resource")
            meta = held.get("meta") if isinstance(held, dict) else None
            version = meta.get("versionId") if isinstance(meta, dict) else None
            key = str(entry["fullUrl"]), version
            if key in seen:
                return False
            seen.add(key)
    return True


def _entries_where(types: frozenset[str], name: str, must: bool) -> Callable[[Any, Any], bool]:
    def holds(element: Any, resource: Any) -> bool:
        if (element.get("type") in types) is not must:
            return True
        return not any(
            isinstance(entry, dict) and (name in entry) is not must for entry in element.get("entry") or []
        )

    return holds


def _contained_alone(*names: str) -> Test:
    def holds(element: Any, resource: Any) -> bool:
        for held in element.get("contained") or []:
            if not isinstance(held, dict):
                continue
            meta = held.get("meta")
            inside = {**held, **(meta if isinstance(meta, dict) else {})}
            if any(name in inside for name in names):
                return False
        return True

    return holds


def _used(element: Any, resource: Any) -> bool:
    """dom-3: what is contained is referred to, or refers to what contains it."""
    contained = [held for held in element.get("contained") or [] if isinstance(held, dict)]
    if not contained:
        return True
    named = set(_local_names(element))
    return all(f"#{held.get('id')}" in named or "#" in set(_local_names(held)) for held in contained)


def _local_names(value: Any) -> Any:
    if isinstance(value, dict):
        for content in value.values():
            yield from _local_names(content)
    elif isinstance(value, list):
        for content in value:
            yield from _local_names(content)
    elif isinstance(value, str) and value.startswith("#"):
        yield value


def _first_is(kind: str) -> Test:
    def holds(element: Any, resource: Any) -> bool:
        entries = element.get("entry")
        first = entries[0].get("resource") if entries and isinstance(entries[0], dict) else None
        return isinstance(first, dict) and first.get("resourceType") == kind

    return holds


def _named_or_not(element: Any, resource: Any) -> bool:
    """us-core-8: a name, or the reason why there is none."""
    said = any(
        isinstance(each, dict) and str(each.get("url", "")).endswith("/data-absent-reason")
        for each in element.get("extension") or []
    )
    return ("family" in element or "given" in element) != said


def _ten_digits(element: Any, resource: Any) -> bool:
    value = element.get("value")
    return not isinstance(value, str) or bool(re.fullmatch("[0-9]{10}", value))


def _check_digit(element: Any, resource: Any) -> bool:
    """us-core-17: an NPI's last digit (Luhn, the prefix 80840 counts 24)."""
    value = element.get("value")
    if not isinstance(value, str) or not re.fullmatch("[0-9]{10}", value):
        return True
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in value[0:9:2])
    return bool((24 + sum(doubled) + sum(int(digit) for digit in value[1:10:2])) % 10 == 0)


def _not_at_home(element: Any, resource: Any) -> bool:
    return bool(element.get("use") != "home")


def _one_content(element: Any, resource: Any) -> bool:
    """inv-1 of Parameters.parameter: a value, a resource, or parts. Another inv-1 is Task's."""
    values = any(key.startswith(("value", "_value")) for key in element)
    return values + ("resource" in element) + ("part" in element) == 1


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
        or not any(isinstance(entry, dict) and "search" in entry for entry in element.get("entry") or [])
    ),
    "bdl-3": _entries_where(frozenset({"batch", "transaction", "history"}), "request", True),
    "bdl-4": _entries_where(
        frozenset({"batch-response", "transaction-response", "history"}), "response", True
    ),
    "bdl-5": lambda element, resource: _entry(element),
    "bdl-7": _once,
    "bdl-8": lambda element, resource: "/_history/" not in str(element.get("fullUrl", "")),
    "bdl-9": lambda element, resource: (
        element.get("type") != "document"
        or ("system" in (element.get("identifier") or {}) and "value" in (element.get("identifier") or {}))
    ),
    "bdl-10": lambda element, resource: element.get("type") != "document" or "timestamp" in element,
    "org-1": lambda element, resource: bool(element.get("identifier") or element.get("name")),
    "org-2": _not_at_home,
    "org-3": _not_at_home,
    "us-core-8": _named_or_not,
    "us-core-16": _ten_digits,
    "us-core-17": _check_digit,
    "ClaimFirst": _first_is("Claim"),
    "ClaimResponseFirst": _first_is("ClaimResponse"),
    "txt-1": _true,
    "txt-2": lambda element, resource: "<div" in str(element),
}
"""Written out because every resource has them, or because fhirpathpy cannot."""
