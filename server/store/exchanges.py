"""Every call and its answer. Append only, until they are forgotten."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import defer

from server.store import AT_A_TIME, Transaction, ledger
from server.store.rows import append
from server.store.tables import Exchange


def record(tx: Transaction, exchange: Exchange) -> None:
    """The last of a transaction: with the call goes the access that it is."""
    append(tx, exchange)
    ledger.along(tx, exchange.status)


def latest(tx: Transaction, door: str) -> datetime | None:
    """When the newest call of a door began; None where there was none."""
    return tx.scalar(select(func.max(Exchange.started)).where(Exchange.door == door))


def begun(tx: Transaction, door: str, before: datetime, most: int) -> Sequence[str]:
    """The oldest calls of a door that began before, so many at most."""
    old = select(Exchange.id).where(Exchange.door == door, Exchange.started < before)
    return tx.scalars(old.order_by(Exchange.started).limit(most)).all()


def forget(tx: Transaction, calls: Sequence[str]) -> None:
    tx.execute(delete(Exchange).where(Exchange.id.in_(calls)))


def between(tx: Transaction, door: str, start: datetime, end: datetime) -> Iterator[Exchange]:
    """The calls of a door (`crd`, `dtr`, `pas`) that began in [start, end), oldest first, some at a time.
    What was sent and answered waits until somebody looks at it."""
    asked = (
        select(Exchange)
        .options(defer(Exchange.request), defer(Exchange.response))
        .where(Exchange.door == door, Exchange.started >= start, Exchange.started < end)
        .order_by(Exchange.started, Exchange.id)
    )
    return iter(tx.scalars(asked, execution_options={"yield_per": AT_A_TIME}))
