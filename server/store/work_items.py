"""What waits for a reviewer."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import and_, bindparam, func, select, update
from sqlalchemy.orm import defer

from server.store import Transaction
from server.store.rows import insert
from server.store.tables import PaCase, PaItem, WorkItem

Status = Literal["open", "asked", "decided", "withdrawn"]
"""`asked` waits for the provider, and can be decided all the same."""

UNDECIDED = ("open", "asked")

_OF_LINE = select(WorkItem).where(
    WorkItem.case_id == bindparam("case_id"), WorkItem.sequence == bindparam("sequence")
)


def add(tx: Transaction, item: WorkItem) -> None:
    insert(tx, item)


def by_id(tx: Transaction, item_id: str) -> WorkItem | None:
    return tx.get(WorkItem, item_id)


def of_line(tx: Transaction, case_id: str, sequence: int) -> WorkItem | None:
    return tx.scalars(_OF_LINE, {"case_id": case_id, "sequence": sequence}).first()


def reopen(tx: Transaction, item: WorkItem, **told: Any) -> WorkItem:
    """Open again, as told, and another revision than anybody has seen."""
    for name, content in told.items():
        setattr(item, name, content)
    item.revision, item.verdict, item.decided = item.revision + 1, None, None
    tx.flush()
    return item


def outdate(tx: Transaction, item: WorkItem) -> None:
    """Something came for it, so that nobody decides it by what was read before; of one that was decided
    nothing changes."""
    if item.status in UNDECIDED:
        item.revision += 1
        tx.flush()


def withdraw(tx: Transaction, item: WorkItem, why: str, now: datetime) -> None:
    """Nobody need decide it any more; of one that was decided nothing changes."""
    if item.status in UNDECIDED:
        close(tx, item, "withdrawn", {"why": why}, now)


def of_case(tx: Transaction, case_id: str) -> Sequence[WorkItem]:
    return tx.scalars(select(WorkItem).where(WorkItem.case_id == case_id).order_by(WorkItem.sequence)).all()


def waiting(tx: Transaction, most: int, first: int) -> list[tuple[WorkItem, PaCase, PaItem]]:
    """So many undecided items with their case and line, the one due first at the top, from that place in the
    queue on. What was sent, attachments and all, and what was answered wait until somebody looks at them."""
    asked = (
        select(WorkItem, PaCase, PaItem)
        .join(PaCase, PaCase.id == WorkItem.case_id)
        .join(PaItem, and_(PaItem.case_id == WorkItem.case_id, PaItem.sequence == WorkItem.sequence))
        .options(defer(PaCase.request), defer(PaCase.response))
        .where(WorkItem.status.in_(UNDECIDED))
        .order_by(WorkItem.due, WorkItem.id)
        .limit(most)
        .offset(first)
    )
    return [(item, case, line) for item, case, line in tx.execute(asked)]


def undecided(tx: Transaction) -> int:
    """How many items wait."""
    return tx.scalars(select(func.count()).where(WorkItem.status.in_(UNDECIDED))).one()


def take(tx: Transaction, item_id: str, revision: int) -> WorkItem | None:
    """The undecided item, for whoever saw this revision of it; None where another was quicker. From here to
    the end of the transaction nobody else gets it."""
    taken = tx.execute(
        update(WorkItem)
        .where(WorkItem.id == item_id, WorkItem.status.in_(UNDECIDED), WorkItem.revision == revision)
        .values(revision=revision + 1)
        .returning(WorkItem.id)
    )
    if taken.first() is None:
        return None
    item = tx.get_one(WorkItem, item_id)
    tx.refresh(item)
    return item


def close(tx: Transaction, item: WorkItem, status: Status, verdict: dict[str, Any], now: datetime) -> None:
    """Records what a person decided or asked, or that nobody needs to decide any more."""
    item.status, item.verdict, item.decided = status, verdict, now
    tx.flush()
