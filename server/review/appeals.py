"""Appeals: a denial that the provider or the member contests, and what came of it.

An appeal that reaches the payer by letter, telephone or portal is recorded and decided here; one that comes
as a request waits at the desk (`server.pas.appealing`). Here the denial stands until the appeal is decided.
Overturned, the line is authorized, and the ClaimResponse, the record and the notifications say so; upheld,
only the record does. The figures for regulators are counted from the record.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

from server.fhir.errors import Conflict, NotFound
from server.pas import appealing, casebook, verdict
from server.pas.meanwhile import authorized_since
from server.pas.settling import settle
from server.pas.standing import Standing
from server.pas.verdict import Certified, Denied, Review, Verdict
from server.review.terms import Terms, check_review, owed, span_of
from server.services import Services
from server.store import Transaction, cases
from server.store import tables as stored


@dataclass(frozen=True, slots=True)
class Appeals:
    services: Services

    def receive(self, case_id: str, sequence: int, by: str) -> Standing:
        """`by` is who appeals, such as `provider` or `member`. Raises NotFound, InvalidRequest where nobody
        does, and Conflict where the line is not denied or is under appeal already."""
        owed(by, "by")
        now = self.services.clock()
        with self.services.store.transaction() as tx:
            row, line = self._denied(tx, case_id, sequence)
            if sequence in appealing.contested(tx, row.chain_id):
                raise Conflict("This line is under appeal already.")
            appealing.receive(tx, case_id, sequence, by, now)
            return line

    def decide(self, case_id: str, sequence: int, review: Review, *, overturned: bool, why: str) -> Standing:
        """Raises NotFound, Conflict where no appeal of this line is open, and InvalidRequest without a
        reason."""
        owed(why, "why")
        now = self.services.clock()
        with self.services.store.transaction() as tx:
            row, line = self._denied(tx, case_id, sequence)
            check_review(review, casebook.read_again(tx, row).read)
            if sequence not in appealing.contested(tx, row.chain_id):
                raise Conflict("No appeal of this line is open. Record that it was received first.")
            appealing.heard_by_another(tx, row, sequence, review)
            if overturned:
                line = line.now(self._authorized(tx, row, line, review, now), now)
            appealing.conclude(tx, row, sequence, line.item.verdict, review, now, why)
            if not overturned:
                return line
            settle(self.services, tx, row, [line], review.actor, now)
            return line

    def _authorized(
        self, tx: Transaction, row: stored.PaCase, line: Standing, review: Review, now: dt.datetime
    ) -> Verdict:
        """By what was authorized meanwhile, to a request with better evidence say, else anew."""
        held = authorized_since(tx, row, line, review)
        if held is not None:
            return held
        span, units = span_of(line, Terms(), now.date()), int(line.determination["units"])
        granted = casebook.grant(tx, row, line, line.cpt, span, units, now)
        return Certified(granted.number, granted.created.date(), span, Decimal(units), review)

    def _denied(self, tx: Transaction, case_id: str, sequence: int) -> tuple[stored.PaCase, Standing]:
        """The line in the version of its request that holds: whoever appeals may quote an earlier one."""
        named = cases.by_id(tx, case_id)
        if named is None:
            raise NotFound("There is no case with this id: it is the id of the ClaimResponse.")
        row = cases.hold_current(tx, named)
        lines = {line.item.sequence: line for line in casebook.standing_of(tx, row.id)}
        if sequence not in lines:
            raise NotFound(f"The case has no item {sequence}.")
        standing = lines[sequence].item.verdict
        if verdict.pended(standing) and sequence in appealing.contested(tx, row.chain_id):
            raise Conflict("This appeal came as a request and waits at the desk: decide its work item.")
        if not isinstance(standing, Denied):
            raise Conflict("Only a denial that stands can be appealed.")
        return row, lines[sequence]
