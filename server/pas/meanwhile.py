"""What was authorized while a request waited: the same study, to another request or as its order was signed.

Nobody need decide it any more, and nobody may deny it: every door says by then that it is authorized.
"""

from __future__ import annotations

import datetime as dt

import msgspec

from server.adjudication.authorizations import on_file
from server.pas import appealing
from server.pas.casebook import Standing
from server.pas.decision import authorized
from server.pas.verdict import Certified, Modified
from server.policy.determination import Line
from server.store import Transaction, authorizations, records
from server.store import tables as stored


def authorized_meanwhile(tx: Transaction, row: stored.PaCase, line: Standing) -> Certified | Modified | None:
    """The verdict on a pended line by an authorization that was granted since it was received and is good for
    it; None where there is none, and where a person has to decide an appeal."""
    said, sequence = line.determination, line.item.sequence
    asked, on = (
        msgspec.convert(said["line"], Line),
        dt.date.fromisoformat(said["planned"] or said["day_zero"]),
    )
    good = (
        authorizations.by_number(tx, held.number)
        for held in on_file(tx, row.member_key, records.of_member(tx, row.member_key))
        if held.good_for(asked, line.order_key, on)
    )
    granted = next((each for each in good if each is not None and line.received <= each.created), None)
    if granted is None or sequence in appealing.contested(tx, row.chain_id):
        return None
    return authorized(granted, asked)
