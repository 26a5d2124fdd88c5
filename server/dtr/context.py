"""What the context of a package request stands for: a coverage assertion of ours, or a line that is pended,
by our tracking number or by the trace number that its own request gave it.

PAS 2.2.1 has the provider make the Task, with the item's trace number for the context ("Additional
information"); we send one with our tracking number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from server.adjudication.judged import Judged
from server.adjudication.members import covers_subscriber, is_of_another
from server.dtr.request import PackageRequest
from server.fhir.errors import Issue, NotFound
from server.fhir.references import local_reference, type_and_id
from server.policy.determination import Decision
from server.security.caller import visible
from server.store import Transaction, assertions, cases

Resource = dict[str, Any]

CANCELLED, DENIED = "C", "A3"
"""The outcome (X12 306) of a line that its provider cancelled, and of one that is denied."""

WITHDRAWN = "What this number was given for was cancelled: no form is needed."
NOT_WAITED_FOR = "What this number was given for is decided: send the form with a new request or an appeal."


@dataclass(frozen=True, slots=True)
class Context:
    """What a context was given for: an order; an assertion also for a member, under which Coverage, and in
    view of what of the patient's record, and what was determined (as stored). `number` is our own for it,
    where it was called otherwise; `forms` are those that a request waits for."""

    order: Resource
    member: str = ""
    coverage: Resource = field(default_factory=dict)
    number: str = ""
    chart: list[Resource] = field(default_factory=list)
    forms: tuple[str, ...] = ()
    said: Mapping[str, Any] = field(default_factory=dict)

    def settled(self, judged: Judged, coverage: Resource) -> str:
        """Why nothing is asked of an order that is still as it was judged, by more of the record than comes
        here: it is documented, or a person decides. Empty where that is not so."""
        asks_nothing = self.said.get("decision") in (Decision.APPROVE, Decision.PEND)
        if not asks_nothing or self.said["failure"] or self.said["recommended"] or not _is_of(self, coverage):
            return ""
        unchanged = all(
            self.said[part] == judged.kept[part] for part in ("line", "plan", "day_zero", "planned")
        )
        return str(self.said["reason"]) if unchanged else ""


def given_for(
    tx: Transaction, asked: PackageRequest, issues: list[Issue], *, refuses: bool
) -> Context | None:
    """What the context was given for; None where we never gave it, or gave it for another member."""
    assertion = visible(assertions.by_id(tx, asked.context))
    if assertion is not None:
        given = Context(
            assertion.order,
            assertion.member_key,
            assertion.coverage,
            chart=assertion.chart,
            said=assertion.determination,
        )
        if any(_is_of(given, coverage) for coverage in asked.coverages):
            return given
    ours = cases.line_called(tx, asked.context)
    for case, line in [ours] if ours else cases.lines_traced(tx, asked.context):
        number = "" if ours else f"{case.id}-{line.sequence}"
        waits_for = tuple(line.determination.get("questionnaires", ()))
        given = Context(line.order, case.member_key, number=number, forms=waits_for, said=line.determination)
        if visible(case) is None or not any(_is_of(given, coverage) for coverage in asked.coverages):
            continue
        gone = {CANCELLED: WITHDRAWN, DENIED: NOT_WAITED_FOR}.get(line.outcome)
        if gone:
            issues.append(Issue("informational", asked.context_path, gone, "information"))
        return replace(given, member="") if line.outcome != CANCELLED else None
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


def chart_with(told: Context | None, coverage: Resource, sent: list[Resource]) -> list[Resource]:
    """What was sent, and what the payer knew already of whose Coverage it is."""
    known = told.chart if told is not None and _is_of(told, coverage) else []
    names = {local_reference(each) for each in sent}
    return [*sent, *(each for each in known if local_reference(each) not in names)]


def _is_of(told: Context, coverage: Resource) -> bool:
    """Whether the Coverage may be of the member that the context is about. The members of a family share a
    number, not the reference that their client has for each; a subscriber's may change, as records are
    merged."""
    if is_of_another(told.member, coverage):
        return False
    known, named = (type_and_id(each.get("beneficiary")) for each in (told.coverage, coverage))
    return known == named or None in (known, named) or all(map(covers_subscriber, (told.coverage, coverage)))
