"""The coverage-information extension, and the client's resource with it as a system action.

Nothing but the extension changes: the resource that goes back is the object that was read, its members in
their order, its decimals with their digits.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from server.adjudication.order_lines import COVERAGE_INFORMATION
from server.crd.saying import Authorization, Covered, Reason, Saying
from server.crd.version import Element, Version
from server.fhir.extensions import extension, extensions, value
from server.fhir.references import type_and_id
from server.fhir.systems import UCUM

_RENEWED = frozenset({"date", "coverage-assertion-id", "expiry-date"})
"""What differs between two sayings that say the same."""


def coverage_information(
    version: Version,
    saying: Saying,
    coverage: str,
    assertion_id: str,
    today: dt.date,
    contact: Element | None,
    dependency: str = "",
) -> Element:
    """ext-coverage-information: one Coverage's answer about one order; `dependency` is what it holds for
    alone."""

    def parts() -> Iterator[Element]:
        yield {"url": "coverage", "valueReference": {"reference": coverage}}
        yield _code("covered", _word(version, saying.covered))
        if saying.authorization is not None:
            yield _code("pa-needed", _word(version, saying.authorization))
        if saying.documents:
            yield _code("doc-needed", "clinical")
        for code in sorted({code for need in saying.information for code in version.information[need]}):
            yield _code("info-needed", code)
        if saying.billing is not None:
            yield {"url": "billingCode", "valueCoding": dict(saying.billing)}
        for reason in saying.reasons:
            yield {"url": "reason", "valueCodeableConcept": _reason(version, reason)}
        yield from _details(version, saying)
        if dependency:
            yield {"url": "dependency", "valueReference": {"reference": dependency}}
        for canonical in saying.questionnaires:
            yield {"url": "questionnaire", "valueCanonical": canonical}
        yield {"url": "date", "valueDate": today.isoformat()}
        yield {"url": "coverage-assertion-id", "valueString": assertion_id}
        if saying.number is not None:
            yield {"url": "satisfied-pa-id", "valueString": saying.number}
        if contact is not None:
            yield contact
        if version.expiry and saying.valid_until is not None:
            yield {"url": "expiry-date", "valueDate": saying.valid_until.isoformat()}

    return {"url": COVERAGE_INFORMATION, "extension": list(parts())}


def _details(version: Version, saying: Saying) -> Iterator[Element]:
    """How much and how long, where an authorization is given."""
    if saying.number is None or saying.valid_from is None or saying.valid_until is None:
        return
    span = {"start": saying.valid_from.isoformat(), "end": saying.valid_until.isoformat()}
    yield version.details("allowed-period", {"valuePeriod": span})
    if saying.units is not None:
        units = {"value": saying.units, "unit": "study", "system": UCUM, "code": "{study}"}
        yield version.details("allowed-quantity", {"valueQuantity": units})


def _reason(version: Version, reason: Reason) -> Element:
    coding = version.causes.get(reason.cause) if reason.cause else None
    return {**({"coding": [coding]} if coding else {}), "text": reason.text}


def _word(version: Version, said: Covered | Authorization) -> str:
    unreadable = said in (Covered.UNREADABLE, Authorization.UNREADABLE)
    return version.unreadable if unreadable else said.value


def _code(url: str, code: str) -> Element:
    return {"url": url, "valueCode": code}


def updated(resource: Mapping[str, Any], answers: list[Element]) -> Element | None:
    """The resource with these answers in place of earlier ones about the same Coverages; None where they
    say nothing new. Other payers' answers and all else stay as they are."""
    told = {_coverage(answer) for answer in answers}
    earlier = [each for each in extensions(resource, COVERAGE_INFORMATION) if _coverage(each) in told]
    known = all(any(_says_the_same(old, new) for old in earlier) for new in answers)
    if known and len(earlier) == len(answers):
        return None
    kept = [
        entry
        for entry in resource.get("extension", [])
        if entry.get("url") != COVERAGE_INFORMATION or _coverage(entry) not in told
    ]
    every = [*kept, *answers]
    if "extension" not in resource:
        return {**resource, "extension": every}
    return {name: every if name == "extension" else content for name, content in resource.items()}


def earlier_assertion(resource: Mapping[str, Any], coverage: str) -> str | None:
    """The assertion id that the resource carries for this Coverage."""
    for answer in extensions(resource, COVERAGE_INFORMATION):
        if _coverage(answer) == _named(coverage):
            told = value(extension(answer, "coverage-assertion-id"))
            return told if isinstance(told, str) else None
    return None


def _says_the_same(old: Element, new: Element) -> bool:
    return _content(old) == _content(new)


def _content(answer: Element) -> tuple[str, list[Element]]:
    parts = answer.get("extension", [])
    return _coverage(answer), [part for part in parts if part.get("url") not in {"coverage", *_RENEWED}]


def _coverage(answer: Element) -> str:
    reference = value(extension(answer, "coverage"))
    return _named(str(reference.get("reference", "")) if isinstance(reference, dict) else "")


def _named(coverage: str) -> str:
    """The reference without address and version: with them and without it is the same Coverage."""
    return "/".join(type_and_id(coverage) or (coverage,))
