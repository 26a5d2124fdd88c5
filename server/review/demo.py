"""The demo reviewer: after some seconds a pended line is decided as the rules recommend, so that a tester
alone sees the whole loop. Off unless `DEMO_REVIEWER` says after how long; refused in production."""

from __future__ import annotations

from contextlib import suppress

from server.fhir.errors import Conflict
from server.pas.verdict import Review
from server.review.desk import Desk
from server.services import Services

REVIEWER, ANOTHER = Review(name="Demo reviewer"), Review(name="Other demo reviewer")
"""Who decides, and who hears the appeal of what the first one denied."""


def decide(services: Services, item_id: str) -> None:
    """What the rules recommend; nothing where a person was quicker."""
    desk = Desk(services)
    waiting = desk.show(item_id)
    if waiting.item.status != "open":
        return
    decided = desk.deny if waiting.item.recommendation == "deny" else desk.approve
    for reviewer in (REVIEWER, ANOTHER):
        with suppress(Conflict):
            decided(item_id, waiting.item.revision, reviewer)
            return
