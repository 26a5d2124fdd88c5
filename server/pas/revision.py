"""A change of an earlier request (PAS, updates and cancellations).

The new version takes the place of the one before, in one chain. What the client did not touch keeps its
verdict; what it cancelled is cancelled, unless it was denied; what it changed or added, and whatever was
still pended, is judged on the new version's evidence; a denial that it appeals goes to a person, and what a
person had, or only a person can read, is not turned into a question to the provider again. The number of an
authorization that is changed is given up before the new judgement, so that it cannot vouch for itself, unless
the change only lacks evidence for what it authorizes; the client may quote it as the previous one. A number
that answers another line or request as well stays good for that. An extension that is not granted leaves the
line what it has; so does a renewal, of what is valid and unused, and while it is pended the number is good.

Only one version can follow another: of two that cross, or where the version named was replaced already, the
later one is told so and changes nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from server.adjudication.authorizations import done_on
from server.adjudication.orders import service_code
from server.clock import still
from server.pas import appealing, casebook, decision, evidence, holders, prolonging, rejection, verdict
from server.pas.change import Change, withdrawn_evidence
from server.pas.judging import Docket, Judge, Line
from server.pas.marks import appeal, cancelled, changed
from server.pas.rejection import Rejection
from server.pas.settling import Settle, settle_others, tell_of_new_days
from server.pas.standing import Standing
from server.pas.verdict import Asked, Cancelled, Denied, InReview, Verdict
from server.policy.determination import Decision
from server.policy.line import side
from server.store import Transaction, authorizations, cases, work_items
from server.store import tables as stored

Resource = dict[str, Any]

ENDED = Cancelled | Denied
"""What no cancellation changes: a denial is appealed."""


class Decided(NamedTuple):
    """A request as it was decided: its case, all lines that stand in it, the sequences of those decided just
    now, and what was refused."""

    row: stored.PaCase
    standing: list[Standing]
    fresh: list[int]
    rejections: tuple[Rejection, ...]


@dataclass(frozen=True, slots=True)
class Revision:
    """One change of one request."""

    judge: Judge
    settle: Settle
    docket: Docket
    change: Change
    chain_id: str = ""
    """Of the request that is changed, once it is known."""
    unread: bool = False
    """Whether this version hands in what only a person can read and none before did."""

    def decided(self, tx: Transaction, case_id: str, client: str, now: dt.datetime) -> Decided:
        """Every line of the request as it stands with the new version."""
        before = self._before(tx, client)
        known = {line.item.sequence: line for line in casebook.standing_of(tx, before.id)} if before else {}
        contested = appealing.contested(tx, before.chain_id) if before else set()
        refused = self._refused(tx, before, known, contested)
        unread = before is not None and self._brings_unread(tx, before)
        if before and refused is None and not cases.replace(tx, before, case_id, now):
            refused = rejection.stale()
        row = casebook.open_case(
            tx,
            case_id,
            self.judge.version,
            client,
            self.docket.member_key,
            self.docket.read.raw,
            now,
            chain_id=before.chain_id if before and refused is None else None,
        )
        if refused is not None or before is None:
            return Decided(row, [], [], (refused or rejection.unknown_claim(),))
        for waiting in work_items.of_case(tx, before.id):
            work_items.withdraw(tx, waiting, "the request was changed", now)
        informed = replace(
            self,
            docket=self._informed(tx, before.chain_id, known),
            chain_id=before.chain_id,
            unread=unread,
        )
        return Decided(row, *informed._standing(tx, known, contested, case_id, client, now))

    def _before(self, tx: Transaction, client: str) -> stored.PaCase | None:
        """The case that is changed, for this transaction alone: nobody decides a line of it meanwhile."""
        for name in self.change.names:
            found = cases.named(tx, client, self.docket.member_key, name.system, name.value)
            if found is not None:
                return found
        return None

    def _informed(self, tx: Transaction, chain_id: str, known: Container[int]) -> Docket:
        """The new version's evidence, and what was attached to those before; a line that none of those had is
        a request of its own day."""
        read, (*before, _) = self.docket.read, cases.chain(tx, chain_id)
        attached = evidence.holding_for(tx, read, chain_id, before)
        return Docket.of(read, before=known, attached=attached)

    def _brings_unread(self, tx: Transaction, before: stored.PaCase) -> bool:
        brought = evidence.unread(evidence.handed_in([self.docket.read], ()))
        if not brought:
            return False
        known = casebook.handed_in(tx, before)
        return any(piece not in known for piece in brought)

    def _refused(
        self,
        tx: Transaction,
        before: stored.PaCase | None,
        known: Mapping[int, Standing],
        contested: Container[int],
    ) -> Rejection | None:
        """Why nothing can be changed, by what stands and which appeals are open; None where it can."""
        verdicts = {sequence: line.item.verdict for sequence, line in known.items()}
        read = self.docket.read
        unfounded = appealing.unfounded(read.claim, read.items, verdicts, contested)
        if unfounded is not None and not self.change.everything:
            return unfounded
        if before is None:
            return rejection.unknown_claim()
        if self.docket.of_another:
            return rejection.other_beneficiary()
        denied = bool(verdicts) and all(isinstance(each, Denied) for each in verdicts.values())
        if denied and not any(appeal(read.claim, item) for item in read.items):
            return rejection.denied_before()
        # Who cancels what could never be judged need not mend it first.
        unfit = {at: why for at, why in self.docket.unfit.items() if not cancelled(read.items[at])}
        if unfit and not self.change.everything:
            return next(iter(unfit.values()))
        unknown = prolonging.unknown_numbers(tx, self.docket.member_key, read.items)
        if unknown and not self.change.everything:
            return rejection.unknown_number(unknown[0])
        return None

    def _standing(
        self,
        tx: Transaction,
        known: dict[int, Standing],
        contested: set[int],
        case_id: str,
        client: str,
        now: dt.datetime,
    ) -> tuple[list[Standing], list[int], tuple[Rejection, ...]]:
        """Every line of the chain as it stands after this change, which were decided just now, and what was
        refused: extensions, and changes of what was done already."""
        standing, fresh = dict(known), []
        to_judge, never_asked, refusals = [], [], []
        asked: list[tuple[int | None, Resource]] = list(enumerate(self.docket.read.items))
        if self.change.everything:
            listed = {item["sequence"] for _, item in asked}
            rest = (line.item.requested for line in known.values() if line.item.sequence not in listed)
            asked += [(None, item) for item in rest]
        for place, item in asked:
            sequence = item["sequence"]
            line = known.get(sequence)
            if line is not None and (number := self._done(tx, item, line)):
                standing[sequence] = line.under(item)
                refusals.append(rejection.done(place, number))
            elif self.change.everything or cancelled(item):
                if line is None:
                    never_asked.append(item)
                elif not isinstance(line.item.verdict, ENDED):
                    standing[sequence] = self._cancelled(tx, line, item, standing, now)
                    fresh.append(sequence)
            elif line is None or self._touched(item, line):
                to_judge.append(item)
                if not prolonging.extends(item):
                    standing.pop(sequence, None)
            else:
                standing[sequence] = line.under(item)
        for alone in self.judge.lines(tx, self.docket, never_asked, now):
            sequence = alone.requested["sequence"]
            standing[sequence] = Standing.judged(alone, Cancelled(), now)
            fresh.append(sequence)
        for item in to_judge:
            if not prolonging.extends(item):
                self._give_up(tx, known.get(item["sequence"]), standing)
        for sequence in [item["sequence"] for item in to_judge if item["sequence"] not in contested]:
            if sequence in known and isinstance(known[sequence].item.verdict, Denied):
                appealing.receive(tx, case_id, sequence, "provider", now)
                contested.add(sequence)
        for alone in self.judge.lines(tx, self.docket, to_judge, now):
            sequence = alone.requested["sequence"]
            before, place = known.get(sequence), self.docket.read.items.index(alone.requested)
            if before and alone.judged.determination.failure and self._stands(tx, before, alone.requested):
                standing[sequence] = before.under(alone.requested)
                refusals.append(rejection.not_evaluated(place))
                continue
            judged = self._vouched_for(tx, alone, before, now)
            if before is None:
                reached = self.judge.first(tx, judged, case_id, client, now)
            else:
                heard = before.item.verdict if sequence in contested else None
                reached = self.judge.verdict(tx, judged, case_id, client, now, contested=heard)
                reached = self._read_on(reached, judged, before)
            against = prolonging.refused(judged.requested, reached, place)
            if before and self._keeps(tx, before, judged.requested, reached, now) and against:
                standing[sequence] = before.under(judged.requested)
                refusals.append(against)
            else:
                standing[sequence] = Standing.judged(judged, reached, now, since=before)
                fresh.append(sequence)
        for sequence in known.keys() & set(fresh):
            self._end_extensions(tx, known[sequence], now)
        whose = self.docket.member_key
        for sequence in fresh:
            tell_of_new_days(tx, whose, standing[sequence], self.settle, now)
        told = [standing[each].beside_what_stands(tx, whose, now).by_now(tx) for each in sorted(standing)]
        return told, fresh, tuple(refusals)

    def _stands(self, tx: Transaction, line: Standing, item: Resource) -> bool:
        """Whether the line has a number, which is good again: what no rule could be asked about gives none
        up. A renewal can wait for a person beside the number, and an extension needs no rules."""
        number = verdict.valid_number(line.item.verdict)
        if number is None or prolonging.extends(item) or prolonging.prolongs(item, number):
            return False
        authorizations.reinstate(tx, number)
        return True

    def _vouched_for(self, tx: Transaction, line: Line, before: Standing | None, now: dt.datetime) -> Line:
        """The line as judged; where evidence is missing of which none was withdrawn, or a person authorized
        what the rules do not, by the authorization it had, if that is good for what is asked now: a study
        moved within its days is no other study."""
        number = self._number(tx, before) if before else None
        given_up = authorizations.by_number(tx, number) if number else None
        said = line.judged.determination.decision
        if given_up is None or given_up.status == "active" or said is Decision.APPROVE:
            return line
        by_a_person = given_up.determination["decision"] != Decision.APPROVE
        if not (said is Decision.MORE_INFO or by_a_person):
            return line
        if line.judged.determination.units > given_up.units or withdrawn_evidence(self.docket.read):
            return line
        authorizations.reinstate(tx, given_up.number)
        (again,) = self.judge.lines(tx, self.docket, [line.requested], now)
        if again.judged.determination.authorization == given_up.number:
            return again
        authorizations.cancel(tx, given_up.number)
        return line

    def _read_on(self, reached: Verdict, line: Line, before: Standing) -> Verdict:
        """The verdict; where the rules still miss something, a person goes on with the study that a person
        had, or reads what came for it."""
        if not isinstance(reached, Asked) or not verdict.pended(before.item.verdict):
            return reached
        waited, order = before.item.verdict, line.judged.order
        had = isinstance(waited, InReview) or verdict.review_of(waited) is not None
        if had and (before.cpt, before.side) == (service_code(order), side(order) or ""):
            return decision.read_by_a_person(reached, decision.CHANGED)
        return decision.read_by_a_person(reached, decision.UNREAD) if self.unread else reached

    def _touched(self, item: Resource, line: Standing) -> bool:
        """Whether the line must be judged again: it was pended, the client says it changed, asks for its
        extension now, or what is ordered is not what it was. A denied line stands unless it is appealed."""
        if isinstance(line.item.verdict, Denied):
            return appeal(self.docket.read.claim, item) is not None
        extended = prolonging.extends(item) and not prolonging.extends(line.item.requested)
        if verdict.pended(line.item.verdict) or changed(item) or extended:
            return True
        return self.docket.differs(item["sequence"], line.order, line.orderer)

    def _done(self, tx: Transaction, item: Resource, line: Standing) -> str | None:
        """The number on which the service was done already, where the line would lose it by this change; it
        may be renewed."""
        number = verdict.valid_number(line.item.verdict)
        withdrawn = self.change.everything or cancelled(item)
        if number is None or not (withdrawn or self._touched(item, line)):
            return None
        if not withdrawn and prolonging.prolongs(item, number):
            return None
        return number if done_on(tx, self.docket.member_key, number) else None

    def _cancelled(
        self,
        tx: Transaction,
        line: Standing,
        item: Resource,
        standing: Mapping[int, Standing],
        now: dt.datetime,
    ) -> Standing:
        self._give_up(tx, line, standing)
        return line.now(Cancelled(verdict.number_of(line.item.verdict)), now, item)

    def _give_up(self, tx: Transaction, line: Standing | None, standing: Mapping[int, Standing]) -> None:
        """The line's number, unless another that stands has it, in this request or in another, or something
        was done on it, which is renewed: an extension neither keeps it nor gives it up."""
        number = self._number(tx, line) if line else None
        if line is None or not number or prolonging.borrows(tx, line.item.requested, number, self.chain_id):
            return
        beside = (other.item.verdict for other in standing.values() if other is not line)
        if number in map(verdict.valid_number, beside):
            return
        if not holders.is_good_elsewhere(tx, self.docket.member_key, number):
            authorizations.cancel(tx, number)

    def _number(self, tx: Transaction, line: Standing) -> str | None:
        """The line's authorization; while its renewal is pended, the one that is to be renewed."""
        reached = line.item.verdict
        if verdict.pended(reached):
            return holders.to_be_renewed(tx, self.chain_id, line)
        return verdict.valid_number(reached)

    def _keeps(
        self, tx: Transaction, line: Standing, item: Resource, reached: Verdict, now: dt.datetime
    ) -> bool:
        """Whether the line keeps the authorization that it has, if this verdict is a denial: what was to be
        extended, or to be renewed, valid and unused. That is good again, also where the verdict is a pend."""
        number = self._number(tx, line)
        if number is None or verdict.valid_number(reached):
            return False
        if not prolonging.extends(item):
            row = authorizations.by_number(tx, number)
            valid = row is not None and still(now) <= row.span_end
            renewed = valid and prolonging.prolongs(item, number)
            if not renewed or done_on(tx, self.docket.member_key, number):
                return False
            authorizations.reinstate(tx, number)
        return verdict.valid_number(line.item.verdict) is not None

    def _end_extensions(self, tx: Transaction, line: Standing, now: dt.datetime) -> None:
        """What other requests have of an authorization that was given up, extensions, ends with it."""
        number = self._number(tx, line)
        held = authorizations.by_number(tx, number) if number else None
        if held is None or held.status != "cancelled":
            return
        ended, member_key = Cancelled(held.number), self.docket.member_key
        settle_others(tx, member_key, held.number, lambda each: each.now(ended, now), self.settle, now)
