"""Cards: what is worth telling a clinician beside the coverage information.

Most come from `Determination.advice` and change nothing about coverage. A kind of advice is a kind of card
(CRD, "Response types"); each builder lays out one, and what a card proposes to do is in `suggestions`. Texts
are for clinicians: what happened on the way to them (failed queries, missing data of ours) goes to the log.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from uuid import uuid4

from server.adjudication.judged import Judged
from server.adjudication.orders import service_code, withdrawn
from server.crd import appropriateness, network
from server.crd.configuration import Configuration
from server.crd.focus import Focus
from server.crd.suggestions import alternative, beside, create, short, suggestion, title_of
from server.crd.version import Element, Version
from server.policy.catalog import Catalog
from server.policy.determination import Advice, Determination
from server.policy.line import SIDE_NAMES, in_words, side
from server.policy.request import Chart

TOPICS: Mapping[str, str] = {
    "contraindication": "Contraindication",
    "insurance": "Insurance",
    "duplicate-therapy": "Duplicate Therapy",
    "therapy-alternatives-req": "Required Therapy Alternatives",
    "off-guideline": "Off Guideline",
    "appropriate-use": "Appropriate Use",
    "limits": "Limits",
    "claim": "Claim",
    "network": "Network",
    "therapy-alternatives-opt": "Optional Therapy Alternatives",
    "cost": "Cost",
    "clinical-reminder": "Clinical Reminder",
    "guideline": "Guideline",
    "coverage-info": "Coverage Information",
}
"""Displays by code, in the order in which cards are shown, and so which fall to `max-cards`."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A card before it is sent: `content` without uuid, the orders it is about, the assertion it rests on."""

    topic: str
    content: Element
    about: tuple[str, ...]
    assertion_id: str | None = None


def drawn(
    focus: Focus, judged: Judged, chart: Chart, assertion_id: str, source: Element, base: str
) -> Iterator[Drawn]:
    """The cards of one order's determination. `base` is the version's own address, for links to ourselves."""
    about, drafted = (focus.reference,), _drafted(focus, chart)
    for advice in judged.determination.advice:
        if advice.topic == "therapy-alternatives-req" and not drafted.isdisjoint(advice.better):
            continue
        content = _BUILDERS.get(advice.kind, _instructions)(advice, focus, judged)
        yield Drawn(advice.topic, {**face(advice, source), **content}, about, assertion_id)
    if judged.determination.covered and judged.determination.in_the_way:
        yield criteria_app(judged.determination, about, assertion_id, source, base)


def _drafted(focus: Focus, chart: Chart) -> set[str]:
    """What else is about to be ordered, for the same side or for none that is told: it is not to be proposed
    (CRD, "order-select")."""
    drafts = (
        each
        for each in chart.resources
        if (each.get("resourceType"), each.get("status")) == ("ServiceRequest", "draft")
        and not withdrawn(each)
        and side(each) in (None, side(focus.line))
    )
    return {service_code(each) for each in drafts}


def face(advice: Advice, source: Element) -> Element:
    """What every card shows of its advice."""
    return {
        "summary": short(advice.summary),
        "detail": advice.detail or advice.summary,
        "indicator": "warning" if advice.topic == "contraindication" else "info",
        "source": source,
    }


def links_of(advice: Advice) -> Element:
    """External reference: absolute links, nothing else."""
    if not advice.url:
        return {}
    return {"links": [{"label": advice.guideline or advice.summary, "url": advice.url, "type": "absolute"}]}


def criteria_app(
    said: Determination,
    about: tuple[str, ...],
    assertion_id: str,
    source: Element,
    base: str,
    what: str = "this order",
) -> Drawn:
    """Launch SMART application: the criteria of what is ordered, or may be, beside what was found."""
    named = [f"{criterion.title}: {criterion.sentence}" for criterion in said.in_the_way]
    stand = "criterion stands" if len(named) == 1 else "criteria stand"
    content = {
        "summary": short(f"{len(named)} {stand} between {what} and approval."),
        "detail": "\n".join(f"- {each}" for each in named),
        "indicator": "info",
        "source": source,
        "links": [appropriateness.link(base, assertion_id)],
    }
    return Drawn("appropriate-use", content, about, assertion_id)


def no_insurance(about: tuple[str, ...], source: Element, *, searched: bool) -> Drawn:
    """Without insurance nothing can be said of coverage. `searched` tells that the record holds none;
    otherwise nobody could look."""
    none, remedy = (
        (
            "No insurance is on record for this patient.",
            "Record the patient's insurance and name it on the order.",
        )
        if searched
        else ("The patient's insurance could not be read.", "Ask again once it can be read.")
    )
    content = {
        "summary": none,
        "detail": f"Without it the plan cannot say whether the order is covered. {remedy}",
        "indicator": "warning",
        "source": source,
    }
    return Drawn("insurance", content, about)


def unread_orders(about: tuple[str, ...], source: Element) -> Drawn:
    """Of several orders, those that nothing can be said of."""
    content = {
        "summary": "Not every order of this call could be read.",
        "detail": "Whether it is covered and needs prior authorization is not known yet. Send it along, or "
        "ask again once it can be read.",
        "indicator": "warning",
        "source": source,
    }
    return Drawn("coverage-info", content, about)


