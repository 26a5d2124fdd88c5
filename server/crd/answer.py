"""The use case: one hook call answered.

Every order is judged alone, under every Coverage, by `server.adjudication`; orders of the same call are part
of each other's chart. What was asked, seen and answered is kept in the transaction that issues a number, and
answered only once that has ended.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool

from server.adjudication.adjudicator import Adjudicator
from server.adjudication.judged import Judged
from server.crd import cards as deck
from server.crd import insurance
from server.crd.coverage_information import coverage_information, earlier_assertion, system_action, updated
from server.crd.ehr import completed
from server.crd.exchange import Arrival, exchange, people, summary_of_call
from server.crd.focus import Focus, appointment_line, asked_about, order_line, selected
from server.crd.intake import Call
from server.crd.saying import Saying, coverage_unreadable, say
from server.crd.sight import Prefetch, Sight, look, read_prefetch
from server.crd.version import Element, Version
from server.fhir import json
from server.fhir.errors import InvalidRequest, Issue, PreconditionFailed
from server.fhir.references import Entry, Resolver, local_reference, reference_text
from server.policy.request import Chart
from server.security.outbound import Outbound
from server.services import Services
from server.store import Transaction, assertions, cards, exchanges
from server.store import tables as stored

Resource = dict[str, Any]

COVERAGE_UNREADABLE = (
    "The patient's insurance could not be read, so whether this is covered is not known yet."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of one order under one Coverage. `judged` is None where the Coverage could not be read."""

    focus: Focus
    coverage: Resource
    coverage_reference: str
    judged: Judged | None
    saying: Saying
    assertion_id: str


