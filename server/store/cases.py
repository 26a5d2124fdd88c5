"""Prior-authorization requests as PAS received them, their lines, and the names clients know them by."""

from collections.abc import Iterable, Sequence
from uuid import uuid4

from sqlalchemy import select

from server.store import Transaction
from server.store.tables import PaCase, PaIdentifier, PaItem


def new_id() -> str:
    return str(uuid4())


def keep(
    tx: Transaction, case: PaCase, items: Iterable[PaItem] = (), identifiers: Iterable[PaIdentifier] = ()
) -> None:
    """A case with its lines and names."""
    tx.add(case)
    tx.flush()
    tx.add_all([*items, *identifiers])
    tx.flush()


def by_id(tx: Transaction, case_id: str) -> PaCase | None:
    return tx.get(PaCase, case_id)


def by_identifier(tx: Transaction, client: str, system: str, value: str) -> PaCase | None:
    """The newest case that this client sent under such an identifier; another client's names are its own."""
    asked = (
        select(PaCase)
        .join(PaIdentifier, PaIdentifier.case_id == PaCase.id)
        .where(PaCase.client == client, PaIdentifier.system == system, PaIdentifier.value == value)
    )
    return tx.scalars(asked.order_by(PaCase.created.desc(), PaCase.id).limit(1)).first()


def by_tracking_number(tx: Transaction, number: str) -> Sequence[PaItem]:
    """The lines of the case about which we asked for information under this number; none if it is not ours."""
    asked = select(PaIdentifier).where(PaIdentifier.kind == "tracking", PaIdentifier.value == number)
    named = tx.scalars(asked.limit(1)).first()
    return items(tx, named.case_id) if named is not None else ()


def of_member(tx: Transaction, member_key: str) -> Sequence[PaCase]:
    """Every case of a member, newest first."""
    asked = select(PaCase).where(PaCase.member_key == member_key)
    return tx.scalars(asked.order_by(PaCase.created.desc(), PaCase.id)).all()


def items(tx: Transaction, case_id: str) -> Sequence[PaItem]:
    """The lines of a case in the order of their sequence numbers."""
    return tx.scalars(select(PaItem).where(PaItem.case_id == case_id).order_by(PaItem.sequence)).all()


def identifiers(tx: Transaction, case_id: str) -> Sequence[PaIdentifier]:
    asked = select(PaIdentifier).where(PaIdentifier.case_id == case_id)
    return tx.scalars(asked.order_by(PaIdentifier.kind, PaIdentifier.system, PaIdentifier.value)).all()
