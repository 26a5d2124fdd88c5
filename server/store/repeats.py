"""Requests that were just answered: the same bytes from the same client get the same answer."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from server.store import Transaction
from server.store.tables import PaRepeat, Table

Bytes = tuple[str, str, str]
"""Client, version and digest."""

_REPEATS = Table.metadata.tables[PaRepeat.__tablename__]


def _claim(insert: Callable[..., Any]) -> Any:
    row = insert(_REPEATS).values({column.name: bindparam(column.name) for column in _REPEATS.columns})
    return row.on_conflict_do_update(
        index_elements=_REPEATS.primary_key,
        set_={"case_id": row.excluded.case_id, "answered": row.excluded.answered},
        where=_REPEATS.c.answered < bindparam("since", type_=_REPEATS.c.answered.type),
    ).returning(_REPEATS.c.case_id)


_CLAIMS = {"sqlite": _claim(sqlite.insert), "postgresql": _claim(postgresql.insert)}


def claim(
    tx: Transaction, client: str, version: str, digest: str, case_id: str, now: datetime, since: datetime
) -> str:
    """The case that answers these bytes: the one that did, if it did after `since`, else `case_id`.

    Of two transactions that come at the same moment the second waits here for the first, and then finds its
    case.
    """
    names = {"client": client, "version": version, "digest": digest}
    statement = _CLAIMS[tx.get_bind().dialect.name]
    mine = tx.scalar(statement, {**names, "case_id": case_id, "answered": now, "since": since})
    return mine or tx.scalars(select(PaRepeat.case_id).filter_by(**names)).one()


def answered_by(tx: Transaction, client: str, version: str, digest: str, case_id: str) -> None:
    """From now on this case answers these bytes, which one did before."""
    names = {"client": client, "version": version, "digest": digest}
    tx.execute(update(PaRepeat).filter_by(**names).values(case_id=case_id))


def answered_before(tx: Transaction, before: datetime, limit: int) -> Sequence[Bytes]:
    """Bytes that were answered before an instant, some of them."""
    asked = select(PaRepeat.client, PaRepeat.version, PaRepeat.digest)
    found = tx.execute(asked.where(PaRepeat.answered < before).limit(limit))
    return [(client, version, digest) for client, version, digest in found]


def forget(tx: Transaction, bytes_sent: Sequence[Bytes], before: datetime) -> None:
    """Those of them that were not answered anew since."""
    among = tuple_(*_REPEATS.primary_key).in_(bytes_sent)
    tx.execute(delete(_REPEATS).where(among, _REPEATS.c.answered < before))
