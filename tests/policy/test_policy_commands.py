"""`davinci-payer policy …` as a medical director's staff use it: check what is written, compare states."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from server.policy.cases import read
from server.policy.catalog import Catalog
from server.policy.commands import app
from server.policy.difference import State
from tests.policy.copies import ROOT, copied
from tests.spent import spent

CASE = {
    "id": "back",
    "region": "LS",
    "cpt": "72148",
    "icd10": ["M54.16"],
    "age": 50,
    "sex": "F",
    "rbm": "evicore",
    "facts": [
        {"type": "Procedure", "code": "97110", "system": "cpt", "date": 40},
        {"type": "Procedure", "code": "97110", "system": "cpt", "date": 20},
        {"type": "Procedure", "code": "97110", "system": "cpt", "date": 0},
        {"type": "Encounter", "code": "99213", "system": "cpt", "date": 0},
        {"type": "Observation", "code": "slr-positive", "system": "exam", "date": 0, "value": "positive"},
        {"type": "Observation", "code": "97909-6", "system": "loinc", "date": 0, "value": 40},
        {"type": "QuestionnaireResponse", "code": "CC-OUT", "system": "linkId", "date": 0, "value": "worse"},
        {"type": "QuestionnaireResponse", "code": "LS-IMM", "system": "linkId", "date": 0, "value": "none"},
    ],
    "expected": {"decision": "more-info", "unknown": ["CC-DUR"], "denial_theme": "D1"},
    "why": "Two days short of six weeks.",
}

WORDS = {"title": "Toes", "met": "Ten.", "not-met": "Nine.", "unknown": "Not counted.", "satisfy": "Ten."}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return copied(tmp_path)


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    path = tmp_path / "cases.json"
    path.write_text(json.dumps({"meta": {}, "vignettes": [CASE, {**CASE, "id": "neck", "region": "CS"}]}))
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments])


def change(path: Path, how: Callable[[Any], None]) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    how(content)
    path.write_text(yaml.safe_dump(content), encoding="utf-8")


def test_policies_are_listed_and_shown() -> None:
    assert "mri-shoulder" in run("list").stdout
    assert "CC-DUR" in run("show", "SH").stdout
    assert run("show", "XX").exit_code == 2


def test_our_own_policies_have_no_faults() -> None:
    checked = run("check")
    assert checked.exit_code == 0, checked.output
    assert ", 0 faults" in checked.output


def test_check_names_what_would_work_badly(data: Path) -> None:
    def criteria(content: Any) -> None:
        shared = content["criteria"]
        del shared["EXM"]["questions"]
        del shared["FUN"]["theme"]
        shared["RAT-OT"]["questions"] = ["RAT-OT.colour"]
        shared["TOES"] = {
            "title": "Toes",
            "met": "Ten.",
            "not-met": "Nine.",
            "unknown": "?",
            "satisfy": "Ten.",
        }
        del content["denial-codes"]["D3"]

    def shoulder(content: Any) -> None:
        content["services"][0] = "73299"
        content["criteria"]["SH-TOES"] = {
            "title": "T",
            "met": "a",
            "not-met": "b",
            "unknown": "c",
            "satisfy": "d",
        }

    change(data / "cql/policies/criteria.yaml", criteria)
    change(data / "cql/policies/mri-shoulder.yaml", shoulder)
    change(
        data / "cql/policies/advice.yaml",
        lambda content: content["notes"]["ADV-PT"].update(orders=["97999"]),
    )
    change(
        data / "cql/policies/mri-knee.yaml",
        lambda content: content["indications"].update({"SH-IMM.1": "OURS"}),
    )
    change(
        data / "cql/policies/mri-brain.yaml",
        lambda content: content.update(sites="side-left", diagnoses="fever"),
    )
    change(data / "cql/policies/mri-elbow.yaml", lambda content: content.update(version="1.1.0"))
    change(
        data / "cql/benefit-managers/carelon.yaml",
        lambda content: content["parameters"]["neuroDeficit"].update(value="any_new"),
    )
    change(data / "cql/plans/nia.yaml", lambda content: content.update({"gold-cards": ["1888888885"]}))
    change(data / "cql/plans/no-imaging-pa.yaml", lambda content: content.update(name="generous"))
    change(data / "cql/payer.yaml", lambda content: content.update(npi="1234567890"))
    brain = data / "cql/elm/MRIBrain.json"
    rules = brain.read_text(encoding="utf-8")
    brain.unlink()
    rules = rules.replace('"value":"SYM"', '"value":"SYN"').replace('"value":"core"', '"value":"cure"')
    brain.write_text(rules, encoding="utf-8")
    knee = data / "questionnaires/mri-knee.json"
    form = knee.read_text(encoding="utf-8").replace('.\\"Ask COD-ICD\\"', '.\\"Ask COD-ICE\\"')
    form = form.replace('"\\"MRIKneePrefill\\".\\"IMG-XR\\"', '"\\"MRIKnee\\".\\"IMG-XR\\"')
    knee.write_text(form.replace("MRIKneePrefill|1.0.0", "MRIKneePrefill|1.1.0"), encoding="utf-8")

    def manager(content: Any) -> None:
        content["parameters"]["neuroDeficit"]["value"] = 3
        content["parameters"]["xrDays"]["value"] = -180
        content["weeks"][0]["regions"].append("TOE")

    change(data / "cql/benefit-managers/nia.yaml", manager)

    def exemptions(content: Any) -> None:
        content["gold-card-rules"]["WV"].update(
            {"approval-rate": 101, "window-days": 0, "states": ["W. Va."]}
        )
        content["gold-card-rules"]["OH"] = dict(content["gold-card-rules"]["TX"], title="Ohio")
        content["continuity-of-care"]["industry"]["days"] = 0

    change(data / "cql/exemptions.yaml", exemptions)
    unread = json.loads((data / "cql/valuesets/fever.json").read_text(encoding="utf-8"))
    unread.update(id="toes", url="https://payer.example/ValueSet/toes")
    unread["expansion"]["contains"].append(
        {"system": "https://payer.example/CodeSystem/mri-answer", "code": "toes"}
    )
    (data / "cql/valuesets/toes.json").write_text(json.dumps(unread), encoding="utf-8")

    checked = run("check", data)
    assert checked.exit_code == 1
    for fault in (
        "mri-shoulder: nothing asks for EXM",
        "mri-shoulder: FUN has no denial theme",
        "mri-shoulder: the form does not ask RAT-OT.colour, which settles RAT-OT",
        "mri-shoulder: theme D3 of SOS-SITE has no reason code",
        "mri-shoulder: 73299 is not in the list of services",
        "mri-shoulder: MRIShoulder has no define SH-TOES",
        "mri-brain: MRIBrain defines SYM, and counts it nowhere",
        "mri-brain: MRIBrain has SYN among its leaves, which is no criterion",
        "mri-brain: the leaf RPT-INT is of the part cure, which decides nothing",
        "mri-knee: there is no library https://payer.example/Library/MRIKneePrefill|1.1.0",
        "mri-knee: MRIKneePrefill has no define Ask COD-ICE",
        'mri-knee: "MRIKnee"."IMG-XR" is of a library that the form does not name',
        "mri-brain: diagnoses that are not in the value set dx-supporting",
        "mri-brain: sites that are not in the value set site-any",
        "mri-knee: MRIKneePrefill never tests the indication SH-IMM.1",
        "criteria: no policy defines TOES",
        "advice: ADV-PT orders 97999, which is not in the list of services",
        "nia: gold card 1888888885 is no NPI",
        "payer.yaml: 1234567890 is no NPI",
        "generous: mri-adaptive does not offer this plan in PLAN.id",
        "mri-elbow: the manifest is of version 1.1.0, MRIElbow of 1.0.0",
        "carelon: no rule takes 'any_new' for neuroDeficit",
        "nia: no rule takes 3 for neuroDeficit",
        "nia: no rule takes -180 for xrDays",
        "nia: no policy is of the region TOE",
        "gold card rule WV: an approval rate of 101 per cent",
        "gold card rule WV: 30 requests in 0 days are earned by nobody",
        "gold card rule WV: W. Va. is no state's code of two letters",
        "gold card rule OH: no plan names it",
        "continuity of care industry lasts 0 days",
        "valuesets/toes.json: nothing reads it",
        "toes: toes is no code of https://payer.example/CodeSystem/mri-answer",
    ):
        assert fault in checked.output


def test_check_finds_a_library_that_was_changed_and_not_translated(data: Path) -> None:
    """By the old text the server would decide, by the new one an EHR would fill the form."""
    text = data / "cql/MRIKnee.cql"
    text.write_text(text.read_text(encoding="utf-8").replace("\n", "\r\n"), encoding="utf-8", newline="")
    assert run("check", data).exit_code == 0, "lines that end as on Windows are no change"
    text.write_text(text.read_text(encoding="utf-8") + "// 30 days\n", encoding="utf-8")
    (data / "cql/MRIHip.cql").unlink()
    checked = run("check", data)
    assert checked.exit_code == 1
    assert "MRIKnee: MRIKnee.cql was changed since it was translated: run `make elm`" in checked.output
    assert "elm/MRIHip.json: there is no MRIHip.cql of which it was made" in checked.output


def test_check_finds_days_on_which_two_versions_of_a_policy_hold_or_none(data: Path) -> None:
    def following(region: str, **elements: Any) -> None:
        """A copy of a policy, as its next version begins."""
        old = data / f"cql/policies/{region}.yaml"
        new = old.with_name(f"{region}-2.yaml")
        shutil.copy(old, new)
        change(new, lambda content: content.update(elements))

    def ends(region: str, day: dt.date) -> None:
        change(
            data / f"cql/policies/{region}.yaml", lambda content: content["effective"].update({"end": day})
        )

    following("mri-lumbar-spine", id="mri-lumbar-spine-2")
    shutil.copy(data / "questionnaires/mri-hip.json", data / "questionnaires/mri-hip-2.json")
    following("mri-brain", effective={"start": dt.date(2026, 8, 1)})
    ends("mri-brain", dt.date(2026, 6, 30))
    ends("mri-hip", dt.date(2024, 12, 31))
    checked = run("check", data)
    assert checked.exit_code == 1
    for fault in (
        "both govern 72148, 72149, 72158 in LS at the same time",
        "mri-brain: 2 policies have this id",
        "https://payer.example/Questionnaire/mri-hip|1.0.0: 2 forms have this name",
        "mri-hip: 2 forms have this name",
        "https://payer.example/Questionnaire/mri-hip: 2 versions begin on",
        "mri-brain: it ends on 2026-06-30, and the next one of BR begins on 2026-08-01",
        "mri-hip: it ends on 2024-12-31, before it begins",
    ):
        assert fault in checked.output


def test_of_a_region_the_last_version_is_shown_with_its_days(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file comes first of the two."""
    old = data / "cql/policies/mri-brain.yaml"
    new = old.with_name("mri-brain-2.yaml")
    shutil.copy(old, new)
    days = {"start": dt.date(2026, 7, 1), "end": dt.date(2027, 6, 30)}
    change(new, lambda content: content.update(id="mri-brain-2", effective=days))
    change(old, lambda content: content["effective"].update(end=dt.date(2026, 6, 30)))
    catalog = Catalog.load(data)
    monkeypatch.setattr(Catalog, "load", lambda root=None: catalog)
    assert "in force from 2026-07-01 until 2027-06-30" in run("show", "BR").output
    assert "in force from 2025-01-01 until 2026-06-30" in run("show", "mri-brain").output


