"""Prior authorizations that were granted, by number, by order, by member."""

import base64
import secrets
from collections.abc import Sequence
from typing import Literal

from sqlalchemy import bindparam, select
from sqlalchemy.orm import defer

from server.store import Transaction, one_by_one
from server.store.rows import insert
from server.store.tables import Authorization, PaCase, PaItem

Status = Literal["active", "cancelled"]

# Asked for with every line that is judged, and so made once. Most of a row is what was ordered and what was
# determined: that waits until somebody looks at it.
_OF_MEMBER = (
    select(Authorization)
    .options(defer(Authorization.order), defer(Authorization.determination))
    .where(Authorization.member_key == bindparam("member_key"))
    .order_by(Authorization.created.desc(), Authorization.number)
)


def new_number() -> str:
    """`PA` and 16 letters and digits (80 random bits): nobody guesses another's, and no two are the same."""
    return "PA" + base64.b32encode(secrets.token_bytes(10)).decode()


def alone(tx: Transaction, member_key: str) -> None:
    """From here to the end of the transaction nobody else looks for, or grants, an authorization of this
    member, or changes a line of its cases: two requests for one order at the same moment end in one number.
    To be called before a row is held."""
    one_by_one(tx, member_key)


def issue(tx: Transaction, authorization: Authorization) -> None:
    insert(tx, authorization)


def by_number(tx: Transaction, number: str) -> Authorization | None:
    return tx.get(Authorization, number)


def hold(tx: Transaction, number: str) -> Authorization | None:
    """The authorization as it is now, for this transaction alone until it ends; None where it was not issued
    here."""
    return tx.get(Authorization, number, with_for_update=True, populate_existing=True)


def of_order(tx: Transaction, member_key: str, order_key: str) -> Authorization | None:
    """The newest active authorization of the very same order."""
    asked = select(Authorization).where(
        Authorization.member_key == member_key,
        Authorization.order_key == order_key,
        Authorization.status == "active",
    )
    return tx.scalars(asked.order_by(Authorization.created.desc(), Authorization.number).limit(1)).first()


def of_case(tx: Transaction, case_id: str) -> Sequence[str]:
    """The numbers that were granted to one version of a request."""
    return tx.scalars(select(Authorization.number).where(Authorization.case_id == case_id)).all()


def of_member(tx: Transaction, member_key: str) -> Sequence[Authorization]:
    """Every authorization of a member, newest first, cancelled ones too."""
    return tx.scalars(_OF_MEMBER, {"member_key": member_key}).all()


def first_told(tx: Transaction) -> dict[str, str]:
    """The chain of the request that was told of each number first: the one it was granted to, or where none
    asked for it, the first that did later."""
    told = (
        select(PaItem.authorization_number, PaCase.chain_id)
        .join(PaCase, PaCase.id == PaItem.case_id)
        .where(PaItem.authorization_number.is_not(None))
        .order_by(PaCase.created.desc(), PaCase.id)
    )
    granted = select(Authorization.number, PaCase.chain_id).join(PaCase, PaCase.id == Authorization.case_id)
    return {str(number): chain for number, chain in (*tx.execute(told), *tx.execute(granted))}


def cancel(tx: Transaction, number: str) -> None:
    """It is good for nothing any more; nothing is done where it is not ours."""
    _become(tx, number, "cancelled")


def reinstate(tx: Transaction, number: str) -> None:
    """It is good again, in the transaction that cancelled it."""
    _become(tx, number, "active")


def _become(tx: Transaction, number: str, status: Status) -> None:
    found = tx.get(Authorization, number)
    if found is not None:
        found.status = status
        tx.flush()
