"""What was decided about one item of a request.

One class an outcome, each with exactly what its answer needs: a certification cannot lack its number, a
denial its reasons, a pend the names of what is asked. `ACTION` is the one place where outcomes become X12
306 codes. Verdicts are stored with the case (`to_json`, `from_json`), so that every later answer, in either
guide version, says the same.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Container, Iterable
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec

from server.policy.denial import Denial
from server.policy.determination import Decision, heading
from server.store import Transaction, afterwards

Count = Callable[[str, str, str], None]
"""Counts a decision: door, guide version, outcome."""


class Span(msgspec.Struct, frozen=True):
    """The days an authorization is good for, both included."""

    start: dt.date
    end: dt.date


class Review(msgspec.Struct, frozen=True):
    """The person who decided, and what that person adds: diagnoses to communicate (ICD-10-CM), and a provider
    of the request (`Type/id` or URL as sent) for whom it is authorized."""

    name: str
    npi: str = ""
    specialty: str = ""
    diagnoses: tuple[str, ...] = ()
    provider: str = ""

    @property
    def actor(self) -> str:
        return f"reviewer {self.npi or self.name}"


class Certified(msgspec.Struct, frozen=True, tag="certified"):
    """Authorized as asked."""

    number: str
    issued: dt.date
    span: Span
    units: Decimal
    review: Review | None = None


class Certifiable(msgspec.Struct, frozen=True, tag="certifiable"):
    """A dry run's `Certified`: it would be authorized, under a number that is on file or a new one, of which
    there is none."""

    span: Span
    units: Decimal
    number: str | None = None


class Modified(msgspec.Struct, frozen=True, tag="modified"):
    """Authorized, but not what was asked: another code, fewer units, another place of service (CMS code)."""

    number: str
    issued: dt.date
    span: Span
    code: str
    units: Decimal
    why: str
    review: Review | None = None
    place: str = ""


class OnFile(msgspec.Struct, frozen=True, tag="on-file"):
    """Authorized, but not in answer to a Claim: CRD granted it, or it is on file from of old."""

    number: str
    span: Span
    units: Decimal


class NotRequired(msgspec.Struct, frozen=True, tag="not-required"):
    """Covered, and nobody need authorize it."""

    why: str


class Denied(msgspec.Struct, frozen=True, tag="denied"):
    """`stands` are the words about an authorization that was not prolonged and is good all the same."""

    denial: Denial
    review: Review | None = None
    stands: str = ""


class Ask(msgspec.Struct, frozen=True):
    """One open criterion, or one thing a reviewer wants to see: what is missing and what would settle it.
    `questions` are linkIds, `documents` LOINC codes."""

    criterion: str
    title: str
    missing: str
    remedy: str
    questions: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        settled = f"What settles it: {self.remedy}" if self.remedy.strip() else ""
        said = " ".join(part.strip().rstrip(".") + "." for part in (self.missing, settled) if part.strip())
        return f"{heading(self.title, self.criterion)} {said}"


class Asked(msgspec.Struct, frozen=True, tag="asked"):
    """Pended until more is known: what is asked, one entry a criterion, by which forms, under which tracking
    number, by when it is due, and the reason code (886). Where a reviewer asks, `recommended` is what the
    rules proposed to that person. `withheld` is the denial that what came so far would come to: nobody is
    given it before the rest has come, or its time is up."""

    asks: tuple[Ask, ...]
    questionnaires: tuple[str, ...]
    tracking: str
    due: dt.datetime
    code: str
    review: Review | None = None
    recommended: Denial | None = None
    withheld: Denial | None = None

    def __post_init__(self) -> None:
        if not self.asks:
            raise ValueError("an item that waits for information must say for which")


class InReview(msgspec.Struct, frozen=True, tag="in-review"):
    """Pended until a person has decided. `recommended` is the denial that the rules propose, if they do: it
    is for the reviewer to read. `tracking` is our reference number of the pend."""

    why: str
    tracking: str
    due: dt.datetime
    recommended: Denial | None = None


class Cancelled(msgspec.Struct, frozen=True, tag="cancelled"):
    number: str | None = None


Verdict = Certified | Certifiable | Modified | OnFile | NotRequired | Denied | Asked | InReview | Cancelled

ACTION: dict[type[Verdict], str] = {
    Certified: "A1",
    Certifiable: "A1",
    OnFile: "A1",
    NotRequired: "A1",
    Modified: "A6",
    Denied: "A3",
    Asked: "A4",
    InReview: "A4",
    Cancelled: "C",
}
"""Review action codes (X12 306): certified in total, modified, not certified, pending, cancelled."""

ACTION_WORDS = {"A1": "Certified in total", "A3": "Not Certified", "A4": "Pending", "A6": "Modified"}
"""What the guide calls them in its own examples and prose: what a client shows of an item. PAS names no
cancellation."""

DECISION: dict[type[Verdict], Decision] = {
    Certified: Decision.APPROVE,
    OnFile: Decision.APPROVE,
    NotRequired: Decision.APPROVE,
    Modified: Decision.APPROVE,
    Denied: Decision.DENY,
    Asked: Decision.MORE_INFO,
    InReview: Decision.PEND,
}
"""What operators count."""

DISPOSITION: dict[type[Verdict], str] = {
    Certified: "authorized",
    Certifiable: "would be authorized",
    OnFile: "authorized",
    Modified: "authorized with changes",
    NotRequired: "no authorization required",
    Denied: "not authorized",
    Asked: "pended: information requested",
    InReview: "pended: clinical review",
    Cancelled: "cancelled",
}


def action(verdict: Verdict) -> str:
    return ACTION[type(verdict)]


def nobody_counts(door: str, version: str, outcome: str) -> None:
    pass


def count_all(tx: Transaction, reached: Iterable[Verdict], version: str, count: Count) -> None:
    """What `tx` decides, once it is on disk; nothing was of a line that is cancelled."""
    for kind in map(type, reached):
        if kind in DECISION:
            afterwards(tx, partial(count, "pas", version, DECISION[kind]))


def pended(verdict: Verdict) -> bool:
    """Whether more is to come."""
    return isinstance(verdict, Asked | InReview)


def told(verdict: Verdict) -> Verdict:
    """What of it others are told: no denial that waits for the rest of what was asked for."""
    return msgspec.structs.replace(verdict, withheld=None) if isinstance(verdict, Asked) else verdict


def due_by(verdict: Verdict, due: dt.datetime) -> Verdict:
    """A pend is due when its line is; nothing else is due."""
    return msgspec.structs.replace(verdict, due=due) if isinstance(verdict, Asked | InReview) else verdict


def tracked(verdict: Verdict, number: str) -> Verdict:
    """A pend goes on under the number by which it was told of before; nothing else has one."""
    if not isinstance(verdict, Asked | InReview):
        return verdict
    return msgspec.structs.replace(verdict, tracking=number)


def rehearsed(verdict: Verdict, granted: Container[str]) -> Verdict:
    """What was authorized just now as a dry run has it, without the numbers `granted` for it; anything else
    stays."""
    if not isinstance(verdict, Certified):
        return verdict
    on_file = None if verdict.number in granted else verdict.number
    return Certifiable(verdict.span, verdict.units, on_file)


def note_texts(verdict: Verdict) -> list[str]:
    """What a person reads about a verdict: one text a denial, one what stands beside it, one a criterion that
    is open."""
    match verdict:
        case Denied(denial, stands=stands):
            return [denial.text, *([stands] if stands else [])]
        case Asked(asks):
            return [ask.text for ask in asks]
        case Modified(why=why, place=place):
            return [f"{why} Authorized at place of service {place}." if place else why]
        case InReview(why=why) | NotRequired(why=why):
            return [why]
    return []


def tracking_of(verdict: Verdict) -> str | None:
    """Our reference number of a pend."""
    return verdict.tracking if isinstance(verdict, Asked | InReview) else None


def review_of(verdict: Verdict) -> Review | None:
    """The person behind a verdict; None where rules reached it."""
    return getattr(verdict, "review", None)


def number_of(verdict: Verdict) -> str | None:
    """The authorization number that the item has, or had."""
    numbered = Certified | Certifiable | Modified | OnFile | Cancelled
    return verdict.number if isinstance(verdict, numbered) else None


def valid_number(verdict: Verdict) -> str | None:
    """The authorization number that the item has: what was cancelled has none any more."""
    return None if isinstance(verdict, Cancelled) else number_of(verdict)


def span_of(verdict: Verdict) -> Span | None:
    return verdict.span if isinstance(verdict, Certified | Certifiable | Modified | OnFile) else None


def to_json(verdict: Verdict) -> dict[str, Any]:
    content: dict[str, Any] = msgspec.to_builtins(verdict)
    return content


def from_json(content: Any) -> Verdict:
    verdict: Verdict = msgspec.convert(content, Verdict)
    return verdict
