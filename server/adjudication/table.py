"""Services that no policy governs: answered from the plan's coverage table.

Most of what is ordered is not MRI. The plan still says honestly whether the service is covered, whether it
needs prior authorization, and whether somebody else administers it.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING

from server.adjudication.orders import service_code
from server.fhir.dates import begun, over
from server.policy.determination import Criterion, Decision, Determination, Line, Met
from server.policy.determine import due_hours, expedited, gated
from server.policy.line import day_of_service, day_zero, planned_day, side
from server.policy.request import Chart, Member, Resource

if TYPE_CHECKING:
    from server.policy.catalog import Plan, Service

NOT_COVERED = "G-COV"
NO_BENEFIT = "G-BEN"
ELSEWHERE = "G-ROUTE"
"""Gate of a service that this payer does not decide about: somebody else does."""


def determine(order: Resource, member: Member, chart: Chart, plan: Plan, now: dt.datetime) -> Determination:
    """As `server.policy.determine`, for a service outside every policy. The gate of the policies is theirs
    too: who or what is exempt from authorization of imaging, and what is authorized already."""
    service = plan.catalog.service(plan, service_code(order))
    line, day = _line(order), day_zero(order, now.date())
    on = day_of_service(order, now.date()) if planned_day(order) else day
    gate, covered, decision, reason = _ruling(service, member, plan, day, on)
    reserved = not gate
    if reserved and (said := gated(order, member, chart, plan, now, service.title)) is not None:
        return said
    return Determination(
        plan=plan.name,
        policy="",
        region="",
        line=line,
        day_zero=day,
        planned=planned_day(order),
        covered=covered,
        pa_needed=reserved,
        decision=decision,
        gate=gate,
        criteria=(_unmet(gate, reason),) if decision is Decision.DENY else (),
        unmet=(gate,) if decision is Decision.DENY else (),
        unknown=(),
        theme=None,
        reason=reason,
        expedited=expedited(order),
        due_hours=due_hours(order),
        units=line.units,
        appeal=plan.appeal,
        title=service.title,
    )


_CONTRACT = "The member's coverage contract"
_OWED = {
    NOT_COVERED: (
        "Coverage is active",
        "A coverage that is active on the day of service: check the insurance card and send again.",
    ),
    NO_BENEFIT: ("The service is a benefit", "A service that the contract covers: ask the plan which."),
}
"""What a denial by the table owes the provider beside its reason: the criterion, and what would change it."""


def _unmet(gate: str, reason: str) -> Criterion:
    title, remedy = _OWED[gate]
    return Criterion(
        id=gate,
        title=title,
        value=Met.NO,
        sentence=reason,
        guideline=_CONTRACT,
        theme=None,
        would_satisfy=remedy,
        in_the_way=True,
    )


def _ruling(
    service: Service, member: Member, plan: Plan, day: dt.date, on: dt.date
) -> tuple[str, bool, Decision, str]:
    """Gate, covered, decision, reason. Without a gate people decide."""
    named = service.title or "This service"
    if not member.known:
        return NOT_COVERED, False, Decision.DENY, f"{plan.title} has no member with this insurance card."
    for each in (day, on):
        if not active(member.coverage, each):
            return NOT_COVERED, False, Decision.DENY, f"The coverage is not active on {each.isoformat()}."
    if not service.ours:
        return ELSEWHERE, True, Decision.PEND, f"{named} is not decided here: ask {plan.title} by telephone."
    if not service.covered:
        return NO_BENEFIT, False, Decision.DENY, f"{named} is not a benefit of {plan.title}."
    if service.pa_needed:
        why = f"{named} needs prior authorization, and no rule decides it: a person will."
        return "", True, Decision.PEND, why
    return "G-SET", True, Decision.APPROVE, f"{named} is covered without prior authorization."


def active(coverage: Resource, day: dt.date) -> bool:
    """Whether a Coverage is in force on a day."""
    period = coverage.get("period")
    return coverage.get("status", "active") == "active" and begun(period, day) and not over(period, day)


def _line(order: Resource) -> Line:
    quantity = order.get("quantityQuantity") or {}
    return Line(
        code=service_code(order),
        side=side(order),
        diagnoses=tuple(
            str(coding["code"])
            for concept in order.get("reasonCode") or []
            for coding in concept.get("coding") or []
            if "code" in coding
        ),
        place_of_service=None,
        quantity=Decimal(str(quantity.get("value", 1))),
    )
