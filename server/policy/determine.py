"""`determine`: one order line under one plan, decided by the policy's CQL and told in words.

Pure: no I/O and no clock but `now`. What is met, unmet and unknown, and what follows from it, is said by
the CQL (defines named by criterion id, "Decision", "Unmet", "Unknown", "Gate"). Here the chart is handed
in, the outcome is read, and words, codes, dates and ways to approval are put to it from the manifest.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from server.elm import Run
from server.fhir.dates import first_day
from server.policy.catalog import Plan, Policy
from server.policy.determination import Advice, Criterion, Decision, Determination, Evidence, Line, Met
from server.policy.request import Authorization, Chart, Member, Resource

SPAN = dt.timedelta(days=60)
EXPEDITED_HOURS, STANDARD_HOURS = 72, 168
URGENT = frozenset({"stat", "asap", "urgent"})
PAYER_ONLY = frozenset({"Claim", "ExplanationOfBenefit", "ClaimResponse"})
DISTANCE = "http://hl7.org/fhir/StructureDefinition/location-distance"
SIDE_BY_SITE = {"24028007": "RT", "7771000": "LT", "51440002": "50"}
MOST_WHAT_IFS = 16


def determine(order: Resource, member: Member, chart: Chart, plan: Plan, now: dt.datetime) -> Determination:
    """What `plan` says of `order`. The order follows the conventions of `server.policy.request`."""
    line = _line(order)
    day_zero = first_day(order.get("authoredOn")) or now.date()
    planned = _planned(order)
    policy = plan.catalog.policy_for(order, planned or day_zero)
    if policy is None:
        return _unlocated(line, day_zero, planned, plan)
    held = _authorization(member, line, planned or day_zero)
    run = evaluated(policy, order, member, chart, plan, now, held)
    return _told(run, policy, plan, line, order, day_zero, planned, held, chart)


def evaluated(
    policy: Policy,
    order: Resource,
    member: Member,
    chart: Chart,
    plan: Plan,
    now: dt.datetime,
    held: Authorization | None = None,
) -> Run:
    """The policy's defines for this order, evaluated as they are asked for; `held` is on file already."""
    return plan.catalog.engine.evaluate(
        policy.library,
        data=[*_readable(chart), *member.records],
        parameters={
            **plan.parameters(policy),
            "Order": order,
            "Coverage": member.coverage,
            "memberKnown": member.known,
            **({"authorizationOnFile": held.number} if held else {}),
        },
        now=now,
        evidence=True,
    )


def _told(
    run: Run,
    policy: Policy,
    plan: Plan,
    line: Line,
    order: Resource,
    day_zero: dt.date,
    planned: dt.date | None,
    held: Authorization | None,
    chart: Chart,
) -> Determination:
    said = Decision(str(run["Decision"].value))
    gate = str(run["Gate"].value or "")
    unmet = _sorted(run["Unmet"].value, policy)
    unknown = _sorted(run["Unknown"].value, policy)
    blocking = {*unmet, *unknown}
    criteria = tuple(
        _criterion(run, text_id, policy, text_id in blocking)
        for text_id in policy.themes
        if text_id in policy.criteria and _defines(run, text_id)
    )
    theme_order = _theme_order(unmet, unknown, said)
    theme = next((policy.criteria[i].theme for i in theme_order if policy.criteria[i].theme), None)
    theme = theme if said in (Decision.DENY, Decision.MORE_INFO) and not gate else None
    reserved = plan.reviewer_denies and said is Decision.DENY and not gate
    start = planned or day_zero
    expedited = order.get("priority") in URGENT
    return Determination(
        plan=plan.name,
        policy=policy.canonical,
        region=policy.region,
        line=line,
        day_zero=day_zero,
        planned=planned,
        covered=gate != "G-COV",
        pa_needed=gate in ("", "G-COV", "G-RETRO"),
        decision=Decision.PEND if reserved else said,
        gate=gate,
        criteria=criteria,
        unmet=unmet,
        unknown=unknown,
        theme=theme,
        reason=_reason(said, gate, criteria, policy, reserved, chart),
        matters=tuple(sorted(unknown, key=lambda i: policy.criteria[i].rank)),
        ways=_ways(run, policy) if said is Decision.MORE_INFO else (),
        questionnaires=(policy.questionnaire,) if said is Decision.MORE_INFO else (),
        advice=tuple(_advice(criteria, policy, said)),
        notes=tuple(chart.notes),
        recommended=said if reserved else None,
        authorization=held.number if held and gate == "G-AUTH" else None,
        expedited=expedited,
        due_hours=EXPEDITED_HOURS if expedited else STANDARD_HOURS,
        valid_from=start if said is Decision.APPROVE else None,
        valid_until=start + SPAN if said is Decision.APPROVE else None,
        units=max(1, int(line.quantity)),
        denial_code=plan.catalog.denial_codes.get(theme.value, "") if theme else "",
        appeal=plan.appeal,
        title=policy.title,
    )


