"""What a reviewer can do with a line that waits for a person.

Everybody sees a revision number with the work item and quotes it when deciding: of two who decide at once,
one does, and the other is told so. A denial says all that is owed or is refused (`server.policy.denial`): by
default it takes over the findings that the rules recommend.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any, NamedTuple

from server.adjudication.authorizations import done_on
from server.fhir.errors import Conflict, InvalidRequest, Issue, NotFound
from server.pas import appealing, behaviours, casebook, holders, verdict
from server.pas.decision import MORE_INFORMATION, read_meanwhile
from server.pas.meanwhile import authorized_meanwhile, authorized_since
from server.pas.settling import settle
from server.pas.standing import Standing
from server.pas.verdict import Ask, Asked, Certified, Denied, InReview, Modified, Review, Verdict
from server.policy.denial import Denial, Finding, IncompleteDenial
from server.review.terms import (
    Grant,
    Terms,
    check_documents,
    check_reason,
    check_review,
    grant_of,
    owed,
    speakable,
)
from server.services import Services
from server.store import Transaction, authorizations, cases, events, work_items
from server.store import tables as stored

Resource = dict[str, Any]

PROLONGED = "clock-extended"
"""Event of a decision clock that was extended."""

LONGEST = dt.timedelta(days=14)

USUAL, MOST = 100, 1000
"""How much of the queue is shown, and how much at most."""

PARTS = tuple(field.name for field in fields(Finding))
"""What a denial owes about a criterion."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A work item with what it is about."""

    item: stored.WorkItem
    case: stored.PaCase
    line: Standing

    @property
    def summary(self) -> Resource:
        """One line of the queue. No name or number of the member."""
        said = self.line.determination
        return {
            "id": self.item.id,
            "revision": self.item.revision,
            "status": self.item.status,
            "case": self.case.id,
            "item": self.item.sequence,
            "service": self.line.cpt,
            "title": said["title"],
            "plan": said["plan"],
            "expedited": self.line.expedited,
            "received": self.line.received.isoformat(),
            "due": self.item.due.isoformat(),
            "recommendation": self.item.recommendation,
            "reason": self.item.reason,
            "action": verdict.action(self.line.item.verdict),
            "number": verdict.number_of(self.line.item.verdict),
        }

    @property
    def gist(self) -> str:
        """Why it waits, in short: of a recommended denial what was found, and not the whole of its text."""
        waits = self.line.item.verdict
        review = read_meanwhile(waits) if isinstance(waits, Asked) else waits
        if not isinstance(review, InReview) or review.recommended is None:
            return self.item.reason
        found = [finding.found for finding in review.recommended.findings]
        return " ".join([*casebook.why_it_waits(self.line, review), *found])

    @property
    def details(self) -> Resource:
        """The whole of it: what the rules found, criterion by criterion, and the order as judged."""
        return {**self.summary, "determination": self.line.determination, "order": self.line.order}


class Queue(NamedTuple):
    """What somebody looks at of all that waits, and how much that is."""

    shown: list[Waiting]
    total: int


