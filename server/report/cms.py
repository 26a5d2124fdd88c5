"""The public prior-authorization metrics of CMS-0057-F, from the record of what happened.

What is counted is a line (one service of a request) that needed authorization and was decided in the year;
lines that need none, that were cancelled, or that still wait are in no figure. A line counts once, by its
first decision in any version of its request, approved with changes as approved; what an appeal changed is a
figure of its own, of the appeals decided in the year (that an appeal is immediate makes its request none the
more urgent). Times run from receipt at the server to that first decision. The program has no drugs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

from server.pas.appealing import APPEAL_DECIDED, OVERTURNED
from server.review.desk import PROLONGED
from server.store import Transaction, events
from server.store import tables as stored

APPROVED, DENIED = frozenset({"A1", "A6"}), frozenset({"A3"})
LIMITS = {False: dt.timedelta(days=7), True: dt.timedelta(hours=72)}


@dataclass(frozen=True, slots=True)
class Share:
    """So many out of so many."""

    title: str
    numerator: int
    denominator: int

    @property
    def percent(self) -> float | None:
        return round(100 * self.numerator / self.denominator, 1) if self.denominator else None

    @property
    def row(self) -> dict[str, Any]:
        return {
            "figure": self.title,
            "numerator": self.numerator,
            "denominator": self.denominator,
            "value": self.percent,
            "unit": "percent",
        }


@dataclass(frozen=True, slots=True)
class Average:
    """An average of times: their sum in days over their number; of a median, the middle one."""

    title: str
    days: float | None
    total: float
    count: int

    @property
    def row(self) -> dict[str, Any]:
        return {
            "figure": self.title,
            "numerator": round(self.total, 3),
            "denominator": self.count,
            "value": None if self.days is None else round(self.days, 3),
            "unit": "days",
        }


@dataclass(frozen=True, slots=True)
class Decided:
    """A line that was decided."""

    approved: bool
    expedited: bool
    prolonged: bool
    took: dt.timedelta


def figures(tx: Transaction, year: int, plan: str = "") -> list[Share | Average]:
    """Metrics 2 to 9 of the rule, for one plan or for all; then the shares decided in time."""
    start, end = dt.datetime(year, 1, 1, tzinfo=dt.UTC), dt.datetime(year + 1, 1, 1, tzinfo=dt.UTC)
    lines = list(_decided(tx, start, end, plan))
    appeals = list(_appeals(tx, start, end, plan))
    standard = [line for line in lines if not line.expedited]
    expedited = [line for line in lines if line.expedited]
    return [
        _share("Standard requests approved", standard, [line.approved for line in standard]),
        _share("Standard requests denied", standard, [not line.approved for line in standard]),
        Share("Standard requests approved after appeal", sum(appeals), len(appeals)),
        _share(
            "Requests whose review was extended and that were approved",
            lines,
            [line.prolonged and line.approved for line in lines],
        ),
        _share("Expedited requests approved", expedited, [line.approved for line in expedited]),
        _share("Expedited requests denied", expedited, [not line.approved for line in expedited]),
        *_times("Standard", standard),
        *_times("Expedited", expedited),
        _share("Standard requests decided within 7 days", standard, [_in_time(line) for line in standard]),
        _share(
            "Expedited requests decided within 72 hours", expedited, [_in_time(line) for line in expedited]
        ),
    ]


def _share(title: str, among: Sequence[Decided], hits: Iterable[bool]) -> Share:
    return Share(title, sum(hits), len(among))


def _times(kind: str, lines: Sequence[Decided]) -> Iterator[Average]:
    days = [line.took / dt.timedelta(days=1) for line in lines]
    for name, average in (("Mean", mean), ("Median", median)):
        title = f"{kind} requests: {name.lower()} time to decision"
        yield Average(title, average(days) if days else None, sum(days), len(days))


def _in_time(line: Decided) -> bool:
    return line.took <= LIMITS[line.expedited]


def _decided(tx: Transaction, start: dt.datetime, end: dt.datetime, plan: str) -> Iterator[Decided]:
    lines: dict[tuple[str, int], list[tuple[stored.PaItem, stored.PaEvent]]] = {}
    for chain, item, event in events.of_lines(tx, (events.DECIDED, PROLONGED), start, end):
        lines.setdefault((chain, item.sequence), []).append((item, event))
    for told in lines.values():
        first = next((place for place, (_, event) in enumerate(told) if _counts(event)), None)
        if first is None:
            continue
        item, decision = told[first]
        if decision.at >= start and (not plan or item.determination["plan"] == plan):
            yield Decided(
                approved=decision.detail["action"] in APPROVED,
                expedited=item.expedited,
                prolonged=any(event.kind == PROLONGED for _, event in told[:first]),
                took=decision.at - item.received,
            )


def _counts(event: stored.PaEvent) -> bool:
    """Whether it tells of an authorization or a denial; not of a service that needs none, or is cancelled."""
    if event.kind != events.DECIDED:
        return False
    action = event.detail["action"]
    return action in DENIED or (action in APPROVED and bool(event.detail["number"]))


def _appeals(tx: Transaction, start: dt.datetime, end: dt.datetime, plan: str) -> Iterator[bool]:
    """Whether each appeal about a standard request was won."""
    for _, item, event in events.of_lines(tx, (APPEAL_DECIDED,), start, end):
        ours = not plan or item.determination["plan"] == plan
        if event.at >= start and ours and not item.determination["expedited"]:
            yield event.detail["outcome"] == OVERTURNED