def _criterion(run: Run, name: str, policy: Policy, in_the_way: bool) -> Criterion:
    text = policy.criteria[name]
    result = run[name]
    value = Met.of(None if result.value is None else bool(result.value))
    evidence = tuple(Evidence(e.reference, _summary(e.resource), _day(e.resource)) for e in result.evidence)
    words = {Met.YES: text.met, Met.NO: text.not_met, Met.UNKNOWN: text.unknown}[value]
    found = ", ".join(dict.fromkeys(e.summary for e in evidence[:3] if e.summary))
    return Criterion(
        id=name,
        title=text.title,
        value=value,
        sentence=f"{words} Found: {found}." if found and value is not Met.UNKNOWN else words,
        guideline=text.guideline,
        theme=text.theme,
        evidence=evidence,
        missing=tuple(str(each) for each in result.missing),
        would_satisfy=text.satisfy,
        questions=text.questions,
        in_the_way=in_the_way,
    )


def _reason(
    said: Decision, gate: str, criteria: Sequence[Criterion], policy: Policy, reserved: bool, chart: Chart
) -> str:
    """The outcome and why, in one or two sentences a clinician reads."""
    blocking = [c for c in criteria if c.in_the_way]
    if gate:
        return _GATE_REASONS[gate]
    if said is Decision.APPROVE:
        shown = next((c for c in criteria if c.id == f"{policy.region}-IMM" and c.value is Met.YES), None)
        return (
            f"{policy.title}: {shown.sentence}"
            if shown
            else f"{policy.title}: the criteria of {policy.guideline} and the plan are met."
        )
    words = " ".join(c.sentence for c in blocking)
    if said is Decision.DENY:
        remedy = " ".join(f"{c.id}: {c.would_satisfy}" for c in blocking)
        lead = "A reviewer will decide; the rules recommend denial." if reserved else ""
        return f"{lead} {words} What would change this: {remedy}".strip()
    if said is Decision.PEND:
        return f"A person will review this request. {words}"
    unread = f" Not to be had just now: {'; '.join(chart.notes)}." if chart.notes else ""
    return f"More information is needed. {words}{unread}"


_GATE_REASONS: Mapping[str, str] = {
    "G-COV": "The coverage is not active on the day of the order or of the service.",
    "G-RETRO": "Authorization was asked for after the service was done, and too late for an urgent one.",
    "G-BEN": "The plan covers this study without prior authorization.",
    "G-SET": "No prior authorization is needed in an emergency, urgent-care or inpatient setting.",
    "G-GOLD": "The ordering clinician is exempt from prior authorization for this service.",
    "G-AUTH": "A valid authorization for this service is on file.",
}


def _ways(run: Run, policy: Policy) -> tuple[tuple[str, ...], ...]:
    """Smallest sets of criteria which, once met, lead to approval: found by asking the CQL itself.

    From all that blocks, the most burdensome are left out first; a second way does without the first of
    the first way. At most `MOST_WHAT_IFS` evaluations.
    """
    budget = iter(range(MOST_WHAT_IFS))
    first = _way(run, policy, frozenset(), budget)
    if not first:
        return ()
    second = _way(run, policy, frozenset(first[:1]), budget)
    ways = [first, second] if second and second != first else [first]
    return tuple(sorted(ways, key=len))


def _way(run: Run, policy: Policy, without: frozenset[str], budget: Iterator[int]) -> tuple[str, ...]:
    assumed: list[str] = []
    while next(budget, None) is not None:
        trial = run.assume(dict.fromkeys(assumed, True))
        if trial["Decision"].value == Decision.APPROVE:
            return _pruned(run, assumed, budget)
        open_ids = [*trial["Unmet"].value, *trial["Unknown"].value]
        more = [i for i in open_ids if i not in assumed and i not in without and not i.startswith("REV")]
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
        if run.assume(dict.fromkeys(fewer, True))["Decision"].value == Decision.APPROVE:
            kept = fewer
    return tuple(kept)


def _advice(criteria: Sequence[Criterion], policy: Policy, said: Decision) -> Iterator[Advice]:
    if policy.guideline_url:
        yield Advice(
            id="guideline",
            kind="guideline",
            summary=f"{policy.title}: the guideline behind the criteria",
            detail=policy.guideline,
            topic="guideline",
            guideline=policy.guideline,
            url=policy.guideline_url,
        )
    for criterion in criteria:
        if criterion.in_the_way and criterion.id.startswith("COD-"):
            yield Advice(
                id=criterion.id,
                kind="instructions",
                summary=criterion.sentence[:139],
                detail=f"{criterion.sentence} {criterion.would_satisfy}",
                topic="claim",
                guideline=criterion.guideline,
                evidence=criterion.evidence,
            )


