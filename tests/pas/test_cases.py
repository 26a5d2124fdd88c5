"""Cases at the PAS door: each is submitted on both bases to a clean store, and the answer is compared with
what the case expects.

`EXAMPLE_CASES` names a file of cases, which are all run. Of the project's own in `tests/vignettes` one of
every kind is: region, benefit manager, decision, and what it rests on. All of them run with
`davinci-payer policy test tests/vignettes/*.json --door pas`.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.pas.cases import PasDoor
from server.policy.cases import Vignette, case_of, read
from server.policy.catalog import Catalog

OWN = Path(__file__).parents[1] / "vignettes"
DAY_ZERO = dt.date(2026, 6, 15)


def one_of_each_kind() -> Iterator[Vignette]:
    """The first own case of every kind."""
    seen = set()
    for path in sorted(OWN.glob("*.json")):
        for case in read(path):
            wanted = case.expected
            kind = (path.stem, case.rbm, wanted.decision, wanted.pa_needed, wanted.denial_theme)
            if kind not in seen:
                seen.add(kind)
                yield case


def examples() -> Iterator[Vignette]:
    path = Path(os.environ.get("EXAMPLE_CASES", ""))
    yield from read(path) if path.is_file() else ()


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load()


@pytest.fixture(scope="module")
def door(catalog: Catalog) -> PasDoor:
    return PasDoor(catalog)


@pytest.mark.parametrize(
    "vignette",
    [*one_of_each_kind(), *examples()],
    ids=lambda case: case.id,
)
def test_case(vignette: Vignette, catalog: Catalog, door: PasDoor) -> None:
    found = list(door.differences(case_of(vignette, DAY_ZERO, catalog.payer), vignette.expected))

    assert found == [], vignette.why
