"""Appeals: a denial that the provider or the member contests, and what came of it.

An appeal reaches the payer by letter, telephone or portal; PAS has no transaction for it. The denial stands
until the appeal is decided. Overturned, the line is authorized, and the ClaimResponse, the record and the
notifications say so; upheld, only the record does. The figures for regulators are counted from the record.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.fhir.errors import Conflict, NotFound
from server.pas import casebook, notices
from server.pas.casebook import Standing
from server.pas.verdict import Certified, Denied, Review
from server.pas.wording import answer_of
from server.review.desk import Terms, span_of, units_of
from server.services import Services
from server.store import Transaction, cases, events
from server.store import tables as stored

APPEALED = "appealed"
APPEAL_DECIDED = "appeal-decided"
OVERTURNED, UPHELD = "overturned", "upheld"


@dataclass(frozen=True, slots=True)
class Appeals:
    services: Services

    def receive(self, case_id: str, sequence: int, by: str) -> Standing:
        """`by` is who appeals, such as `provider` or `member`. Raises NotFound, and Conflict where the line
        is not denied or is under appeal already."""
        now = self.services.clock()
        with self.services.store.transaction() as tx:
            _, line = self._denied(tx, case_id, sequence)
            if self._open(tx, case_id, sequence):
                raise Conflict("This line is under appeal already.")
            events.record(tx, case_id, sequence, APPEALED, by, now)
            return line

    def decide(self, case_id: str, sequence: int, review: Review, *, overturned: bool, why: str) -> Standing:
        """Raises NotFound, and Conflict where no appeal of this line is open."""
        now = self.services.clock()
        with self.services.store.transaction() as tx:
            row, line = self._denied(tx, case_id, sequence)
            if not self._open(tx, case_id, sequence):
                raise Conflict("No appeal of this line is open. Record that it was received first.")
            outcome = OVERTURNED if overturned else UPHELD
            events.record(tx, case_id, sequence, APPEAL_DECIDED, review.actor, now, outcome=outcome, why=why)
            if not overturned:
                return line
            span, units = span_of(line, Terms()), units_of(line)
            number = casebook.grant(tx, row, line, line.cpt, span, units, now)
            line = line.now(Certified(number, now.date(), span, units, review), now)
            casebook.settle(tx, row, line, answer_of(row, self.services.fhir_base, now), now)
            casebook.tell(tx, case_id, line, review.actor, now)
            notices.tell(tx, self.services.work, row, casebook.read_again(tx, row).read, now)
            return line

    def _denied(self, tx: Transaction, case_id: str, sequence: int) -> tuple[stored.PaCase, Standing]:
        if cases.by_id(tx, case_id) is None:
            raise NotFound("There is no case with this id: it is the id of the ClaimResponse.")
        row = cases.hold(tx, case_id)
        lines = {line.item.sequence: line for line in casebook.standing_of(tx, case_id)}
        if sequence not in lines:
            raise NotFound(f"The case has no item {sequence}.")
        if row.replaced_by is not None or not isinstance(lines[sequence].item.verdict, Denied):
            raise Conflict("Only a denial that stands can be appealed.")
        return row, lines[sequence]

    def _open(self, tx: Transaction, case_id: str, sequence: int) -> bool:
        told = [event.kind for event in events.of_case(tx, case_id) if event.sequence == sequence]
        return told.count(APPEALED) > told.count(APPEAL_DECIDED)
