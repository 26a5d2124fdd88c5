"""What happened to the lines of prior-authorization cases. Append only."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, select

from server.store import AT_A_TIME, Transaction
from server.store.cases import PLAN
from server.store.rows import append
from server.store.tables import PaCase, PaEvent, PaItem

DECIDED, PENDED = "decided", "pended"
"""Kinds of events that tell of a verdict: final, or with more to come."""

_OF_CHAIN = (
    select(PaEvent)
    .join(PaCase, PaCase.id == PaEvent.case_id)
    .where(PaCase.chain_id == bindparam("chain_id"))
    .order_by(PaEvent.id)
)
_OF_MEMBER = (
    select(PaEvent)
    .join(PaCase, PaCase.id == PaEvent.case_id)
    .where(PaCase.member_key == bindparam("member_key"))
    .order_by(PaEvent.id)
)
# Kinds are looked at afterwards: SQLite would go by their index, through every request there was.


def record(
    tx: Transaction, case_id: str, sequence: int, kind: str, actor: str, now: datetime, **detail: Any
) -> None:
    """`actor` is a client, a reviewer or `rules`."""
    event = PaEvent(case_id=case_id, sequence=sequence, kind=kind, actor=actor, at=now, detail=detail)
    append(tx, event)


def of_case(tx: Transaction, case_id: str) -> Sequence[PaEvent]:
    """The history of a case, oldest first."""
    return tx.scalars(select(PaEvent).where(PaEvent.case_id == case_id).order_by(PaEvent.id)).all()


def of_chains(tx: Transaction, chain_ids: Sequence[str]) -> dict[str, list[PaEvent]]:
    """The histories of every version of several requests, by case, oldest first."""
    asked = select(PaEvent).join(PaCase, PaCase.id == PaEvent.case_id).where(PaCase.chain_id.in_(chain_ids))
    found = defaultdict[str, list[PaEvent]](list)
    for event in tx.scalars(asked.order_by(PaEvent.id)):
        found[event.case_id].append(event)
    return found


def of_chain(tx: Transaction, chain_id: str, *kinds: str) -> Sequence[PaEvent]:
    """Events of these kinds, of all where none is named, in any version of a request, oldest first."""
    told = tx.scalars(_OF_CHAIN, {"chain_id": chain_id})
    return [event for event in told if not kinds or event.kind in kinds]


def of_member(tx: Transaction, member_key: str, kind: str) -> Sequence[PaEvent]:
    """Events of a kind in any case of a member, oldest first."""
    told = tx.scalars(_OF_MEMBER, {"member_key": member_key})
    return [event for event in told if event.kind == kind]


class Happened(NamedTuple):
    """An event and its chain; of its line, as that version of the request has it, what is counted."""

    chain: str
    sequence: int
    kind: str
    at: datetime
    detail: dict[str, Any]
    plan: str
    cpt: str
    expedited: bool
    received: datetime
    requested: dict[str, Any]


_HAPPENED = (
    PaCase.chain_id,
    PaEvent.sequence,
    PaEvent.kind,
    PaEvent.at,
    PaEvent.detail,
    PLAN,
    PaItem.cpt,
    PaItem.expedited,
    PaItem.received,
    PaItem.requested,
)


def of_lines(tx: Transaction, kinds: Sequence[str], start: datetime, end: datetime) -> Iterator[Happened]:
    """Events of these kinds before `end`, oldest first, of the lines to which one of the first kind happened
    in [start, end), in any version of their request; some at a time."""
    happened = select(PaCase.chain_id, PaEvent.sequence).join(PaCase, PaCase.id == PaEvent.case_id)
    then = PaEvent.kind == kinds[0], PaEvent.at >= start, PaEvent.at < end
    lines = happened.where(*then).distinct().subquery()
    asked = (
        select(*_HAPPENED)
        .select_from(PaEvent)
        .join(PaCase, PaCase.id == PaEvent.case_id)
        .join(PaItem, and_(PaItem.case_id == PaEvent.case_id, PaItem.sequence == PaEvent.sequence))
        .join(lines, and_(lines.c.chain_id == PaCase.chain_id, lines.c.sequence == PaEvent.sequence))
        # SQLite would go by the index of kinds here too, through every event for every line.
        .where((PaEvent.kind + "").in_(kinds), PaEvent.at < end)
        .order_by(PaEvent.id)
    )
    return (Happened(*row) for row in tx.execute(asked, execution_options={"yield_per": AT_A_TIME}))
