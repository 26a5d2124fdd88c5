"""What the context of a package request stands for: a coverage assertion of ours, or the tracking number of a
line that is pended."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from server.adjudication.members import is_of_another
from server.dtr.request import PackageRequest
from server.fhir.errors import Issue, NotFound
from server.fhir.references import type_and_id
from server.security.caller import visible
from server.store import Transaction, assertions, cases

Resource = dict[str, Any]

CANCELLED = "C"
"""The outcome (X12 306) of a line that its provider cancelled."""

WITHDRAWN = "What this number was given for was cancelled: no form is needed."


@dataclass(frozen=True, slots=True)
class Context:
    """What a context was given for: an order; an assertion also for a member, and under which Coverage."""

    order: Resource
    member: str = ""
    coverage: Resource = field(default_factory=dict)


def given_for(
    tx: Transaction, asked: PackageRequest, issues: list[Issue], *, refuses: bool
) -> Context | None:
    """What the context was given for; None where we never gave it, or gave it for another member."""
    assertion = visible(assertions.by_id(tx, asked.context))
    if assertion is not None:
        given = Context(assertion.order, assertion.member_key, assertion.coverage)
        if any(_is_of(given, coverage) for coverage in asked.coverages):
            return given
    pended = cases.line_called(tx, asked.context)
    case = visible(pended[0]) if pended else None
    if pended and case is not None:
        given = Context(pended[1].order, case.member_key)
        if any(_is_of(given, coverage) for coverage in asked.coverages):
            if pended[1].outcome != CANCELLED:
                return replace(given, member="")
            issues.append(Issue("informational", asked.context_path, WITHDRAWN, "information"))
            return None
    unknown = (
        "This context is none that we gave for this member: send the coverage-assertion-id or tracking "
        "number, with the Coverage it was given for."
    )
    if refuses or not (asked.orders or asked.questionnaires):
        raise NotFound(Issue("not-found", asked.context_path, unknown))
    issues.append(Issue("not-found", asked.context_path, unknown, "warning"))
    return None


def member_of(told: Context | None, coverage: Resource) -> str:
    """The key of whose Coverage it is, where the context tells."""
    return told.member if told is not None and _is_of(told, coverage) else ""


def _is_of(told: Context, coverage: Resource) -> bool:
    """Whether the Coverage may be of the member that the context is about. The members of a family share a
    number, not the reference that their client has for each."""
    known, named = (type_and_id(each.get("beneficiary")) for each in (told.coverage, coverage))
    return not is_of_another(told.member, coverage) and (known == named or None in (known, named))
