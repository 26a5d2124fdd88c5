"""Handing a line over to the reviewers; with `DEMO_REVIEWER`, to one that decides after so many seconds."""

from collections.abc import Callable

from server.services import Services
from server.store import Transaction
from server.store import tables as stored

DEMO = "demo-review"
"""The job of the demo reviewer, told by the id of the work item."""

Assign = Callable[[Transaction, stored.WorkItem], None]


def assign_of(services: Services) -> Assign:
    seconds = services.settings.demo_reviewer

    def assign(tx: Transaction, item: stored.WorkItem) -> None:
        if seconds:
            services.work.enqueue(tx, DEMO, item.id, delay=float(seconds))

    return assign
