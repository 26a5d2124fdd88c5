"""Judging the items of a request: each as an order, with the rest of the request as its chart."""

from __future__ import annotations

import datetime as dt
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from server.adjudication.adjudicator import Adjudicator, as_judged
from server.adjudication.judged import Judged
from server.adjudication.members import member_key
from server.adjudication.orders import service_code, withdrawn
from server.adjudication.patience import in_time
from server.fhir.dates import first_day
from server.fhir.elements import without
from server.fhir.extensions import extension, value
from server.pas import appealing, change, decision, evidence, lines, prolonging, rejection
from server.pas.case import tracking
from server.pas.chart import LocalChart, local_chart
from server.pas.deadlines import Deadlines
from server.pas.evidence import Attached
from server.pas.inquiry import identifiers
from server.pas.intake import Submission
from server.pas.marks import IMMEDIATE_APPEAL, appeal
from server.pas.prolonging import Extension
from server.pas.rejection import Rejection
from server.pas.terms import extension_url
from server.pas.verdict import Certified, Denied, InReview, Modified, Verdict
from server.policy.determination import Decision
from server.policy.exemptions import orderers
from server.policy.line import day_of_service
from server.policy.request import Chart
from server.policy.residence import state_of
from server.store import Transaction, authorizations

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Docket:
    """A request laid out for judging: its parties in local form, every item as an order, by sequence, and the
    forms that the Claim ties to items, with the sequences of those."""

    read: Submission
    chart: LocalChart
    claim: Resource
    patient: Resource
    coverage: Resource
    orders: dict[int, Resource]
    tied: Sequence[tuple[Resource, Container[int]]]
    sent_later: Sequence[Attached] = ()

    @classmethod
    def of(
        cls, read: Submission, before: Container[int] | None = None, attached: Sequence[Attached] = ()
    ) -> Docket:
        """With what was attached to it. `before` has the sequences of the lines that an earlier version asked
        for: those are as timely as they were. Where None tells, all of a change were, and none of a first
        request."""
        forms, read = evidence.forms(read, attached), evidence.joined(read, attached)
        chart = local_chart(read.resolver)
        claim = chart.of(read.claim)
        changes = change.change_of(read) is not None
        created = first_day(claim["created"])

        def asked_on(item: Resource) -> str | None:
            earlier = changes if before is None else item["sequence"] in before
            return created.isoformat() if created and not earlier and not prolonging.extends(item) else None

        return cls(
            read=read,
            chart=chart,
            claim=claim,
            patient=chart.of(read.patient),
            coverage=chart.of(read.coverage),
            orders={
                item["sequence"]: lines.order_of(claim, item, chart, asked_on(item))
                for item in claim.get("item") or []
            },
            tied=_tied(claim, chart),
            sent_later=forms,
        )

    @property
    def server(self) -> str:
        """The base under which the sender keeps the patient."""
        return self.read.resolver.base_of(self.read.patient)

    @property
    def member_key(self) -> str:
        return member_key(self.coverage, self.patient, self.server)

    @property
    def of_another(self) -> bool:
        """Whether the Coverage belongs to another patient of this request."""
        return self._another(self.coverage.get("beneficiary"))

    @property
    def unfit(self) -> dict[int, Rejection]:
        """Why items cannot be judged, by position: they name no service or several, or are made from an order
        that is for another patient or was withdrawn."""
        found = {}
        for place, item in enumerate(self.claim.get("item") or []):
            order = self._order_of(item) or {}
            if self._another(order.get("subject") or order.get("patient")):
                found[place] = rejection.of_another_patient(place)
            elif withdrawn(order):
                found[place] = rejection.withdrawn(place)
            elif not service_code(self.orders[item["sequence"]]):
                found[place] = rejection.no_service(place)
            elif _is_range(item, self.orders[item["sequence"]]):
                found[place] = rejection.several_services(place)
        return found

    def differs(self, sequence: int, before: Resource, orderer: str) -> bool:
        """Whether this item orders something else than what was judged before, or another clinician orders
        it: the order as judged has in it what other resources said of it, such as the kind of its Location,
        but for the number of who ordered."""
        item = next(each for each in self.claim["item"] if each["sequence"] == sequence)
        order, seen = self.orders[sequence], self.seen(item)
        # A billable period that has begun since then asks for the same days still.
        alike = (order, {"occurrencePeriod": lines.billable(self.claim), **order})
        if all(_essence(as_judged(each, seen)) != _essence(before) for each in alike):
            return True
        return next(iter(orderers(as_judged(order, seen), seen)), "") != orderer

    def seen(self, item: Resource) -> list[Resource]:
        """What an item is judged on: the request's resources but those withdrawn and the forms that were
        answered for other items, the injury the Claim tells of, and the other items as orders. An order that
        an item was made from stands there once, as that item."""
        made_from = [self._order_of(other) for other in self.claim["item"]]
        withdrawn = map(self.chart.of, change.withdrawn_evidence(self.read))
        left_out = [*made_from, *withdrawn, *self._answered_for_others(item)]
        hidden = {id(resource) for resource in left_out if resource is not None}
        injured = lines.injury(self.claim, item, self.chart)
        return [
            *(resource for resource in self.chart.resources if id(resource) not in hidden),
            *([injured] if injured else []),
            *(order for sequence, order in self.orders.items() if sequence != item["sequence"]),
        ]

    def _order_of(self, item: Resource) -> Resource | None:
        """The order that an item was made from, in local form."""
        return self.chart.find(value(extension(item, extension_url("requestedService"))))

    def _another(self, reference: Resource | None) -> bool:
        """Whether a local reference leads to somebody else than the Claim's patient, who may stand in the
        request under two names."""
        found = self.chart.find(reference)
        if found is None or found is self.patient or found["resourceType"] != "Patient":
            return False
        return set(identifiers(found)).isdisjoint(identifiers(self.patient))

    def _answered_for_others(self, item: Resource) -> list[Resource]:
        """The forms that the Claim ties to other items, or that were attached for others, and not for this
        one."""
        others = (form for form, sequences in self.tied if item["sequence"] not in sequences)
        sent_for_others = (
            self.chart.of(form)
            for form, lines in self.sent_later
            if item["sequence"] not in lines and self.read.resolver.entry_of(form) is not None
        )
        return [*others, *sent_for_others]


