"""Another verdict on lines of a case that is kept, whoever reached it: stored with the answer that tells of
it, on record, handed over where it waits for a person, and owed to the subscribers of who asked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from functools import partial

from server.pas import behaviours, casebook, holders, prolonging
from server.pas.handover import assign_of
from server.pas.standing import Standing
from server.pas.verdict import Cancelled, InReview, count_all, pended, told, valid_number
from server.services import Services
from server.store import Transaction, authorizations, work_items
from server.store import tables as stored

Settle = Callable[[Transaction, stored.PaCase, Sequence[Standing], str, dt.datetime], None]
"""As `settle`, by the services of one server."""


def settle(
    services: Services,
    tx: Transaction,
    row: stored.PaCase,
    lines: Sequence[Standing],
    actor: str,
    now: dt.datetime,
) -> None:
    """The lines as they stand from now on, by this actor; in the words of the version they came by. A verdict
    that says what was told already, such as what is still missing, is no news."""
    lines = [line.beside_what_stands(tx, row.member_key, now) for line in lines]
    known = {line.item.sequence: told(line.item.verdict) for line in casebook.standing_of(tx, row.id)}
    news = [line for line in lines if told(line.item.verdict) != known[line.item.sequence]]
    casebook.settle(tx, row, lines, services.fhir_base, now)
    for line in news:
        _give_up_what_is_renewed(services, tx, row, line, now)
        casebook.tell(tx, row.id, line, actor, now)
        reached, waited = line.item.verdict, work_items.of_line(tx, row.id, line.item.sequence)
        if isinstance(reached, InReview):
            assign_of(services)(tx, casebook.open_work_item(tx, row.id, line, reached, now))
        elif waited is not None and not pended(reached):
            work_items.withdraw(tx, waited, f"decided by {actor}", now)
    count_all(tx, (line.item.verdict for line in news), row.version, services.metrics.decision)
    if news:
        behaviours.tell(services, tx, row, casebook.read_again(tx, row).read, now)


def tell_of_new_days(
    tx: Transaction, member_key: str, extended: Standing, settle: Settle, now: dt.datetime
) -> None:
    """Where a line was just granted an extension, the other requests that have its number learn of it."""
    number = valid_number(extended.item.verdict)
    if number is not None and prolonging.extends(extended.item.requested):
        settle_others(tx, member_key, number, lambda line: line.by_now(tx), settle, now)


def settle_others(
    tx: Transaction,
    member_key: str,
    number: str,
    change: Callable[[Standing], Standing],
    settle: Settle,
    now: dt.datetime,
) -> None:
    """Every line of the member that has this number as the change has it; those of one request at once, for
    its subscribers are told of a result once."""
    having = holders.having(tx, member_key, number)
    for row in {row.id: row for row, _ in having}.values():
        settle(tx, row, [change(line) for other, line in having if other.id == row.id], casebook.RULES, now)


def _give_up_what_is_renewed(
    services: Services, tx: Transaction, row: stored.PaCase, line: Standing, now: dt.datetime
) -> None:
    """While its renewal was pended it was good; the new one takes its place."""
    renewed, granted = holders.to_be_renewed(tx, row.chain_id, line), valid_number(line.item.verdict)
    if not renewed or granted in (None, renewed):
        return
    if holders.is_good_elsewhere(tx, row.member_key, renewed):
        return
    authorizations.cancel(tx, renewed)
    ended = Cancelled(renewed)
    settle_others(
        tx, row.member_key, renewed, lambda each: each.now(ended, now), partial(settle, services), now
    )
