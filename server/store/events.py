"""What happened to the lines of prior-authorization cases. Append only."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from server.store import Transaction
from server.store.tables import PaCase, PaEvent


def record(
    tx: Transaction, case_id: str, sequence: int, kind: str, actor: str, now: datetime, **detail: Any
) -> None:
    """`actor` is a client, a reviewer or `rules`."""
    tx.add(PaEvent(case_id=case_id, sequence=sequence, kind=kind, actor=actor, at=now, detail=detail))


def of_case(tx: Transaction, case_id: str) -> Sequence[PaEvent]:
    """The history of a case, oldest first."""
    return tx.scalars(select(PaEvent).where(PaEvent.case_id == case_id).order_by(PaEvent.id)).all()


def of_chain(tx: Transaction, chain_id: str, kind: str) -> Sequence[PaEvent]:
    """Events of a kind in any version of a request, oldest first."""
    asked = (
        select(PaEvent)
        .join(PaCase, PaCase.id == PaEvent.case_id)
        .where(PaCase.chain_id == chain_id, PaEvent.kind == kind)
    )
    return tx.scalars(asked.order_by(PaEvent.id)).all()


def of_member(tx: Transaction, member_key: str, kind: str) -> Sequence[PaEvent]:
    """Events of a kind in any case of a member, oldest first."""
    asked = (
        select(PaEvent)
        .join(PaCase, PaCase.id == PaEvent.case_id)
        .where(PaCase.member_key == member_key, PaEvent.kind == kind)
    )
    return tx.scalars(asked.order_by(PaEvent.id)).all()


def between(tx: Transaction, kinds: Sequence[str], start: datetime, end: datetime) -> Sequence[PaEvent]:
    """Events of these kinds in [start, end), oldest first."""
    asked = select(PaEvent).where(PaEvent.kind.in_(kinds), PaEvent.at >= start, PaEvent.at < end)
    return tx.scalars(asked.order_by(PaEvent.at, PaEvent.id)).all()
