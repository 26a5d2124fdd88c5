"""The `Determination`: what one coverage policy says of one order line, and why.

CRD, DTR and PAS are three views of this one value; nothing they say comes from elsewhere.
It is immutable, made only by `server.policy.determine`, and serialises to JSON for the store
and for `/why/{id}`.

The three values of a criterion are an enum whose truth value raises, so that *unknown* can
never slip through an `if not …` as *not met* (policy source, section 0).
"""

from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal
from typing import Any

import msgspec

from server.elm import ElmError
from server.fhir import json

_DECODER = msgspec.json.Decoder(float_hook=Decimal)


class Met(enum.StrEnum):
    """Value of a criterion. Silence of the chart is `UNKNOWN`, never `NOT_MET`."""

    YES = "met"
    NO = "not-met"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, value: bool | None) -> Met:
        return cls.UNKNOWN if value is None else cls.YES if value else cls.NO

    def __bool__(self) -> bool:
        raise TypeError("a criterion has three values: compare with Met.YES, Met.NO or Met.UNKNOWN")


class Decision(enum.StrEnum):
    """The outcome of a determination; the same four names at every door."""

    APPROVE = "approve"
    DENY = "deny"
    PEND = "pend"
    MORE_INFO = "more-info"


class Theme(enum.StrEnum):
    """The five reasons for which MRIs are denied."""

    CONSERVATIVE_CARE = "D1"
    MEDICAL_NECESSITY = "D2"
    SITE_OF_SERVICE = "D3"
    CODING = "D4"
    TREATMENT_RATIONALE = "D5"


class Evidence(msgspec.Struct, frozen=True):
    """One resource that decided a criterion.

    `reference` is "Type/id" as the resource came; `summary` is readable by a clinician and holds
    what was coded and when ("Therapy visit on 2026-01-05"), never a name or identifier of the patient.
    """

    reference: str
    summary: str
    date: dt.date | None = None


class Criterion(msgspec.Struct, frozen=True):
    """One criterion as decided.

    `sentence` is what a clinician reads: what was found or what is missing. `would_satisfy` says
    what would change the value. `questions` are the linkIds that settle it. `in_the_way` is true
    exactly for the criteria of `Determination.unmet` and `.unknown`.
    """

    id: str
    title: str
    value: Met
    sentence: str
    guideline: str
    theme: Theme | None
    evidence: tuple[Evidence, ...] = ()
    missing: tuple[str, ...] = ()
    would_satisfy: str = ""
    questions: tuple[str, ...] = ()
    in_the_way: bool = False

    @property
    def in_full(self) -> str:
        """The sentence, and what settles the criterion."""
        settled = f"What settles it: {self.would_satisfy}" if self.would_satisfy else ""
        return " ".join(filter(None, (self.sentence, settled)))

    @property
    def heading(self) -> str:
        return heading(self.title, self.id)

    @property
    def against(self) -> str:
        """What is said of it where it denies: named, what was found, and what would change it."""
        return f"{self.heading} {self.sentence} What would change this: {self.would_satisfy}"


def heading(title: str, criterion: str) -> str:
    """How a criterion is named before what is said of it: its title says what is asked for, not what was
    found."""
    return f"{title.strip().rstrip('.')} ({criterion}):"


class Line(msgspec.Struct, frozen=True):
    """The order line that was judged: service, side ("RT", "LT", "50" or None), diagnoses, place."""

    code: str
    side: str | None
    diagnoses: tuple[str, ...]
    place_of_service: str | None
    quantity: Decimal
    modifiers: tuple[str, ...] = ()

    @property
    def units(self) -> int:
        """How many studies are asked for."""
        return max(1, int(self.quantity))


class Advice(msgspec.Struct, frozen=True):
    """Something worth telling the clinician that never changes coverage.

    `kind` is a CRD response type: guideline, instructions, alternate-request, additional-orders,
    duplicate, site, safety. `better` carries the code or site that is proposed instead, if one is.
    """

    id: str
    kind: str
    summary: str
    detail: str
    topic: str
    guideline: str = ""
    url: str = ""
    better: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()


class Failure(msgspec.Struct, frozen=True):
    """What could not be evaluated: `library` was asked, `place` is the define and locator where it ended, in
    that library or one it includes, `code` the kind of error ("processing", "too-costly"). The engine's own
    words are not kept: they may quote the chart."""

    library: str
    code: str
    place: str

    @classmethod
    def of(cls, error: ElmError, library: str) -> Failure:
        return cls(library, error.code, error.place or library)

    def __str__(self) -> str:
        return f"the policy could not be evaluated ({self.code}): {self.place}"


class Determination(msgspec.Struct, frozen=True):
    """What one policy says of one order line under one plan.

    policy        "MRIShoulder|1.0.0": library and version that decided; "" where the gate alone decided
    region        SH, EL, … or "" where no region is known
    gate          the gate criterion that decided (G-COV, G-BEN, G-SET, G-GOLD, G-AUTH) or ""
    covered       False only where coverage is inactive or the service is not a benefit
    pa_needed     False where no authorization is asked for, or a valid one exists
    decision      see `Decision`; with `recommended` set this is PEND and `recommended` is what the
                  rules would have said had the plan not reserved it for a person
    unmet,unknown criterion ids that stand in the way (policy source, section 0), in theme order
    matters       unknown ids whose value can change the outcome, in asking order
    ways          smallest sets of criterion ids which, once met, lead to approval, least burden first
    reason        one or two sentences in plain words: the outcome and why
    authorization number of the existing authorization (gate G-AUTH) or None: issuing a new one is
                  the store's affair
    failure       why the policy could not be evaluated, or None; with it the decision is PEND, and nothing
                  else of the order is known
    """

    plan: str
    policy: str
    region: str
    line: Line
    day_zero: dt.date
    planned: dt.date | None
    covered: bool
    pa_needed: bool
    decision: Decision
    gate: str
    criteria: tuple[Criterion, ...]
    unmet: tuple[str, ...]
    unknown: tuple[str, ...]
    theme: Theme | None
    reason: str
    matters: tuple[str, ...] = ()
    ways: tuple[tuple[str, ...], ...] = ()
    questionnaires: tuple[str, ...] = ()
    advice: tuple[Advice, ...] = ()
    notes: tuple[str, ...] = ()
    recommended: Decision | None = None
    authorization: str | None = None
    expedited: bool = False
    due_hours: int = 168
    valid_from: dt.date | None = None
    valid_until: dt.date | None = None
    units: int = 1
    denial_code: str = ""
    appeal: str = ""
    title: str = ""
    failure: Failure | None = None

    def criterion(self, criterion_id: str) -> Criterion:
        """The criterion of that id. KeyError where the policy has none."""
        for criterion in self.criteria:
            if criterion.id == criterion_id:
                return criterion
        raise KeyError(criterion_id)

    @property
    def in_the_way(self) -> tuple[Criterion, ...]:
        """The criteria that block approval, unmet ones first."""
        return tuple(self.criterion(i) for i in (*self.unmet, *self.unknown))

    @property
    def satisfied(self) -> bool:
        """True where an authorization number may be issued, or one exists already."""
        return self.decision is Decision.APPROVE and (self.pa_needed or self.gate == "G-AUTH")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON: enums as their codes, dates in ISO form, tuples as lists."""
        told: dict[str, Any] = _DECODER.decode(json.encode(self))
        return told
