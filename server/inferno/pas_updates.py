"""Changes of earlier requests (profile-claim-update). Each names the Claim before; from 2.2 on it brings it
along, where the request Bundle of 2.0.1 holds one Claim."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from server.fhir.systems import CPT, TERMINOLOGY, concept
from server.inferno.pas_request import Request
from server.pas.marks import INFO_CANCELLED
from server.pas.terms import CERTIFICATION, PAS_CODES, coded, extension_url, profile

Resource = dict[str, Any]

CANCELLED = coded("certificationType", CERTIFICATION, "3")


def after_review(request: Request) -> Resource:
    """The clinic writes once more when its request was decided; every item stays as it is."""
    sent = request.claim()
    message = _changed(_message("Please send the decision to the referring practice too."), "added")
    information = [*sent["supportingInfo"], message]
    update = _update(request, "claim-2", sent, *sent["item"], information=information)
    return request.bundle(update, *([sent] if request.dialect.brings_prior else []))


def update_chain(request: Request) -> Iterator[tuple[str, Resource, str]]:
    """A request that is approved, and three changes of it, each naming the one before."""
    mri_line = request.item(1)
    film = {**request.item(2), "productOrService": concept(CPT, "73030")}
    initial = request.claim(mri_line)
    yield "initial", request.bundle(initial), "A1: the case of the approval, to be changed below."
    added = _changed(film, "added")
    form = request.documented()
    message = _changed(_message("A film of the same visit is added."), "added")
    second = _update(request, "claim-2", initial, mri_line, added, information=[form, message])
    yield "add_item", request.bundle(second, initial), "A1 and A1: a film is added to the MRI."
    moved = {**mri_line, "servicedDate": (request.day + dt.timedelta(days=21)).isoformat()}
    withdrawn = [form, _withdrawn(message)]
    third = _update(
        request, "claim-3", second, _changed(moved, "changed"), _cancelled(added), information=withdrawn
    )
    yield (
        "modify_cancel",
        request.bundle(third, _alone(second)),
        "A1 and C: the MRI moves by a week under a new number, the film is cancelled.",
    )
    last = _update(request, "claim-4", third, _cancelled(moved), _cancelled(added), information=withdrawn)
    last["extension"] = [*last["extension"], CANCELLED]
    yield "cancel_all", request.bundle(last, _alone(third)), "C and C: all of it is cancelled."


def _update(
    request: Request, name: str, prior: Resource, *items: Resource, information: list[Resource]
) -> Resource:
    """profile-claim-update."""
    relationship = concept(f"{TERMINOLOGY}/ex-relatedclaimrelationship", "prior")
    named = (
        {"reference": f"Claim/{prior['id']}"}
        if request.dialect.brings_prior
        else {"identifier": prior["identifier"][0]}
    )
    return request.claim(
        *items,
        id=name,
        meta={"profile": [profile("claim-update")]},
        supportingInfo=information,
        related=[{"claim": named, "relationship": relationship}],
    )


def _alone(claim: Resource) -> Resource:
    """The prior Claim without its own prior one, which must not come along."""
    return {name: content for name, content in claim.items() if name != "related"} | {
        "meta": {"profile": [profile("claim")]}
    }


def _message(text: str) -> Resource:
    """Claim.supportingInfo in words, the second of it."""
    return {"sequence": 2, "category": concept(PAS_CODES, "freeFormMessage"), "valueString": text}


def _changed(item: Resource, mark: str) -> Resource:
    others = [one for one in item.get("extension", []) if one["url"] != extension_url("infoChanged")]
    return {**item, "extension": [*others, {"url": extension_url("infoChanged"), "valueCode": mark}]}


def _withdrawn(element: Resource) -> Resource:
    """With the flag, and the mark of a change."""
    flag = {"url": INFO_CANCELLED, "valueBoolean": True}
    return {**_changed(element, "changed"), "modifierExtension": [flag]}


def _cancelled(item: Resource) -> Resource:
    """Withdrawn: the flag, the certification type, and the mark of a change."""
    changed = _withdrawn(item)
    extensions = [CANCELLED if one["url"] == CANCELLED["url"] else one for one in changed["extension"]]
    return {**changed, "extension": extensions}