def _unlocated(line: Line, day_zero: dt.date, planned: dt.date | None, plan: Plan) -> Determination:
    """A limb code whose part neither site nor diagnosis tells: the coding criterion alone is assessed."""
    known = {d for policy in plan.catalog.policies for _, d in policy.diagnoses}
    elsewhere = any(d in known for d in line.diagnoses)
    text = plan.catalog.policies[0].criteria["COD-CPT"]
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
    return Determination(
        plan=plan.name,
        policy="",
        region="",
        line=line,
        day_zero=day_zero,
        planned=planned,
        covered=True,
        pa_needed=True,
        decision=Decision.MORE_INFO,
        gate="",
        criteria=(criterion,),
        unmet=("COD-CPT",) if elsewhere else (),
        unknown=() if elsewhere else ("COD-CPT",),
        theme=text.theme,
        reason=f"More information is needed. {criterion.sentence} {criterion.would_satisfy}",
        matters=() if elsewhere else ("COD-CPT",),
        advice=(Advice("COD-CPT", "instructions", criterion.sentence, criterion.would_satisfy, "claim"),),
        appeal=plan.appeal,
        title="MRI of a limb",
    )


def _readable(chart: Chart) -> Iterator[Resource]:
    """What a client may say: everything but what only the payer's own records can prove."""
    for resource in chart.resources:
        kind = resource.get("resourceType")
        distance = any(e.get("url") == DISTANCE for e in resource.get("extension") or [])
        if kind not in PAYER_ONLY and not (kind == "Location" and distance):
            yield resource


def _authorization(member: Member, line: Line, on: dt.date) -> Authorization | None:
    """The authorization on file for the same order, or for the same service and side on that day."""
    for each in member.authorizations:
        same_order = bool(each.order_key) and each.order_key == member.order_key
        same_service = each.code == line.code and each.side == line.side
        if not each.used and each.start <= on <= each.end and (same_order or same_service):
            return each
    return None


def _defines(run: Run, name: str) -> bool:
    return name in run


def _sorted(ids: Sequence[str], policy: Policy) -> tuple[str, ...]:
    rank = {each: place for place, each in enumerate(policy.themes)}
    return tuple(sorted(dict.fromkeys(ids), key=lambda i: rank.get(i, len(rank))))


def _theme_order(unmet: Sequence[str], unknown: Sequence[str], said: Decision) -> list[str]:
    """Unmet before unknown; a denial names coding last."""
    if said is not Decision.DENY:
        return [*unmet, *unknown]
    coding = [i for i in unmet if i.startswith(("COD-", "PRV-"))]
    return [*(i for i in unmet if i not in coding), *coding]


def _line(order: Resource) -> Line:
    coded = [c for c in (order.get("code") or {}).get("coding") or [] if "code" in c]
    codes = [str(c["code"]).partition("-") for c in coded]
    modifiers = tuple(dict.fromkeys(m for _, _, m in codes if m))
    sites = [c.get("code") for b in order.get("bodySite") or [] for c in b.get("coding") or []]
    by_site = next((SIDE_BY_SITE[s] for s in sites if s in SIDE_BY_SITE), None)
    sides = [m for m in modifiers if m in ("RT", "LT", "50")]
    places = [c.get("code") for p in order.get("locationCode") or [] for c in p.get("coding") or []]
    return Line(
        code=codes[0][0] if codes else "",
        side=("50" if len(sides) > 1 else sides[0]) if sides else by_site,
        diagnoses=tuple(
            str(c["code"])
            for r in order.get("reasonCode") or []
            for c in r.get("coding") or []
            if "code" in c
        ),
        place_of_service=places[0] if places else None,
        quantity=Decimal(str((order.get("quantityQuantity") or {}).get("value", 1))),
        modifiers=modifiers,
    )


def _planned(order: Resource) -> dt.date | None:
    period = order.get("occurrencePeriod") or {}
    return first_day(order.get("occurrenceDateTime")) or first_day(period.get("start"))


_DATED = (
    "effectiveDateTime",
    "performedDateTime",
    "authoredOn",
    "authored",
    "onsetDateTime",
    "recordedDate",
    "started",
)


def _day(resource: Mapping[str, Any]) -> dt.date | None:
    periods = (resource.get(k) or {} for k in ("performedPeriod", "effectivePeriod", "period"))
    texts = [*(resource.get(k) for k in _DATED), *(p.get("start") for p in periods)]
    return next((d for t in texts if isinstance(t, str) and (d := first_day(t)) is not None), None)


def _summary(resource: Mapping[str, Any]) -> str:
    """What was coded and when; never a name or identifier of the patient."""
    kind = resource.get("resourceType", "")
    if kind in ("Patient", "QuestionnaireResponse"):
        return "age" if kind == "Patient" else "answers of the form"
    concept = resource.get("code") or resource.get("medicationCodeableConcept") or {}
    coding: Resource = next(iter(concept.get("coding") or []), {}) if isinstance(concept, dict) else {}
    named = coding.get("display") or coding.get("code") or kind
    day = _day(resource)
    return f"{named} on {day.isoformat()}" if day else str(named)
