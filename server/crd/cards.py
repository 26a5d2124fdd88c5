"""Cards: what is worth telling a clinician beside the coverage information.

They come from `Determination.advice` and change nothing about coverage. A kind of advice is a kind of card
(CRD, "Response types"); each builder lays out one. Texts are for clinicians: what happened on the way to
them (failed queries, missing data of ours) goes to the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from server.adjudication.judged import Judged
from server.adjudication.orders import CPT
from server.crd import appropriateness
from server.crd.configuration import Configuration
from server.crd.focus import Focus
from server.crd.version import Element, Version
from server.policy.catalog import ICD
from server.policy.determination import Advice, Determination
from server.policy.line import SIDE_BY_SITE, SIDE_NAMES

SUMMARY_LIMIT = 139
"""The guide asks for fewer than 140 characters."""

TOPICS: Mapping[str, str] = {
    "coverage-info": "Coverage Information",
    "claim": "Claim",
    "insurance": "Insurance",
    "limits": "Limits",
    "network": "Network",
    "appropriate-use": "Appropriate Use",
    "cost": "Cost",
    "therapy-alternatives-opt": "Optional Therapy Alternatives",
    "therapy-alternatives-req": "Required Therapy Alternatives",
    "clinical-reminder": "Clinical Reminder",
    "duplicate-therapy": "Duplicate Therapy",
    "contraindication": "Contraindication",
    "guideline": "Guideline",
    "off-guideline": "Off Guideline",
}

IMPORTANCE = (
    "contraindication",
    "insurance",
    "duplicate-therapy",
    "therapy-alternatives-req",
    "off-guideline",
    "appropriate-use",
    "limits",
    "claim",
    "network",
    "therapy-alternatives-opt",
    "cost",
    "clinical-reminder",
    "guideline",
    "coverage-info",
)
"""The order in which cards are shown, and so which fall to `max-cards`."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A card before it is sent: `content` without uuid, the orders it is about, the assertion it rests on."""

    topic: str
    content: Element
    about: tuple[str, ...]
    assertion_id: str | None = None


def drawn(focus: Focus, judged: Judged, assertion_id: str, source: Element, base: str) -> Iterator[Drawn]:
    """The cards of one order's determination. `base` is the version's own address, for links to ourselves."""
    for advice in judged.determination.advice:
        build = _BUILDERS.get(advice.kind, _instructions)
        content = build(advice, focus, judged)
        if content is not None:
            yield Drawn(advice.topic, {**_face(advice, source), **content}, (focus.reference,), assertion_id)
    if judged.determination.in_the_way:
        content = _criteria_app(judged.determination, source, appropriateness.link(base, assertion_id))
        yield Drawn("appropriate-use", content, (focus.reference,), assertion_id)


def _criteria_app(said: Determination, source: Element, link: Element) -> Element:
    """Launch SMART application: the criteria of this order beside what was found for each."""
    named = [criterion.title for criterion in said.in_the_way]
    one = len(named) == 1
    return {
        "summary": short(
            f"{len(named)} {'criterion stands' if one else 'criteria stand'} between this order and approval."
        ),
        "detail": "\n".join(f"- {title}" for title in named),
        "indicator": "info",
        "source": source,
        "links": [link],
    }


def no_insurance(about: tuple[str, ...], source: Element) -> Drawn:
    """Where the record holds no insurance, nothing can be said of coverage."""
    content = {
        "summary": "No insurance is on record for this patient.",
        "detail": "Without it the plan cannot say whether the order is covered. Record the patient's "
        "insurance and name it on the order.",
        "indicator": "warning",
        "source": source,
    }
    return Drawn("insurance", content, about)


def dealt(cards: Iterable[Drawn], choices: Configuration) -> list[Drawn]:
    """The cards to send: wanted ones, each once, most important first, no more than the client shows."""
    wanted = [card for card in _merged(cards) if choices.wants(card.topic)]
    wanted.sort(
        key=lambda card: IMPORTANCE.index(card.topic) if card.topic in IMPORTANCE else len(IMPORTANCE)
    )
    return wanted[: choices.max_cards]


def card(version: Version, drawn: Drawn, orders_asked: int) -> Element:
    """A CDS Hooks card with its uuid and topic; named orders where the call was about more than these."""
    content = drawn.content
    topic = {"system": version.topics, "code": drawn.topic, "display": TOPICS.get(drawn.topic, drawn.topic)}
    shown = {
        "uuid": str(uuid4()),
        **content,
        "source": {**content["source"], "topic": topic},
        "extension": version.associated(list(drawn.about)),
    }
    if len(drawn.about) < orders_asked:
        shown["detail"] = f"{content.get('detail', '')}\n\nThis is about {', '.join(drawn.about)}.".strip()
    return shown


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


def _face(advice: Advice, source: Element) -> Element:
    return {
        "summary": short(advice.summary),
        "detail": advice.detail or advice.summary,
        "indicator": "warning" if advice.topic == "contraindication" else "info",
        "source": source,
    }


def short(text: str) -> str:
    """A summary within the limit, cut between words."""
    if len(text) <= SUMMARY_LIMIT:
        return text
    return text[: SUMMARY_LIMIT - 1].rpartition(" ")[0].rstrip(" ,;:.") + "…"


def _instructions(advice: Advice, focus: Focus, judged: Judged) -> Element:
    """Instructions: text alone."""
    return {}


