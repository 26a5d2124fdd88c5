"""Who has an authorization: it is given up once nobody does, and nothing was done on it."""

from __future__ import annotations

from server.adjudication.authorizations import done_on
from server.pas import prolonging, verdict
from server.pas.marks import quoted_number
from server.pas.standing import Standing
from server.store import Transaction, cases, events
from server.store import tables as stored


def to_be_renewed(tx: Transaction, chain_id: str, line: Standing) -> str | None:
    """The authorization that the line asks to have renewed, if it had that before; None where it asks for
    none."""
    requested = line.item.requested
    number = quoted_number(requested) if prolonging.renews(requested) else None
    told = events.of_chain(tx, chain_id, events.DECIDED) if number else ()
    had = (event.detail["number"] for event in told if event.sequence == line.item.sequence)
    return number if number in had else None


def having(tx: Transaction, member_key: str, number: str) -> list[tuple[stored.PaCase, Standing]]:
    """The lines of a member that hold and have this authorization, each with its case."""
    rows = cases.under_number(tx, member_key, number)
    known = [(tx.get_one(stored.PaCase, row.case_id), Standing.kept(row)) for row in rows]
    return [(case, line) for case, line in known if verdict.valid_number(line.item.verdict) == number]


def is_good_elsewhere(tx: Transaction, member_key: str, number: str) -> bool:
    """Whether a line of the member that holds has this authorization otherwise than by an extension alone, or
    something was done on it."""
    lines = having(tx, member_key, number)
    own = (not prolonging.borrows(tx, line.item.requested, number, case.chain_id) for case, line in lines)
    return any(own) or done_on(tx, member_key, number)
