"""The decision clock: what happens to a pended line when its time is up.

Information that never came: the request is denied for want of it, saying criterion by criterion what was
missing, or, where a part came that speaks against it and the rest did not, by what that says; where the plan
leaves denials to people, the line is under appeal, or nobody has read the papers that came for it, it goes to
the reviewers with that recommendation. A line that waits for a reviewer is never decided by the clock: it is
overdue, once on record and once in the log. What was authorized meanwhile, the same study, is answered so
whether or not it is due.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile

import structlog

from server.pas import appealing, casebook, evidence, verdict
from server.pas.meanwhile import authorized_meanwhile
from server.pas.settling import Settle
from server.pas.standing import Standing
from server.pas.verdict import Asked, Denied, InReview, Verdict
from server.policy.catalog import Catalog
from server.policy.denial import NOTHING_FOUND, Denial, Finding
from server.store import Store, Transaction, cases, events
from server.store import tables as stored
from server.work import apart

NOT_RECEIVED = "0P"
"""Reason code (X12 886): the information asked for did not come; not verified against the licensed list."""

CLOCK = "clock"
OVERDUE = "overdue"


@dataclass(frozen=True, slots=True)
class Clock:
    store: Store
    catalog: Catalog
    settle: Settle
    now: Callable[[], dt.datetime]

    def sweep(self) -> None:
        """Decides every pended line that is due, or was authorized meanwhile."""
        now = self.now()
        with self.store.reading() as tx:
            due = {(each.case_id, each.sequence) for each in cases.due(tx, now) if not _waits_on(tx, each)}
            granted = {
                (row.id, item.sequence)
                for row, item in cases.granted_meanwhile(tx)
                if authorized_meanwhile(tx, row, Standing.kept(item)) is not None
            }
        for case_id, sequence in sorted(due | granted):
            with apart("decision clock", case=case_id), self.store.transaction() as tx:
                self._decide(tx, case_id, sequence, now)

    def _decide(self, tx: Transaction, case_id: str, sequence: int, now: dt.datetime) -> None:
        row = cases.hold(tx, case_id)
        line = Standing.kept(tx.get_one(stored.PaItem, (case_id, sequence)))
        waited = line.item.verdict
        if row.replaced_by is not None or not verdict.pended(waited):
            return
        if (granted := authorized_meanwhile(tx, row, line)) is not None:
            self.settle(tx, row, [line.now(granted, now)], casebook.RULES, now)
            return
        if line.due > now:
            return
        if isinstance(waited, InReview):
            self._overdue(tx, row, line, now)
            return
        assert isinstance(waited, Asked), "a pended line waits for information or for a person"
        contested = line.item.sequence in appealing.contested(tx, row.chain_id)
        outcome = self._outcome(line, waited, contested or _unread(tx, row, line, waited))
        self.settle(tx, row, [line.now(outcome, now)], CLOCK, now)

    def _outcome(self, line: Standing, waited: Asked, for_a_person: bool) -> Verdict:
        why = "The information asked for did not come" + (" in whole." if waited.withheld else ".")
        denial = waited.withheld or _for_want_of(line, waited)
        if for_a_person or self.catalog.plan(line.determination["plan"]).reviewer_denies:
            return InReview(why, waited.tracking, line.due, denial)
        return Denied(denial)

    def _overdue(self, tx: Transaction, row: stored.PaCase, line: Standing, now: dt.datetime) -> None:
        sequence = line.item.sequence
        if _is_overdue(tx, row.id, sequence):
            return
        events.record(tx, row.id, sequence, OVERDUE, CLOCK, now)
        structlog.get_logger().error("review overdue", case=row.id, due=line.due.isoformat())


def _unread(tx: Transaction, row: stored.PaCase, line: Standing, waited: Asked) -> bool:
    """Whether something came that nobody has read: papers, with the request or after it; after a reviewer's
    question anything at all."""
    if waited.review is None:
        return bool(evidence.unread(casebook.handed_in(tx, row)))
    asked = (line.item.sequence, waited.review.actor)
    told = events.of_chain(tx, row.chain_id, events.PENDED, evidence.ATTACHED)
    since = takewhile(lambda event: (event.sequence, event.actor) != asked, reversed(told))
    return any(event.kind == evidence.ATTACHED for event in since)


def _waits_on(tx: Transaction, item: stored.PaItem) -> bool:
    """Whether nothing is left to do but wait: for a reviewer who, as is on record, is late already."""
    waited = verdict.from_json(item.verdict)
    return isinstance(waited, InReview) and _is_overdue(tx, item.case_id, item.sequence)


def _is_overdue(tx: Transaction, case_id: str, sequence: int) -> bool:
    """Whether it is on record that the line waited too long for a reviewer."""
    told = events.of_case(tx, case_id)
    return any(event.kind == OVERDUE and event.sequence == sequence for event in told)


def _for_want_of(line: Standing, waited: Asked) -> Denial:
    """What a reviewer asked for is no criterion, and can come with an update no more: a denial takes none."""
    criteria = {criterion["id"]: criterion for criterion in line.determination["criteria"]}
    findings = [
        Finding(
            criterion=ask.criterion,
            title=ask.title,
            found=f"{ask.missing.rstrip('.')}. It was asked for and had not come by {line.due.date()}.",
            guideline=criterion.get("guideline") or "The reviewer's request",
            looked_at=NOTHING_FOUND,
            remedy=(ask.remedy if criterion else "")
            or "What was asked for, with an appeal or a new request.",
        )
        for ask in waited.asks
        for criterion in [criteria.get(ask.criterion, {})]
    ]
    return Denial(NOT_RECEIVED, tuple(findings), line.determination["appeal"])
