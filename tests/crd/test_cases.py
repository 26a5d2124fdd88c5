"""Cases at the CRD door: an order-sign call with the whole chart prefetched says on both bases what the case
expects, and keeps the determination it rests on."""

from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from server.app import the_catalog
from server.cli import app
from server.crd.cases import CrdDoor
from server.policy.cases import Vignette, case_of
from server.store.tables import Assertion
from tests.cases import DAY_ZERO, at_the_doors


@pytest.fixture(scope="module")
def door() -> CrdDoor:
    return CrdDoor()


@pytest.mark.parametrize("vignette", at_the_doors(), ids=lambda case: case.id)
def test_case(vignette: Vignette, door: CrdDoor) -> None:
    case = case_of(vignette, DAY_ZERO, the_catalog().payer)
    assert list(door.differences(case, vignette.expected)) == [], vignette.why


def test_a_chart_that_has_nothing_of_a_kind_was_sent_in_full(door: CrdDoor) -> None:
    vignette = next(iter(at_the_doors()))
    case = case_of(vignette, DAY_ZERO, the_catalog().payer)
    list(door.differences(case, vignette.expected))
    with door._stage.store(case).reading() as tx:
        kept = tx.scalars(select(Assertion)).first()

    assert kept is not None
    assert "Not sent" not in str(kept.determination)


def test_a_case_that_expects_something_else_is_told(
    door: CrdDoor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However a server beside it is set."""
    monkeypatch.setenv("MEMBERSHIP", "registry")
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
