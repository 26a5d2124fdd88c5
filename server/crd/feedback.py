"""Feedback: what clinicians did with the cards (CDS Hooks, "Feedback").

Kept with the card it is about. A card that this server never showed to this client is passed over, since a
client may report on all its cards at once.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from server.fhir.errors import InvalidRequest, Issue
from server.security.caller import visible
from server.store import Transaction, cards

OUTCOMES = ("accepted", "overridden")


def keep(tx: Transaction, body: Mapping[str, Any], now: dt.datetime) -> int:
    """Stores every entry that is about a card of ours; how many that were. Raises InvalidRequest."""
    entries = body.get("feedback")
    if not isinstance(entries, list) or not entries:
        raise InvalidRequest(Issue("required", "feedback", "Send an array of what became of each card."))
    if faults := [
        fault for index, entry in enumerate(entries) for fault in _faults(entry, f"feedback[{index}]")
    ]:
        raise InvalidRequest(*faults)
    known = [(visible(cards.shown(tx, entry["card"])), entry) for entry in entries]
    kept = [(card, entry) for card, entry in known if card is not None]
    for card, entry in kept:
        cards.add_feedback(tx, card, entry["outcome"], entry, now)
    return len(kept)


def _faults(entry: Any, path: str) -> Iterator[Issue]:
    if not isinstance(entry, dict):
        yield Issue("structure", path, "It must be an object with card and outcome.")
        return
    if not isinstance(entry.get("card"), str):
        yield Issue("required", f"{path}.card", "Send the uuid of the card.")
    if entry.get("outcome") not in OUTCOMES:
        yield Issue("value", f"{path}.outcome", f"It must be {' or '.join(OUTCOMES)}.")
