"""What the payer says at the end of an adaptive form: the coverage-information extension.

ext-coverage-information, in the elements and codes that CRD 2.0.1 and 2.2.1 share, but for how long an
authorization is good.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from server.adjudication.order_lines import COVERAGE_INFORMATION
from server.dtr.response import INTENDED_USE
from server.dtr.version import Version
from server.fhir.extensions import extension, extensions, value
from server.fhir.references import reference_text
from server.policy.determination import Decision, Determination

Resource = dict[str, Any]


def coverage_information(
    version: Version,
    said: Determination,
    coverage: Resource,
    assertion_id: str,
    number: str | None,
    today: dt.date,
) -> Resource:
    """`coverage` is the client's reference; `number` an authorization's, where there is one to tell, which is
    good for the days that were `said`."""
    start, end = said.valid_from, said.valid_until
    return {
        "url": COVERAGE_INFORMATION,
        "extension": [
            {"url": "coverage", "valueReference": coverage},
            {"url": "covered", "valueCode": _covered(said)},
            *([{"url": "pa-needed", "valueCode": _authorization(said, number)}] if said.covered else []),
            *([{"url": "info-needed", "valueCode": "OTH"}] if said.failure else []),
            {"url": "reason", "valueCodeableConcept": {"text": said.reason}},
            *(version.span(start, end) if number and start and end else []),
            {"url": "date", "valueDate": today.isoformat()},
            {"url": "coverage-assertion-id", "valueString": assertion_id},
            *([{"url": "satisfied-pa-id", "valueString": number}] if number else []),
        ],
    }


def _covered(said: Determination) -> str:
    if said.failure:
        return "conditional"
    return "covered" if said.covered else "not-covered"


def _authorization(said: Determination, number: str | None) -> str:
    if said.failure:
        return "conditional"
    if number:
        return "satisfied"
    free = said.decision is Decision.APPROVE and not said.satisfied
    return "no-auth" if free else "auth-needed"


def replaced(response: Resource, answer: Resource) -> list[Resource]:
    """The response's extensions with this answer in place of an earlier one about the same Coverage under the
    same assertion."""
    kept = [
        found
        for found in response.get("extension", [])
        if found.get("url") != COVERAGE_INFORMATION or _about(found) != _about(answer)
    ]
    return [*kept, answer]


def asserted(response: Resource, coverage: Resource) -> list[str]:
    """The assertion ids of what the response says already about that Coverage."""
    told = [_about(found) for found in extensions(response, COVERAGE_INFORMATION)]
    return [name for about, name in told if about == reference_text(coverage) and isinstance(name, str)]


def retained(listed: list[Resource]) -> list[Resource]:
    """A response's extensions where its authorization was given: no request will carry the answers any more,
    they are kept (intendedUse, DocReason)."""
    return [_retained(found) if found.get("url") == INTENDED_USE else found for found in listed]


def _retained(use: Resource) -> Resource:
    concept = use.get("valueCodeableConcept") or {}
    codings = [
        {**coding, "code": "retain-doc"} if coding.get("code") == "withpa" else coding
        for coding in concept.get("coding", [])
    ]
    return {**use, "valueCodeableConcept": {**concept, "coding": codings}}


def _about(found: Resource) -> tuple[Any, Any]:
    """Coverage and assertion id, which together tell answers apart (DTR, "coverage-information")."""
    coverage = value(extension(found, "coverage"))
    reference = reference_text(coverage) if isinstance(coverage, dict) else ""
    return reference, value(extension(found, "coverage-assertion-id"))
