"""The public prior-authorization metrics of CMS-0057-F, from the record of what happened.

What is counted is a line (one service of a request) that needed authorization and was decided in the year,
which begins and ends in UTC; lines that need none, that were cancelled, that still wait, or that were told
again of what another request was granted are in no figure. A line counts once, by its first decision in any
version of its request, approved with changes as approved; what an appeal changed is a figure of its own, of
the appeals decided in the year about requests that were not urgent when they were decided first. Times run
from receipt at the server, of what became urgent from when it did, to that first decision. The program has no
drugs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from statistics import mean, median
from typing import Any

from server.pas.appealing import APPEAL_DECIDED, OVERTURNED
from server.pas.prolonging import extends
from server.policy.catalog import Catalog
from server.review.desk import PROLONGED
from server.store import Transaction, authorizations, events

APPROVED, DENIED = frozenset({"A1", "A6"}), frozenset({"A3"})
LIMITS = {False: dt.timedelta(days=7), True: dt.timedelta(hours=72)}
ROUND = dt.timedelta(minutes=1)
"""The decision clock makes its rounds every few seconds: what it decides when the time is up, it decides some
seconds later, and in time all the same."""


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
    """An average of times in days; `total` is their sum, which a median has no use for."""

    title: str
    days: float | None
    total: float | None
    count: int

    @property
    def row(self) -> dict[str, Any]:
        return {
            "figure": self.title,
            "numerator": None if self.total is None else round(self.total, 3),
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


@dataclass(frozen=True, slots=True)
class Told:
    """Something that happened to a line, as the version of the request had it then; of a decision its action
    and number, of an appeal its outcome."""

    kind: str
    at: dt.datetime
    action: str
    number: str
    outcome: str
    plan: str
    cpt: str
    expedited: bool
    received: dt.datetime
    extending: bool

    @classmethod
    def of(cls, event: events.Happened) -> Told:
        said = event.detail
        return cls(
            kind=event.kind,
            at=event.at,
            action=said.get("action") or "",
            number=said.get("number") or "",
            outcome=said.get("outcome") or "",
            plan=event.plan,
            cpt=event.cpt,
            expedited=event.expedited,
            received=event.received,
            extending=extends(event.requested),
        )


@dataclass(frozen=True, slots=True)
class Line:
    """What happened to a line until the end of the year, oldest first."""

    chain: str
    told: Sequence[Told]

    @property
    def plan(self) -> str:
        return self.told[0].plan

    def first(self, counted: Counted) -> int | None:
        """Where its first decision that counts stands; None where it has none."""
        return next((at for at, each in enumerate(self.told) if counted.has(self.chain, each)), None)


@dataclass(frozen=True, slots=True)
class Counted:
    """Which decisions count. `needing` are the services that need authorization, each with the plan that asks
    for it; `told` says which request was told of a number first."""

    needing: frozenset[tuple[str, str]]
    told: Mapping[str, str]

    @classmethod
    def of(cls, tx: Transaction, catalog: Catalog) -> Counted:
        needing = ((plan, each.code) for each, plans in catalog.needing_authorization() for plan in plans)
        return cls(frozenset(needing), authorizations.first_told(tx))

    def has(self, chain: str, event: Told) -> bool:
        """Whether this tells of an authorization or a denial: not of a service that needs none, or is
        cancelled, or has the number of another request, unless it asked to have that extended."""
        if event.kind != events.DECIDED:
            return False
        if event.action in DENIED:
            return (event.plan, event.cpt) in self.needing
        again = self.told.get(event.number, chain) != chain and not event.extending
        return event.action in APPROVED and bool(event.number) and not again


def figures(tx: Transaction, catalog: Catalog, year: int, plan: str = "") -> list[Share | Average]:
    """Metrics 2 to 9 of the rule, for one plan or for all; then the shares decided in time."""
    start, end = dt.datetime(year, 1, 1, tzinfo=dt.UTC), dt.datetime(year + 1, 1, 1, tzinfo=dt.UTC)
    counted = Counted.of(tx, catalog)
    lines = list(_decided(tx, counted, start, end, plan))
    appeals = list(_appeals(tx, counted, start, end, plan))
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
        total = sum(days) if average is mean else None
        yield Average(title, average(days) if days else None, total, len(days))


def _in_time(line: Decided) -> bool:
    return line.took <= LIMITS[line.expedited] + ROUND


def _decided(
    tx: Transaction, counted: Counted, start: dt.datetime, end: dt.datetime, plan: str
) -> Iterator[Decided]:
    for line in _lines(tx, (events.DECIDED, events.PENDED, PROLONGED), start, end, plan):
        first = line.first(counted)
        if first is None:
            continue
        decision = line.told[first]
        if decision.at >= start:
            # An earlier decision, such as a cancellation, ended the clock of what was asked before.
            waited = list(takewhile(lambda each: each.kind != events.DECIDED, reversed(line.told[:first])))
            urgent = [each.at for each in waited if each.expedited]
            yield Decided(
                approved=decision.action in APPROVED,
                expedited=decision.expedited,
                prolonged=any(each.kind == PROLONGED for each in waited),
                took=decision.at - (min(urgent) if decision.expedited and urgent else decision.received),
            )


def _appeals(
    tx: Transaction, counted: Counted, start: dt.datetime, end: dt.datetime, plan: str
) -> Iterator[bool]:
    """Whether each appeal about a standard request was won."""
    for line in _lines(tx, (APPEAL_DECIDED, events.DECIDED), start, end, plan):
        first = line.first(counted)
        if first is None or line.told[first].expedited:
            continue
        for each in line.told:
            if each.kind == APPEAL_DECIDED and each.at >= start:
                yield each.outcome == OVERTURNED


def _lines(
    tx: Transaction, kinds: Sequence[str], start: dt.datetime, end: dt.datetime, plan: str
) -> Iterator[Line]:
    """The lines of a plan, or of all, to which something of the first kind happened in [start, end)."""
    lines: dict[tuple[str, int], list[Told]] = {}
    for event in events.of_lines(tx, kinds, start, end):
        lines.setdefault((event.chain, event.sequence), []).append(Told.of(event))
    found = (Line(chain, told) for (chain, _), told in lines.items())
    return (line for line in found if plan in ("", line.plan))
