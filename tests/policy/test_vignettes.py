"""Cases as data, each run through the rules alone: decision, what is unmet and unknown, and the theme are
exactly those the case expects.

`tests/vignettes` holds the project's own; `EXAMPLE_CASES` names a file of others in the same format.
"""

from __future__ import annotations

import datetime as dt
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.app import the_catalog
from server.fhir import json
from server.fhir.systems import OIDS
from server.policy.cases import Vignette, case_of, differences, read
from server.policy.catalog import Catalog
from server.policy.commands import judged

OWN = Path(__file__).parents[1] / "vignettes"
DAY_ZERO = dt.date(2026, 6, 15)


def files() -> Iterator[Path]:
    yield from sorted(OWN.glob("*.json"))
    examples = Path(os.environ.get("EXAMPLE_CASES", ""))
    if examples.is_file():
        yield examples


CASES = [
    pytest.param(vignette, id=f"{path.stem}:{vignette.id}") for path in files() for vignette in read(path)
]


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return the_catalog()


@pytest.mark.parametrize("vignette", CASES)
def test_case(vignette: Vignette, catalog: Catalog) -> None:
    said = judged(case_of(vignette, DAY_ZERO, catalog.payer), catalog, hints=False)
    assert differences(vignette.expected, said) == (), f"{vignette.why}\n{said.reason}"


def test_an_ehr_that_names_code_systems_by_their_oids_gets_the_same_answers(catalog: Catalog) -> None:
    def by_oid(told: Any) -> Any:
        text = json.encode(told).decode()
        for system, oid in OIDS.items():
            text = text.replace(f'"{system}"', f'"{oid}"')
        return json.decode(text.encode())

    for vignette in own()[::20]:
        case = case_of(vignette, DAY_ZERO, catalog.payer)
        older = replace(case, order=by_oid(case.order), clinical=tuple(by_oid(list(case.clinical))))
        said = judged(older, catalog, hints=False)
        assert differences(vignette.expected, said) == (), f"{vignette.id}: {said.reason}"


def test_the_example_cases_are_there() -> None:
    examples = os.environ.get("EXAMPLE_CASES", "")
    if not Path(examples).is_file():
        reason = "EXAMPLE_CASES names no file of cases"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    assert read(Path(examples))


def own() -> list[Vignette]:
    return [vignette for path in sorted(OWN.glob("*.json")) for vignette in read(path)]


def test_own_cases_have_each_an_id_and_a_sentence() -> None:
    cases = own()
    assert [name for name, count in Counter(case.id for case in cases).items() if count > 1] == []
    assert [case.id for case in cases if not case.why.endswith(".")] == []
