"""What happened to the lines of prior-authorization cases. Append only."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, func, select

from server.store import Transaction
from server.store.rows import append
from server.store.tables import PaCase, PaEvent, PaItem

DECIDED, PENDED = "decided", "pended"
"""Kinds of events that tell of a verdict: final, or with more to come."""

_OF_CHAIN = (
    select(PaEvent)
    .join(PaCase, PaCase.id == PaEvent.case_id)
    .where(PaCase.chain_id == bindparam("chain_id"), PaEvent.kind.in_(bindparam("kinds", expanding=True)))
    .order_by(PaEvent.id)
)


def record(
    tx: Transaction, case_id: str, sequence: int, kind: str, actor: str, now: datetime, **detail: Any
) -> None:
    """`actor` is a client, a reviewer or `rules`."""
    event = PaEvent(case_id=case_id, sequence=sequence, kind=kind, actor=actor, at=now, detail=detail)
    append(tx, event)


def of_case(tx: Transaction, case_id: str) -> Sequence[PaEvent]:
    """The history of a case, oldest first."""
    return tx.scalars(select(PaEvent).where(PaEvent.case_id == case_id).order_by(PaEvent.id)).all()


def of_chain(tx: Transaction, chain_id: str, *kinds: str) -> Sequence[PaEvent]:
    """Events of these kinds in any version of a request, oldest first."""
    return tx.scalars(_OF_CHAIN, {"chain_id": chain_id, "kinds": kinds}).all()


def of_member(tx: Transaction, member_key: str, kind: str) -> Sequence[PaEvent]:
    """Events of a kind in any case of a member, oldest first."""
    asked = (
        select(PaEvent)
        .join(PaCase, PaCase.id == PaEvent.case_id)
        .where(PaCase.member_key == member_key, PaEvent.kind == kind)
    )
    return tx.scalars(asked.order_by(PaEvent.id)).all()


def of_lines(
    tx: Transaction, kinds: Sequence[str], start: datetime, end: datetime
) -> Sequence[tuple[PaItem, PaEvent]]:
    """Events of these kinds before `end`, oldest first, of the lines to which the first one happened on or
    after `start`, each with its line."""
    first = (
        select(func.min(PaEvent.id))
        .where(PaEvent.kind == kinds[0])
        .group_by(PaEvent.case_id, PaEvent.sequence)
        .scalar_subquery()
    )
    begun = (
        select(PaEvent.case_id, PaEvent.sequence)
        .where(PaEvent.id.in_(first), PaEvent.at >= start, PaEvent.at < end)
        .subquery()
    )
    asked = (
        select(PaItem, PaEvent)
        .join(PaEvent, and_(PaEvent.case_id == PaItem.case_id, PaEvent.sequence == PaItem.sequence))
        .join(begun, and_(begun.c.case_id == PaItem.case_id, begun.c.sequence == PaItem.sequence))
        .where(PaEvent.kind.in_(kinds), PaEvent.at < end)
    )
    return [(item, event) for item, event in tx.execute(asked.order_by(PaEvent.id))]


def between(tx: Transaction, kinds: Sequence[str], start: datetime, end: datetime) -> Sequence[PaEvent]:
    """Events of these kinds in [start, end), oldest first."""
    asked = select(PaEvent).where(PaEvent.kind.in_(kinds), PaEvent.at >= start, PaEvent.at < end)
    return tx.scalars(asked.order_by(PaEvent.at, PaEvent.id)).all()
