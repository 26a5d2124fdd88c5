"""Appeals: which they are, what they contest, and what is on record of them.

An appeal comes as a request (X12 1322, `1` immediate and `2`), which is a later version of the denied one, or
by letter or telephone (`server.review.appeals`). Until a person has decided it no rule and no clock decides
the line; what the rules would say is for that person to read.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Mapping, Sequence
from typing import Any

from server.fhir.errors import Conflict
from server.pas import rejection
from server.pas.decision import proposed
from server.pas.marks import appeal, cancelled
from server.pas.rejection import Rejection
from server.pas.verdict import ACTION, DISPOSITION, Cancelled, Denied, InReview, Review, Verdict, pended
from server.policy.determination import Determination
from server.store import Transaction, events
from server.store import tables as stored

Resource = dict[str, Any]

APPEALED = "appealed"
APPEAL_DECIDED = "appeal-decided"
OVERTURNED, UPHELD = "overturned", "upheld"


def contested(tx: Transaction, chain_id: str) -> set[int]:
    """The lines of a request, by sequence, whose appeal is neither decided nor cancelled with the line."""
    pending: set[int] = set()
    for event in events.of_chain(tx, chain_id, APPEALED, APPEAL_DECIDED, events.DECIDED):
        if event.kind == APPEALED:
            pending.add(event.sequence)
        elif event.kind == APPEAL_DECIDED or event.detail["action"] == ACTION[Cancelled]:
            pending.discard(event.sequence)
    return pending


def unfounded(
    claim: Resource, items: Sequence[Resource], standing: Mapping[int, Verdict], contested: Container[int]
) -> Rejection | None:
    """Why an appeal in this request is none; None where there is none, or each contests a denial. `standing`
    is what was decided before, by sequence. An appeal of the whole Claim is one of what was denied in it."""
    appeals = [place for place, item in enumerate(items) if appeal(claim, item) and not cancelled(item)]
    founded = {
        place
        for place in appeals
        if isinstance(standing.get(items[place]["sequence"]), Denied) or items[place]["sequence"] in contested
    }
    whole = appeal(claim, claim) is not None
    if founded.issuperset(appeals) or (whole and founded):
        return None
    wrong = [place for place in appeals if place not in founded]
    reached = [each for place in wrong if (each := standing.get(items[place]["sequence"]))]
    index = None if whole else wrong[0]
    if not reached:
        return rejection.nothing_to_appeal(index)
    return rejection.not_denied(index, DISPOSITION[type(reached[0])])


def receive(tx: Transaction, case_id: str, sequence: int, by: str, now: dt.datetime) -> None:
    """`by` is who appeals, such as `provider` or `member`."""
    events.record(tx, case_id, sequence, APPEALED, by, now)


def heard_by_another(tx: Transaction, row: stored.PaCase, sequence: int, review: Review) -> None:
    """Raises Conflict where whoever had a part in the denial would hear the appeal (42 CFR 422.590,
    438.406(b)(2))."""
    if sequence not in contested(tx, row.chain_id):
        return
    told = events.of_chain(tx, row.chain_id, events.DECIDED, APPEAL_DECIDED)
    adverse = (ACTION[Denied], UPHELD)
    against = [each for each in told if each.sequence == sequence and _outcome(each) in adverse]
    if any(_is_of(each, review) for each in against):
        raise Conflict("Who denied this does not hear the appeal: somebody else decides it.")


def _is_of(event: stored.PaEvent, review: Review) -> bool:
    """Whether it is this reviewer who decided: by the NPI where both times one was given, else by name."""
    name = event.detail.get("name")
    by_npi = event.actor != Review(name or "").actor
    return event.actor == review.actor or (name == review.name and not (by_npi and review.npi))


def _outcome(event: stored.PaEvent) -> str:
    return str(event.detail.get("outcome") or event.detail.get("action"))


def conclude(
    tx: Transaction,
    row: stored.PaCase,
    sequence: int,
    reached: Verdict,
    review: Review,
    now: dt.datetime,
    why: str = "",
) -> None:
    """What a person decided of a line, where it was under appeal."""
    if not pended(reached) and sequence in contested(tx, row.chain_id):
        outcome = UPHELD if isinstance(reached, Denied) else OVERTURNED
        told = {"outcome": outcome, "why": why, "name": review.name}
        events.record(tx, row.id, sequence, APPEAL_DECIDED, review.actor, now, **told)


def to_be_heard(said: Determination, before: Verdict | None, tracking: str, now: dt.datetime) -> InReview:
    """The verdict on a line under appeal, due by its clock. The reviewer is recommended to deny unless the
    rules would approve by now: for what they say, else for what the line was denied for `before`."""
    against = before.denial if isinstance(before, Denied) else getattr(before, "recommended", None)
    due = now + dt.timedelta(hours=said.due_hours)
    words = "The appeal was received. A reviewer decides it."
    return InReview(words, tracking, due, proposed(said, against))
