"""`determine`: one order line under one plan, decided by the policy's CQL and told in words.

Pure: no I/O and no clock but `now`. What is met, unmet and unknown, and what follows from it, is said by
the CQL (defines named by criterion id, "Decision", "Unmet", "Unknown", "Gate"). Here the chart is handed
in, the outcome is read, and words, codes, dates and ways to approval are put to it from the manifest.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace

from server.elm import ElmError, EvaluationError, Run
from server.fhir.systems import coding_key
from server.policy.advice import advice_on
from server.policy.answered import in_form
from server.policy.catalog import Plan, Policy
from server.policy.determination import Criterion, Decision, Determination, Failure, Line, Met
from server.policy.exemptions import earned, gold_cards, honoured, rules_for
from server.policy.holidays import around
from server.policy.line import codings, day_of_service, day_zero, line_of, planned_day
from server.policy.reading import apart, intelligible, readable, unfolded
from server.policy.request import Authorization, Chart, Member, Resource
from server.policy.rulings import lapses
from server.policy.words import MORE_INFORMATION, Findings, criterion_of, not_seen, reason_of

EXPEDITED_HOURS, STANDARD_HOURS = 72, 168
URGENT = frozenset({"stat", "asap", "urgent"})
MOST_WHAT_IFS = 32
LIMB: Final = "MRI of a limb"


@dataclass(frozen=True, slots=True)
class Asked:
    """An order as it is asked for: its line, day zero, the day it is planned for, and the day on which an
    authorization must hold."""

    order: Resource
    line: Line
    day_zero: dt.date
    planned: dt.date | None
    on: dt.date

    @classmethod
    def of(cls, order: Resource, today: dt.date) -> Asked:
        on = day_of_service(order, today)
        return cls(order, line_of(order), day_zero(order, today), planned_day(order), on)


def determine(
    order: Resource, member: Member, chart: Chart, plan: Plan, now: dt.datetime, *, hints: bool = True
) -> Determination:
    """What `plan` says of `order`. The order follows the conventions of `server.policy.request`.

    Without `hints` neither ways to approval nor advice are worked out, which is most of the time; what is
    decided, and what is open, is the same. Where the policy cannot be evaluated, a person decides
    (`Determination.failure`).
    """
    asked, chart = Asked.of(order, now.date()), intelligible(chart)
    policy = plan.catalog.policy_for(order, asked.planned or asked.day_zero)
    if policy is None:
        return gated(order, member, chart, plan, now, LIMB) or _unlocated(asked, plan, chart)
    held = _authorization(member, asked, plan)
    again = held is not None and bool(held.order_key) and held.order_key == member.order_key
    try:
        run = evaluated(policy, order, member, chart, plan, now, None if again else held)
        if again and run["Decision"].value != Decision.APPROVE:
            # The same order asked for again is told what it was told before; where the chart no longer shows
            # it, the authorization stands.
            run = evaluated(policy, order, member, chart, plan, now, held)
        return _told(run, policy, plan, asked, held, chart, hints=hints)
    except ElmError as error:
        return _unevaluated(error, policy, plan, asked, chart)


def gated(
    order: Resource, member: Member, chart: Chart, plan: Plan, now: dt.datetime, title: str
) -> Determination | None:
    """What the gate says of imaging, called `title`, of which the part is not known or has no policy: any
    policy can tell, since the gate is the same in all. None where the gate lets it pass."""
    asked = Asked.of(order, now.date())
    code = asked.line.code
    telling = plan.catalog.any_policy(code, asked.planned or asked.day_zero)
    if telling is None:
        return None
    held = _authorization(member, asked, plan)
    codes = telling.codes if code in telling.codes else (code,)
    try:
        run = evaluated(telling, order, member, chart, plan, now, held, codes)
        if run["Gate"].value is None:
            return None
        said = _told(run, telling, plan, asked, held, chart, hints=False)
    except ElmError as error:
        said = _unevaluated(error, telling, plan, asked, chart)
    criteria = tuple(criterion for criterion in said.criteria if criterion.id == said.gate)
    return replace(said, policy="", region="", title=title, criteria=criteria)


def evaluated(
    policy: Policy,
    order: Resource,
    member: Member,
    chart: Chart,
    plan: Plan,
    now: dt.datetime,
    held: Authorization | None = None,
    codes: Collection[str] | None = None,
) -> Run:
    """The policy's defines for this order, evaluated as they are asked for; `held` is on file already. A gold
    card for `codes` counts, which are the policy's own where none are given."""
    return plan.catalog.engine.evaluate(
        policy.library,
        data=in_form(readable(order, chart, member), policy, plan.catalog),
        parameters={
            **plan.parameters(policy),
            "goldCards": _exempt(codes or policy.codes, order, member, chart, plan, now),
            "holidays": around((day_zero(order, now.date()), planned_day(order), now.date())),
            "Order": unfolded(apart(order)[0]),
            "Coverage": member.coverage,
            "memberKnown": member.known,
            **({"authorizationOnFile": held.number} if held else {}),
        },
        now=now,
        evidence=True,
    )