@dataclass(frozen=True, slots=True)
class Desk:
    """The use case, over the server's own store and clock."""

    services: Services

    def queue(self, most: int = USUAL, first: int = 0) -> Queue:
        """So much of what waits, the one due first at the top, from that place on."""
        with self.services.store.reading() as tx:
            found = work_items.waiting(tx, most, first)
            waiting = [Waiting(item, case, Standing.kept(line)) for item, case, line in found]
            return Queue(waiting, work_items.undecided(tx))

    def show(self, item_id: str) -> Waiting:
        """Raises NotFound."""
        with self.services.store.reading() as tx:
            return self._waiting(tx, self._found(tx, item_id))

    def approve(
        self,
        item_id: str,
        revision: int,
        review: Review,
        start: dt.date | None = None,
        end: dt.date | None = None,
    ) -> Waiting:
        """Authorizes as asked, for those days; of an appeal, where none are named, by what was authorized
        meanwhile. Raises NotFound, Conflict, InvalidRequest."""

        def reached(tx: Transaction, waiting: Waiting, now: dt.datetime) -> Verdict:
            held = authorized_since(tx, waiting.case, waiting.line, review)
            if held is not None and (start, end) == (None, None):
                return held
            grant = self._grant(waiting.line, Terms(start, end), now)
            if not grant.as_asked:
                words = "The day that was asked for is not among these: modify the request, and say why."
                raise InvalidRequest(Issue("value", "start", words))
            granted = self._granted(tx, waiting, grant, now)
            return Certified(granted.number, granted.created.date(), grant.span, Decimal(grant.units), review)

        return self._decide(item_id, revision, review, reached)

    def modify(self, item_id: str, revision: int, review: Review, terms: Terms) -> Waiting:
        """Authorizes something else, or less, for the reason that the terms give. Raises NotFound, Conflict,
        InvalidRequest."""
        owed(terms.why, "why")

        def reached(tx: Transaction, waiting: Waiting, now: dt.datetime) -> Verdict:
            grant = self._grant(waiting.line, terms, now)
            if grant.as_asked and (terms.start, terms.end) == (None, None):
                raise InvalidRequest(Issue("value", "why", "This is what was asked for: approve it."))
            granted = self._granted(tx, waiting, grant, now)
            issued, units = granted.created.date(), Decimal(grant.units)
            return Modified(
                granted.number, issued, grant.span, grant.code, units, terms.why, review, grant.place
            )

        return self._decide(item_id, revision, review, reached)

    def _grant(self, line: Standing, terms: Terms, now: dt.datetime) -> Grant:
        services = self.services.catalog.services
        return grant_of(line, terms, now.date(), {code for code in services if services[code].covered})

    def _granted(
        self, tx: Transaction, waiting: Waiting, grant: Grant, now: dt.datetime
    ) -> stored.Authorization:
        """Raises Conflict where there is an authorization for that already: of two numbers each is good."""
        held = authorized_since(tx, waiting.case, waiting.line) if grant.code == waiting.line.cpt else None
        if held is not None:
            raise Conflict(f"This study is authorized already, under {held.number}: approve it without days.")
        granted = casebook.grant(
            tx, waiting.case, waiting.line, grant.code, grant.span, grant.units, now, grant.place
        )
        renewed = holders.to_be_renewed(tx, waiting.case.chain_id, waiting.line)
        _once_in_those_days(tx, granted, renewed, now.date())
        return granted

    def deny(
        self, item_id: str, revision: int, review: Review, findings: Sequence[Finding] = (), code: str = ""
    ) -> Waiting:
        """Denies for the findings given, else for those the rules recommend. Raises NotFound, Conflict, and
        InvalidRequest where neither says all that a denial owes."""
        check_reason(code)

        def reached(tx: Transaction, waiting: Waiting, now: dt.datetime) -> Verdict:
            return Denied(_denial(waiting.line, findings, code), review)

        return self._decide(item_id, revision, review, reached)

    def ask(
        self, item_id: str, revision: int, review: Review, text: str, documents: Sequence[str] = ()
    ) -> Waiting:
        """Asks the provider for documents (LOINC) or an answer in words, beside what was asked and has not
        come, while there is time to answer: the clock runs on, and whoever learns the answer otherwise, by
        telephone say, may decide before it comes. Raises NotFound, Conflict, InvalidRequest."""
        owed(text, "text")
        check_documents(documents)

        def reached(tx: Transaction, waiting: Waiting, now: dt.datetime) -> Verdict:
            _in_time(waiting.line, now)
            ask = Ask(
                "REVIEW", "Asked by the reviewer", text, "An update that brings it.", (), tuple(documents)
            )
            waits = waiting.line.item.verdict
            assert isinstance(waits, Asked | InReview), "an undecided work item is about a pended line"
            before, forms = (waits.asks, waits.questionnaires) if isinstance(waits, Asked) else ((), ())
            due, asks = waiting.line.due, (*before, ask)
            return Asked(asks, forms, waits.tracking, due, MORE_INFORMATION, review, waits.recommended)

        return self._decide(item_id, revision, review, reached)

    def extend(self, item_id: str, revision: int, review: Review, until: dt.date, why: str) -> Waiting:
        """Lets the decision clock of a line that has not run out run on to the end of that day, which is owed
        a reason and lies at most `LONGEST` after it was due; once, whatever the client changes meanwhile.
        Raises NotFound, Conflict, InvalidRequest."""
        owed(why, "why")
        now = self.services.clock()
        due = dt.datetime.combine(until, dt.time(23, 59, 59), dt.UTC)
        with self.services.store.transaction() as tx:
            case, item = self._taken(tx, item_id, revision)
            line = Standing.kept(tx.get_one(stored.PaItem, (case.id, item.sequence)))
            if not line.due < due <= line.due + LONGEST:
                raise InvalidRequest(
                    Issue("value", "until", f"A clock is extended once, by {LONGEST.days} days at most.")
                )
            read = casebook.read_again(tx, case).read
            check_review(review, read)
            _in_time(line, now)
            told = events.of_chain(tx, case.chain_id, PROLONGED)
            if any(event.sequence == item.sequence and event.at >= line.received for event in told):
                raise Conflict("The clock of this line was extended before.")
            line = replace(line, due=due).now(verdict.due_by(line.item.verdict, due), now)
            item.due = due
            casebook.settle(tx, case, [line], self.services.fhir_base, now)
            events.record(
                tx, case.id, item.sequence, PROLONGED, review.actor, now, until=due.isoformat(), why=why
            )
            if isinstance(line.item.verdict, Asked):  # whoever is asked reads in the Task until when
                behaviours.tell(self.services, tx, case, read, now)
            return Waiting(item, case, line)

    def _taken(self, tx: Transaction, item_id: str, revision: int) -> tuple[stored.PaCase, stored.WorkItem]:
        """The case of an undecided work item as somebody read it, for this transaction alone. Raises Conflict
        where that is not to be had, or its study was authorized meanwhile."""
        case = cases.hold(tx, self._found(tx, item_id).case_id)
        item = work_items.take(tx, item_id, revision) if case.replaced_by is None else None
        if item is None:
            raise Conflict("This work item was decided or changed since you read it. Read it again.")
        granted = authorized_meanwhile(tx, case, self._waiting(tx, item).line)
        if granted is not None:
            raise Conflict(
                f"This study was authorized meanwhile, under {granted.number}; nobody need decide it."
            )
        return case, item

    def _decide(
        self,
        item_id: str,
        revision: int,
        review: Review,
        reached: Callable[[Transaction, Waiting, dt.datetime], Verdict],
    ) -> Waiting:
        now = self.services.clock()
        with self.services.store.transaction() as tx:
            _, item = self._taken(tx, item_id, revision)
            waiting = self._waiting(tx, item)
            check_review(review, casebook.read_again(tx, waiting.case).read)
            appealing.heard_by_another(tx, waiting.case, item.sequence, review)
            line = waiting.line.now(reached(tx, waiting, now), now)
            status: work_items.Status = "asked" if verdict.pended(line.item.verdict) else "decided"
            work_items.close(tx, item, status, verdict.to_json(line.item.verdict), now)
            appealing.conclude(tx, waiting.case, item.sequence, line.item.verdict, review, now)
            settle(self.services, tx, waiting.case, [line], review.actor, now)
            return replace(waiting, line=line)

    def _found(self, tx: Transaction, item_id: str) -> stored.WorkItem:
        item = work_items.by_id(tx, item_id)
        if item is None:
            raise NotFound("There is no work item with this id. See the queue for those that are open.")
        return item

    def _waiting(self, tx: Transaction, item: stored.WorkItem) -> Waiting:
        case = tx.get_one(stored.PaCase, item.case_id)
        return Waiting(item, case, Standing.kept(tx.get_one(stored.PaItem, (item.case_id, item.sequence))))


