"""Use of an authorization: the service was done. What is used up satisfies no further order."""

from __future__ import annotations

import datetime as dt

from server.fhir.errors import Conflict, NotFound
from server.store import Transaction, authorizations, cases, events
from server.store import tables as stored

USED = "used"


def use(tx: Transaction, number: str, units: int, on: dt.date, now: dt.datetime) -> stored.Authorization:
    """Counts so many units as done on that day. Raises NotFound, and Conflict where the authorization does
    not hold that day or has fewer units left."""
    row = authorizations.by_number(tx, number)
    if row is None:
        raise NotFound("There is no authorization of this number.")
    authorizations.alone(tx, row.member_key)
    if row.status != "active" or not row.span_start <= on <= row.span_end:
        raise Conflict(f"The authorization does not hold on {on.isoformat()}.")
    if row.used + units > row.units:
        raise Conflict(f"The authorization has {row.units - row.used} of {row.units} units left.")
    row.used += units
    if row.case_id is not None:
        lines = [line for line in cases.items(tx, row.case_id) if line.authorization_number == number]
        for line in lines[:1]:
            told = {"number": number, "units": units, "on": on.isoformat()}
            events.record(tx, row.case_id, line.sequence, USED, "claims", now, **told)
    tx.flush()
    return row
