"""Cases as data, each run through the rules alone: decision, what is unmet and unknown, and the theme are
exactly those the case expects.

`tests/vignettes` holds the project's own; `EXAMPLE_CASES` names a file of others in the same format.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.fhir import json
from server.fhir.systems import ALIASES
from server.policy.cases import Case, Vignette, case_of, differences, read
from server.policy.catalog import Catalog, Policy
from server.policy.commands import judged
from server.policy.determine import evaluated
from tests.cases import named

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


@pytest.mark.parametrize("vignette", CASES)
def test_case(vignette: Vignette, catalog: Catalog) -> None:
    said = judged(case_of(vignette, DAY_ZERO, catalog.payer), catalog, hints=False)
    assert differences(vignette.expected, said) == (), f"{vignette.why}\n{said.reason}"


def spelled(told: Any, way: int) -> Any:
    """Systems by one of their other names, and diagnoses without their point; every other way in small
    letters, with a space that a field of fixed length left behind."""
    text = json.encode(told).decode()
    for system, names in ALIASES.items():
        text = text.replace(f'"{system}"', f'"{names[way % len(names)]}"')
    bare = re.compile(r'"([A-TV-Z][0-9][0-9A-Z])\.([0-9A-Z]{1,4})"')
    return json.decode(
        bare.sub(lambda m: f'"{m[1]}{m[2]}"' if way % 2 else f'"{m[0][1:-1].lower()} "', text).encode()
    )


def test_codes_as_older_ehrs_and_claims_spell_them_are_the_same_codes(catalog: Catalog) -> None:
    for way, vignette in enumerate(own()[::40]):
        case = case_of(vignette, DAY_ZERO, catalog.payer)
        older = replace(
            case, order=spelled(case.order, way + 1), clinical=tuple(spelled(list(case.clinical), way))
        )
        said, as_ever = judged(older, catalog), judged(case, catalog)
        assert differences(vignette.expected, said) == (), f"{vignette.id}: {said.reason}"
        for one, other in zip(said.advice, as_ever.advice, strict=True):
            assert (one.id, one.summary, one.better) == (other.id, other.summary, other.better), vignette.id
        assert said.line.diagnoses == as_ever.line.diagnoses, vignette.id


def test_a_side_in_words_is_that_of_the_line_too(catalog: Catalog) -> None:
    told = {
        "SH-P11": "LT",
        "SH-P12": "RT",
        "SH-P13": None,
        "SH-P14": None,
        "SH-P15": "LT",
        "SH-P17": "50",
        "SH-P132": "LT",
    }
    cases = [case_of(vignette, DAY_ZERO, catalog.payer) for vignette in named(*told)]
    assert {case.id: judged(case, catalog, hints=False).line.side for case in cases} == told


def test_only_a_denial_for_the_site_alone_says_that_the_study_is_supported(catalog: Catalog) -> None:
    """X-267 has other reasons to be denied; of KN-P103 nothing is known."""
    supported = {"X-181": True, "LS-838": True, "X-267": False, "KN-P103": False}
    cases = [case_of(vignette, DAY_ZERO, catalog.payer) for vignette in named(*supported)]
    told = {case.id: judged(case, catalog).reason for case in cases}
    assert {name: "supported at a freestanding site" in words for name, words in told.items()} == supported


def test_the_example_cases_are_there() -> None:
    examples = os.environ.get("EXAMPLE_CASES", "")
    if not Path(examples).is_file():
        reason = "EXAMPLE_CASES names no file of cases"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    assert read(Path(examples))


def test_what_decided_a_criterion_is_the_same_whichever_was_asked_first(catalog: Catalog) -> None:
    """Much rests on the same, and on the same nothing: what led to it for one is not said of another."""
    for vignette in own()[::120]:
        case = case_of(vignette, DAY_ZERO, catalog.payer)
        policy = catalog.policy_for(case.order, DAY_ZERO)
        if policy is None:
            continue

        def decided(names: Iterable[str], policy: Policy = policy, case: Case = case) -> Any:
            plan = catalog.plan(case.plan)
            run = evaluated(policy, case.order, case.member, case.chart, plan, case.now)
            asked = {name: run[name] for name in names if name in run}
            return {
                name: (
                    {(each.reference, *sorted(each.paths)) for each in said.evidence},
                    set(map(str, said.missing)),
                )
                for name, said in asked.items()
            }

        assert decided(reversed(list(policy.criteria))) == decided(policy.criteria), vignette.id


def own() -> list[Vignette]:
    return [vignette for path in sorted(OWN.glob("*.json")) for vignette in read(path)]


def test_own_cases_have_each_an_id_and_a_sentence() -> None:
    cases = own()
    assert [name for name, count in Counter(case.id for case in cases).items() if count > 1] == []
    assert [case.id for case in cases if not case.why.endswith(".")] == []
