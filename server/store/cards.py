"""Cards that were shown and what clinicians did with them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from server.store import Transaction
from server.store.rows import append
from server.store.tables import Card, Feedback


def keep(tx: Transaction, shown: Iterable[Card]) -> None:
    """Keeps the cards of one answer."""
    append(tx, *shown)


def add_feedback(tx: Transaction, uuid: str, outcome: str, content: dict[str, Any], now: datetime) -> bool:
    """Keeps one entry of a feedback call; False, and nothing kept, for a card this server never showed."""
    if tx.get(Card, uuid) is None:
        return False
    tx.add(Feedback(card_uuid=uuid, outcome=outcome, content=content, received=now))
    tx.flush()
    return True


def feedback(tx: Transaction, uuid: str) -> Sequence[Feedback]:
    """What was reported about a card, oldest first."""
    return tx.scalars(select(Feedback).where(Feedback.card_uuid == uuid).order_by(Feedback.id)).all()
