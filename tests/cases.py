"""The cases that are put to the doors: all of `EXAMPLE_CASES`, and of the project's own in `tests/vignettes`
one of every kind: file, benefit manager, decision, and what it rests on.

The rules see every case in `tests/policy`; all of them at a door is `davinci-payer policy test
tests/vignettes/*.json --door crd,dtr,pas`.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path

from server.policy.cases import Case, Vignette, read

OWN = Path(__file__).parent / "vignettes"
DAY_ZERO = dt.date(2026, 6, 15)


def at_the_doors() -> list[Vignette]:
    return [*_one_of_each_kind(), *examples()]


def _one_of_each_kind() -> Iterator[Vignette]:
    seen = set()
    for path in sorted(OWN.glob("*.json")):
        for case in read(path):
            wanted = case.expected
            kind = (path.stem, case.rbm, wanted.decision, wanted.pa_needed, wanted.denial_theme)
            if kind not in seen:
                seen.add(kind)
                yield case


def examples() -> Iterator[Vignette]:
    """Those of `EXAMPLE_CASES`."""
    path = Path(os.environ.get("EXAMPLE_CASES", ""))
    yield from read(path) if path.is_file() else ()


def named(*ids: str) -> Iterator[Vignette]:
    """The project's own cases of these ids."""
    return (case for path in sorted(OWN.glob("*.json")) for case in read(path) if case.id in ids)


def drafts(case: Case) -> int:
    """How many orders the EHR holds as drafts. Which of several of a day is meant only a launch can say; CQL
    that looks into the chart takes one of them."""
    return sum(
        each["resourceType"] == "ServiceRequest" and each["status"] == "draft" for each in case.resources
    )
