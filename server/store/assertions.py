"""Coverage assertions: what CRD said, found again by DTR and PAS under the id the client carries along."""

from sqlalchemy import bindparam, select

from server.store import Transaction
from server.store.rows import append
from server.store.tables import Assertion

# Asked for with every line that quotes one, and so made once.
_BY_ID = select(Assertion).where(Assertion.id == bindparam("id"))


def keep(tx: Transaction, assertion: Assertion) -> None:
    append(tx, assertion)


def by_id(tx: Transaction, assertion_id: str) -> Assertion | None:
    return tx.scalars(_BY_ID, {"id": assertion_id}).first()
