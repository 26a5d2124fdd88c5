"""Orders for which no Coverage can be had: what the client is told, by the version's rule (CRD, "Coverage").

2.2.1 refuses the call and says why there is none; 2.0.1 has no such rule, and where nobody could look asks
for what it lacks. An order that names a Coverage which could not be read can at least be spoken of.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from server.crd.intake import Call
from server.crd.sight import Sight
from server.crd.version import Version
from server.fhir.errors import InvalidRequest, Issue, PreconditionFailed
from server.fhir.references import reference_text

COVERAGE = "Coverage"
PLACE = "prefetch.coverage"


def named_unread(version: Version, call: Call, order: dict[str, Any], sight: Sight) -> Iterator[str]:
    """The reference to the Coverage that the order names, if it has one that could not be read. Raises
    InvalidRequest, PreconditionFailed."""
    if sight.coverages:
        words = "The Coverage has no id, by which the answer names it. Send it as your server has it."
        raise InvalidRequest(Issue("required", f"{PLACE}.id", words))
    named = [reference_text(reference) for reference in order.get("insurance", [])]
    failed, searched = COVERAGE in sight.failed, COVERAGE in sight.held
    if version.one_coverage and not (failed and any(named)):
        raise InvalidRequest(_none(sight))
    if not (failed or searched or call.access) and call.hook.primary:
        raise PreconditionFailed(
            Issue(
                "not-found",
                PLACE,
                "The patient's Coverage was neither prefetched nor can it be queried. Prefetch "
                "Coverage?patient={{context.patientId}}, or send fhirServer and fhirAuthorization.",
            )
        )
    unread = failed or (call.access is not None and not searched)
    if unread and named and named[0]:
        yield named[0]


def _none(sight: Sight) -> Issue:
    """Why there is none, and what to do about it."""
    if COVERAGE in sight.refused:
        return Issue(
            "forbidden",
            PLACE,
            "The FHIR server refused the search for the patient's Coverage. Prefetch the one to be billed, "
            "or send a token that may search Coverage.",
        )
    if COVERAGE in sight.failed:
        return Issue(
            "transient",
            PLACE,
            "The patient's Coverage could not be read just now. Prefetch the one to be billed, or ask again.",
        )
    return Issue(
        "not-found",
        PLACE,
        "No Coverage of this patient could be found. Prefetch the one to be billed, or let it be read from "
        "fhirServer.",
    )
