"""Every call and its answer. Append only."""

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from sqlalchemy import func, select

from server.store import Transaction
from server.store.rows import append
from server.store.tables import Exchange


def new_id() -> str:
    return str(uuid4())


def record(tx: Transaction, exchange: Exchange) -> None:
    append(tx, exchange)


def latest(tx: Transaction, door: str) -> datetime | None:
    """When the newest call of a door began; None where there was none."""
    return tx.scalar(select(func.max(Exchange.started)).where(Exchange.door == door))


def between(tx: Transaction, door: str, start: datetime, end: datetime) -> Sequence[Exchange]:
    """The calls of a door (`crd`, `dtr`, `pas`) that began in [start, end), oldest first."""
    asked = select(Exchange).where(Exchange.door == door, Exchange.started >= start, Exchange.started < end)
    return tx.scalars(asked.order_by(Exchange.started, Exchange.id)).all()