def test_check_says_what_keeps_the_data_from_loading(data: Path) -> None:
    change(data / "cql/policies/mri-hip.yaml", lambda content: content.update(guideline="ACR-TOE"))
    checked = run("check", data)
    assert checked.exit_code == 1
    assert "has no ACR-TOE" in checked.output
    brain = data / "cql/policies/mri-brain.yaml"
    brain.write_text(brain.read_text(encoding="utf-8").replace("{start: 2025-01-01}", "{start: 2025-13-01}"))
    assert "policies/mri-brain.yaml: month must be in 1..12" in run("check", data).output
    brain.write_text("owner: Somebody\nowner: Somebody else\n", encoding="utf-8")
    assert "policies/mri-brain.yaml: owner stands here twice" in run("check", data).output
    shutil.copy(data / "cql/policies/mri-hip.yaml", brain)
    usual = data / "cql/plans/evicore.yaml"
    usual.unlink()
    change(data / "cql/policies/mri-hip.yaml", lambda content: content.update(guideline="OURS"))
    change(brain, lambda content: content.update(guideline="OURS"))
    assert "plans: there is no evicore" in run("check", data).output
    hip = data / "cql/elm/MRIHip.json"
    rules = hip.read_text(encoding="utf-8")
    hip.unlink()
    hip.write_text(rules.replace('"path":"MRIHipPrefill"', '"path":"MRIHipFacts"'), encoding="utf-8")
    assert "cql/elm: Library MRIHip|1.0.0 includes one that cannot be found" in run("check", data).output
    (data / "questionnaires/mri-hip.json").write_text("{,}", encoding="utf-8")
    assert "questionnaires/mri-hip.json: The body is not valid JSON" in run("check", data).output


