"""What was authorized while a request waited: the same study, to another request or as its order was signed.

Nobody need decide it any more, and nobody may deny it: every door says by then that it is authorized.
"""

from __future__ import annotations

import msgspec

from server.adjudication.authorizations import on_file
from server.pas import appealing
from server.pas.decision import authorized
from server.pas.standing import Standing
from server.pas.verdict import Certified, Modified, Review
from server.policy.determination import Line
from server.policy.line import day_of_service
from server.store import Transaction, authorizations
from server.store import tables as stored


def authorized_meanwhile(tx: Transaction, row: stored.PaCase, line: Standing) -> Certified | Modified | None:
    """The verdict on a pended line by what was authorized since it was received; None where nothing was, and
    where a person has to decide: an appeal, or what a tester had pended though it was authorized."""
    contested = line.item.sequence in appealing.contested(tx, row.chain_id)
    return None if contested or line.determination["authorization"] else authorized_since(tx, row, line)


def authorized_since(
    tx: Transaction, row: stored.PaCase, line: Standing, review: Review | None = None
) -> Certified | Modified | None:
    """The verdict by an authorization that is good for the line and was granted since that was received, or
    before where the line was judged by it, and under appeal: then none that was over by the day that is asked
    for, or where none is, by that of receipt. None where there is none; `review` is whoever overturns a
    denial by it."""
    contested = line.item.sequence in appealing.contested(tx, row.chain_id)
    asked = msgspec.convert(line.determination["line"], Line)
    listed = on_file(tx, row.member_key)
    issued = ((held, authorizations.by_number(tx, held.number)) for held in listed)
    good = (
        each
        for held, each in issued
        if each is not None
        and (contested or line.received <= each.created or each.number == line.determination["authorization"])
        and day_of_service(line.order, line.received.date()) <= held.end
        and held.good_for(asked, line.order_key, day_of_service(line.order, each.created.date()))
    )
    granted = next(good, None)
    return msgspec.structs.replace(authorized(granted, asked), review=review) if granted is not None else None
