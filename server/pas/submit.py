"""`Claim/$submit`: read, judge each item, grant what is approved, store, answer.

Judging a first request reads the store and writes nothing, so it runs before the writing transaction opens;
that one holds the decision, the numbers and the case together, and the answer leaves only after it is on
disk. What was judged by an authorization that is good no more by then is judged again, in that transaction.
A change of an earlier request takes back before it judges, so it is whole in one transaction (`Revision`).
The same bytes from the same client get the same answer for `REPEAT`, unless it decided nothing: what they
were refused for may have been mended. A dry run does all of that but this, and takes it back.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Any

from server.adjudication.adjudicator import Adjudicator
from server.pas import casebook, rejection
from server.pas.case import Case
from server.pas.change import change_of
from server.pas.handover import Assign
from server.pas.intake import Submission
from server.pas.intake import read as read_request
from server.pas.judging import Docket, Judge, Line
from server.pas.prolonging import unknown_numbers
from server.pas.rejection import Rejection
from server.pas.response import pas_response_bundle
from server.pas.revision import Decided, Revision
from server.pas.settling import Settle, tell_of_new_days
from server.pas.standing import Standing
from server.pas.verdict import Count, count_all, nobody_counts
from server.pas.version import Version
from server.store import Store, Transaction, authorizations, cases, ledger, repeats
from server.store.tables import new_id

Resource = dict[str, Any]

REPEAT = dt.timedelta(minutes=5)

Judgement = tuple[list[Line], tuple[Rejection, ...]]
"""Lines that were judged, and why others could not be."""


@dataclass(frozen=True, slots=True)
class Submit:
    """The use case at one FHIR base."""

    version: Version
    base: str
    store: Store
    adjudicator: Adjudicator
    assign: Assign
    settle: Settle
    hold: bool = False
    """See `Judge`."""
    dry: bool = False
    """Whether all of it is taken back before it is answered: nothing is stored, no number is granted."""
    count: Count = nobody_counts

    @property
    def judge(self) -> Judge:
        return Judge(self.adjudicator, self.version.name, self.hold)

    def answer(self, raw: bytes, client: str, now: dt.datetime) -> Resource:
        """The response Bundle, once the decision is stored; of a dry run as it would be. Raises InvalidJson,
        InvalidRequest."""
        docket = Docket.of(read_request(raw, self.version.submit_demands))
        changing = change_of(docket.read)
        judged: Judgement = ([], ())
        if not changing:
            with self.store.reading() as tx:
                judged = self._judged(tx, docket, now)
        case_id = new_id()
        with self.store.transaction() as tx:
            told = None if self.dry else self._first_answer(tx, raw, client, case_id, now)
            if told is None:
                if changing:
                    revision = Revision(self.judge, self.settle, docket, changing)
                    decided = revision.decided(tx, case_id, client, now)
                else:
                    decided = self._decided(tx, docket, judged, case_id, client, now)
                told = self._told(tx, docket.read, decided, now)
            if self.dry:
                tx.rollback()
            else:
                ledger.along(tx, 200)
            return told

    def _first_answer(
        self, tx: Transaction, raw: bytes, client: str, case_id: str, now: dt.datetime
    ) -> Resource | None:
        """The answer that these bytes had already; None, and `case_id` answers them, where they had none, or
        one that decided no line, or what they asked was changed since: whoever asks again after a
        cancellation asks anew."""
        digest = hashlib.sha256(raw).hexdigest()
        name = self.version.name
        answering = repeats.claim(tx, client, name, digest, case_id, now, since=now - REPEAT)
        known = cases.by_id(tx, answering) if answering != case_id else None
        if known is None or (known.replaced_by is None and cases.told(tx, known.id)):
            return known.response if known else None
        repeats.answered_by(tx, client, name, digest, case_id)
        return None

    def _judged(self, tx: Transaction, docket: Docket, now: dt.datetime) -> Judgement:
        """Every item that can be judged, and why others cannot."""
        if docket.of_another:
            return [], (rejection.other_beneficiary(),)
        unfit = docket.unfit
        unknown = unknown_numbers(tx, docket.member_key, docket.read.items)
        left_out = {*unfit, *unknown}
        items = [item for place, item in enumerate(docket.read.items) if place not in left_out]
        judged = self.judge.lines(tx, docket, items, now)
        if any(not line.judged.member.known for line in judged):
            place = docket.read.claim["insurance"].index(docket.read.insurance)
            return [], (rejection.member_not_found(place),)
        return judged, (*unfit.values(), *(rejection.unknown_number(place) for place in unknown))

    def _decided(
        self,
        tx: Transaction,
        docket: Docket,
        judgement: Judgement,
        case_id: str,
        client: str,
        now: dt.datetime,
    ) -> Decided:
        authorizations.alone(tx, docket.member_key)
        if not all(self.adjudicator.holds(tx, line.judged, now) for line in judgement[0]):
            judgement = self._judged(tx, docket, now)
        judged, rejections = judgement
        row = casebook.open_case(
            tx, case_id, self.version.name, client, docket.member_key, docket.read.raw, now
        )
        reached = [
            Standing.judged(line, self.judge.first(tx, line, case_id, client, now), now) for line in judged
        ]
        decided = [line.beside_what_stands(tx, row.member_key, now) for line in reached]
        standing = [line.by_now(tx) for line in sorted(decided, key=lambda line: line.item.sequence)]
        for line in standing:
            tell_of_new_days(tx, row.member_key, line, self.settle, now)
        return Decided(row, standing, [line.item.sequence for line in standing], rejections)

    def _told(self, tx: Transaction, read: Submission, decided: Decided, now: dt.datetime) -> Resource:
        """Kept, and answered. The answer tells of the items that the Claim lists, of all where it lists
        none."""
        row, standing, fresh, rejections = decided
        listed = {item["sequence"] for item in read.items}
        items = tuple(line.item for line in standing if not listed or line.item.sequence in listed)
        partial = len(items) < len(standing)
        case = Case(row.id, read, items, now, rejections, request=read.claim_url, partial=partial)
        told = case.rehearsed(fresh, authorizations.of_case(tx, row.id)) if self.dry else case
        answer = pas_response_bundle(self.version, told, self.base, now)
        for opened in casebook.complete(tx, row, case, standing, answer, fresh=fresh):
            self.assign(tx, opened)
        reached = (line.item.verdict for line in standing if line.item.sequence in fresh)
        count_all(tx, reached, self.version.name, self.count)
        return answer