def finding(parts: Mapping[str, str]) -> Finding:
    """A finding of the reviewer's own, of `PARTS`. Raises InvalidRequest where one is left out or no part."""
    if unknown := parts.keys() - set(PARTS):
        words = f"A finding has {', '.join(PARTS)}; not {', '.join(sorted(unknown))}."
        raise InvalidRequest(Issue("value", "findings", words))
    for said in parts.values():
        speakable(said, "findings")
    try:
        return Finding(*(parts.get(part, "") for part in PARTS))
    except IncompleteDenial as error:
        lacking = ", ".join(part.replace("_", " ") for part in error.lacking)
        words = f"The finding lacks: {lacking}. Say all of it, or leave it to what the rules recommend."
        raise InvalidRequest(Issue("required", "findings", words)) from None


def history(tx: Transaction, case: stored.PaCase) -> list[Resource]:
    """What happened to a request in any of its versions, oldest first."""
    return [
        {
            "at": event.at.isoformat(),
            "item": event.sequence,
            "what": event.kind,
            "by": event.actor,
            **event.detail,
        }
        for event in events.of_chain(tx, case.chain_id)
    ]


def _in_time(line: Standing, now: dt.datetime) -> None:
    """Raises Conflict for a line whose clock has run out: it can be decided and nothing else."""
    if line.due <= now:
        raise Conflict("The clock of this line has run out: decide it.")


def _once_in_those_days(
    tx: Transaction, granted: stored.Authorization, renewed: str | None, today: dt.date
) -> None:
    """Raises Conflict where the same order, asked for twice say, has another number on some of those days
    that is good for all of this: with both the study would be authorized twice. One that is over, or that
    this takes the place of (`renewed`), is none."""
    for held in authorizations.of_member(tx, granted.member_key):
        same = held.order_key == granted.order_key and held.number not in (granted.number, renewed)
        valid = held.status == "active" and today <= held.span_end
        good = valid and held.units >= granted.units and held.place in ("", granted.place)
        meets = held.span_start <= granted.span_end and granted.span_start <= held.span_end
        if same and good and meets and not done_on(tx, held.member_key, held.number):
            raise Conflict(
                f"This study is authorized already, under {held.number}, from {held.span_start} to "
                f"{held.span_end}: grant those days, or none of them."
            )


def _recommended(line: Standing) -> Denial | None:
    """The denial that the rules propose, before and after a question."""
    waits = line.item.verdict
    return waits.recommended if isinstance(waits, InReview | Asked) else None


def _denial(line: Standing, findings: Sequence[Finding], code: str) -> Denial:
    recommended = _recommended(line)
    if not findings and recommended is not None:
        return replace(recommended, code=code or recommended.code)
    try:
        return Denial(
            code=code or (recommended.code if recommended else ""),
            findings=tuple(findings),
            appeal=line.determination["appeal"],
        )
    except IncompleteDenial as error:
        raise InvalidRequest(
            *(
                Issue("required", part, f"A denial owes the provider its {part}: add it.")
                for part in error.lacking
            )
        ) from None
