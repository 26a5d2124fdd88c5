"""What a card proposes to do: another order in place of this one, or an order beside it (CRD, "Propose
alternate request" and "Additional orders").

The client's order is changed where it must be and nowhere else. A code goes with its modifiers; what says
the body part goes where the part is another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

from server.adjudication.judged import Judged
from server.adjudication.orders import plainly_coded, service_coding
from server.crd.version import Element
from server.fhir.references import contents, reference_texts
from server.fhir.systems import BILLED, CPT, ICD, PLACE_OF_SERVICE, SNOMED, coding_key, concept, is_billed
from server.policy.catalog import Policy
from server.policy.line import (
    LATERALITY,
    SIDE_BY_SITE,
    SIDE_CODES,
    SIDE_NAMES,
    SIDE_WORDS,
    STRUCTURES,
    WORD_OF_SIDE,
)

LABEL_LIMIT = 139
PLACES = {"11": "office imaging", "24": "ambulatory surgical center", "49": "freestanding imaging center"}
SITES: Mapping[str, Element] = {
    side: {"coding": [{"system": SNOMED, "code": code}], "text": SIDE_NAMES[side]}
    for code, side in SIDE_CODES.items()
}
_MIRRORED = {one: other for right, left in STRUCTURES for one, other in ((right, left), (left, right))}
_SIDE_CODE = {side: code for code, side in SIDE_CODES.items()}
_SIDES = frozenset({"RT", "LT", "50"})
_WORDS = {side: word for word, side in SIDE_WORDS.items()}


def short(text: str) -> str:
    """A summary or label within the limit of CDS Hooks, cut between words."""
    if len(text) <= LABEL_LIMIT:
        return text
    return text[: LABEL_LIMIT - 1].rpartition(" ")[0].rstrip(" ,;:.") + "…"


def alternative(better: str, order: Element, judged: Judged) -> Element:
    """One way to change the order, by what is proposed: a side, a place of service, a diagnosis, another
    code of a policy, or another service in its stead."""
    if better in SITES:
        return _update(f"Change the side to {SITES[better]['text']}", _on_side(order, better))
    if better in PLACES:
        return _update(f"Image at: {PLACES[better]}", {**_nowhere(order), "locationCode": [_place(better)]})
    if better[0].isalpha():
        named = judged.plan.catalog.names.get((ICD, better), "")
        return _update(f"Change the diagnosis to {better} {named}".rstrip(), _with_diagnosis(order, better))
    title = title_of(judged, better)
    if (home := _policy(judged, better)) is not None:
        return _update(f"Change to {better} {title}", _recoded(order, better, title, home))
    withdrawn = f"{order['resourceType']}/{order['id']}"
    return suggestion(
        f"Order {better} {title} instead",
        {"type": "delete", "description": "Withdraws the imaging order.", "resourceId": withdrawn},
        create({**beside(order, better, title), **_site_of(order)}, f"Orders {title}."),
    )


def beside(order: Element, code: str, title: str) -> Element:
    """A draft ServiceRequest for another service of the same patient, by the same clinician, for the same
    reason. Where on the body the imaging is to be done says nothing about a blood test."""
    names = ("subject", "encounter", "authoredOn", "requester", "reasonCode", "reasonReference", "insurance")
    copied = {name: order[name] for name in names if name in order}
    pointed_to = _inside(order, copied)
    return {
        "resourceType": "ServiceRequest",
        "id": str(uuid4()),
        **({"contained": pointed_to} if pointed_to else {}),
        "status": "draft",
        "intent": "order",
        "code": _concept(code, title),
        **copied,
    }


def _nowhere(order: Element) -> Element:
    """The order without the Location it names, and without one inside it that nothing else points to."""
    kept = {name: part for name, part in order.items() if name not in ("locationReference", "contained")}
    pointed_to = _inside(order, kept) if "locationReference" in order else order.get("contained")
    return {**kept, **({"contained": pointed_to} if pointed_to else {})}


def _inside(order: Element, parts: Element) -> list[Element]:
    """The resources in an order that parts of it point to, and those that these do."""
    found: dict[str, Element] = {}
    inside, ahead = contents(order), [parts]
    while ahead:
        for text in reference_texts(ahead.pop()):
            own = inside.get(text)
            if own is not None and text not in found:
                found[text] = own
                ahead.append(own)
    return list(found.values())


def suggestion(label: str, *actions: Element) -> Element:
    return {"label": short(label), "uuid": str(uuid4()), "actions": list(actions)}


def create(resource: Element, description: str) -> Element:
    return {"type": "create", "description": description, "resource": resource}


def update(resource: Element, description: str) -> Element:
    return {"type": "update", "description": description, "resource": resource}


def title_of(judged: Judged, code: str) -> str:
    """What the plan calls the service."""
    return str(judged.plan.catalog.service(judged.plan, code).title or code)


def _update(label: str, resource: Element) -> Element:
    return suggestion(label, update(resource, f"{label}."))


def _policy(judged: Judged, code: str) -> Policy | None:
    return next((each for each in judged.plan.catalog.policies if code in each.codes), None)


# ---- another code


def _recoded(order: Element, code: str, title: str, home: Policy) -> Element:
    """The order under a code of the policy `home`. Modifiers go with the code, sides only where the new part
    has sides; words and codes of others stay while the body part is the same."""
    old = service_coding(order)
    same_part = old is not None and old["code"] in home.codes
    concept = plainly_coded(order).get("code", {})
    new = _with_modifiers(code, concept, keep_sides=home.joint)
    kept = [each for each in concept.get("coding", []) if each.get("system") not in BILLED]
    changed: Element = {**order, "code": {"coding": [*new, *(kept if same_part else ())], "text": title}}
    sites = [site for site in order.get("bodySite", []) if same_part or _lies_in(site, home)]
    return _with_sites(changed, sites)


def _with_modifiers(code: str, concept: Element, *, keep_sides: bool) -> Iterator[Element]:
    """The code itself, and once more for each modifier the order carried."""
    yield {"system": CPT, "code": code}
    modifiers = {
        part: None
        for coding in concept.get("coding", [])
        if coding.get("system") in BILLED
        for part in str(coding.get("code", "")).split("-")[1:]
        if keep_sides or part not in _SIDES
    }
    yield from ({"system": CPT, "code": f"{code}-{modifier}"} for modifier in modifiers)


def _lies_in(site: Element, home: Policy) -> bool:
    """Whether a body site is of the policy's part; a side alone goes with any part that has sides."""
    codes = {coding_key(coding) for coding in site.get("coding", [])}
    return bool(codes & home.sites) or (home.joint and _is_side(site))