@pytest.mark.parametrize("folder", ["plans", "benefit-managers"])
def test_two_files_of_one_name_are_told_of(data: Path, folder: str) -> None:
    """One of them would be passed over."""
    shutil.copy(data / f"cql/{folder}/nia.yaml", data / f"cql/{folder}/nia-too.yaml")
    assert "nia: two files have this name" in run("check", data).output


def test_a_plan_names_rules_that_are_there(data: Path) -> None:
    change(
        data / "cql/plans/nia.yaml",
        lambda content: content.update({"gold-card-rules": ["OH"], "continuity-of-care": "forever"}),
    )
    checked = run("check", data)
    assert checked.exit_code == 1
    assert "nia.yaml: exemptions.yaml has no OH, forever" in checked.output


def test_diff_shows_whose_outcome_changes(data: Path, cases: Path) -> None:
    change(
        data / "cql/benefit-managers/evicore.yaml",
        lambda content: content["weeks"][1].update(value=5),
    )
    compared = run("diff", ROOT, data, cases, "--region", "LS")
    assert compared.exit_code == 0, compared.output
    assert "more-info: CC-DUR?" in compared.output
    assert "approve" in compared.output
    assert "1 of 1 cases come out otherwise" in compared.output


def test_diff_of_the_same_policies_shows_nothing(cases: Path) -> None:
    compared = run("diff", "2026-06-15", ROOT, cases, "--day", "2026-09-01")
    assert compared.output.strip() == "0 of 2 cases come out otherwise"


