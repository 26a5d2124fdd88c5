"""Coverage records that the payer knows better (CRD, "Create/update coverage records").

Where the payer's own record of a member's Coverage says otherwise than the client's copy, or the copy names
no plan, the client gets its copy back, corrected. While orders are written that is a system action:
registration data is nothing a clinician need look at. Where visits are booked and begun it is a card.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from server.adjudication.judged import Judged
from server.crd.cards import Drawn
from server.crd.suggestions import suggestion, update
from server.crd.version import Element
from server.fhir.elements import elements
from server.fhir.systems import TERMINOLOGY, concept
from server.policy.catalog import PLAN_CLASS
from server.policy.line import codings

CORRECTED = ("status", "subscriberId", "dependent", "period", "class")
"""What the payer decides about; everything else of the copy is the client's own."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A Coverage as it should be, and the orders it was sent with."""

    coverage: Element
    about: tuple[str, ...]

    @property
    def action(self) -> Element:
        return update(self.coverage, f"{self._words}.")

    def card(self, source: Element) -> Drawn:
        content = {
            "summary": "The insurance on record differs from what the plan has.",
            "detail": f"{self._words}: member number, plan and dates.",
            "indicator": "info",
            "source": source,
            "suggestions": [suggestion("Update the insurance record", self.action)],
            "selectionBehavior": "at-most-one",
        }
        return Drawn("insurance", content, self.about)

    @property
    def _words(self) -> str:
        return f"Corrects Coverage/{self.coverage['id']} to what the plan has on record"


def corrections(told: Iterable[tuple[str, Element, Judged]]) -> Iterator[Correction]:
    """Each Coverage once, of (order, Coverage as sent, judged)."""
    about: dict[str, list[str]] = {}
    better: dict[str, Element] = {}
    for order, sent, judged in told:
        coverage = corrected(sent, judged)
        if coverage is not None:
            better.setdefault(coverage["id"], coverage)
            about.setdefault(coverage["id"], []).append(order)
    for name, coverage in better.items():
        yield Correction(coverage, tuple(dict.fromkeys(about[name])))


def corrected(sent: Element, judged: Judged) -> Element | None:
    """The client's Coverage with what the payer says otherwise; None where nothing differs."""
    if not sent.get("id") or not judged.member.known:
        return None
    records = judged.member.records
    own = next((record for record in records if record.get("resourceType") == "Coverage"), {})
    changes = {name: own[name] for name in CORRECTED if name in own and own[name] != sent.get(name)}
    if judged.determination.gate != "G-COV" and not _names_plan({**sent, **changes}):
        changes["class"] = [*({**sent, **changes}.get("class") or []), _plan_class(judged)]
    return {**sent, **changes} if changes else None


def _names_plan(coverage: Element) -> bool:
    kinds = (kind.get("type") for kind in elements(coverage, "class"))
    return PLAN_CLASS in {coding.get("code") for coding in codings(kinds)}


def _plan_class(judged: Judged) -> Element:
    """The plan that the member is judged under."""
    kind = concept(f"{TERMINOLOGY}/coverage-class", PLAN_CLASS)
    return {"type": kind, "value": judged.plan.name, "name": judged.plan.title}
