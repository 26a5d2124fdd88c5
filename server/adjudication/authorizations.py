"""Authorizations on file: those issued here, and those of old among the payer's own records
(`server.policy.rulings` has how they are read)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from server.policy.request import Authorization
from server.policy.rulings import authorizations_of, numbers_claimed
from server.store import Transaction, authorizations, records
from server.store import tables as stored

Resource = Mapping[str, Any]


def on_file(tx: Transaction, member_key: str, kept: Sequence[Resource] | None = None) -> list[Authorization]:
    """Every authorization of the member that may still be good, newest first, those of old last. A bill among
    the payer's records of the member, `kept` where they were read already, that quotes a number spends it."""
    kept = records.of_member(tx, member_key) if kept is None else kept
    spent = set(numbers_claimed(kept))
    rows = authorizations.of_member(tx, member_key)
    issued = [as_issued(row, row.number in spent) for row in rows if row.status == "active"]
    return [*issued, *authorizations_of([*kept, *records.named(tx, "Organization", "insurer", kept)])]


def done_on(tx: Transaction, member_key: str, number: str) -> bool:
    """Whether something was done on an authorization of the member: it is on record as used, or a bill among
    the payer's records quotes it. From here to the end of the transaction it is not used meanwhile."""
    row = authorizations.hold(tx, number)
    return (row is not None and row.used > 0) or number in numbers_claimed(records.of_member(tx, member_key))


def as_issued(row: stored.Authorization, spent: bool) -> Authorization:
    """A stored authorization as the policy sees it."""
    return Authorization(
        number=row.number,
        code=row.cpt,
        side=row.side or None,
        start=row.span_start,
        end=row.span_end,
        used=spent or row.used >= row.units,
        order_key=row.order_key,
        units=row.units - row.used,
        place=row.place,
    )
