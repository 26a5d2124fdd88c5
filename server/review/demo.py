"""The demo reviewer: after some seconds a pended line is decided as the rules recommend, so that a tester
alone sees the whole loop. Off unless `DEMO_REVIEWER` says after how long; refused in production."""

from __future__ import annotations

from server.fhir.errors import Conflict
from server.pas.verdict import Review
from server.review.desk import Desk
from server.services import Services

REVIEWER = Review(name="Demo reviewer")


def decide(services: Services, item_id: str) -> None:
    """What the rules recommend; nothing where a person was quicker."""
    desk = Desk(services)
    waiting = desk.show(item_id)
    if waiting.item.status != "open":
        return
    try:
        if waiting.item.recommendation == "deny":
            desk.deny(item_id, waiting.item.revision, REVIEWER)
        else:
            desk.approve(item_id, waiting.item.revision, REVIEWER)
    except Conflict:
        return
