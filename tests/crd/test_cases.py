"""Every case of the policies, put to the CRD door on both bases: an order-sign call with the whole chart
prefetched says what the case expects, and keeps the determination it rests on.

`tests/vignettes` holds the project's own cases; `EXAMPLE_CASES` names a file of others in the same format.
"""

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.app import the_catalog
from server.cli import app
from server.crd.cases import CrdDoor
from server.policy.cases import Vignette, case_of, differences, read
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
def door() -> CrdDoor:
    return CrdDoor()


@pytest.mark.parametrize("vignette", CASES)
def test_case(vignette: Vignette, door: CrdDoor) -> None:
    catalog = the_catalog()
    case = case_of(vignette, DAY_ZERO, catalog.payer)
    if differences(vignette.expected, judged(case, catalog)):
        pytest.xfail("the rules themselves see this case otherwise: tests/policy has it")
    assert list(door.differences(case, vignette.expected)) == []


def test_a_case_that_expects_something_else_is_told(door: CrdDoor, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text(
        """{"vignettes": [{"id": "X-1", "region": "SH", "cpt": "73221", "modifiers": ["RT"],
        "icd10": ["M25.511"], "age": 50, "sex": "F", "rbm": "evicore", "facts": [],
        "expected": {"decision": "approve"}, "why": "nothing is documented"}]}"""
    )
    told = CliRunner().invoke(app, ["policy", "test", str(wrong), "--door", "crd"])
    assert told.exit_code == 1
    assert "0 of 1 cases as expected" in told.stdout
    assert "more-info" in told.stdout