def dealt(cards: Iterable[Drawn], choices: Configuration) -> list[Drawn]:
    """The cards to send: wanted ones, each once, most important first, no more than the client shows."""
    wanted = [card for card in _merged(cards) if choices.wants(card.topic)]
    rank = {topic: place for place, topic in enumerate(TOPICS)}
    return sorted(wanted, key=lambda card: rank.get(card.topic, len(rank)))[: choices.max_cards]


def names(asked: Iterable[Focus], unread: Iterable[str], catalog: Catalog) -> dict[str, str]:
    """By reference, what a clinician knows each by, who may not see ids: the EHR's words for the service, or
    the plan's, and the side (CRD, "Linking responses to requests"). What could not be read is known by its
    reference alone."""
    return {**{each: each for each in unread}, **{focus.reference: _name(focus, catalog) for focus in asked}}


def _name(focus: Focus, catalog: Catalog) -> str:
    code, at = service_code(focus.line), SIDE_NAMES.get(side(focus.line) or "", "")
    listed = catalog.services.get(code)
    words = next(in_words([focus.line.get("code")]), listed.title if listed else "") or code
    told = ", ".join(filter(None, (words, at if at not in words.lower() else "")))
    return told or focus.reference


def card(version: Version, drawn: Drawn, asked: Mapping[str, str]) -> Element:
    """A CDS Hooks card with its uuid and topic. `asked` are the names of what the call is about: those of the
    card are told where there are others."""
    content = {**drawn.content, "detail": _literal(drawn.content["detail"])}
    topic = {"system": version.topics, "code": drawn.topic, "display": TOPICS.get(drawn.topic, drawn.topic)}
    shown = {
        "uuid": str(uuid4()),
        **content,
        "source": {**content["source"], "topic": topic},
        "extension": version.associated(list(drawn.about)),
    }
    if len(drawn.about) < len(asked):
        alike = Counter(asked.values())
        called = ((asked[each], each) for each in drawn.about)
        about = "; ".join(name if alike[name] == 1 else f"{name} ({each})" for name, each in called)
        shown["detail"] = f"{content['detail']}\n\nThis is about {_literal(about)}.".strip()
    return shown


_MARKS = re.compile(r"[\\`*_\[<~]")


def _literal(detail: str) -> str:
    """A detail is Markdown, and has words of the chart in it: what would make a link, a heading or slanted
    letters of them is shown as it is written. Of our own marks there are lists and paragraphs alone."""
    return _MARKS.sub(r"\\\g<0>", detail)


def _merged(cards: Iterable[Drawn]) -> list[Drawn]:
    """What is said of two orders in the same words is said once, about both. A card to act upon belongs to
    its own order."""
    merged: dict[tuple[str, ...], Drawn] = {}
    for each in cards:
        own = each.about if {"suggestions", "links"} & each.content.keys() else ()
        name = (each.topic, each.content["summary"], each.content["detail"], *own)
        held = merged.get(name, each)
        about = tuple(dict.fromkeys((*held.about, *each.about)))
        merged[name] = Drawn(held.topic, held.content, about, held.assertion_id)
    return list(merged.values())


# ---- a builder a kind of advice: what it adds to the card's face


def _instructions(advice: Advice, focus: Focus, judged: Judged) -> Element:
    """Instructions: text alone."""
    return {}


def _duplicate(advice: Advice, focus: Focus, judged: Judged) -> Element:
    """Instructions that name the imaging already done, and neither the one that is ordered nor the form."""
    done = [
        f"- {each.summary}"
        for each in advice.evidence
        if each.reference != focus.reference and not each.reference.startswith("QuestionnaireResponse/")
    ]
    return {"detail": "\n".join([advice.detail, "", "On record:", *done])} if done else {}


def _alternate_request(advice: Advice, focus: Focus, judged: Judged) -> Element:
    """Propose alternate request: one action that changes the order, or two that replace it."""
    if not advice.better or focus.resource["resourceType"] != "ServiceRequest":
        return {}
    ways = [alternative(better, focus.resource, judged) for better in advice.better]
    return {"suggestions": ways, "selectionBehavior": "at-most-one"}


def _site(advice: Advice, focus: Focus, judged: Judged) -> Element:
    """Propose alternate request: another place, with the plan's sites nearby by name."""
    near = network.sites(judged.member.records)
    named = {"detail": f"{advice.detail}\n\n{network.described(near)}"} if near else {}
    return {**_alternate_request(advice, focus, judged), **named}


def _additional_orders(advice: Advice, focus: Focus, judged: Judged) -> Element:
    """Additional orders: create actions only. Where nobody orders yet, as at a booking, it is said only."""
    if not advice.better or not {"subject", "requester", "authoredOn"} <= focus.line.keys():
        return {}
    orders = [(code, title_of(judged, code)) for code in advice.better]
    creates = [create(beside(focus.line, code, title), f"Orders {title}.") for code, title in orders]
    label = f"Order {' and '.join(title[:1].lower() + title[1:] for _, title in orders)}"
    return {"suggestions": [suggestion(label, *creates)], "selectionBehavior": "at-most-one"}


_BUILDERS: Mapping[str, Callable[[Advice, Focus, Judged], Element]] = {
    "guideline": lambda advice, focus, judged: links_of(advice),
    "instructions": _instructions,
    "safety": _instructions,
    "duplicate": _duplicate,
    "site": _site,
    "alternate-request": _alternate_request,
    "additional-orders": _additional_orders,
}
