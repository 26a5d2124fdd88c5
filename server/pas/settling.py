"""Another verdict on a line of a case that is kept, whoever reached it: stored with the answer that tells of
it, on record, and owed to the subscribers of who asked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from server.pas import behaviours, casebook
from server.pas.casebook import Standing
from server.pas.wording import answer_of
from server.services import Services
from server.store import Transaction
from server.store import tables as stored

Settle = Callable[[Transaction, stored.PaCase, Standing, str, dt.datetime], None]
"""As `settle`, by the services of one server."""


def settle(
    services: Services, tx: Transaction, row: stored.PaCase, line: Standing, actor: str, now: dt.datetime
) -> None:
    """The line as it stands from now on, by this actor; in the words of the version it came by."""
    casebook.settle(tx, row, line, answer_of(row, services.fhir_base, now), now)
    casebook.tell(tx, row.id, line, actor, now)
    behaviours.tell(services, tx, row, casebook.read_again(tx, row).read, now)