def _tied(claim: Resource, chart: LocalChart) -> list[tuple[Resource, set[int]]]:
    """The forms that items name by `informationSequence`, each once, with the sequences of those items."""
    named: dict[int, set[int]] = {}
    for item in claim.get("item") or []:
        for sequence in item.get("informationSequence") or []:
            named.setdefault(sequence, set()).add(item["sequence"])
    tied: dict[int, tuple[Resource, set[int]]] = {}
    for entry in claim.get("supportingInfo") or []:
        items, found = named.get(entry["sequence"]), chart.find(entry.get("valueReference"))
        if items and found and found["resourceType"] == "QuestionnaireResponse":
            tied.setdefault(id(found), (found, set()))[1].update(items)
    return list(tied.values())


def _essence(order: Mapping[str, Any]) -> Any:
    """What is ordered: without the day it was written, which an order that names none takes from the Claim,
    without marks, and without the names of resources, which may be new ones in every version: what they lead
    to, as far as it tells what is ordered, stands in an order as judged."""
    asked = {name: order[name] for name in order if name not in ("authoredOn", "extension")}
    return without(asked, ("id", "reference"))


def _is_range(item: Resource, order: Resource) -> bool:
    """Whether more codes are asked for than the first, up to another one: by the item, or by the order whose
    code it takes."""
    asking = item if service_code({"code": item["productOrService"]}) else order
    last = service_code({"code": value(extension(asking, extension_url("productOrServiceCodeEnd")))})
    return last not in ("", service_code(order))


