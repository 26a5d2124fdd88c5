"""`Claim/$inquire`: what this payer has decided for a member, told to those it concerns.

Cases that came by PAS are read again as they stand; authorizations that did not (CRD granted them, or they
are on the payer's file from of old) are told in the same form.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from server.adjudication.authorizations import on_file
from server.adjudication.members import member_key, of_somebody_else, payors
from server.fhir.errors import Issue, operation_outcome
from server.fhir.systems import billed_by, concept
from server.pas import casebook
from server.pas.case import Case, Item
from server.pas.chart import local_chart
from server.pas.inquiry import Inquiry, providers
from server.pas.intake import Submission
from server.pas.intake import read as read_request
from server.pas.response import pas_inquiry_response_entries
from server.pas.verdict import OnFile, Span, number_of
from server.pas.version import Version
from server.policy.catalog import Catalog
from server.policy.exemptions import honoured
from server.policy.request import Authorization
from server.security.caller import calling
from server.store import Store, Transaction, authorizations, records

Resource = dict[str, Any]

NOTHING = Issue(
    "not-found",
    diagnostics="No authorization of this member answers the inquiry. Leave elements out to ask more widely.",
    severity="information",
)


@dataclass(frozen=True, slots=True)
class Inquire:
    """The use case at one FHIR base."""

    version: Version
    base: str
    store: Store
    catalog: Catalog

    def answer(self, raw: bytes, client: str, now: dt.datetime) -> Resource:
        """The body of the answer. Raises InvalidJson, InvalidRequest."""
        asked = Inquiry.of(read_request(raw, self.version.inquiry_demands), client)
        with self.store.reading() as tx:
            found = list(self._found(tx, asked, now))
        responses = [pas_inquiry_response_entries(self.version, case, self.base) for case in found]
        return self.version.inquiry_answer(responses, [] if found else [_nothing()], now)

    def _found(self, tx: Transaction, asked: Inquiry, now: dt.datetime) -> Iterator[Case]:
        member = _member(asked.read)
        rows = [
            (row, casebook.with_earlier_versions(tx, case, row.chain_id) if row.id != row.chain_id else case)
            for row, case in casebook.of_member(tx, member)
        ]
        if asked.quotes_numbers:
            # An old number leads to the case too.
            rows = [(row, casebook.with_earlier_numbers(tx, case, row.chain_id)) for row, case in rows]
        concerned = [
            case
            for row, case in rows
            for involved in [providers(case.read)]
            if asked.concerns(involved, row.client) and calling().sees(row.client, involved)
        ]
        # Its Claim.identifier may name a case or merely the inquiry itself: it narrows where it names one.
        named = [case for case in concerned if self.version.identifier_names and asked.names(case)]
        yield from (case for case in named or concerned if asked.matches(case))
        if not named:
            answered = {number_of(item.verdict) for _, case in rows for item in case.items}
            foreign = {
                row.number for row in authorizations.of_member(tx, member) if not calling().sees(row.client)
            }
            for held in self._honoured(tx, member, asked.read):
                case = _case_on_file(tx, held, asked.read, now)
                if held.number not in answered | foreign and asked.matches(case):
                    yield case

    def _honoured(self, tx: Transaction, member: str, read: Submission) -> Iterator[Authorization]:
        """What is on file, a previous payer's for as long as the plan honours it; nothing where it is of
        somebody else, whose number was mistaken or guessed."""
        chart = local_chart(read.resolver)
        kept = records.of_member(tx, member)
        if of_somebody_else(kept, chart.of(read.patient) or {}):
            return
        coverage = chart.of(read.coverage)
        plan = self.catalog.plan_of(coverage, payors(coverage, chart.resources))
        for held in on_file(tx, member, kept):
            good = honoured(held, coverage, plan)
            if good is not None:
                yield good


def _member(read: Submission) -> str:
    chart = local_chart(read.resolver)
    sender = read.resolver.base_of(read.patient)
    return member_key(chart.of(read.coverage), chart.of(read.patient), sender)


def _case_on_file(tx: Transaction, held: Authorization, read: Submission, now: dt.datetime) -> Case:
    """An authorization that no Claim asked for, told under the names of the inquiry. Who asked for it is not
    on file; whoever knows the member's number may ask."""
    system = billed_by(held.code)
    modifier = [concept(system, held.side)] if held.side else []
    requested = {
        "sequence": 1,
        "productOrService": concept(system, held.code),
        **({"modifier": modifier} if modifier else {}),
    }
    issued = authorizations.by_number(tx, held.number)
    units = issued.units if issued is not None else held.units or 1
    verdict = OnFile(held.number, Span(held.start, held.end), Decimal(units))
    return Case(str(uuid5(NAMESPACE_URL, held.number)), read, (Item(requested, verdict),), now)


def _nothing() -> Resource:
    return {"fullUrl": f"urn:uuid:{uuid4()}", "resource": operation_outcome([NOTHING])}
