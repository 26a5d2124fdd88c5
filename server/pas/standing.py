"""A line as it is kept: the item with its verdict, what it was judged as, and its decision clock. It is made
by a judgement, or carried over from the version before."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

from server.adjudication.orders import service_code
from server.pas import prolonging, verdict
from server.pas.case import Item
from server.pas.judging import Line
from server.pas.verdict import Verdict
from server.policy.line import side
from server.store import Transaction
from server.store import tables as stored

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """One line as it stands."""

    item: Item
    order_key: str
    cpt: str
    side: str
    order: Resource
    determination: Resource
    expedited: bool
    received: dt.datetime
    due: dt.datetime
    decided: dt.datetime | None
    orderer: str = ""

    @classmethod
    def judged(
        cls,
        line: Line,
        reached: Verdict,
        now: dt.datetime,
        since: Standing | None = None,
    ) -> Standing:
        """Decided now, or within its hours. `since` is the line before, if it was pended: its clock runs
        on, and runs out sooner where it has become urgent since."""
        judged = line.judged
        running = since is not None and since.decided is None
        due = now + dt.timedelta(hours=line.hours)
        if since and running:
            due = min(since.due, due) if line.expedited and not since.expedited else since.due
        return cls(
            item=Item(line.requested, verdict.due_by(reached, due)),
            order_key=judged.order_key,
            cpt=service_code(judged.order),
            side=side(judged.order) or "",
            order=dict(judged.order),
            determination=judged.kept,
            expedited=line.expedited,
            received=since.received if since and running else now,
            due=due,
            decided=None if verdict.pended(reached) else now,
            orderer=judged.orderer,
        )

    @classmethod
    def kept(cls, row: stored.PaItem) -> Standing:
        return cls(
            item=Item(row.requested, verdict.from_json(row.verdict)),
            order_key=row.order_key,
            cpt=row.cpt,
            side=row.side,
            order=row.order,
            determination=row.determination,
            expedited=row.expedited,
            received=row.received,
            due=row.due,
            decided=row.decided,
            orderer=row.orderer,
        )

    def under(self, requested: Resource) -> Standing:
        """The same line as a later version of the request words it."""
        return replace(self, item=Item(requested, self.item.verdict))

    def by_now(self, tx: Transaction) -> Standing:
        """The same line with the days that its authorization has by now."""
        return replace(self, item=replace(self.item, verdict=prolonging.by_now(tx, self.item.verdict)))

    def beside_what_stands(self, tx: Transaction, member_key: str, now: dt.datetime) -> Standing:
        """The same line; see `prolonging.beside_what_stands`."""
        item = self.item
        reached = prolonging.beside_what_stands(tx, member_key, item.requested, item.verdict, now)
        return replace(self, item=replace(item, verdict=reached))

    def now(self, reached: Verdict, at: dt.datetime, requested: Resource | None = None) -> Standing:
        """The same line under another verdict."""
        item = Item(self.item.requested if requested is None else requested, reached)
        return replace(self, item=item, decided=None if verdict.pended(reached) else at)