class Desk:
    """Answers the calls of one guide version."""

    def __init__(self, version: Version, services: Services, adjudicator: Adjudicator) -> None:
        self.version = version
        self.services = services
        self.adjudicator = adjudicator
        self.guard = Outbound.of(services.settings)

    async def answer(self, call: Call, arrival: Arrival) -> Element:
        """The response to a checked call, once everything about it is kept. Raises InvalidRequest,
        PreconditionFailed."""
        in_context = Resolver()
        for name in ("draftOrders", "appointments"):
            if isinstance(call.context.get(name), dict):
                in_context.add_bundle(call.context[name], f"context.{name}")
        named = {local_reference(resource) for resource in in_context}
        sent = read_prefetch(call.prefetch, self.version.keys_by_id(call.hook.name), named)
        seen = await completed(call, list(in_context), sent, self._needs_record, self.guard)
        return await run_in_threadpool(self._decide, call, arrival, in_context, seen)

    def _needs_record(self, orders: Iterable[Resource]) -> bool:
        return any(self.adjudicator.governs(order_line(order)) for order in orders)

    def _decide(self, call: Call, arrival: Arrival, in_context: Resolver, seen: Prefetch) -> Element:
        now, client = arrival.started, arrival.client
        sight = look(call.patient_id, in_context, seen)
        asked = self._asked(call, in_context, sight)
        with self.services.store.reading() as tx:
            answers = [
                answer
                for focus in asked
                for answer in self._answers(tx, call, focus, asked, sight, now, client)
            ]
        drawn = [*self._cards(answers), *self._insurance_cards(call, asked, sight)]
        chosen = deck.dealt(drawn, call.configuration)
        with self.services.store.transaction() as tx:
            answers = [self._kept(tx, call, answer, now, client) for answer in answers]
            body = self._body(call, answers, chosen, len(asked))
            for shown, drew in zip(body["cards"], chosen, strict=True):
                cards.keep(tx, self._card_row(call, shown, drew, now, client))
            exchanges.record(tx, self._exchange_row(call, arrival, body, answers, seen, sight))
        return body

    # ---- what is asked about

    def _asked(self, call: Call, in_context: Resolver, sight: Sight) -> list[Focus]:
        if call.hook.name == "order-dispatch":
            return [self._dispatched(text, call, sight) for text in self.version.dispatched(call.context)]
        if call.hook.focal == ("Encounter",):
            return list(_encounters(call, sight))
        resources = asked_about(in_context.entries, call.hook.focal)
        if call.hook.name == "order-select":
            resources = selected(resources, call.context["selections"])
        return [self._focus(resource, call, sight) for resource in resources]

    def _focus(self, resource: Resource, call: Call, sight: Sight) -> Focus:
        if resource["resourceType"] == "Appointment":
            based_on = [
                sight.resolver.resolve(reference, resource) for reference in resource.get("basedOn", [])
            ]
            orders = [found for found in based_on if found and found["resourceType"] == "ServiceRequest"]
            order = orders[0] if orders else None
            about = order if order and not self.version.on_appointment else resource
            return Focus(about, appointment_line(resource, order))
        return Focus(resource, _in_encounter(order_line(resource), call))

    def _dispatched(self, text: str, call: Call, sight: Sight) -> Focus:
        found = sight.resolver.resolve(text)
        if found is None:
            raise PreconditionFailed(
                Issue(
                    "not-found",
                    "prefetch.order",
                    "The dispatched order is not prefetched and could not be read. Prefetch it.",
                )
            )
        entry = Entry(found, path="prefetch.order")
        asked_about([entry], call.hook.focal)
        line = order_line(found)
        performer = {"performer": [{"reference": call.context["performer"]}]}
        return Focus(found, line if "performer" in line else {**line, **performer})

    # ---- what is said

    def _answers(
        self,
        tx: Transaction,
        call: Call,
        focus: Focus,
        asked: list[Focus],
        sight: Sight,
        now: dt.datetime,
        client: str,
    ) -> Iterator[Answer]:
        coverages = _coverages(focus.resource, sight)
        if len(coverages) > 1 and self.version.one_coverage:
            raise InvalidRequest(
                Issue(
                    "multiple-matches",
                    "prefetch.coverage",
                    f"{len(coverages)} active Coverages were sent. Send the one to be billed.",
                )
            )
        if not coverages:
            yield from self._without_coverage(call, focus, sight)
        chart = Chart(resources=list(_chart(focus, asked, sight)), notes=sight.notes)
        for reference, coverage in coverages:
            earlier = earlier_assertion(focus.resource, reference)
            judged = self.adjudicator.judge(
                tx,
                focus.line,
                coverage,
                sight.patient,
                chart,
                now,
                fhir_server=call.client_server or f"client:{client}",
                assertion_id=earlier,
            )
            saying = say(
                judged, call.hook, call.configuration, sight.unreadable, focus.resource["resourceType"]
            )
            yield Answer(focus, coverage, reference, judged, saying, assertions.new_id())

    def _without_coverage(self, call: Call, focus: Focus, sight: Sight) -> Iterator[Answer]:
        """The order may name a Coverage that could not be read: then it can at least be spoken of."""
        named = [reference_text(reference) for reference in focus.resource.get("insurance", [])]
        readable = "Coverage" not in sight.failed
        if self.version.one_coverage and (readable or not any(named)):
            raise InvalidRequest(
                Issue(
                    "not-found",
                    "prefetch.coverage",
                    "No Coverage of this patient could be found. Prefetch the one to be billed, or let it be "
                    "read from fhirServer.",
                )
            )
        if "Coverage" not in sight.failed | sight.held and call.access is None and call.hook.primary:
            raise PreconditionFailed(
                Issue(
                    "not-found",
                    "prefetch.coverage",
                    "The patient's Coverage was neither prefetched nor can it be queried. Prefetch "
                    "Coverage?patient={{context.patientId}}, or send fhirServer and fhirAuthorization.",
                )
            )
        if not readable and named and named[0]:
            saying = coverage_unreadable(COVERAGE_UNREADABLE)
            yield Answer(focus, {"resourceType": "Coverage"}, named[0], None, saying, assertions.new_id())

    def _cards(self, answers: Iterable[Answer]) -> Iterator[deck.Drawn]:
        for answer in answers:
            if answer.judged is not None:
                base = self.services.base(self.version.name)
                yield from deck.drawn(answer.focus, answer.judged, answer.assertion_id, self._source(), base)

    def _insurance_cards(self, call: Call, asked: list[Focus], sight: Sight) -> Iterator[deck.Drawn]:
        if call.hook.primary:
            bare = [focus.reference for focus in asked if not _coverages(focus.resource, sight)]
            if bare:
                yield deck.no_insurance(tuple(bare), self._source())

    def _source(self) -> Element:
        return {"label": self.adjudicator.catalog.payer["name"]}

    # ---- what is kept

    def _kept(self, tx: Transaction, call: Call, answer: Answer, now: dt.datetime, client: str) -> Answer:
        """The assertion as stored, with the number where one is granted."""
        judged = answer.judged
        if judged is None:
            return answer
        assertions.keep(tx, self._assertion_row(call, answer, judged, now, client))
        self.services.metrics.decision("crd", self.version.name, judged.determination.decision)
        if not answer.saying.grants:
            return answer
        number = self.adjudicator.authorize(
            tx, judged, "crd", now, version=self.version.name, client=client, assertion_id=answer.assertion_id
        )
        return Answer(
            answer.focus,
            answer.coverage,
            answer.coverage_reference,
            judged,
            answer.saying.granted(number),
            answer.assertion_id,
        )

    def _assertion_row(
        self, call: Call, answer: Answer, judged: Judged, now: dt.datetime, client: str
    ) -> stored.Assertion:
        return stored.Assertion(
            id=answer.assertion_id,
            version=self.version.name,
            hook=call.hook.name,
            client=client,
            member_key=judged.member.key,
            order_key=judged.order_key,
            order=dict(judged.order),
            coverage=answer.coverage,
            determination=judged.determination.to_json(),
            questionnaires=list(judged.determination.questionnaires),
            what_if=call.configuration.what_if,
            created=now,
        )

    def _card_row(
        self, call: Call, shown: Element, drew: deck.Drawn, now: dt.datetime, client: str
    ) -> stored.Card:
        return stored.Card(
            uuid=shown["uuid"],
            version=self.version.name,
            service=call.hook.name,
            client=client,
            kind=drew.topic,
            assertion_id=drew.assertion_id,
            suggestions=[suggestion["uuid"] for suggestion in shown.get("suggestions", [])],
            created=now,
        )

    def _exchange_row(
        self, call: Call, arrival: Arrival, body: Element, answers: list[Answer], seen: Prefetch, sight: Sight
    ) -> stored.Exchange:
        requests = [self._measured(answer, body["cards"]) for answer in answers]
        summary = summary_of_call(call, seen, people(call.user, sight.resolver), requests)
        return exchange(self.version, call.hook.name, arrival, 200, body, summary, self.services.clock())

    def _measured(self, answer: Answer, shown: list[Element]) -> Element:
        """One order under one Coverage, for the measures."""
        reference = answer.focus.reference
        about = [card for card in shown if reference in json.encode(card["extension"]).decode()]
        return {
            "type": answer.focus.resource["resourceType"],
            "detail": answer.focus.line.get("code", {"text": answer.focus.resource["resourceType"]}),
            "coverageInformation": self._extension(answer),
            "cards": [{"uuid": card["uuid"], "topic": card["source"]["topic"]["code"]} for card in about],
        }

    # ---- how it is said

    def _body(self, call: Call, answers: list[Answer], chosen: list[deck.Drawn], asked: int) -> Element:
        actions = self._actions(answers) if call.configuration.wants("coverage-info") else []
        corrections = _corrections(answers) if call.configuration.wants("insurance") else []
        return {
            "cards": [deck.card(self.version, drew, asked) for drew in chosen],
            "systemActions": [*actions, *corrections],
        }

    def _actions(self, answers: list[Answer]) -> list[Element]:
        by_order: dict[int, list[Answer]] = {}
        for answer in answers:
            by_order.setdefault(id(answer.focus.resource), []).append(answer)
        resources = (
            updated(group[0].focus.resource, [self._extension(answer) for answer in group])
            for group in by_order.values()
        )
        return [system_action(resource) for resource in resources if resource is not None]

    def _extension(self, answer: Answer) -> Element:
        contact = self._contact(answer.judged)
        today = self.services.clock().date()
        return coverage_information(
            self.version, answer.saying, answer.coverage_reference, answer.assertion_id, today, contact
        )

    def _contact(self, judged: Judged | None) -> Element | None:
        telephone = judged.plan.contact if judged else ""
        name = self.adjudicator.catalog.payer["name"]
        return self.version.contact(name, telephone) if telephone else None


