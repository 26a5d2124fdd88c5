"""The public prior-authorization metrics of CMS-0057-F, from the record of what happened.

What is counted is a line (one service of a request) that needed authorization and was decided in the year;
lines that need none, that were cancelled, or that still wait are in no figure. A line counts by its first
decision, approved with changes as approved; what an appeal changed is a figure of its own, of the appeals
decided in the year (that an appeal is immediate makes its request none the more urgent). Times run from
receipt at the server to that first decision. The program has no drugs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

from server.pas.appealing import APPEAL_DECIDED, APPEALED, OVERTURNED
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
    for item, told in _of_lines(events.of_lines(tx, (events.DECIDED, PROLONGED, APPEALED), start, end)):
        appeal = told[0].kind == APPEALED  # it came as a request: the first decision was the denial before
        if appeal or (plan and item.determination["plan"] != plan):
            continue
        decision = next(event for event in told if event.kind == events.DECIDED)
        action = decision.detail["action"]
        authorized = action in APPROVED and decision.detail["number"]
        if authorized or action in DENIED:
            yield Decided(
                approved=bool(authorized),
                expedited=item.expedited,
                prolonged=any(event.kind == PROLONGED for event in told),
                took=decision.at - item.received,
            )


def _of_lines(
    told: Iterable[tuple[stored.PaItem, stored.PaEvent]],
) -> Iterator[tuple[stored.PaItem, list[stored.PaEvent]]]:
    """Each line that was decided for the first time, with what was told of it until the end of the year."""
    grouped: dict[tuple[str, int], tuple[stored.PaItem, list[stored.PaEvent]]] = {}
    for item, event in told:
        grouped.setdefault((item.case_id, item.sequence), (item, []))[1].append(event)
    for item, listed in grouped.values():
        if any(event.kind == events.DECIDED for event in listed):
            yield item, listed


def _appeals(tx: Transaction, start: dt.datetime, end: dt.datetime, plan: str) -> Iterator[bool]:
    """Whether each appeal about a standard request was won."""
    for item, event in events.of_lines(tx, (APPEAL_DECIDED,), start, end):
        if not item.determination["expedited"] and (not plan or item.determination["plan"] == plan):
            yield event.detail["outcome"] == OVERTURNED
