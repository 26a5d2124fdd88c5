"""What a client may switch: the configuration options of discovery and their values in a call (CRD,
"Hook configuration").

Codes are the card types of the guide, one switch each, and `max-cards`. An unknown code is ignored, a value
of the wrong type too, for a client's mistake in a preference is no reason to leave a clinician without an
answer; such a mistake is logged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

CONFIGURATION = "davinci-crd.configuration"
MAX_CARDS = "max-cards"
DEFAULT_MAX_CARDS = 10

OPTIONS: Mapping[str, tuple[str, str]] = {
    "coverage-info": ("Coverage information", "Adds coverage and authorization facts to each order."),
    "unsolicited-determ": (
        "Immediate authorization",
        "Grants a prior authorization at once where everything needed is documented. Off: what-if only.",
    ),
    "insurance": ("Insurance", "Tells when insurance on record is missing, ended or needs an update."),
    "claim": ("Claims", "Tells what a claim for the service must carry."),
    "limits": ("Limits", "Tells when a quantity or frequency is beyond what is covered."),
    "network": ("Network", "Suggests a site or performer that the plan prefers."),
    "appropriate-use": ("Appropriate use", "Tells whether the imaging fits the documented indication."),
    "cost": ("Cost", "Tells when another choice costs the patient less."),
    "therapy-alternatives-opt": ("Alternatives", "Suggests other services that may serve as well."),
    "therapy-alternatives-req": ("Alternatives first", "Names services that the plan asks for first."),
    "clinical-reminder": ("Reminders", "Reminds of preparation and follow-up for the service."),
    "duplicate-therapy": ("Duplicates", "Tells when the same imaging was done recently."),
    "contraindication": ("Safety", "Warns where the record speaks against the service or its contrast."),
    "guideline": ("Guidelines", "Links the guideline that the coverage rules rest on."),
    "off-guideline": ("Off guideline", "Tells when an order departs from the guideline, and how."),
}
"""By code, most wanted first: name and description."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """A call's choices, defaults filled in."""

    off: frozenset[str] = frozenset()
    max_cards: int = DEFAULT_MAX_CARDS

    def wants(self, code: str) -> bool:
        """Whether answers of this card type may be returned."""
        return code not in self.off

    @property
    def what_if(self) -> bool:
        """A call that explores, or would not be told of a number: nothing is granted by it."""
        return not (self.wants("unsolicited-determ") and self.wants("coverage-info"))


def options(codes: Iterable[str]) -> list[dict[str, Any]]:
    """The configuration-options extension of a service with these switches."""
    switches = [
        {"code": code, "type": "boolean", "name": name, "description": description, "default": True}
        for code in codes
        for name, description in [OPTIONS[code]]
    ]
    limit = {
        "code": MAX_CARDS,
        "type": "integer",
        "name": "Card limit",
        "description": "The most cards one answer may hold; the most important come first.",
        "default": DEFAULT_MAX_CARDS,
    }
    return [*switches, limit]


def configuration(extension: Any) -> Configuration:
    """The choices in a request's `extension`; defaults where there are none or they make no sense."""
    chosen = extension.get(CONFIGURATION) if isinstance(extension, dict) else None
    if not isinstance(chosen, dict):
        return Configuration()
    off = frozenset(code for code, value in chosen.items() if value is False and code in OPTIONS)
    limit = chosen.get(MAX_CARDS, DEFAULT_MAX_CARDS)
    usable = isinstance(limit, int) and not isinstance(limit, bool) and limit >= 0
    misused = sorted(code for code in OPTIONS if code in chosen and not isinstance(chosen[code], bool))
    if misused or not usable:
        structlog.get_logger().warning(
            "configuration ignored", codes=[*misused, *([] if usable else [MAX_CARDS])]
        )
    return Configuration(off, limit if usable else DEFAULT_MAX_CARDS)
