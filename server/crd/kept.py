"""What a hook call leaves behind: the assertions, with the numbers that are granted, the cards, and the
exchange with what the measures count of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from server.adjudication.judged import Judged
from server.crd import cards as deck
from server.crd.decisive import decisive
from server.crd.exchange import Arrival, exchange, people, summary_of_call
from server.crd.hearing import Answer, Hearing
from server.crd.sight import Prefetch
from server.crd.version import Element, Version
from server.services import Services
from server.store import Transaction, assertions, cards, exchanges
from server.store import tables as stored

Dealt = Sequence[tuple[Element, deck.Drawn]]
"""The cards of a response, each beside what it was drawn from."""


@dataclass(frozen=True, slots=True)
class Books:
    """Keeps the calls of one guide version."""

    version: Version
    services: Services

    def keep(self, tx: Transaction, hearing: Hearing, answer: Answer) -> Answer:
        """The answer with its assertions kept, and with the number where one is granted."""
        judged, would = answer.judged, answer.outlook
        if judged is None:
            return answer
        what_if = hearing.call.configuration.what_if
        assertions.keep(tx, self._assertion(hearing, answer, judged, answer.assertion_id, what_if))
        if would is not None:
            assertions.keep(tx, self._assertion(hearing, answer, would.judged, would.assertion_id, True))
        self.services.metrics.decision("crd", self.version.name, judged.determination.decision)
        if not answer.saying.grants:
            return answer
        number = self.services.adjudicator.authorize(
            tx,
            judged,
            "crd",
            hearing.now,
            version=self.version.name,
            client=hearing.client,
            assertion_id=answer.assertion_id,
        )
        return replace(answer, saying=answer.saying.granted(number))

    def close(
        self,
        tx: Transaction,
        hearing: Hearing,
        arrival: Arrival,
        seen: Prefetch,
        told: Iterable[tuple[Answer, Element]],
        body: Element,
        dealt: Dealt,
    ) -> None:
        """Keeps the cards and the exchange; `told` is the coverage information of each answer."""
        cards.keep(tx, (self._card(hearing, shown, drew) for shown, drew in dealt))
        call = hearing.call
        requests = [_measured(answer, extension, dealt) for answer, extension in told]
        summary = summary_of_call(call, seen, people(call.user, hearing.sight.resolver), requests)
        now = self.services.clock()
        exchanges.record(tx, exchange(self.version, call.hook.name, arrival, 200, body, summary, now))

    def _assertion(
        self, hearing: Hearing, answer: Answer, judged: Judged, assertion_id: str, what_if: bool
    ) -> stored.Assertion:
        return stored.Assertion(
            id=assertion_id,
            version=self.version.name,
            hook=hearing.call.hook.name,
            client=hearing.client,
            member_key=judged.member.key,
            order_key=judged.order_key,
            order=dict(judged.order),
            coverage=answer.coverage,
            determination=judged.kept,
            questionnaires=list(judged.determination.questionnaires),
            what_if=what_if,
            created=hearing.now,
            chart=list(decisive(judged, answer.chart)),
        )

    def _card(self, hearing: Hearing, shown: Element, drew: deck.Drawn) -> stored.Card:
        return stored.Card(
            uuid=shown["uuid"],
            version=self.version.name,
            service=hearing.call.hook.name,
            client=hearing.client,
            kind=drew.topic,
            assertion_id=drew.assertion_id,
            suggestions=[suggestion["uuid"] for suggestion in shown.get("suggestions", [])],
            created=hearing.now,
        )


def _measured(answer: Answer, extension: Element, dealt: Dealt) -> Element:
    """One order under one Coverage, for the measures."""
    about = [(card["uuid"], drew.topic) for card, drew in dealt if answer.focus.reference in drew.about]
    return {
        "type": answer.focus.resource["resourceType"],
        "detail": answer.focus.line.get("code", {"text": answer.focus.resource["resourceType"]}),
        "coverageInformation": extension,
        "cards": [{"uuid": uuid, "topic": topic} for uuid, topic in about],
    }
