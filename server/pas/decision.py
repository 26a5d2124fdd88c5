"""From a determination to the verdict on an item: what is answered, and nothing that it does not say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal

from server.pas.verdict import (
    Ask,
    Asked,
    Certified,
    Denied,
    InReview,
    Modified,
    NotRequired,
    Span,
    Verdict,
)
from server.policy.denial import Denial, denial_of
from server.policy.determination import Criterion, Decision, Determination, Line
from server.policy.rulings import lapses
from server.store import tables as stored

ON_FILE = "An authorization for this service is on file."

MORE_INFORMATION = "0U"
"""Reason code (X12 886) of whatever is asked, whichever criterion asks; not verified against the licensed
list."""

UNREAD = "A document came that a person must read"
CHANGED = "The request was changed while a person had it"
"""Why a line goes to a person, or stays with one, though the rules would ask for more."""


def verdict_without_number(determination: Determination, tracking: str, now: dt.datetime) -> Verdict:
    """The verdict wherever no authorization is granted."""
    due = now + dt.timedelta(hours=determination.due_hours)
    match determination.decision:
        case Decision.APPROVE:
            return NotRequired(why=determination.reason)
        case Decision.DENY:
            return Denied(denial_of(determination))
        case Decision.MORE_INFO:
            return Asked(
                asks=tuple(_ask(criterion) for criterion in open_criteria(determination)),
                questionnaires=determination.questionnaires,
                tracking=tracking,
                due=due,
                code=MORE_INFORMATION,
            )
        case Decision.PEND:
            denies = determination.recommended is Decision.DENY
            return InReview(
                why=determination.reason,
                tracking=tracking,
                due=due,
                recommended=denial_of(determination) if denies else None,
            )


def proposed(said: Determination, before: Denial | None) -> Denial | None:
    """The denial that is recommended to a person: for what the rules deny by now; else, unless they would
    approve, what was recommended before."""
    if Decision.DENY in (said.decision, said.recommended):
        return denial_of(said)
    return None if said.decision is Decision.APPROVE else before


def read_by_a_person(missing: Asked, why: str) -> InReview:
    """The verdict where the rules still miss something and a person has, or is owed, the case: `why`."""
    criteria = ", ".join(f"{ask.title} ({ask.criterion})" for ask in missing.asks)
    return InReview(f"{why}; the rules still miss: {criteria}.", missing.tracking, missing.due)


def read_meanwhile(asked: Asked) -> InReview:
    """What whoever reads what is there by now can decide before the rest comes: the reviewer who asked, or a
    person whom papers came for."""
    if asked.review is None:
        return read_by_a_person(asked, UNREAD)
    return InReview("A reviewer asked for more.", asked.tracking, asked.due, asked.recommended)


def span_of(determination: Determination) -> Span:
    start = determination.valid_from or determination.planned or determination.day_zero
    return Span(start, determination.valid_until or lapses(start))


def authorized(row: stored.Authorization, line: Line) -> Certified | Modified:
    """By an authorization that was issued here: with its own span, and its place where the line leaves that
    open."""
    issued, span, units = row.created.date(), Span(row.span_start, row.span_end), Decimal(line.units)
    if row.place and line.place_of_service is None:
        return Modified(row.number, issued, span, row.cpt, units, ON_FILE, place=row.place)
    return Certified(row.number, issued, span, units)


def open_criteria(determination: Determination) -> Iterator[Criterion]:
    """What to ask, in asking order: what is wrong and can be mended, then the unknowns that can change the
    outcome (all unknowns, where none alone can)."""
    for criterion_id in (*determination.unmet, *(determination.matters or determination.unknown)):
        yield determination.criterion(criterion_id)


def _ask(criterion: Criterion) -> Ask:
    return Ask(
        criterion=criterion.id,
        title=criterion.title,
        missing=criterion.sentence,
        remedy=criterion.would_satisfy,
        questions=criterion.questions,
    )
