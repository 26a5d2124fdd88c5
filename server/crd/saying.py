"""What coverage information says of one order under one Coverage, before any version's codes.

    say(judged, hook, ...) -> Saying

The outcome table (one row a kind of determination) is here and nowhere else; `coverage_information` gives it
the shape and the codes of a guide version. Invariants of the extension that hold by construction: a number
exactly with SATISFIED; no authorization word where nothing is covered; further information exactly where
something is conditional; a questionnaire only where a document is asked for; always a reason in words.
"""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from server.adjudication.judged import Judged
from server.adjudication.orders import service_coding
from server.adjudication.table import ELSEWHERE
from server.crd.configuration import Configuration
from server.crd.hooks import Hook
from server.fhir.dates import last_day
from server.fhir.systems import CPT
from server.policy.determination import Criterion, Decision, Determination
from server.policy.line import codings, in_words
from server.policy.words import MORE_INFORMATION, NO_MEMBER, REFUSED, not_seen


class Covered(enum.Enum):
    """By the codes that both guides have."""

    YES = "covered"
    NO = "not-covered"
    CONDITIONAL = "conditional"
    """Depends on what the order does not say yet."""
    UNREADABLE = "unreadable"
    """Cannot be told, because data could not be read: each guide has its own code."""


class Authorization(enum.Enum):
    """The same."""

    NONE_NEEDED = "no-auth"
    NEEDED = "auth-needed"
    SATISFIED = "satisfied"
    CONDITIONAL = "conditional"
    UNREADABLE = "unreadable"


class Information(enum.Enum):
    CODE = "code"
    """The order names no billing code, or not one that says enough."""
    RECORDS = "records"
    """Part of the record could not be read."""
    ELSEWHERE = "elsewhere"
    """Somebody else decides."""


class Cause(enum.Enum):
    """Reasons for which a guide may have a code."""

    GOLD_CARD = "gold-card"
    NO_MEMBER = "no-member"
    NO_ACTIVE_COVERAGE = "no-active-coverage"
    TECHNICAL = "technical"


@dataclass(frozen=True, slots=True)
class Reason:
    text: str
    cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class Saying:
    """`documents` says that clinical documents are asked for. `number` is filled in once it is issued; until
    then `grants` says that one is to be."""

    covered: Covered
    authorization: Authorization | None
    reasons: tuple[Reason, ...]
    documents: bool = False
    information: tuple[Information, ...] = ()
    questionnaires: tuple[str, ...] = ()
    billing: Mapping[str, str] | None = None
    number: str | None = None
    grants: bool = False
    units: int | None = None
    valid_from: dt.date | None = None
    valid_until: dt.date | None = None

    def granted(self, number: str) -> Saying:
        return replace(self, number=number, grants=False)


def say(
    judged: Judged,
    hook: Hook,
    choices: Configuration,
    unreadable: tuple[str, ...] = (),
    kind: str = "ServiceRequest",
    blank: bool = False,
) -> Saying:
    """The outcome table. `kind` is the type of what was asked about, `unreadable` names the parts of the
    record whose fetch failed, `blank` says that what is to be done stands in an order that was not read."""
    saying = _outcome(judged, kind, hook, choices, unreadable, blank)
    period, until = judged.member.coverage.get("period"), saying.valid_until
    if until is None and saying.covered is Covered.YES and isinstance(period, dict):
        # What holds of a coverage holds no longer than it does.
        until = last_day(period.get("end"))
    return replace(saying, billing=service_coding(judged.order), valid_until=until)


def _outcome(
    judged: Judged, kind: str, hook: Hook, choices: Configuration, unreadable: tuple[str, ...], blank: bool
) -> Saying:
    said = judged.determination
    if not said.covered:
        return _not_covered(judged)
    if blank:
        return not_read(ORDER_UNREADABLE)
    if not said.line.code:
        return _uncoded(kind, judged.order)
    if said.failure is not None:
        return not_read(said.reason)
    if said.gate == ELSEWHERE:
        return _undecided(Information.ELSEWHERE, said.reason)
    if said.decision is Decision.APPROVE:
        return _approved(said, hook, choices)
    if said.decision is Decision.MORE_INFO:
        return _more_information(said, hook, unreadable)
    return _needed(_why_not(said))


ORDER_UNREADABLE = (
    "The order that this appointment is for could not be read, so whether its service needs prior "
    "authorization is not known yet."
)


def not_read(why: str) -> Saying:
    """Where the order or the Coverage itself could not be read, or the rules not be evaluated: it can be
    named, but nothing can be said of it."""
    return Saying(
        covered=Covered.UNREADABLE,
        authorization=Authorization.UNREADABLE,
        information=(Information.RECORDS,),
        reasons=(Reason(why, Cause.TECHNICAL),),
    )


