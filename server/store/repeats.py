"""Requests that were just answered: the same bytes from the same client get the same answer."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from server.store import Transaction
from server.store.tables import PaRepeat

_INSERTS: dict[str, Callable[..., Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def claim(
    tx: Transaction, client: str, version: str, digest: str, case_id: str, now: datetime, since: datetime
) -> str:
    """The case that answers these bytes: the one that did, if it did after `since`, else `case_id`.

    Of two transactions that come at the same moment the second waits here for the first, and then finds its
    case.
    """
    insert = _INSERTS[tx.get_bind().dialect.name]
    names = {"client": client, "version": version, "digest": digest}
    row = insert(PaRepeat).values(**names, case_id=case_id, answered=now)
    mine = tx.scalar(
        row.on_conflict_do_update(
            index_elements=list(names),
            set_={"case_id": case_id, "answered": now},
            where=PaRepeat.answered < since,
        ).returning(PaRepeat.case_id)
    )
    return mine or tx.scalars(select(PaRepeat.case_id).filter_by(**names)).one()