def _external_reference(advice: Advice, focus: Focus, judged: Judged) -> Element:
    """External reference: absolute links, nothing else."""
    if not advice.url:
        return {}
    return {"links": [{"label": advice.guideline or advice.summary, "url": advice.url, "type": "absolute"}]}


def _alternate_request(advice: Advice, focus: Focus, judged: Judged) -> Element | None:
    """Propose alternate request: one action that changes the order, or two that replace it."""
    suggestions = [
        suggestion
        for better in advice.better
        for suggestion in [_alternative(better, focus, judged)]
        if suggestion
    ]
    if not suggestions or focus.resource["resourceType"] != "ServiceRequest":
        return {}
    return {"suggestions": suggestions, "selectionBehavior": "at-most-one"}


def _additional_orders(advice: Advice, focus: Focus, judged: Judged) -> Element:
    """Additional orders: create actions only."""
    creates = [
        _create(_order_of(focus.resource, code, _title(judged, code)), f"Orders {_title(judged, code)}.")
        for code in advice.better
    ]
    if not creates:
        return {}
    return {
        "suggestions": [{"label": short(advice.summary), "uuid": str(uuid4()), "actions": creates}],
        "selectionBehavior": "at-most-one",
    }


_BUILDERS: Mapping[str, Callable[[Advice, Focus, Judged], Element | None]] = {
    "guideline": _external_reference,
    "instructions": _instructions,
    "safety": _instructions,
    "duplicate": _instructions,
    "site": _alternate_request,
    "alternate-request": _alternate_request,
    "additional-orders": _additional_orders,
}


def _alternative(better: str, focus: Focus, judged: Judged) -> Element | None:
    """One way to change the order, by what is proposed: a side, a place of service, or another code."""
    order = focus.resource
    if better in _SITES:
        changed = {**order, "bodySite": [*_sites_without_side(order), _SITES[better]]}
        return _update(f"Change the side to {_SITES[better]['text']}", _without_side_modifiers(changed))
    if better in _PLACES:
        return _update(f"Image at: {_PLACES[better]}", {**order, "locationCode": [_place(better)]})
    title = _title(judged, better)
    if better[0].isalpha():
        reasons = [_better_reason(each, better) for each in order.get("reasonCode", [])]
        return _update(f"Change the diagnosis to {better}", {**order, "reasonCode": reasons})
    if any(better in policy.codes for policy in judged.plan.catalog.policies):
        return _update(f"Change to {better} {title}", {**order, "code": _concept(better, title)})
    return {
        "label": short(f"Order {better} {title} instead"),
        "uuid": str(uuid4()),
        "actions": [
            {"type": "delete", "description": "Withdraws the imaging order.", "resourceId": focus.reference},
            _create(_order_of(order, better, title), f"Orders {title}."),
        ],
    }


_SITES: Mapping[str, Element] = {
    side: {
        "coding": [{"system": "http://snomed.info/sct", "code": code}],
        "text": SIDE_NAMES[side],
    }
    for code, side in SIDE_BY_SITE.items()
}
_PLACES = {"11": "office imaging", "24": "ambulatory surgical center", "49": "independent imaging center"}
PLACE_OF_SERVICE = "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set"


def _better_reason(reason: Element, better: str) -> Element:
    """The diagnosis of which `better` is the sided form, replaced; every other as it was."""
    codes = [coding.get("code", "") for coding in reason.get("coding", []) if coding.get("system") == ICD]
    return {"coding": [{"system": ICD, "code": better}]} if better[:-1] in {c[:-1] for c in codes} else reason


def _place(code: str) -> Element:
    return {"coding": [{"system": PLACE_OF_SERVICE, "code": code}], "text": _PLACES[code]}


def _sites_without_side(order: Element) -> list[Element]:
    """Body sites stay; a coding that only says the side goes."""
    sites = []
    for site in order.get("bodySite", []):
        codings = [coding for coding in site.get("coding", []) if coding.get("code") not in SIDE_BY_SITE]
        if codings:
            sites.append({**site, "coding": codings})
    return sites


def _without_side_modifiers(order: Element) -> Element:
    """A modifier that says another side would contradict the new one."""
    concept = order.get("code", {})
    codings = [
        coding
        for coding in concept.get("coding", [])
        if not str(coding.get("code", "")).endswith(("-RT", "-LT", "-50"))
    ]
    return {**order, "code": {**concept, "coding": codings}} if codings else order


def _update(label: str, resource: Element) -> Element:
    return {
        "label": short(label),
        "uuid": str(uuid4()),
        "actions": [{"type": "update", "description": f"{label}.", "resource": resource}],
    }


def _create(resource: Element, description: str) -> Element:
    return {"type": "create", "description": description, "resource": resource}


def _order_of(order: Element, code: str, title: str) -> Element:
    """A draft ServiceRequest for another service of the same patient, by the same clinician, for the same
    reason."""
    copied = ("subject", "encounter", "authoredOn", "requester", "reasonCode", "reasonReference", "bodySite")
    return {
        "resourceType": "ServiceRequest",
        "id": str(uuid4()),
        "status": "draft",
        "intent": "order",
        "code": _concept(code, title),
        **{name: order[name] for name in copied if name in order},
        **({"insurance": order["insurance"]} if "insurance" in order else {}),
    }


def _concept(code: str, title: str) -> Element:
    return {"coding": [{"system": CPT, "code": code}], "text": title or code}


def _title(judged: Judged, code: str) -> str:
    plan: Any = judged.plan
    return str(plan.catalog.service(plan, code).title or code)