def _exempt(
    codes: Collection[str], order: Resource, member: Member, chart: Chart, plan: Plan, now: dt.datetime
) -> list[str]:
    """NPIs that need no authorization: listed by the plan, by the payer's records, or by their own record."""
    on = day_zero(order, now.date())
    listed = [*plan.gold_cards, *gold_cards(member.records, on)]
    own = [each for each in member.rulings if not plan.catalog.is_another_payer(each.payer)]
    if own:
        listed.extend(earned(rules_for(plan, order, chart.resources, on), own, codes, on))
    return listed


def _told(
    run: Run,
    policy: Policy,
    plan: Plan,
    asked: Asked,
    held: Authorization | None,
    chart: Chart,
    *,
    hints: bool,
) -> Determination:
    order, line = asked.order, asked.line
    named = [text_id for text_id in policy.themes if text_id in policy.criteria and text_id in run]
    for text_id in named:
        _ = run[text_id]
    # The criteria have evidence to show; what follows from them is their values' affair.
    outcome = run.plain()
    said, unmet, unknown = _outcome(outcome, policy, named)
    gate = str(outcome["Gate"].value or "")
    blocking = {*unmet, *unknown}
    findings = Findings(plan.catalog.names)
    criteria = tuple(
        criterion_of(run, text_id, policy, plan, order, text_id in blocking, findings) for text_id in named
    )
    theme_order = _theme_order(unmet, unknown, said)
    theme = next((policy.criteria[i].theme for i in theme_order if policy.criteria[i].theme), None)
    theme = theme if said in (Decision.DENY, Decision.MORE_INFO) and not gate else None
    reserved = plan.reviewer_denies and said is Decision.DENY and not gate
    held = held if said is Decision.APPROVE and gate in ("", "G-AUTH") else None
    start = held.start if held else asked.on if asked.planned else asked.day_zero
    return Determination(
        plan=plan.name,
        policy=policy.canonical,
        region=policy.region,
        line=line,
        day_zero=asked.day_zero,
        planned=asked.planned,
        covered=gate != "G-COV",
        pa_needed=gate in ("", "G-COV", "G-RETRO"),
        decision=Decision.PEND if reserved else said,
        gate=gate,
        criteria=criteria,
        unmet=unmet,
        unknown=unknown,
        theme=theme,
        reason=(_taken_over(held) or reason_of(said, gate, criteria, policy, reserved, chart))
        + _where(held, line),
        matters=tuple(sorted(unknown, key=lambda i: policy.criteria[i].rank)),
        ways=_ways(outcome, policy) if hints and said is Decision.MORE_INFO else (),
        questionnaires=(policy.questionnaire,) if said is Decision.MORE_INFO else (),
        advice=tuple(advice_on(plan.catalog, policy, line, criteria, run, findings)) if hints else (),
        notes=tuple(chart.notes),
        recommended=said if reserved else None,
        authorization=held.number if held else None,
        expedited=expedited(order),
        due_hours=due_hours(order),
        valid_from=start if said is Decision.APPROVE else None,
        valid_until=(held.end if held else lapses(asked.on)) if said is Decision.APPROVE else None,
        units=line.units,
        denial_code=plan.catalog.denial_codes.get(theme.value, "") if theme else "",
        appeal=plan.appeal,
        title=policy.title,
    )


def _outcome(
    run: Run, policy: Policy, named: Collection[str]
) -> tuple[Decision, tuple[str, ...], tuple[str, ...]]:
    """What is decided, and which criteria among those `named` are unmet and unknown. Raises EvaluationError
    where the CQL leaves one of these open or says what there is not."""
    said, unmet, unknown = (run[name].value for name in ("Decision", "Unmet", "Unknown"))
    if said not in list(Decision) or unmet is None or unknown is None or {*unmet, *unknown} - {*named}:
        raise EvaluationError("This is no outcome.", f'{policy.canonical} "Decision"')
    return Decision(said), _sorted(unmet, policy), _sorted(unknown, policy)


def _unevaluated(error: ElmError, policy: Policy, plan: Plan, asked: Asked, chart: Chart) -> Determination:
    """What is told where `policy` could not be evaluated: neither an approval nor a denial. It is for a
    person to decide."""
    return _undecided(
        asked,
        plan,
        chart,
        policy=policy.canonical,
        region=policy.region,
        decision=Decision.PEND,
        criteria=(),
        unmet=(),
        unknown=(),
        theme=None,
        reason="The policy could not be evaluated for this order, so no rule decides it: a person will.",
        title=policy.title,
        failure=Failure.of(error, policy.library),
    )


def _undecided(asked: Asked, plan: Plan, chart: Chart, **said: Any) -> Determination:
    """What no policy decides, though the coverage is active; `said` is the rest."""
    return Determination(
        plan=plan.name,
        line=asked.line,
        day_zero=asked.day_zero,
        planned=asked.planned,
        covered=True,
        pa_needed=True,
        gate="",
        notes=tuple(chart.notes),
        expedited=expedited(asked.order),
        due_hours=due_hours(asked.order),
        units=asked.line.units,
        appeal=plan.appeal,
        **said,
    )


