"""Whose outcome changes from one state of the policies to another: all cases under both.

A state is a folder of policy data, or this payer's own policies as they are in force on a day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from server.policy.cases import Vignette, case_of
from server.policy.catalog import Catalog
from server.policy.determination import Determination
from server.policy.determine import determine


@dataclass(frozen=True, slots=True)
class State:
    """Policies by which cases are judged, on a day."""

    catalog: Catalog
    day: dt.date

    @classmethod
    def of(cls, text: str, day: dt.date) -> State:
        """A folder that holds `cql` and `questionnaires`, judged on `day`, or a date: our own policies as in
        force then. Raises CatalogError, and ValueError where the text is neither."""
        if Path(text).is_dir():
            return cls(Catalog.load(Path(text)), day)
        try:
            return cls(Catalog.load(), dt.date.fromisoformat(text))
        except ValueError:
            raise ValueError(f"{text}: expected a folder of policy data or a date") from None

    def outcome(self, vignette: Vignette) -> Outcome:
        case = case_of(vignette, self.day, self.catalog.payer)
        plan = self.catalog.plan(case.plan)
        return Outcome.of(determine(case.order, case.member, case.chart, plan, case.now, hints=False))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What two states may disagree on; `policy`, which decided, is told but not compared."""

    policy: str
    decision: str
    pa_needed: bool
    in_the_way: tuple[str, ...]
    theme: str

    @classmethod
    def of(cls, said: Determination) -> Outcome:
        return cls(
            policy=said.policy,
            decision=str(said.recommended or said.decision),
            pa_needed=said.pa_needed,
            in_the_way=(
                *(f"not {each}" for each in said.unmet),
                *(f"{each}?" for each in said.unknown),
                *([str(said.failure)] if said.failure else []),
            ),
            theme=str(said.theme or ""),
        )

    def same(self, other: Outcome) -> bool:
        mine = (self.decision, self.pa_needed, set(self.in_the_way), self.theme)
        return mine == (other.decision, other.pa_needed, set(other.in_the_way), other.theme)

    def __str__(self) -> str:
        needed = "" if self.pa_needed else " (no authorization needed)"
        why = f": {', '.join(self.in_the_way)}" if self.in_the_way else ""
        return f"{self.decision}{needed}{why}"


@dataclass(frozen=True, slots=True)
class Change:
    """A case that comes out otherwise."""

    vignette: Vignette
    before: Outcome
    after: Outcome


def changes(old: State, new: State, vignettes: Sequence[Vignette]) -> Iterator[Change | None]:
    """For each case in turn its change, or None where the outcome is the same. Raises CaseError."""
    for vignette in vignettes:
        before, after = old.outcome(vignette), new.outcome(vignette)
        yield None if before.same(after) else Change(vignette, before, after)
