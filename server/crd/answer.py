"""The use case: one hook call answered.

Every order is judged alone, under every Coverage, by `server.adjudication`; orders of the same call are part
of each other's chart. What was asked, seen and answered is kept in the transaction that issues a number, and
answered only once that has ended.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from starlette.concurrency import run_in_threadpool

from server.adjudication.judged import Judged
from server.adjudication.order_lines import order_line
from server.adjudication.patience import MOST, in_time
from server.crd import agenda, forms, insurance, prospect, uninsured
from server.crd import cards as deck
from server.crd.coverage_information import coverage_information, earlier_assertion, updated
from server.crd.ehr import Batches, completed, named_by_context
from server.crd.exchange import Arrival
from server.crd.focus import Focus, refuse_untyped
from server.crd.hearing import Answer, Hearing, Outlook
from server.crd.intake import Call
from server.crd.kept import Books
from server.crd.saying import not_read, say
from server.crd.sight import Prefetch, Sight, look, read_prefetch
from server.crd.suggestions import update
from server.crd.version import Element, Version
from server.fhir.errors import Forbidden, InvalidRequest, Issue
from server.fhir.references import Resolver, local_reference
from server.policy.request import Chart
from server.security.caller import calling
from server.security.outbound import Outbound
from server.services import Services
from server.store import Transaction
from server.store import tables as stored

Resource = dict[str, Any]

COVERAGE_UNREADABLE = (
    "The patient's insurance could not be read, so whether this is covered is not known yet."
)


class LaidOut(NamedTuple):
    """A call with what it brings: the resources of its context, what that names, and the prefetch."""

    call: Call
    in_context: Resolver
    named: list[str]
    sent: Prefetch


class Desk:
    """Answers the calls of one guide version."""

    def __init__(self, version: Version, services: Services) -> None:
        self.version = version
        self.services = services
        self.adjudicator = services.adjudicator
        self.guard = Outbound.of(services.settings)
        self.batches = Batches()
        self.books = Books(version, services)

    def laid_out(self, call: Call) -> LaidOut:
        """A checked call, ready to be answered. Raises InvalidRequest, Forbidden for another's server."""
        self._check_server(call)
        in_context = Resolver()
        for name in ("draftOrders", "appointments"):
            if isinstance(call.context.get(name), dict):
                in_context.add_bundle(call.context[name], f"context.{name}")
        refuse_untyped(in_context.entries)
        named = list(named_by_context(call, in_context))
        asked_for = {*named, *map(local_reference, in_context)}
        sent = read_prefetch(call.prefetch, self.version.keys_by_id(call.hook.name), asked_for)
        return LaidOut(call, in_context, named, sent)

    async def answer(self, asked: LaidOut, arrival: Arrival) -> Element:
        """The response, once everything about it is kept. Raises InvalidRequest, PreconditionFailed."""
        call, in_context, named, sent = asked
        context = list(in_context)
        seen = await completed(call, context, named, sent, self._needs_record, self.guard, self.batches)
        return await run_in_threadpool(self._decide, call, arrival, in_context, seen)

    def _check_server(self, call: Call) -> None:
        """A registered client names no server but its own: its token would go there, and a chart come."""
        if self.guard.lenient or call.access is None or calling().keeps_charts_at(call.access.base):
            return
        words = "Charts are read from registered FHIR servers only. Have this one registered."
        raise Forbidden(Issue("forbidden", "fhirServer", words))

    def _needs_record(self, orders: Iterable[Resource]) -> bool:
        day = self.services.clock().date()
        lines = [(order, order_line(order)) for order in orders]
        return any(
            self.adjudicator.governs(line)
            or self._imaging(order, line, Resolver(), day) is not None
            or (order.get("resourceType") == "Encounter" and "reasonReference" in line)
            for order, line in lines
        )

    def _imaging(
        self, resource: Resource, line: Resource, resolver: Resolver, day: dt.date
    ) -> Resource | None:
        """The imaging that a visit may lead to; an order is its own."""
        if resource.get("resourceType") != "Encounter":
            return None
        return prospect.imaging_for(line, resolver, self.adjudicator.catalog, day)

    def _decide(self, call: Call, arrival: Arrival, in_context: Resolver, seen: Prefetch) -> Element:
        sight = look(call.patient_id, in_context, seen, arrival.started.date())
        asked = agenda.asked(self.version, call, in_context, sight)
        unread = agenda.unread(call, sight)
        hearing = Hearing(call, sight, asked, unread, arrival.started, arrival.client)
        insured = [(focus, self._coverages(focus, sight)) for focus in asked]
        if sum(max(1, len(found)) for _, found in insured) > MOST:
            words = f"More than {MOST} answers, one an order and Coverage, are not given in one call."
            raise InvalidRequest(Issue("too-costly", diagnostics=f"{words} Send less of either."))
        with self.services.store.reading() as tx:
            answers = [
                each for focus, found in in_time(insured) for each in self._answers(tx, hearing, focus, found)
            ]
        corrections = list(insurance.corrections(_told(answers)))
        drawn = [*self._cards(hearing, answers), *self._insurance_cards(hearing, corrections)]
        chosen = deck.dealt(drawn, call.configuration)
        with self.services.store.transaction() as tx:
            kept = [self.books.keep(tx, hearing, answer) for answer in answers]
            told = [(answer, self._extension(answer)) for answer in kept]
            body = self._body(hearing, told, chosen, corrections)
            dealt = list(zip(body["cards"], chosen, strict=True))
            self.books.close(tx, hearing, arrival, seen, told, body, dealt)
        return body

    def _coverages(self, focus: Focus, sight: Sight) -> list[tuple[str, Resource]]:
        found = agenda.coverages(focus.resource, sight)
        if len(found) > 1 and self.version.one_coverage:
            raise InvalidRequest(
                Issue(
                    "multiple-matches",
                    "prefetch.coverage",
                    f"{len(found)} active Coverages were sent. Send the one to be billed.",
                )
            )
        return found

    def _answers(
        self, tx: Transaction, hearing: Hearing, focus: Focus, found: list[tuple[str, Resource]]
    ) -> Iterator[Answer]:
        chart = agenda.chart_of(focus, hearing.sight)
        if not found:
            for reference in uninsured.named_unread(
                self.version, hearing.call, focus.resource, hearing.sight
            ):
                saying = not_read(COVERAGE_UNREADABLE)
                yield Answer(
                    focus, chart, {"resourceType": "Coverage"}, reference, None, saying, stored.new_id()
                )
        for reference, coverage in in_time(found):
            told = earlier_assertion(focus.resource, reference)
            judged = self._judged(tx, hearing, focus.line, coverage, chart, told)
            yield Answer(
                focus,
                chart,
                coverage,
                reference,
                judged,
                say(
                    judged,
                    hearing.call.hook,
                    hearing.call.configuration,
                    hearing.sight.unreadable,
                    focus.kind,
                    focus.blank,
                ),
                stored.new_id(),
                self._outlook(tx, hearing, focus, coverage, chart, judged),
            )

    def _judged(
        self,
        tx: Transaction,
        hearing: Hearing,
        line: Resource,
        coverage: Resource,
        chart: Chart,
        told: str | None = None,
    ) -> Judged:
        """`told` is the assertion id that the order carries for this Coverage."""
        return self.adjudicator.judge(
            tx,
            line,
            coverage,
            hearing.sight.patient,
            chart,
            hearing.now,
            fhir_server=hearing.call.client_server or f"client:{hearing.client}",
            assertion_id=told,
        )

    def _outlook(
        self,
        tx: Transaction,
        hearing: Hearing,
        focus: Focus,
        coverage: Resource,
        chart: Chart,
        judged: Judged,
    ) -> Outlook | None:
        """Where the visit is covered and its complaint is one that a policy knows."""
        day = self.services.clock().date()
        line = self._imaging(focus.resource, focus.line, hearing.sight.resolver, day)
        if line is None or not judged.determination.covered:
            return None
        would = self._judged(tx, hearing, line, coverage, chart)
        return Outlook(would, stored.new_id())

    def _cards(self, hearing: Hearing, answers: Iterable[Answer]) -> Iterator[deck.Drawn]:
        base, source = self.services.base(self.version.name), self._source()
        if hearing.unread:
            yield deck.unread_orders(hearing.unread, source)
        for each in answers:
            if each.judged is not None:
                yield from deck.drawn(each.focus, each.judged, each.chart, each.assertion_id, source, base)
                for form in forms.wanted(each.judged, hearing.sight.record):
                    patient = hearing.call.patient_id
                    task = forms.task(self.version, form, each.focus, each.coverage, patient, hearing.now)
                    yield forms.drawn(form, task, each.focus.reference, source)
            if each.outlook is not None:
                would, about = each.outlook, each.focus.reference
                yield from prospect.drawn(would.judged, about, would.assertion_id, source, base)

    def _insurance_cards(
        self, hearing: Hearing, corrections: list[insurance.Correction]
    ) -> Iterator[deck.Drawn]:
        if hearing.call.hook.primary:
            bare = [
                focus.reference
                for focus in hearing.asked
                if not agenda.coverages(focus.resource, hearing.sight)
            ]
            if bare:
                searched = "Coverage" in hearing.sight.held
                yield deck.no_insurance(tuple(bare), self._source(), searched=searched)
        if not hearing.call.hook.ordering:
            yield from (correction.card(self._source()) for correction in corrections)

    def _source(self) -> Element:
        return {"label": self.adjudicator.catalog.payer["name"]}

    def _body(
        self,
        hearing: Hearing,
        told: list[tuple[Answer, Element]],
        chosen: list[deck.Drawn],
        corrections: list[insurance.Correction],
    ) -> Element:
        choices, hook = hearing.call.configuration, hearing.call.hook
        names = deck.names(hearing.asked, hearing.unread, self.adjudicator.catalog)
        actions = _actions(told) if choices.wants("coverage-info") else []
        quietly = corrections if hook.ordering and choices.wants("insurance") else []
        return {
            "cards": [deck.card(self.version, drew, names) for drew in chosen],
            "systemActions": [*actions, *(correction.action for correction in quietly)],
        }

    def _extension(self, answer: Answer) -> Element:
        contact = self._contact(answer.judged)
        today = self.services.clock().date()
        return coverage_information(
            self.version,
            answer.saying,
            answer.coverage_reference,
            answer.assertion_id,
            today,
            contact,
            answer.focus.booked,
        )

    def _contact(self, judged: Judged | None) -> Element | None:
        telephone = judged.plan.contact if judged else ""
        name = self.adjudicator.catalog.payer["name"]
        return self.version.contact(name, telephone) if telephone else None


def _told(answers: Iterable[Answer]) -> Iterator[tuple[str, Resource, Judged]]:
    """Of the client's own Coverages: one inside an order is none that could be updated by itself."""
    for answer in answers:
        if answer.judged is not None and not answer.coverage_reference.startswith("#"):
            yield answer.focus.reference, answer.coverage, answer.judged


def _actions(told: Iterable[tuple[Answer, Element]]) -> list[Element]:
    """An order is updated once, with all that is said of it."""
    by_order: dict[int, tuple[Resource, list[Element]]] = {}
    for answer, extension in told:
        resource = answer.focus.resource
        by_order.setdefault(id(resource), (resource, []))[1].append(extension)
    resources = (updated(resource, extensions) for resource, extensions in by_order.values())
    return [
        update(each, f"Adds coverage information to {local_reference(each)}.")
        for each in resources
        if each is not None
    ]