def expedited(order: Resource) -> bool:
    return order.get("priority") in URGENT


def due_hours(order: Resource) -> int:
    """How long a decision may take (policy source, section 10)."""
    return EXPEDITED_HOURS if expedited(order) else STANDARD_HOURS


def _ways(run: Run, policy: Policy) -> tuple[tuple[str, ...], ...]:
    """Smallest sets of criteria which, once met, lead to approval: found by asking the CQL itself.

    From all that blocks, the most burdensome are left out first; a second way does without one of the first
    way. At most `MOST_WHAT_IFS` evaluations.
    """
    budget = iter(range(MOST_WHAT_IFS))
    first = _way(run, policy, "", budget)
    others = (_way(run, policy, each, budget) for each in first)
    second = next((way for way in others if way and way != first), None)
    return tuple(sorted((way for way in (first, second) if way), key=len))


def _way(run: Run, policy: Policy, without: str, budget: Iterator[int]) -> tuple[str, ...]:
    assumed: list[str] = []
    while next(budget, None) is not None:
        trial = _assuming(run, assumed)
        if trial["Decision"].value == Decision.APPROVE:
            return _pruned(run, assumed, budget)
        open_ids = [*trial["Unmet"].value, *trial["Unknown"].value]
        more = [i for i in open_ids if i not in assumed and i != without and not i.startswith("REV")]
        if not more:
            return ()
        assumed.extend(sorted(more, key=lambda i: policy.criteria[i].rank))
    return ()


def _pruned(run: Run, assumed: list[str], budget: Iterator[int]) -> tuple[str, ...]:
    kept = list(assumed)
    for each in reversed(assumed):
        if next(budget, None) is None:
            break
        fewer = [i for i in kept if i != each]
        if _assuming(run, fewer)["Decision"].value == Decision.APPROVE:
            kept = fewer
    return tuple(kept)


def _assuming(run: Run, met: Sequence[str]) -> Run:
    """What follows, for values alone, once these criteria are met too."""
    return run.assume(dict.fromkeys(met, True), evidence=False) if met else run


def _unlocated(asked: Asked, plan: Plan, chart: Chart) -> Determination:
    """A limb code whose part neither site nor diagnosis tells, and which the gate lets pass: the coding
    criterion alone is assessed."""
    line = asked.line
    diagnoses = {coding_key(coding) for coding in codings(asked.order.get("reasonCode") or [])}
    elsewhere = any(policy.diagnoses & diagnoses for policy in plan.catalog.policies)
    text = plan.criteria[plan.catalog.policies[0].id]["COD-CPT"]
    criterion = Criterion(
        id="COD-CPT",
        title=text.title,
        value=Met.NO if elsewhere else Met.UNKNOWN,
        sentence=text.not_met if elsewhere else text.unknown,
        guideline=text.guideline,
        theme=text.theme,
        would_satisfy=text.satisfy,
        questions=text.questions,
        in_the_way=True,
    )
    return _undecided(
        asked,
        plan,
        chart,
        policy="",
        region="",
        decision=Decision.MORE_INFO,
        criteria=(criterion,),
        unmet=("COD-CPT",) if elsewhere else (),
        unknown=() if elsewhere else ("COD-CPT",),
        theme=text.theme,
        reason=f"{MORE_INFORMATION} {criterion.in_full}{not_seen(chart.notes)}",
        matters=() if elsewhere else ("COD-CPT",),
        advice=tuple(advice_on(plan.catalog, None, line, (criterion,), None, Findings(plan.catalog.names))),
        title=LIMB,
    )


def _taken_over(held: Authorization | None) -> str:
    if held is None or not held.issuer:
        return ""
    return (
        "The member's previous payer had authorized this service; that is honoured until "
        f"{held.end.isoformat()} (continuity of care)."
    )


def _where(held: Authorization | None, line: Line) -> str:
    """A sentence that follows, on an order that names no place and is authorized for one alone."""
    if held is None or not held.place or line.place_of_service is not None:
        return ""
    return f" It is authorized at place of service {held.place} only."


def _authorization(member: Member, asked: Asked, plan: Plan) -> Authorization | None:
    """The authorization on file that is good for the order on that day."""
    for held in member.authorizations:
        each = honoured(held, member.coverage, plan)
        if each is not None and each.good_for(asked.line, member.order_key, asked.on):
            return each
    return None


def _sorted(ids: Sequence[str], policy: Policy) -> tuple[str, ...]:
    rank = {each: place for place, each in enumerate(policy.themes)}
    return tuple(sorted(dict.fromkeys(ids), key=lambda i: rank.get(i, len(rank))))


def _theme_order(unmet: Sequence[str], unknown: Sequence[str], said: Decision) -> list[str]:
    """Unmet before unknown; a denial names coding last."""
    if said is not Decision.DENY:
        return [*unmet, *unknown]
    coding = [i for i in unmet if i.startswith(("COD-", "PRV-"))]
    return [*(i for i in unmet if i not in coding), *coding]
