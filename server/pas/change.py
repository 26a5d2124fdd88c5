"""What a Claim says about an earlier one: that it changes, cancels or contests it (PAS, updates and
cancellations; an appeal is a later version of what was denied).

A change names the earlier Claim (`related.claim`, by reference or identifier) or, where 2.0.1 gives it no way
to, marks its items (certification type S, revised, is a mark too) and relies on its own Claim.identifier, or
on our reference number of a pend. It repeats every item and piece of supporting information ever sent, under
the same sequences; marks tell what is new against the version before. A cancelled piece of supporting
information is no evidence any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from server.fhir.references import reference_text
from server.pas.information import TRACKING_SYSTEM
from server.pas.intake import Submission
from server.pas.marks import cancelled, cancels_everything, marked, quoted_tracking

Resource = dict[str, Any]

ASSOCIATED = "associated"
"""The code of Claim.related.relationship that is not about an earlier version."""


class Name(NamedTuple):
    """How a client may call an earlier Claim: an identifier, or its URL under an empty system."""

    system: str
    value: str


@dataclass(frozen=True, slots=True)
class Change:
    """`names` lead to the earlier case, the surest first; `everything` says that all of it is cancelled."""

    names: tuple[Name, ...]
    everything: bool


def change_of(read: Submission) -> Change | None:
    """None where the Claim stands for itself."""
    everything = cancels_everything(read.claim)
    related = [each for each in read.claim.get("related") or [] if not _beside(each)]
    if not (everything or related or any(marked(element) for element in _markable(read.claim))):
        return None
    return Change(tuple(dict.fromkeys(_names(read, related))), everything)


def withdrawn_evidence(read: Submission) -> list[Resource]:
    """The resources that only cancelled supporting information points to."""
    pieces = read.claim.get("supportingInfo") or []
    kept: list[Resource] = []
    gone: list[Resource] = []
    for piece in pieces:
        target = read.resolve(piece.get("valueReference"))
        if target is not None:
            (gone if cancelled(piece) else kept).append(target)
    return [resource for resource in gone if not any(resource is other for other in kept)]


def names_of(read: Submission) -> list[Name]:
    """The names by which this Claim may be called later."""
    identifiers = [_named(identifier) for identifier in read.claim.get("identifier") or []]
    return [Name("", read.claim_url), *(name for name in identifiers if name)]


def _markable(claim: Resource) -> Iterator[Resource]:
    yield claim
    yield from claim.get("item") or []
    yield from claim.get("supportingInfo") or []


def _beside(relation: Resource) -> bool:
    """Whether the Claim it names stands beside this one and is not the version before."""
    codings = (relation.get("relationship") or {}).get("coding") or []
    return any(coding.get("code") == ASSOCIATED for coding in codings)


def _names(read: Submission, related: list[Resource]) -> Iterator[Name]:
    for relation in related:
        reference = relation.get("claim") or {}
        prior = read.resolve(reference)
        entry = read.resolver.entry_of(prior) if prior is not None else None
        text = entry.full_url if entry else reference_text(reference)
        if text and text != read.claim_url:
            yield Name("", text if ":" in text else f"{read.resolver.base_of(read.claim)}{text}")
        for identifier in (reference.get("identifier"), *((prior or {}).get("identifier") or [])):
            yield from (name for name in [_named(identifier)] if name)
    if not related:
        yield from names_of(read)
    for element in (read.claim, *read.items):
        if number := quoted_tracking(element):
            yield Name(TRACKING_SYSTEM, number)


def _named(identifier: Any) -> Name | None:
    if not isinstance(identifier, dict) or not identifier.get("value"):
        return None
    return Name(str(identifier.get("system", "")), str(identifier["value"]))
