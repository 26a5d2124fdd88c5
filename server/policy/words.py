"""What people read of a determination: the sentence of each criterion, and the reason of the whole.

The words are the manifest's; what was found in this chart is put to them. A policy library may say more of a
criterion in a define named "Told <id>" (a String), and its immediate indications are named one by one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain
from typing import Any

from server.elm import Result, Run
from server.fhir.dates import first_day, last_day
from server.fhir.references import local_reference
from server.fhir.systems import coding_key
from server.policy.catalog import Plan, Policy
from server.policy.determination import Criterion, Decision, Evidence, Met
from server.policy.line import codings, in_words
from server.policy.names import Names, name_of
from server.policy.request import Chart, Resource

MOST_NAMED = 3
"""Findings named in one sentence, and days of one of them."""

SPOKEN_FOR_ELSEWHERE = frozenset({"Patient", "Practitioner", "PractitionerRole", "QuestionnaireResponse"})
"""Evidence that says nothing to a reader by its name: the words speak of age, answers and who orders. Of what
is not met, problems neither: whatever else the patient has was looked at."""

CONTRADICTION = "CNF"

NO_MEMBER = "No member of this payer has the member number of this Coverage. Check the card and send again."
REFUSED = "As the record stands, authorization would be denied."
MORE_INFORMATION = "More information is needed."

PLAIN: Mapping[str, str] = {
    "CarePlan": "care plan",
    "Claim": "claim",
    "Condition": "diagnosis",
    "Coverage": "insurance",
    "DeviceRequest": "device",
    "DiagnosticReport": "report",
    "Encounter": "visit",
    "ExplanationOfBenefit": "claim",
    "Goal": "treatment goal",
    "ImagingStudy": "imaging study",
    "Location": "imaging site",
    "MedicationDispense": "medicine",
    "MedicationRequest": "medicine",
    "Observation": "finding",
    "Patient": "age",
    "Practitioner": "who ordered it",
    "PractitionerRole": "who ordered it",
    "Procedure": "procedure",
    "QuestionnaireResponse": "answers of the form",
    "ServiceRequest": "order",
}
"""What clinicians call that which has no words of its own: its code follows, where it has one."""


class Findings:
    """Resources as people read of them. One serves a whole determination: criteria rest on the same few."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._known: dict[int, tuple[Resource, Evidence]] = {}

    def of(self, result: Result) -> tuple[Evidence, ...]:
        """The evidence of a result, each resource with its summary and day: kind by kind as the rules look,
        and of each kind the newest first, in whatever order the chart came."""
        kinds: dict[str, list[Evidence]] = {}
        for each in result.resources:
            kinds.setdefault(each["resourceType"], []).append(self._told(each))
        return tuple([told for of_kind in kinds.values() for told in sorted(of_kind, key=_newest_first)])

    def _told(self, resource: Resource) -> Evidence:
        known = self._known.get(id(resource))
        if known is None:
            day = _day(resource)
            name = local_reference(resource) or resource["resourceType"]
            told = Evidence(name, _summary(resource, day, self._names), day)
            # The resource is kept too: while it is, its id is nobody else's.
            self._known[id(resource)] = known = (resource, told)
        return known[1]


def _newest_first(told: Evidence) -> tuple[int, str, str]:
    """What is undated comes last."""
    return (-told.date.toordinal() if told.date else 1, told.summary, told.reference)


def criterion_of(
    run: Run, name: str, policy: Policy, plan: Plan, order: Resource, in_the_way: bool, findings: Findings
) -> Criterion:
    """One criterion as the run has it, told in words of the plan."""
    text = plan.criteria[policy.id][name]
    result = run[name]
    value = Met.of(None if result.value is None else bool(result.value))
    words = {Met.YES: text.met, Met.NO: text.not_met, Met.UNKNOWN: text.unknown}[value]
    speaks_of_indications = (name, value) in ((policy.immediate, Met.YES), (CONTRADICTION, Met.NO))
    shown = _indications(run, policy) if speaks_of_indications else ()
    evidence = findings.of(result)
    further = _further(run, name, value, evidence, shown, policy, order)
    return Criterion(
        id=name,
        title=text.title,
        value=value,
        sentence=" ".join(filter(None, (words, further))),
        guideline=policy.indications[shown[0]].guideline if shown else text.guideline,
        theme=text.theme,
        evidence=evidence,
        missing=() if value is Met.YES else tuple(str(each) for each in result.missing),
        would_satisfy=text.satisfy,
        questions=text.questions,
        in_the_way=in_the_way,
    )


def _further(
    run: Run,
    name: str,
    value: Met,
    evidence: Sequence[Evidence],
    shown: Sequence[str],
    policy: Policy,
    order: Resource,
) -> str:
    """What this chart adds to the words: an indication, what the library tells, or what was found."""
    if shown:
        named = " ".join(f"{policy.indications[each].title}." for each in shown)
        return f"By the chart, though not by the answer: {named}" if name == CONTRADICTION else named
    told = run[f"Told {name}"].value if f"Told {name}" in run else None
    if told:
        return str(told)
    if value is Met.UNKNOWN or name == CONTRADICTION:
        return ""
    own = f"{order.get('resourceType')}/{order.get('id')}"
    unsaid = SPOKEN_FOR_ELSEWHERE if value is Met.YES else SPOKEN_FOR_ELSEWHERE | {"Condition"}
    found = together(speaking(evidence, own, unsaid))
    return f"Found: {'; '.join(found[:MOST_NAMED])}." if found else ""


def _indications(run: Run, policy: Policy) -> tuple[str, ...]:
    """The immediate indications that the chart shows or the clinician attests."""
    charted = run[f"{policy.prefill}.Indications"].value or []
    answered = run[f"{policy.prefill}.Immediate answers"].value or []
    ids = [*(str(each["id"]) for each in charted if each["value"] is True), *map(str, answered)]
    return tuple(dict.fromkeys(each for each in ids if each in policy.indications))


