"""Value sets say which codes are valid and what they are about."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from server.policy.line import SIDE_BY_SITE, STRUCTURES

FOLDER = Path(__file__).parents[2] / "cql" / "valuesets"
JOINTS = ("shoulder", "elbow", "wrist-hand", "hip", "knee", "ankle-foot")
LEVELS = ("cervical-spine", "thoracic-spine", "lumbar-spine")
Codes = Callable[[str], set[str]]


@pytest.fixture(scope="module")
def codes() -> Codes:
    """The codes of a set by its name, whatever their system."""

    def of(name: str) -> set[str]:
        text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
        return {entry["code"] for entry in json.loads(text)["expansion"]["contains"]}

    return of


@pytest.mark.skipif(
    find_spec("simple_icd_10_cm") is None, reason="the ICD-10-CM tables are a development dependency"
)
def test_committed_sets_are_those_of_their_sources() -> None:
    done = subprocess.run(
        [sys.executable, FOLDER / "build.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{system: icd, prefixes: M26.6, namin: jaw}", "toes: beside prefixes there is no namin"),
        ("{system: icd10, prefixes: M26.6}", "toes: prefixes are of a system, one of icd, cpt"),
        (
            "{system: icd, prefix: M26.6}",
            "toes: {'system': 'icd', 'prefix': 'M26.6'} has none of set, prefixes",
        ),
        ("{set: dx-knee}], exept: [{set: dx-hip}", "toes: a list has no exept"),
    ],
)
def test_what_is_misspelt_in_a_list_is_not_passed_over(tmp_path: Path, line: str, fault: str) -> None:
    """The set would have other codes than a clinician reviewed."""
    build = runpy.run_path(str(FOLDER / "build.py"))
    (tmp_path / "toes.yaml").write_text(f"toes: {{title: Toes, purpose: Ours, include: [{line}]}}")
    with pytest.raises(build["SourceError"], match=re.escape(fault)):
        build["load"](tmp_path)


def test_every_set_has_its_canonical_and_counts_its_members() -> None:
    for path in FOLDER.glob("*.json"):
        value_set = json.loads(path.read_text(encoding="utf-8"))
        members = value_set["expansion"]["contains"]
        assert value_set["url"] == f"https://payer.example/ValueSet/{path.stem}"
        assert value_set["status"] == "active"
        assert value_set["expansion"]["total"] == len(members) > 0
        assert len({(m["system"], m["code"]) for m in members}) == len(members), path.stem


def test_sides_are_the_same_in_the_rules_and_in_every_answer(codes: Codes) -> None:
    sets = {"RT": "side-right", "LT": "side-left", "50": "side-both"}
    assert {side: codes(name) for side, name in sets.items()} == {
        side: {code for code, named in SIDE_BY_SITE.items() if named == side} for side in sets
    }
    assert {code for pair in STRUCTURES for code in pair} <= codes("site-any")


@pytest.mark.parametrize("code", ["M54.5", "M51.36", "M51.37", "G35", "S83.511", "M75.1", "M25.51"])
def test_an_incomplete_or_retired_code_supports_nothing(codes: Codes, code: str) -> None:
    assert code not in codes("dx-supporting")


@pytest.mark.parametrize(
    ("code", "region"),
    [
        ("M75.111", "shoulder"),
        ("S46.011A", "shoulder"),
        ("M87.011", "shoulder"),
        ("M77.12", "elbow"),
        ("M25.531", "wrist-hand"),
        ("M06.9", "wrist-hand"),
        ("M25.852", "hip"),
        ("M23.221", "knee"),
        ("S83.511A", "knee"),
        ("S86.011A", "ankle-foot"),
        ("L97.421", "ankle-foot"),
        ("M54.12", "cervical-spine"),
        ("M54.6", "thoracic-spine"),
        ("M51.361", "lumbar-spine"),
        ("M54.16", "lumbar-spine"),
        ("G83.4", "lumbar-spine"),
        ("G43.709", "brain"),
        ("I69.351", "brain"),
    ],
)
def test_a_diagnosis_supports_its_region_and_no_other(codes: Codes, code: str, region: str) -> None:
    regions = [r for r in (*JOINTS, *LEVELS, "brain") if code in codes(f"dx-{r}")]
    assert regions == [region]


def test_a_systemic_disease_of_the_cord_supports_every_level(codes: Codes) -> None:
    for code in ("G35.A", "G95.20", "C79.51", "Z85.3"):
        assert all(code in codes(f"dx-{level}") for level in LEVELS), code


def test_infection_of_a_joint_belongs_to_the_limb_its_title_names(codes: Codes) -> None:
    assert "M00.861" in codes("dx-knee")
    assert not any("M00.861" in codes(f"dx-{r}") for r in ("shoulder", "hip", "wrist-hand"))
    assert "M46.46" in codes("dx-lumbar-spine")
    assert "M46.46" not in codes("dx-cervical-spine")


def test_tendon_sheath_disease_of_the_shoulder_does_not_support_a_wrist(codes: Codes) -> None:
    assert "M65.811" not in codes("dx-wrist-hand")
    assert {"M65.331", "M65.4"} <= codes("dx-wrist-hand")


@pytest.mark.parametrize(
    ("code", "side"),
    [
        ("M25.511", "right"),
        ("M75.42", "left"),
        ("S83.512A", "left"),
        ("M75.121", "right"),
        ("G56.03", "both"),
        ("M16.0", "both"),
        ("M25.519", ""),
        ("M06.9", ""),
    ],
)
def test_the_side_is_read_from_the_title(codes: Codes, code: str, side: str) -> None:
    assert code in codes("limb-diagnoses")
    assert [s for s in ("right", "left", "both") if code in codes(f"dx-{s}")] == ([side] if side else [])


MRIS = (
    "shoulder",
    "upper-arm",
    "elbow",
    "forearm",
    "wrist",
    "hand",
    "hip",
    "thigh",
    "knee",
    "lower-leg",
    "ankle",
)


@pytest.mark.parametrize(
    "name",
    [*(f"film-loinc-{region}" for region in JOINTS), *(f"mri-loinc-{part}" for part in (*MRIS, "foot"))],
)
def test_a_study_is_known_on_either_side_and_of_no_side(name: str) -> None:
    """LOINC has a code for each: whoever films the left knee in three views is not asked for a film."""
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    films = {entry["display"] for entry in json.loads(text)["expansion"]["contains"]}
    left, right = (
        {film.replace(f", {side}", "") for film in films if f", {side}" in film} for side in ("left", "right")
    )
    assert left == right
    assert name.startswith("mri") or {film.partition(",")[0] for film in films} <= films


def test_a_study_of_wrist_and_hand_is_one_of_either(codes: Codes) -> None:
    """Who asks for the hand a month later asks for a repeat, as who asks for the wrist does."""
    assert codes("mri-loinc-wrist") & codes("mri-loinc-hand") == {"36008-1", "69209-5", "69219-4"}


def test_no_diagnosis_has_two_sides(codes: Codes) -> None:
    right, left, both = codes("dx-right"), codes("dx-left"), codes("dx-both")
    assert not right & left
    assert not (right | left) & both


def test_unspecific_codes_are_valid_codes(codes: Codes) -> None:
    assert {"M25.519", "M54.50", "S83.90XA", "R51.9"} <= codes("dx-nonspecific")
    assert not {"M54.5", "M25.511", "M54.2", "R29.810", "R41.3"} & codes("dx-nonspecific")


def test_active_injury_is_the_first_encounter(codes: Codes) -> None:
    active = codes("injury-active")
    assert "S83.511A" in active
    assert not {"S83.511D", "S83.511S", "M75.121"} & active


def test_exclusions_are_diagnoses_of_their_region(codes: Codes) -> None:
    for region in ("shoulder", "wrist-hand", "hip", "knee", "ankle-foot", "brain"):
        assert codes(f"dx-excluded-{region}") <= codes(f"dx-{region}")


def test_charts_carry_procedure_codes_with_their_modifier(codes: Codes) -> None:
    assert {"97110", "97110-GP"} <= codes("cc-pt")
    assert "97530-GO" in codes("cc-ot")
    assert "97530" not in codes("cc-ot")
    assert {"73030", "73030-RT", "73030-LT", "73030-26"} <= codes("xr-shoulder")
    assert {"73221-RT", "72148-26"} <= codes("mri-any")


def test_no_mri_code_has_two_levels_of_contrast(codes: Codes) -> None:
    with_contrast, both = codes("mri-with-contrast"), codes("mri-without-then-with")
    assert not with_contrast & both
    assert with_contrast | both < codes("mri-any")


def test_provocative_tests_are_findings_of_their_joint(codes: Codes) -> None:
    for joint in JOINTS:
        assert codes(f"provocative-{joint}") <= codes(f"exam-{joint}")


def test_a_therapist_or_assistant_may_not_order_a_clinician_may(codes: Codes) -> None:
    assert not {"207Q00000X", "363LF0000X", "213E00000X", "111N00000X"} & codes("ordering-therapist")
    assert {"225X00000X", "225100000X", "224Z00000X"} <= codes("ordering-therapist")


def test_a_body_site_belongs_to_one_region(codes: Codes) -> None:
    sites = [codes(f"site-{r}") for r in (*JOINTS, *LEVELS, "brain")]
    assert sum(map(len, sites)) == len(set.union(*sites)) == len(codes("site-any"))
    assert codes("site-joint") < set.union(*sites[: len(JOINTS)])
