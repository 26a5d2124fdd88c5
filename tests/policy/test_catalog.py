"""Policy data: what is loaded, how an order finds its policy, and what is refused at load."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.fhir.systems import CPT
from server.policy.catalog import Catalog, CatalogError
from server.policy.faults import faults
from server.policy.manifest import listed_codes
from tests.policy.copies import ROOT, copied

DAY = dt.date(2026, 6, 15)
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
SNOMED = "http://snomed.info/sct"
SHOULDER, ELBOW, HAND = "16982005", "76248009", "85562004"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return copied(tmp_path)


def spoil(path: Path, **changes: Any) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content.update({name.replace("_", "-"): value for name, value in changes.items()})
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


def order(code: str, *diagnoses: str, site: str = "") -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "code": {"coding": [{"system": CPT, "code": code}]},
        "reasonCode": [{"coding": [{"system": ICD, "code": diagnosis}]} for diagnosis in diagnoses],
        **({"bodySite": [{"coding": [{"system": SNOMED, "code": site}]}]} if site else {}),
    }


def coverage(kind: str, value: str) -> dict[str, Any]:
    return {"class": [{"type": {"coding": [{"code": kind}]}, "value": value}]}


def governs(catalog: Catalog, *given: str, site: str = "", on: dt.date = DAY) -> str | None:
    found = catalog.policy_for(order(*given, site=site), on)
    return found.region if found else None


def test_the_data_has_no_faults(catalog: Catalog) -> None:
    assert list(faults(catalog)) == []


def test_a_code_of_one_region_alone_needs_neither_site_nor_diagnosis(catalog: Catalog) -> None:
    assert governs(catalog, "72148") == "LS"


def test_a_limb_code_is_told_by_its_body_site_first(catalog: Catalog) -> None:
    assert governs(catalog, "73221", "M54.16", site=SHOULDER) == "SH"
    assert governs(catalog, "73221", "M75.111") == "SH"


def test_the_first_diagnosis_that_belongs_to_a_region_decides(catalog: Catalog) -> None:
    assert governs(catalog, "73221", "M54.16", "M75.111") == "SH"


def test_a_diagnosis_that_several_regions_share_tells_less_than_one_of_one_region(catalog: Catalog) -> None:
    assert governs(catalog, "73221", "R22.31", "M25.511") == "SH"
    assert governs(catalog, "73221", "R22.31") is not None


def test_a_bone_or_nerve_that_two_parts_of_the_arm_share_has_one_home(catalog: Catalog) -> None:
    homes = {"M87.021": "SH", "G54.0": "SH", "M84.331A": "WH", "S46.211A": "EL"}
    assert {code: governs(catalog, "73221", code) for code in homes} == homes
    assert governs(catalog, "73221", "M87.021", site=ELBOW) == "EL"


def test_a_limb_code_without_site_and_diagnosis_has_no_policy_yet(catalog: Catalog) -> None:
    assert governs(catalog, "73221") is None
    assert governs(catalog, "73221", "M54.16") is None


def test_a_modifier_does_not_hide_the_code(catalog: Catalog) -> None:
    assert governs(catalog, "72148-26") == "LS"


def test_an_order_before_the_policy_was_in_force_has_none(catalog: Catalog) -> None:
    first = next(policy for policy in catalog.policies if policy.region == "LS").effective.start
    assert governs(catalog, "72148", on=first) == "LS"
    assert governs(catalog, "72148", on=first - dt.timedelta(days=1)) is None


def test_an_ended_version_still_decides_the_orders_of_its_days(data: Path) -> None:
    old = data / "cql" / "policies" / "mri-lumbar-spine.yaml"
    spoil(old, effective={"start": dt.date(2025, 1, 1), "end": dt.date(2026, 5, 31)})
    shutil.copy(old, old.with_name("mri-lumbar-spine-2.yaml"))
    spoil(
        old.with_name("mri-lumbar-spine-2.yaml"),
        id="mri-lumbar-spine-2",
        effective={"start": dt.date(2026, 6, 1)},
    )
    catalog = Catalog.load(data)
    found = [catalog.policy_for(order("72148"), dt.date(2026, month, 1)) for month in (5, 6)]
    assert [policy.id for policy in found if policy] == ["mri-lumbar-spine", "mri-lumbar-spine-2"]


def test_the_plan_is_the_coverages_class_else_the_payors_else_the_default(catalog: Catalog) -> None:
    payor = {"identifier": [{"value": "nia"}]}
    assert catalog.plan_of(coverage("plan", "carelon"), [payor]).name == "carelon"
    assert catalog.plan_of(coverage("group", "carelon"), [payor]).name == "nia"
    assert catalog.plan_of(coverage("plan", "somebody"), []).name == "evicore"
    assert catalog.plan_of({}).name == "evicore"


@pytest.mark.parametrize(
    ("plan", "region", "parameter", "value"),
    [
        ("evicore", "SH", "ccWeeks", 6),
        ("nia", "SH", "ccWeeks", 4),
        ("nia", "LS", "ccWeeks", 6),
        ("evicore", "SH", "lookbackDays", 90),
        ("carelon", "LS", "lookbackDays", 180),
        ("evicore", "SH", "xrFirst", True),
        ("evicore", "LS", "xrFirst", False),
        ("carelon", "LS", "xrFirst", False),
        ("nia", "SH", "examWaiver", True),
        ("nia", "LS", "examWaiver", False),
        ("nia", "SH", "pedWaiverMaxAge", 12),
        ("nia", "LS", "neuroDeficit", "any-new"),
        ("evicore", "LS", "neuroDeficit", "severe"),
        ("carelon", "SH", "sosMinAge", 19),
        ("reviewed", "SH", "lookbackDays", 90),
        ("no-imaging-pa", "SH", "paNeeded", False),
    ],
)
def test_a_plan_sets_what_its_benefit_manager_publishes(
    catalog: Catalog, plan: str, region: str, parameter: str, value: Any
) -> None:
    policy = next(policy for policy in catalog.policies if policy.region == region)
    assert catalog.plan(plan).parameters(policy)[parameter] == value


def test_children_are_waived_for_joints_only(catalog: Catalog) -> None:
    lumbar = next(policy for policy in catalog.policies if policy.region == "LS")
    assert "pedWaiverMaxAge" not in catalog.plan("nia").parameters(lumbar)


def test_every_number_of_a_profile_says_how_sure_its_source_is(catalog: Catalog) -> None:
    cells = catalog.plan("nia").benefit_manager.cells
    assert {cell.mark for cell in cells.values()} == {"P", "D"}
    assert cells["ccWeeks SH"].mark == "P"
    assert cells["xrDays"].mark == "D"


def test_only_one_plan_lets_people_alone_deny(catalog: Catalog) -> None:
    assert [name for name, plan in catalog.plans.items() if plan.reviewer_denies] == ["reviewed"]


def test_what_no_policy_governs_is_in_the_table_or_covered(catalog: Catalog) -> None:
    plan = catalog.plan("evicore")
    assert catalog.service(plan, "73030").title == "X-ray of the shoulder"
    assert not catalog.service(plan, "73030").pa_needed
    assert not catalog.service(plan, "S8042").covered
    assert catalog.service(plan, "99999").covered


def test_imaging_without_a_policy_needs_authorization_where_the_plan_asks_for_it(catalog: Catalog) -> None:
    assert catalog.service(catalog.plan("evicore"), "70543").pa_needed
    assert not catalog.service(catalog.plan("no-imaging-pa"), "70543").pa_needed


def test_codes_may_be_written_as_ranges() -> None:
    assert listed_codes("70540 70542..70544") == ("70540", "70542", "70543", "70544")
    assert listed_codes("L3806..L3808") == ("L3806", "L3807", "L3808")
    assert listed_codes(76498) == ("76498",)
    assert listed_codes("01922") == ("01922",)


def test_a_library_comes_with_its_source_and_all_it_includes(catalog: Catalog) -> None:
    prefill = next(policy for policy in catalog.policies if policy.region == "SH").prefill
    names = [library["name"] for library in catalog.library_closure([prefill])]
    assert names[0] == prefill
    assert {"FHIRHelpers", "MRIOrder"} <= set(names)
    assert len(names) == len(set(names))
    kinds = [each["contentType"] for each in catalog.library(prefill)["content"]]
    assert kinds == ["text/cql", "application/elm+json"]


def test_an_indication_says_its_words_and_its_guideline(catalog: Catalog) -> None:
    lumbar = next(policy for policy in catalog.policies if policy.region == "LS")
    assert "saddle" in lumbar.indications["LS-IMM.8"].title
    assert "Low Back Pain" in lumbar.indications["LS-IMM.8"].guideline


@pytest.mark.parametrize(
    ("plan", "weeks", "kinds"),
    [
        ("evicore", "for 6 weeks.", "Any provider-directed treatment."),
        (
            "carelon",
            "for 6 weeks.",
            "2 kinds of provider-directed treatment, with an active one, a prescribed",
        ),
        ("nia", "for 4 weeks.", "2 kinds of provider-directed treatment, with an active one (therapy,"),
    ],
)
def test_what_would_change_a_denial_is_said_in_the_numbers_of_the_plan(
    catalog: Catalog, plan: str, weeks: str, kinds: str
) -> None:
    """42 CFR 422.122 (CMS-0057-F) wants a specific reason, which "long enough" is not."""
    said = catalog.plan(plan).criteria["mri-shoulder"]
    assert said["CC-DUR"].satisfy.endswith(weeks)
    assert said["CC-MOD"].satisfy.startswith(kinds)


def test_a_draft_is_not_loaded(catalog: Catalog) -> None:
    drafts = [
        path
        for path in (ROOT / "cql" / "policies").glob("mri-*.yaml")
        if yaml.safe_load(path.read_text(encoding="utf-8")).get("status") == "draft"
    ]
    loaded = {policy.id for policy in catalog.policies}
    assert not loaded & {yaml.safe_load(path.read_text(encoding="utf-8"))["id"] for path in drafts}


@pytest.mark.parametrize(
    ("file", "changes", "complaint"),
    [
        ("policies/mri-shoulder.yaml", {"library": "MRIToe"}, "no library MRIToe"),
        ("policies/mri-shoulder.yaml", {"sites": "site-toe"}, r"no site-toe\.json"),
        ("policies/mri-shoulder.yaml", {"guideline": "ACR-TOE"}, "has no ACR-TOE"),
        ("policies/mri-shoulder.yaml", {"region": "TOE"}, "lacks TOE-IMM"),
        ("policies/mri-shoulder.yaml", {"colour": "blue"}, "unknown field `colour`"),
        ("policies/mri-shoulder.yaml", {"questionnaire": "https://payer.example/x"}, "no form"),
        ("policies/mri-shoulder.yaml", {"indications": {"SH-IMM.99": "OURS"}}, "SH-IMM.99 is no code"),
        ("plans/nia.yaml", {"benefit_manager": "somebody"}, "no benefit manager somebody"),
        ("plans/nia.yaml", {"reviewer_denies": "perhaps"}, r"\$\.reviewer-denies"),
        (
            "benefit-managers/nia.yaml",
            {"joints_only": {"toes": {"value": 1, "mark": "D"}}},
            "no parameter toes",
        ),
        (
            "benefit-managers/nia.yaml",
            {"parameters": {"xrDays": {"value": 90, "mark": "D"}}},
            "words of G-RETRO name 'retroDays', which nia.yaml does not set",
        ),
        ("benefit-managers/nia.yaml", {"parameters": {"xrDays": {"value": 1, "mark": "X"}}}, "Invalid enum"),
        ("services.yaml", {"services": [{"codes": "1 1", "title": "Twice"}]}, "1 is in two groups"),
    ],
)
def test_what_does_not_fit_is_refused_naming_the_file(
    data: Path, file: str, changes: dict[str, Any], complaint: str
) -> None:
    spoil(data / "cql" / file, **changes)
    with pytest.raises(CatalogError, match=complaint) as refused:
        Catalog.load(data)
    assert Path(file).name in str(refused.value)


def test_a_criterion_of_one_policy_has_its_place_among_the_denial_themes_there_alone(data: Path) -> None:
    words = dict.fromkeys(("title", "met", "not-met", "unknown", "satisfy"), "A view of the lungs.")
    spoil(data / "cql/policies/mri-hip.yaml", criteria={"HI-IMM": words, "HI-CXR": words})
    themes = data / "cql/policies/criteria.yaml"
    spoil(themes, theme_order=["FUN", "HI-CXR", "IMM"])
    placed = {policy.region: policy.themes for policy in Catalog.load(data).policies}
    assert placed["HI"] == ("FUN", "HI-CXR", "HI-IMM")
    assert placed["KN"] == ("FUN", "KN-IMM")
    spoil(themes, theme_order=["FUN", "HI-CXX"])
    with pytest.raises(CatalogError, match="theme-order has HI-CXX, which no file describes"):
        Catalog.load(data)


def test_two_policies_of_one_region_at_the_same_time_are_a_fault(data: Path) -> None:
    old = data / "cql" / "policies" / "mri-lumbar-spine.yaml"
    shutil.copy(old, old.with_name("mri-lumbar-spine-2.yaml"))
    spoil(old.with_name("mri-lumbar-spine-2.yaml"), id="mri-lumbar-spine-2")
    found = list(faults(Catalog.load(data)))
    assert any("both govern 72148" in fault for fault in found)


def test_a_criterion_that_nothing_asks_for_is_a_fault(data: Path) -> None:
    path = data / "cql" / "policies" / "criteria.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["criteria"]["FUN"]["questions"] = ["FUN.feet"]
    del content["criteria"]["EXM"]["questions"]
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    found = set(faults(Catalog.load(data)))
    assert "mri-shoulder: nothing asks for EXM" in found
    assert "mri-shoulder: the form does not ask FUN.feet, which settles FUN" in found


def test_without_its_code_system_an_answer_code_is_no_code(data: Path) -> None:
    (data / "cql/codesystems/mri-answer.json").unlink()

    with pytest.raises(CatalogError, match="is no code of codesystems/mri-answer"):
        Catalog.load(data)
