"""Extensions and renewals: a request about an authorization that there is already (X12 1322, `4` and `R`).

An extension keeps the number and adds 30 days, once, while the authorization is valid and nothing was done
on it yet (policy source, section 10); it asks for no new evidence. Every request that the authorization
answers tells of the new span. A renewal is judged like a first request: what it quotes is told as the
previous authorization. Both must quote a number that is this member's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from server.adjudication.authorizations import done_on, on_file
from server.adjudication.judged import Judged
from server.adjudication.orders import service_code
from server.clock import still
from server.fhir.dates import moved
from server.pas import rejection, verdict
from server.pas.decision import authorized
from server.pas.marks import EXTENSION, RENEWAL, certification, quoted_number
from server.pas.rejection import Rejection
from server.pas.verdict import Certified, Denied, Modified, Span, Verdict
from server.policy.denial import Denial, Finding
from server.policy.line import side
from server.policy.request import Authorization
from server.store import Transaction, authorizations, cases, events

Resource = dict[str, Any]

LONGER = 30
EXTENDED = "extended"
GUIDELINE = "Plan rules: an authorization is extended once, by 30 days, while it is valid and unused"
REMEDY = "Ask for a renewal (certification type R) with the findings as they are now."


def extends(item: Resource) -> bool:
    return certification(item) == EXTENSION


def prolongs(item: Resource, number: str) -> bool:
    """Whether an item asks for an extension or a renewal of this authorization."""
    return certification(item) in (EXTENSION, RENEWAL) and quoted_number(item) == number


def renews(item: Resource) -> bool:
    return certification(item) == RENEWAL


def refused(item: Resource, reached: Verdict, place: int) -> Rejection | None:
    """Why an extension or a renewal, at that place in the Claim, was not granted; None where it was, or none
    was asked for."""
    if not isinstance(reached, Denied):
        return None
    if extends(item):
        return rejection.not_extended(place, reached.denial.findings[0].found)
    against = " ".join(finding.text for finding in reached.denial.findings)
    return rejection.not_renewed(place, against) if renews(item) else None


def beside_what_stands(
    tx: Transaction, member_key: str, item: Resource, reached: Verdict, now: dt.datetime
) -> Verdict:
    """The verdict; where it denies more time, with the words that it leaves what we authorized as it was, if
    that is good: they are read again when that may be cancelled."""
    if not isinstance(reached, Denied) or certification(item) not in (EXTENSION, RENEWAL):
        return reached
    listed = on_file(tx, member_key)
    quoted = (held for held in listed if held.number == quoted_number(item) and not held.used)
    ours = (held for held in quoted if authorizations.by_number(tx, held.number) is not None)
    good = next((held for held in ours if still(now) <= held.end), None)
    words = f"This leaves what was authorized as it was: {good.number}, until {good.end}." if good else ""
    return msgspec.structs.replace(reached, stands=words)


def borrows(tx: Transaction, item: Resource, number: str, chain_id: str) -> bool:
    """Whether an item has this number by an extension alone: it was granted to another request, and ends with
    that."""
    granted = authorizations.by_number(tx, number)
    first = cases.by_id(tx, granted.case_id) if granted is not None and granted.case_id else None
    return extends(item) and (first is None or first.chain_id != chain_id)


def by_now(tx: Transaction, reached: Verdict) -> Verdict:
    """The verdict for the days that its authorization has by now: another line may have had it extended."""
    number = verdict.number_of(reached) if isinstance(reached, Certified | Modified) else None
    row = authorizations.by_number(tx, number) if number else None
    return msgspec.structs.replace(reached, span=Span(row.span_start, row.span_end)) if row else reached


def unknown_numbers(tx: Transaction, member_key: str, items: list[Resource]) -> list[int]:
    """Positions of the items that ask for an extension or renewal of no authorization of this member."""
    asking = [place for place, item in enumerate(items) if certification(item) in (EXTENSION, RENEWAL)]
    if not asking:
        return []
    known = {row.number for row in authorizations.of_member(tx, member_key)}
    known |= {held.number for held in on_file(tx, member_key)}
    return [place for place in asking if quoted_number(items[place]) not in known]


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension that is asked for: the line as judged, and the number it quotes."""

    requested: Resource
    judged: Judged

    @property
    def number(self) -> str:
        return quoted_number(self.requested) or ""

    def verdict(self, tx: Transaction, case_id: str, now: dt.datetime) -> Certified | Modified | Denied:
        """Prolongs the authorization in `tx`, or says why not."""
        authorizations.alone(tx, self.judged.member.key)
        row = authorizations.hold(tx, self.number)
        against = next(self._against(tx, now), None)
        if row is None or against is not None:
            return self._denied(against or "it was not issued here")
        row.span_end = moved(row.span_end, LONGER)
        events.record(
            tx, case_id, int(self.requested["sequence"]), EXTENDED, "rules", now, number=self.number
        )
        return authorized(row, self.judged.determination.line)

    def _against(self, tx: Transaction, now: dt.datetime) -> Iterator[str]:
        """What speaks against it, the plainest first."""
        held = self._held(tx)
        if held is None:
            yield "it is cancelled"
            return
        if (held.code, held.side) != (service_code(self.judged.order), side(self.judged.order)):
            yield "it is for another service or side"
        if done_on(tx, self.judged.member.key, self.number):
            yield "the service was done on it"
        asked = self.judged.determination.line
        if held.units is not None and asked.units > held.units:
            yield f"{asked.units} are asked for, and it is for {held.units}"
        if held.place and asked.place_of_service not in (None, held.place):
            yield f"it is for place of service {held.place}"
        if held.end < still(now):
            yield f"it ended on {held.end.isoformat()}"
        told = events.of_member(tx, self.judged.member.key, EXTENDED)
        if any(event.detail["number"] == self.number for event in told):
            yield "it was extended before"

    def _held(self, tx: Transaction) -> Authorization | None:
        member = self.judged.member
        found = on_file(tx, member.key, member.records)
        return next((held for held in found if held.number == self.number), None)

    def _denied(self, against: str) -> Denied:
        finding = Finding(
            criterion="EXT",
            title="The authorization can be extended",
            found=f"Authorization {self.number} cannot be extended: {against}.",
            guideline=GUIDELINE,
            looked_at=f"authorization {self.number} and what was done on it",
            remedy=REMEDY,
        )
        return Denied(Denial("", (finding,), self.judged.determination.appeal, administrative=True))