@dataclass(frozen=True, slots=True)
class Line:
    """One item of the Claim, judged; `appeal` is which appeal it is, `hours` how long a decision may take."""

    requested: Resource
    judged: Judged
    appeal: str | None
    hours: int

    @property
    def expedited(self) -> bool:
        return self.judged.determination.expedited or self.appeal == IMMEDIATE_APPEAL


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides lines and grants numbers on behalf of one guide version's base. With `hold` every line waits
    for a reviewer, whatever the rules say: what a tester may ask for."""

    adjudicator: Adjudicator
    version: str
    hold: bool = False

    def lines(
        self, tx: Transaction, docket: Docket, items: Sequence[Resource], now: dt.datetime
    ) -> list[Line]:
        """These items of the docket, judged, in the order of their days of service: what is granted for an
        earlier day may answer a later one. Reads the store and writes nothing. Raises InvalidRequest where
        it takes too long."""
        local = {item["sequence"]: item for item in docket.claim.get("item") or []}
        judged = [self._line(tx, docket, item, local[item["sequence"]], now) for item in in_time(items)]
        return sorted(judged, key=lambda line: day_of_service(line.judged.order, now.date()))

    def first(self, tx: Transaction, line: Line, case_id: str, client: str, now: dt.datetime) -> Verdict:
        """The verdict on a line that was not asked for before: it has nothing to lose, and nobody is denied
        more time for what needs no authorization any more."""
        reached, said = self.verdict(tx, line, case_id, client, now), line.judged.determination
        if isinstance(reached, Denied) and said.decision is Decision.APPROVE and not said.satisfied:
            return decision.verdict_without_number(said, "", now)
        return reached

    def verdict(
        self,
        tx: Transaction,
        line: Line,
        case_id: str,
        client: str,
        now: dt.datetime,
        contested: Verdict | None = None,
    ) -> Verdict:
        """The verdict, with a number where one is due, granted in `tx`. A line under appeal waits for a
        person; `contested` is what stood before."""
        said, number = line.judged.determination, tracking(case_id, line.requested["sequence"])
        if contested is not None:
            return appealing.to_be_heard(said, contested, number, now)
        if self.hold:
            return _held(line, number, now)
        if prolonging.extends(line.requested):
            return Extension(line.requested, line.judged).verdict(tx, case_id, now)
        if not said.satisfied:
            return decision.verdict_without_number(said, number, now)
        granted = self.adjudicator.authorize(
            tx,
            line.judged,
            "pas",
            now,
            version=self.version,
            client=client,
            assertion_id=line.judged.quoted,
            case_id=case_id,
        )
        return _certified(tx, granted, line.judged)

    def _line(
        self, tx: Transaction, docket: Docket, sent: Resource, item: Resource, now: dt.datetime
    ) -> Line:
        order = docket.orders[item["sequence"]]
        judged = self.adjudicator.judge(
            tx,
            order,
            docket.coverage,
            docket.patient,
            Chart(resources=docket.seen(item)),
            now,
            fhir_server=docket.server,
            assertion_id=lines.assertion_id(order),
        )
        said = judged.determination
        line = Line(sent, judged, appeal(docket.read.claim, sent), said.due_hours)
        hours = Deadlines.load().hours(said.plan, state_of(docket.patient), expedited=line.expedited)
        return replace(line, hours=min(hours, said.due_hours))


def _held(line: Line, number: str, now: dt.datetime) -> InReview:
    return InReview("A tester asked for a pend.", number, now + dt.timedelta(hours=line.hours))


def _certified(tx: Transaction, number: str, judged: Judged) -> Certified | Modified:
    """With the span of the authorization: of one that was issued elsewhere, as it is honoured here."""
    said, row = judged.determination, authorizations.by_number(tx, number)
    if row is not None:
        return decision.authorized(row, said.line)
    span = decision.span_of(said)
    return Certified(number, span.start, span, Decimal(said.units))