def reason_of(
    said: Decision, gate: str, criteria: Sequence[Criterion], policy: Policy, reserved: bool, chart: Chart
) -> str:
    """The outcome and why, in one or two sentences a clinician reads."""
    blocking = [c for c in criteria if c.in_the_way]
    if gate:
        return _GATE_REASONS[gate]
    if said is Decision.APPROVE:
        shown = next((c for c in criteria if c.id == policy.immediate and c.value is Met.YES), None)
        return (
            f"{policy.title}: {shown.sentence}"
            if shown
            else f"{policy.title}: the criteria of {policy.guideline} and the plan are met."
        )
    words = " ".join(c.sentence for c in blocking)
    if said is Decision.DENY:
        lead = "A reviewer will decide; the rules recommend denial." if reserved else REFUSED
        return " ".join((lead, *(c.against for c in blocking)))
    if said is Decision.PEND:
        return f"A person will review this request. {words}"
    return f"{MORE_INFORMATION} {words}{not_seen(chart.notes)}"


def not_seen(notes: Sequence[str]) -> str:
    """Sentences on what of the chart could not be had, to follow what is asked for; empty where it was seen
    whole."""
    return "".join(f" {note}." for note in ("Not all of the chart was seen", *notes)) if notes else ""


_GATE_REASONS: Mapping[str, str] = {
    "G-COV": "The coverage is not active on the day of the order or of the service.",
    "G-RETRO": "Authorization was asked for after the service was done, and too late for an urgent one.",
    "G-BEN": "The plan covers this study without prior authorization.",
    "G-SET": "No prior authorization is needed in an emergency, urgent-care or inpatient setting.",
    "G-GOLD": "The ordering clinician is exempt from prior authorization for this service.",
    "G-AUTH": "A valid authorization for this service is on file.",
}


_DATED = (
    "effectiveDateTime",
    "performedDateTime",
    "authoredOn",
    "authored",
    "onsetDateTime",
    "recordedDate",
    "started",
)
_PERIODS = ("performedPeriod", "effectivePeriod", "period")


def _day(resource: Mapping[str, Any]) -> dt.date | None:
    for name in _DATED:
        if (text := resource.get(name)) is not None and (day := first_day(text)) is not None:
            return day
    for name in _PERIODS:
        period = resource.get(name)
        if isinstance(period, dict) and (day := first_day(period.get("start"))) is not None:
            return day
    return None


_CODED = ("code", "codeCodeableConcept", "medicationCodeableConcept")
_LASTING = ("CarePlan", "Coverage")
_WHEN: Mapping[str, str] = {
    **dict.fromkeys(_LASTING, " from"),
    "DeviceRequest": ", prescribed on",
    "MedicationRequest": ", prescribed on",
    "ServiceRequest": ", ordered on",
}
"""What its day says of a resource: what was only ordered is not told as if it had been done."""


def _summary(resource: Mapping[str, Any], day: dt.date | None, names: Names) -> str:
    """What was coded, measured and when, in one line; never a name or identifier of the patient."""
    kind = resource.get("resourceType", "")
    if kind in SPOKEN_FOR_ELSEWHERE:
        return PLAIN[kind]
    concept = next(filter(None, map(resource.get, _CODED)), None)
    listed = list(codings([concept]))
    first = listed[0] if listed else {}
    bare = f"{PLAIN.get(kind, kind)} {coding_key(first)[1]}"
    told = chain(
        [first.get("display")], in_words([concept]), (name_of(each, names) for each in listed), [bare]
    )
    named = " ".join(str(next(filter(None, told))).split()) + _measured(resource)
    until = last_day(period.get("end")) if isinstance(period := resource.get("period"), dict) else None
    ended = f" to {until.isoformat()}" if until and kind in _LASTING else ""
    return f"{named}{_WHEN.get(kind, ' on')} {day.isoformat()}{ended}" if day else named


def _measured(resource: Mapping[str, Any]) -> str:
    """The number that an Observation has, "<" and the like before it, its unit where that is one people
    write."""
    quantity = resource.get("valueQuantity", {"value": resource.get("valueInteger")})
    told = quantity if isinstance(quantity, dict) else {}
    number, than, unit = (told.get(name) for name in ("value", "comparator", "unit"))
    if not isinstance(number, int | Decimal) or isinstance(number, bool):
        return ""
    written = unit if isinstance(unit, str) and "{" not in unit else ""
    return f": {than or ''}{number} {written}".rstrip()


def speaking(
    evidence: Iterable[Evidence], order: str, unsaid: Container[str] = SPOKEN_FOR_ELSEWHERE
) -> Iterator[Evidence]:
    """What says something to who reads what was found: every criterion rests on the order, and on some types
    whose names say nothing."""
    return (
        each
        for each in evidence
        if each.reference != order and each.reference.partition("/")[0] not in unsaid
    )


def together(evidence: Iterable[Evidence]) -> list[str]:
    """What evidence is called, each once: of several of one name the days are told together."""
    days: dict[str, list[str]] = {}
    for each in evidence:
        day = each.date.isoformat() if each.date and each.summary.endswith(each.date.isoformat()) else ""
        of_name = days.setdefault(each.summary.removesuffix(day), [])
        if day not in of_name:
            of_name.append(day)
    return [f"{name}{_listed(of_name)}" for name, of_name in days.items()]


def _listed(days: Sequence[str]) -> str:
    if len(days) <= MOST_NAMED:
        return " and ".join(filter(None, (", ".join(days[:-1]), days[-1])))
    return f"{len(days)} days, {min(days)} to {max(days)}"
