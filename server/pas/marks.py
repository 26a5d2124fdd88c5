"""Marks on a Claim, its items and its supporting information: changed, cancelled, which certification."""

from __future__ import annotations

from typing import Any

from server.fhir.extensions import extension, value
from server.fhir.modifiers import flagged
from server.pas.terms import CERTIFICATION, STRUCTURE, extension_url

Resource = dict[str, Any]

INFO_CANCELLED = f"{STRUCTURE}/modifierextension-infoCancelled"

IMMEDIATE_APPEAL, APPEAL, CANCEL, EXTENSION, RENEWAL, REVISION = "1", "2", "3", "4", "R", "S"
"""Certification types (X12 1322)."""


def certification(element: Resource) -> str | None:
    """The certification type of a Claim or an item."""
    concept = value(extension(element, extension_url("certificationType")))
    codings = concept.get("coding") or [] if isinstance(concept, dict) else []
    return next((str(c.get("code")) for c in codings if c.get("system") in (CERTIFICATION, None)), None)


def appeal(claim: Resource, item: Resource) -> str | None:
    """Which of the two appeals an item is: by its own certification type, else by the whole Claim's."""
    types = (certification(item), certification(claim))
    return next((one for one in types if one in (IMMEDIATE_APPEAL, APPEAL)), None)


def cancels_everything(claim: Resource) -> bool:
    """By certification type on the Claim (2.2), or by the Claim's own status, as some 2.0.1 clients do."""
    return claim.get("status") == "cancelled" or certification(claim) == CANCEL


def cancelled(element: Resource) -> bool:
    """Whether an item or a piece of supporting information is withdrawn."""
    return flagged(element, INFO_CANCELLED) or certification(element) == CANCEL


def changed(element: Resource) -> bool:
    """Whether the client marks it as new or different against the version before."""
    return value(extension(element, extension_url("infoChanged"))) in ("added", "changed")


def marked(element: Resource) -> bool:
    """Whether it has any mark that only a change or an appeal of an earlier Claim can have."""
    changes = cancelled(element) or extension(element, extension_url("infoChanged")) is not None
    return changes or certification(element) == REVISION or appeal(element, element) is not None


def quoted_number(item: Resource) -> str | None:
    """The earlier authorization number that an item refers to."""
    return _text(item, "authorizationNumber")


def quoted_tracking(element: Resource) -> str | None:
    """Our reference number of an earlier pend, which a Claim (2.2) or an item refers to."""
    return _text(element, "administrationReferenceNumber")


def _text(element: Resource, name: str) -> str | None:
    content = value(extension(element, extension_url(name)))
    return content if isinstance(content, str) and content else None