def _corrections(answers: list[Answer]) -> list[Element]:
    """Each Coverage once, where the payer's record of it says otherwise."""
    by_reference = {
        answer.coverage_reference: insurance.corrected(answer.coverage, answer.judged.member.records)
        for answer in answers
        if answer.judged is not None
    }
    return [insurance.update(coverage) for coverage in by_reference.values() if coverage is not None]


def _in_encounter(line: Resource, call: Call) -> Resource:
    """An order that names no encounter is written in the one the call names."""
    encounter = call.context.get("encounterId")
    if not encounter or "encounter" in line:
        return line
    return {**line, "encounter": {"reference": f"Encounter/{str(encounter).rpartition('/')[2]}"}}


def _encounters(call: Call, sight: Sight) -> Iterator[Focus]:
    """The encounter of the call, where it can be seen; without it there is nothing to put an answer on."""
    wanted = str(call.context["encounterId"]).rpartition("/")[2]
    for resource in sight.resolver.of_type("Encounter"):
        if resource.get("id") == wanted:
            for found in asked_about([Entry(resource, path="prefetch.encounter")], call.hook.focal):
                yield Focus(found, order_line(found))


def _coverages(resource: Resource, sight: Sight) -> list[tuple[str, Resource]]:
    """The Coverages to answer under, each with the reference the client knows it by: those seen, and those
    that the order alone brings along."""
    insurance = resource.get("insurance")
    named: dict[int, tuple[str, Resource]] = {}
    for reference in insurance if isinstance(insurance, list) else []:
        coverage = sight.resolver.resolve(reference, resource)
        if coverage is not None and coverage.get("resourceType") == "Coverage":
            named[id(coverage)] = (reference_text(reference), coverage)
    seen = {id(coverage): (local_reference(coverage), coverage) for coverage in sight.coverages}
    found = {**seen, **{key: named[key] for key in named if key in seen or not seen}}
    return [(reference, coverage) for reference, coverage in found.values() if reference]


def _chart(focus: Focus, asked: list[Focus], sight: Sight) -> Iterator[Resource]:
    """The record without the order itself and without the orders of this call that are not to be done."""
    lines = {local_reference(other.resource): other for other in asked}
    for resource in sight.record:
        name = local_reference(resource)
        if name == focus.reference or name == local_reference(focus.line):
            continue
        yield lines[name].resource if name in lines else resource
