"""What a plan asks for is written once, in the manifests: the server hands it in, forms carry it in CQL."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from server.policy.catalog import Catalog
from server.policy.faults import faults

CQL = Path(__file__).parents[2] / "cql"
MANIFESTS = ("benefit-managers", "plans", "policies")


@pytest.fixture(scope="module")
def build() -> ModuleType:
    """The script that `make elm` begins with."""
    spec = importlib.util.spec_from_file_location("build", CQL / "benefit-managers" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def cql(tmp_path: Path) -> Path:
    """The manifests, to be changed."""
    for name in MANIFESTS:
        shutil.copytree(CQL / name, tmp_path / name)
    return tmp_path


def change(cql: Path, manager: str, **values: Any) -> None:
    path = cql / "benefit-managers" / f"{manager}.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**content, **values}), encoding="utf-8")


def weeks(**by_regions: int) -> list[dict[str, Any]]:
    return [
        {"regions": regions.split("_"), "value": value, "mark": "D"} for regions, value in by_regions.items()
    ]


def test_the_committed_library_is_what_the_manifests_give(build: ModuleType) -> None:
    assert (CQL / "MRIPlan.cql").read_text(encoding="utf-8") == build.library(CQL), "run `make elm`"


def test_arm_and_leg_are_told_apart_by_the_code_of_the_study(build: ModuleType, cql: Path) -> None:
    change(cql, "nia", weeks=weeks(SH_EL_WH=3, HI_KN_AF=5, CS_TS_LS=6))
    made = build.library(cql)
    assert "in { '73218', '73219', '73220', '73221', '73222', '73223' } then 'EL SH WH'" in made
    assert "when 'EL SH WH' then 3" in made
    assert "when 'AF HI KN' then 5" in made


def test_regions_of_one_code_must_ask_alike(build: ModuleType, cql: Path) -> None:
    change(cql, "nia", weeks=weeks(SH=3, EL_WH_HI_KN_AF=4, CS_TS_LS=6))
    with pytest.raises(build.SourceError, match=r"73221 is of .*EL.* and SH, which ask for different"):
        build.library(cql)


def test_a_plan_of_another_benefit_manager_changes_what_its_members_are_asked(
    build: ModuleType, cql: Path
) -> None:
    path = cql / "plans" / "reviewed.yaml"
    path.write_text(path.read_text().replace("benefit-manager: evicore", "benefit-manager: nia"))
    assert "when 'reviewed' then 'nia'" in build.library(cql)


def test_what_the_forms_would_take_otherwise_and_what_nobody_sets_are_faults(
    tmp_path: Path, cql: Path
) -> None:
    root = tmp_path / "root"
    (root / "cql").mkdir(parents=True)
    for path in CQL.iterdir():
        if path.name not in ("translate", *MANIFESTS):
            (root / "cql" / path.name).symlink_to(path)
    for name in MANIFESTS:
        (root / "cql" / name).symlink_to(cql / name)
    (root / "questionnaires").symlink_to(CQL.parent / "questionnaires")
    change(cql, "nia", weeks=weeks(SH_EL_WH_HI_KN_AF=4, CS_TS=6, LS=5))
    for manager in ("carelon", "evicore", "nia"):
        path = cql / "benefit-managers" / f"{manager}.yaml"
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        del content["parameters"]["sosMiles"]
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
    found = list(faults(Catalog.load(root)))
    assert "MRIParameters: no benefit manager sets sosMiles" in found
    assert [each for each in found if "ccWeeks" in each] == [
        "nia: forms take another ccWeeks (mri-lumbar-spine): run `make elm`"
    ]