def _approved(said: Determination, hook: Hook, choices: Configuration) -> Saying:
    if not said.satisfied:
        cause = Cause.GOLD_CARD if said.gate == "G-GOLD" else None
        return _saying(Authorization.NONE_NEEDED, [Reason(said.reason, cause)])
    if choices.what_if:
        return _needed([Reason(f"{said.reason} Everything that is asked for is documented.")])
    on_file = said.authorization is not None
    if not on_file and not hook.issues_numbers:
        later = (
            "Everything that is asked for is documented; the authorization is given with the signed order."
        )
        return _needed([Reason(f"{said.reason} {later}")])
    return replace(
        _saying(Authorization.SATISFIED, [Reason(said.reason)]),
        number=said.authorization,
        grants=not on_file,
        units=said.units,
        valid_from=said.valid_from,
        valid_until=said.valid_until,
    )


def _more_information(said: Determination, hook: Hook, unreadable: tuple[str, ...]) -> Saying:
    lead = f"{MORE_INFORMATION}{not_seen(said.notes)}"
    asked = _needed([Reason(lead), *(Reason(_open(each)) for each in said.in_the_way)])
    if hook.asks_for_documents:
        asked = replace(asked, documents=True, questionnaires=said.questionnaires)
    if unreadable and said.unknown:
        lost = Reason(
            f"With the {', '.join(unreadable)} that could not be read this may be decided at once.",
            Cause.TECHNICAL,
        )
        return replace(
            asked,
            authorization=Authorization.UNREADABLE,
            information=(Information.RECORDS,),
            reasons=(*asked.reasons, lost),
        )
    return asked


def _needed(reasons: list[Reason]) -> Saying:
    return _saying(Authorization.NEEDED, reasons)


def _not_covered(judged: Judged) -> Saying:
    said = judged.determination
    cause = Cause.NO_ACTIVE_COVERAGE if said.gate == "G-COV" else None
    known = judged.member.known
    reason = Reason(said.reason, cause) if known else Reason(NO_MEMBER, Cause.NO_MEMBER)
    return Saying(covered=Covered.NO, authorization=None, reasons=(reason,))


_FREE: Mapping[str, str] = {
    "Appointment": "A visit",
    "CommunicationRequest": "A message",
    "Encounter": "A visit",
}
"""What needs no authorization by itself, whatever it is about."""

_BENEFIT: Mapping[str, str] = {
    "MedicationRequest": "the drug plan",
    "NutritionOrder": "the plan's nutrition benefit",
    "VisionPrescription": "the vision plan",
}
"""Orders that are billed to another benefit than the medical one, and so decided elsewhere."""


_STUDY = re.compile(r"\b(MR|CT|PET|(?i:mri|mra|magnetic resonance|tomography))\b")
"""As clinics name what they book: `MR SHOULDER LEFT WO CONTRAST`, `MRI of knee`."""


_BILLED = re.compile(r"[0-9A-V][0-9]{4}\b")
"""A code of CPT or HCPCS, by its looks."""


def _uncoded(kind: str, order: Mapping[str, Any]) -> Saying:
    """What carries no billing code: a visit or message as such, another benefit's order, or an order not yet
    coded; a visit for a study that needs an authorization elsewhere is one of the last."""
    visit = _FREE.get(kind) == "A visit"
    if kind in _FREE and not (visit and any(map(_STUDY.search, in_words([order.get("code")])))):
        reason = f"The coverage is active. {_FREE[kind]} as such needs no prior authorization."
        return _saying(Authorization.NONE_NEEDED, [Reason(reason)])
    benefit = _BENEFIT.get(kind)
    if benefit:
        return _undecided(
            Information.ELSEWHERE, f"The coverage is active. {_upper(benefit)} decides about this order."
        )
    return _undecided(
        Information.CODE,
        f"Whether this is covered depends on its billing code. {_what_is_lacking(order)} the "
        f"{kind.lower() if visit else 'order'}.",
    )


def _what_is_lacking(order: Mapping[str, Any]) -> str:
    """A code without its system may be of any; one that looks like a billing code lacks nothing else."""
    listed = codings([order.get("code")])
    for coding in listed:
        looks = _BILLED.match(str(coding.get("code"))) if not coding.get("system") else None
        if looks:
            return f"Add the system of the code {looks[0]} (of CPT: {CPT}) to"
    return "Add the CPT or HCPCS code to"


def _undecided(information: Information, reason: str) -> Saying:
    return Saying(
        covered=Covered.CONDITIONAL,
        authorization=Authorization.CONDITIONAL,
        information=(information,),
        reasons=(Reason(reason),),
    )


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _saying(authorization: Authorization, reasons: list[Reason]) -> Saying:
    return Saying(Covered.YES, authorization, tuple(reasons))


def _why_not(said: Determination) -> list[Reason]:
    """For a denial each criterion with what would change it; a pend says itself who decides."""
    if said.decision is Decision.PEND:
        return [Reason(said.reason), Reason("Nothing more is asked for now.")]
    return [Reason(REFUSED), *(Reason(criterion.against) for criterion in said.in_the_way)]


def _open(criterion: Criterion) -> str:
    return f"{criterion.heading} {criterion.in_full}"
