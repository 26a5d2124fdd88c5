"""Cards that were shown and what clinicians did with them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from server.store import Transaction, some_of
from server.store.rows import append
from server.store.tables import Card, Feedback


def keep(tx: Transaction, shown: Iterable[Card]) -> None:
    """Keeps the cards of one answer."""
    append(tx, *shown)


def shown(tx: Transaction, uuid: str) -> Card | None:
    return tx.get(Card, uuid)


def add_feedback(tx: Transaction, card: Card, outcome: str, content: dict[str, Any], now: datetime) -> None:
    """Keeps one entry of a feedback call."""
    append(tx, Feedback(card_uuid=card.uuid, outcome=outcome, content=content, received=now))


def outcomes(tx: Transaction, uuids: Sequence[str]) -> dict[str, str]:
    """What was reported last about each of these cards; nothing of one that nobody reported on."""
    found: dict[str, str] = {}
    for some in some_of(uuids):
        asked = select(Feedback.card_uuid, Feedback.outcome).where(Feedback.card_uuid.in_(some))
        found.update(tx.execute(asked.order_by(Feedback.id)).tuples().all())
    return found
