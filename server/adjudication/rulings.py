"""What this payer ruled on a clinician's earlier requests: those that came in here, and those of old among
its records. A gold card is earned with them (`server.policy.exemptions`)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from server.policy.request import Ruling
from server.policy.rulings import DENIED, GRANTED, rulings_of
from server.store import Transaction, cases, records
from server.store import tables as stored


def ruled(tx: Transaction, orderers: Sequence[str], since: dt.date, until: dt.date) -> list[Ruling]:
    """The rulings on requests of these clinicians (NPI); of those that came in here, the ones decided in
    [since, until)."""
    if not orderers:
        return []
    lines = cases.decided_for(tx, orderers, _midnight(since), _midnight(until))
    found = (_of_line(line) for line in lines)
    return [*(each for each in found if each is not None), *rulings_of(records.of_orderers(tx, orderers))]


def _of_line(line: stored.PaItem) -> Ruling | None:
    """A line that was decided on its merits: the gate (no coverage, an authorization on file, …) says nothing
    of how well the clinician asks."""
    if line.determination.get("gate") or line.outcome not in GRANTED | DENIED or line.decided is None:
        return None
    return Ruling(line.orderer, line.cpt, line.decided.date(), approved=line.outcome in GRANTED)


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)
