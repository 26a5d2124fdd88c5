"""By when a line must be decided: the decision clock of a line of business in a state, from one table
(`deadlines.yaml` beside this).

    deadlines = Deadlines.load()
    deadlines.hours("evicore", "WA", expedited=False)     72: the strictest of the rows that fit
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from pathlib import Path

import msgspec


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """A line of business."""

    exempt_from_states: bool


class Clock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row: hours from receipt to decision, and where that is written."""

    expedited: int
    standard: int
    source: str
    line: str | None = None
    state: str | None = None


class Deadlines(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """The table."""

    lines_of_business: dict[str, Line]
    default: str
    plans: dict[str, str]
    clocks: tuple[Clock, ...]

    def __post_init__(self) -> None:
        named = {self.default, *self.plans.values(), *(c.line for c in self.clocks if c.line)}
        if unknown := named - self.lines_of_business.keys():
            raise ValueError(f"no line of business is called {', '.join(sorted(unknown))}")
        if not any(clock.line is None and clock.state is None for clock in self.clocks):
            raise ValueError("one row must fit every line of business in every state")

    @classmethod
    @cache
    def load(cls) -> Deadlines:
        """The table that comes with the server: immutable, so one for all."""
        return msgspec.yaml.decode((Path(__file__).parent / "deadlines.yaml").read_bytes(), type=cls)

    def check_plans(self, plans: Collection[str]) -> None:
        """Raises ValueError for a plan that is none of these: the one that was meant would have the clock of
        the default line."""
        if unknown := sorted(self.plans.keys() - set(plans)):
            raise ValueError(f"deadlines.yaml: there is no plan {', '.join(unknown)}")

    def line_of(self, plan: str) -> str:
        return self.plans.get(plan, self.default)

    def hours(self, plan: str, state: str, *, expedited: bool) -> int:
        """The strictest of the rows that fit; `state` is the member's, empty where it is not known."""
        line = self.line_of(plan)
        bound_by = {None} if self.lines_of_business[line].exempt_from_states else {None, state or None}
        fitting = [c for c in self.clocks if c.line in (None, line) and c.state in bound_by]
        return min(clock.expedited if expedited else clock.standard for clock in fitting)