# ---- another side, another place, another diagnosis


def _on_side(order: Element, side: str) -> Element:
    """Body sites stay, a structure of the other side becomes its counterpart, a coding that only says the
    side goes, and so does a modifier that says one: the code is billed without it, once. Words are turned; a
    clinic's own code that says a side goes."""
    sites = [turned for site in order.get("bodySite", []) if (turned := _site_on(site, side))]
    changed = {**order, "bodySite": [*sites, SITES[side]]}
    concept = plainly_coded(order).get("code", {})
    billed: list[Element] = []
    for coding in concept.get("coding", []):
        bare = _without_side(coding)
        if bare is coding or not any(_same_code(bare, each) for each in (*billed, *concept["coding"])):
            worded = _worded(bare, side)
            billed += [worded] if worded == bare or is_billed(bare) else []
    return {**changed, "code": _worded({**concept, "coding": billed}, side)} if billed else changed


def _site_on(site: Element, side: str) -> Element | None:
    """A body site as it is on that side; None where it said a side and nothing else."""
    codings = list(_turned(site.get("coding", []), side))
    if codings == site.get("coding", []):
        return _worded(site, side)
    return {"coding": codings} if codings else None


def _worded(element: Element, side: str) -> Element:
    """A concept or coding whose words name that side where they named one."""

    def turned(word: re.Match[str]) -> str:
        small = word[0].islower()
        return _WORDS[side] if small else _WORDS[side].upper() if word[0].isupper() else _WORDS[side].title()

    return {
        name: WORD_OF_SIDE.sub(turned, words) if name in ("text", "display") else words
        for name, words in element.items()
    }


def _turned(codings: list[Element], side: str) -> Iterator[Element]:
    """The codings of a body site as they are on that side, without those that only say a side."""
    for coding in codings:
        code = str(coding.get("code"))
        if code in SIDE_CODES:
            continue
        if (lateral := LATERALITY.search(code)) and SIDE_CODES.get(lateral[2]) != side:
            yield {"system": coding.get("system"), "code": LATERALITY.sub(rf"\g<1>{_SIDE_CODE[side]}", code)}
            continue
        if code not in _MIRRORED or side in ("50", SIDE_BY_SITE[code]):
            yield coding
        if code in _MIRRORED and side != SIDE_BY_SITE[code]:
            yield {"system": coding["system"], "code": _MIRRORED[code]}


def _without_side(coding: Element) -> Element:
    base, *modifiers = str(coding.get("code", "")).split("-")
    if coding.get("system") not in BILLED or _SIDES.isdisjoint(modifiers):
        return coding
    return {**coding, "code": "-".join((base, *(each for each in modifiers if each not in _SIDES)))}


def _same_code(one: Element, other: Element) -> bool:
    return (one.get("system"), one.get("code")) == (other.get("system"), other.get("code"))


def _place(code: str) -> Element:
    return {"coding": [{"system": PLACE_OF_SERVICE, "code": code}], "text": PLACES[code]}


def _with_diagnosis(order: Element, better: str) -> Element:
    """The diagnosis of which `better` is the sided form, replaced; every other as it was. What stands in the
    problem list is not the order's to change: there it goes before it."""
    new = concept(ICD, better)
    reasons = order.get("reasonCode", [])
    changed = [new if _is_kin(reason, better) else reason for reason in reasons]
    return {**order, "reasonCode": changed if changed != reasons else [new, *reasons]}


def _is_kin(reason: Element, better: str) -> bool:
    keys = (coding_key(coding) for coding in reason.get("coding", []))
    codes = [code for system, code in keys if system == ICD]
    return better[:-1] in {code[:-1] for code in codes}


def _site_of(order: Element) -> Element:
    """A film is of the part that was to be imaged."""
    return {"bodySite": order["bodySite"]} if "bodySite" in order else {}


def _with_sites(order: Element, sites: list[Any]) -> Element:
    if not sites:
        return {name: content for name, content in order.items() if name != "bodySite"}
    return {**order, "bodySite": sites}


def _is_side(site: Element) -> bool:
    codings = site.get("coding", [])
    return bool(codings) and all(coding.get("code") in SIDE_CODES for coding in codings)


def _concept(code: str, title: str) -> Element:
    return {"coding": [{"system": CPT, "code": code}], "text": title or code}