def test_diff_wants_a_folder_or_a_date(cases: Path) -> None:
    refused = run("diff", "yesterday", ROOT, cases)
    assert refused.exit_code == 2
    assert "yesterday: expected a folder of policy data or a date" in refused.output


def test_test_tells_the_difference_of_each_miss(cases: Path) -> None:
    missed = json.loads(cases.read_text())
    missed["vignettes"][0]["expected"] = {"decision": "approve"}
    cases.write_text(json.dumps(missed))
    ran = run("test", cases, "--region", "LS")
    assert ran.exit_code == 1
    assert "decision: more-info, expected approve" in ran.output
    assert ran.output.rstrip().endswith("0 of 1 cases as expected")


def test_a_case_that_misspells_is_told_so(cases: Path) -> None:
    """Under the default plan, or without what was misspelt, it would come out as something else's."""

    def told(**elements: Any) -> str:
        cases.write_text(json.dumps({"vignettes": [{**CASE, **elements}]}))
        return run("test", cases).output

    assert "there is no plan evicor; there are carelon, evicore" in told(rbm="evicor")
    assert "unknown field `modifer`" in told(modifer=["RT"])
    assert "unknown field `unkown`" in told(expected={"decision": "more-info", "unkown": ["CC-DUR"]})
    assert "unknown field `dat`" in told(facts=[{**CASE["facts"][0], "dat": 3}])


def test_a_fact_is_explained_as_a_criterion_is(cases: Path) -> None:
    def asked(define: str) -> Result:
        return run("explain", cases, "--case", "back", "--define", define)

    assert asked("CC-DUR").output.startswith('define "CC-DUR"')
    assert asked("Supporting diagnoses").output.startswith('define "Supporting diagnoses" = {Code')
    assert "has no define Supporting diagnosis; Supporting diagnoses?" in asked("Supporting diagnosis").output


def test_a_case_is_compared_under_each_plan(cases: Path) -> None:
    """Forty days are six weeks for NIA alone, which asks for other treatment, too."""
    shown = run("compare", cases, "--case", "back").output
    ways = dict(re.findall(r"│ ([a-z-]+) +│ [a-z-]+ +│ ([A-Z-]*) +│", shown))

    told = {
        "carelon": "CC-DUR",
        "evicore": "CC-DUR",
        "nia": "CC-MOD",
        "no-imaging-pa": "",
        "reviewed": "CC-DUR",
    }
    assert ways == told
    assert "has no case none" in run("compare", cases, "--case", "none").output
    assert "cases.json has 2 cases: name one by --case" in run("explain", cases).output


def test_the_only_case_of_a_file_needs_no_name_and_a_day_a_policy(cases: Path) -> None:
    cases.write_text(json.dumps({"vignettes": [CASE]}))

    assert run("explain", cases, "--define", "CC-DUR").output.startswith('define "CC-DUR"')
    refused = run("test", cases, "--day", "2024-12-31")
    assert refused.exit_code == 2
    assert refused.output == "--day 2024-12-31: no policy is in force then; the first begins on 2025-01-01\n"


def test_the_page_for_people_is_made_of_the_data_as_they_are() -> None:
    made = run("docs").output
    assert made == (ROOT / "docs" / "policies.md").read_text(encoding="utf-8"), "run `make policies`"
    assert "| SH-IMM.7 |" in made
    assert "ours: public texts differ" in made


def test_rules_that_cannot_be_evaluated_are_named_by_their_place(
    cases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent(monkeypatch, "MRILumbarSpine")
    tried = run("test", cases, "--region", "LS")
    assert "could not be evaluated (too-costly): MRILumbarSpine" in tried.output
    (back, *_) = read(cases)
    outcome = str(State.of(str(ROOT), dt.date(2026, 9, 1)).outcome(back))
    assert outcome.startswith("pend: the policy could not be evaluated (too-costly): MRILumbarSpine")
    assert tried.output.endswith("0 of 1 cases as expected\n")
    assert "a person will" in run("explain", cases, "--case", "back").output
    asked = run("explain", cases, "--case", "back", "--define", "Decision")
    assert asked.exit_code == 1
    assert asked.output.startswith("The evaluation took more than 0 steps. (MRILumbarSpine")
