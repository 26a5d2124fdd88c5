"""`Claim/$submit`: read, judge each item, grant what is approved, store, answer.

Judging reads the store and writes nothing, so it runs before the writing transaction opens; that one holds
the decision, the numbers and the case together, and the answer leaves only after it is on disk.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from server.adjudication.adjudicator import Adjudicator
from server.adjudication.judged import Judged
from server.adjudication.orders import service_code
from server.fhir.extensions import extension, value
from server.pas import casebook, decision, lines, rejection
from server.pas.case import Case, Item
from server.pas.chart import LocalChart, local_chart
from server.pas.intake import Submission
from server.pas.intake import read as read_request
from server.pas.rejection import Rejection
from server.pas.response import pas_response_bundle
from server.pas.terms import extension_url
from server.pas.verdict import Certifiable, Certified, Span, Verdict
from server.pas.version import Version
from server.policy.request import Chart
from server.store import Store, Transaction, authorizations, cases

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One item of the Claim, judged; `quoted` is the assertion id its order carries."""

    requested: Resource
    judged: Judged
    quoted: str | None


@dataclass(frozen=True, slots=True)
class Submit:
    """The use case at one FHIR base."""

    version: Version
    base: str
    store: Store
    adjudicator: Adjudicator

    def answer(self, raw: bytes, client: str, now: dt.datetime) -> Resource:
        """The response Bundle, once the decision is stored. Raises InvalidJson, InvalidRequest."""
        read = read_request(raw, self.version.submit_demands)
        with self.store.reading() as tx:
            judged, rejections = self._judged(tx, read, now)
        with self.store.transaction() as tx:
            return self._decided(tx, read, judged, rejections, client, now)

    def rehearsal(self, raw: bytes, now: dt.datetime) -> Resource:
        """The response Bundle as it would be; nothing is stored and no number granted."""
        read = read_request(raw, self.version.submit_demands)
        with self.store.reading() as tx:
            judged, rejections = self._judged(tx, read, now)
        case_id = cases.new_id()
        items = [Item(line.requested, _rehearsed(line, case_id, now)) for line in judged]
        case = Case(case_id, read, tuple(items), now, rejections, request=read.claim_url, dry=True)
        return pas_response_bundle(self.version, case, self.base, now)

    def _judged(
        self, tx: Transaction, read: Submission, now: dt.datetime
    ) -> tuple[list[Line], tuple[Rejection, ...]]:
        """Every item that can be judged, and why others cannot."""
        chart = local_chart(read.resolver)
        claim, patient = chart.of(read.claim), chart.of(read.patient)
        coverage = chart.of(read.coverage)
        if chart.find(coverage.get("beneficiary")) not in (patient, None):
            return [], (rejection.other_beneficiary(),)
        orders = {item["sequence"]: lines.order_of(claim, item, chart) for item in claim["item"]}
        judged = [
            self._line(tx, item, orders, chart, coverage, patient, read, now)
            for item in claim["item"]
            if service_code(orders[item["sequence"]])
        ]
        if any(not line.judged.member.known for line in judged):
            return [], (rejection.member_not_found(),)
        return judged, tuple(_unnamed(claim, orders))

    def _line(
        self,
        tx: Transaction,
        item: Resource,
        orders: dict[int, Resource],
        chart: LocalChart,
        coverage: Resource,
        patient: Resource,
        read: Submission,
        now: dt.datetime,
    ) -> Line:
        order = orders[item["sequence"]]
        quoted = lines.assertion_id(order)
        sender = read.resolver.entry_of(read.patient)
        judged = self.adjudicator.judge(
            tx,
            order,
            coverage,
            patient,
            Chart(resources=_seen(item, orders, chart, chart.of(read.claim))),
            now,
            fhir_server=sender.base if sender else None,
            assertion_id=quoted,
        )
        return Line(item, judged, quoted)

    def _decided(
        self,
        tx: Transaction,
        read: Submission,
        judged: list[Line],
        rejections: tuple[Rejection, ...],
        client: str,
        now: dt.datetime,
    ) -> Resource:
        case_id = cases.new_id()
        member = judged[0].judged.member.key if judged else ""
        row = casebook.open_case(tx, case_id, self.version.name, client, member, read.raw, now)
        items = [Item(line.requested, self._verdict(tx, line, case_id, client, now)) for line in judged]
        case = Case(case_id, read, tuple(items), now, rejections, request=read.claim_url)
        answer = pas_response_bundle(self.version, case, self.base, now)
        casebook.complete(tx, row, case, [line.judged for line in judged], answer)
        return answer

    def _verdict(self, tx: Transaction, line: Line, case_id: str, client: str, now: dt.datetime) -> Verdict:
        said = line.judged.determination
        if not decision.needs_number(said):
            return decision.verdict_without_number(said, _tracking(case_id, line.requested), now)
        number = self.adjudicator.authorize(
            tx,
            line.judged,
            "pas",
            now,
            version=self.version.name,
            client=client,
            assertion_id=line.quoted,
            case_id=case_id,
        )
        return _certified(tx, number, line.judged, now)


def _certified(tx: Transaction, number: str, judged: Judged, now: dt.datetime) -> Certified:
    """With the span of the authorization itself: an older one keeps its own."""
    units = decision.units_of(judged.determination)
    row = authorizations.by_number(tx, number)
    if row is not None:
        return Certified(number, row.created.date(), Span(row.span_start, row.span_end), units)
    held = next((one for one in judged.member.authorizations if one.number == number), None)
    span = Span(held.start, held.end) if held else decision.span_of(judged.determination)
    return Certified(number, span.start if held else now.date(), span, units)


def _rehearsed(line: Line, case_id: str, now: dt.datetime) -> Verdict:
    said = line.judged.determination
    if decision.needs_number(said):
        return Certifiable(decision.span_of(said), decision.units_of(said))
    return decision.verdict_without_number(said, _tracking(case_id, line.requested), now)


def _tracking(case_id: str, item: Resource) -> str:
    return f"{case_id}-{item['sequence']}"


def _seen(item: Resource, orders: dict[int, Resource], chart: LocalChart, claim: Resource) -> list[Resource]:
    """What an item is judged on: the request's resources, the injury the Claim tells of, and the other items
    as orders. An order that an item was made from stands there once, as that item."""
    made_from = {
        id(chart.find(value(extension(other, extension_url("requestedService"))))) for other in claim["item"]
    }
    resources = [resource for resource in chart.resources if id(resource) not in made_from]
    injured = lines.injury(claim, item, chart)
    siblings = [order for sequence, order in orders.items() if sequence != item["sequence"]]
    return [*resources, *([injured] if injured else []), *siblings]


def _unnamed(claim: Resource, orders: dict[int, Resource]) -> Iterator[Rejection]:
    for index, item in enumerate(claim["item"]):
        if not service_code(orders[item["sequence"]]):
            yield rejection.no_service(index)
