"""docs/write-a-policy.md, followed to the letter: its blocks are the files, its cases come out as it says.

What `make elm` and the builder of value sets make of them is committed in `tests/policy/ct-head`; where Node
is there, the translation is compared.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from server.adjudication.adjudicator import Adjudicator
from server.dtr.artefacts import artefacts_of
from server.dtr.form import Form, plain_answer
from server.dtr.next_question import Interviewer
from server.dtr.populate import populate
from server.dtr.routes import TABLES
from server.policy.cases import case_of, differences, read
from server.policy.catalog import Catalog
from server.policy.commands import app, judged
from server.policy.faults import faults
from tests.policy.copies import ROOT, copied
from tests.policy.test_vignettes import DAY_ZERO

NOON = dt.datetime.combine(DAY_ZERO, dt.time(12), dt.UTC)
MADE = Path(__file__).parent / "ct-head"
PAGE = (ROOT / "docs" / "write-a-policy.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w/.-]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


def blocks(kind: str) -> Iterator[str]:
    yield from re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def lines(begin: str) -> list[Any]:
    """The block of JSON whose lines are to be added somewhere."""
    (block,) = (block for block in blocks("json") if block.startswith(begin))
    return [json.loads(line) for line in block.splitlines()]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The policy data with what the page adds."""
    root = copied(tmp_path_factory.mktemp("payer"))
    for name in ("valuesets", "elm"):
        for path in (MADE / name).glob("*.json"):
            (root / "cql" / name / path.name).unlink(missing_ok=True)
            (root / "cql" / name / path.name).symlink_to(path)
    (root / "cql" / "valuesets" / "source").unlink()
    shutil.copytree(ROOT / "cql" / "valuesets" / "source", root / "cql" / "valuesets" / "source")
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    answers = root / "cql/codesystems/mri-answer.json"
    system = json.loads(answers.read_text(encoding="utf-8"))
    system["concept"] += lines('{"code"')
    answers.write_text(json.dumps(system), encoding="utf-8")
    adaptive = root / "questionnaires/mri-adaptive.json"
    form = json.loads(adaptive.read_text(encoding="utf-8"))
    Form(form).items["ORDER.cpt"].node["answerOption"].extend(lines('{"valueCoding"'))
    adaptive.write_text(json.dumps(form), encoding="utf-8")
    lists = root / "cql/valuesets/source/services.yaml"
    made = yaml.safe_load(lists.read_text(encoding="utf-8"))
    (line,) = (block for block in blocks("yaml") if block.startswith("  include:"))
    made["imaging-order"].update(yaml.safe_load(line))
    lists.write_text(yaml.safe_dump(made), encoding="utf-8")
    services = root / "cql/services.yaml"
    listed = yaml.safe_load(services.read_text(encoding="utf-8"))
    (line,) = (group for group in listed["services"] if str(group["codes"]).startswith("70450"))
    line["imaging"] = True
    services.write_text(yaml.safe_dump(listed), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def catalog(root: Path) -> Catalog:
    return Catalog.load(root)


def test_the_page_has_every_file_that_a_policy_is_made_of() -> None:
    assert set(FILES) == {
        "cql/valuesets/source/ct-head.yaml",
        "cql/CTHeadPrefill.cql",
        "cql/CTHead.cql",
        "cql/policies/ct-head.yaml",
        "questionnaires/ct-head.json",
        "tests/vignettes/ct-head.json",
    }


def test_the_new_policy_has_no_faults(catalog: Catalog) -> None:
    assert [each for each in faults(catalog) if not each.startswith("valuesets/")] == []
    assert any(policy.id == "ct-head" for policy in catalog.policies)


def test_its_cases_come_out_as_the_page_says(root: Path, catalog: Catalog) -> None:
    vignettes = read(root / "tests/vignettes/ct-head.json")
    assert len(vignettes) == 8
    for vignette in vignettes:
        case = case_of(vignette, DAY_ZERO, catalog.payer)
        assert differences(vignette.expected, judged(case, catalog)) == (), vignette.id


def test_its_form_is_filled_from_the_chart(root: Path, catalog: Catalog) -> None:
    """In an EHR, which hands in no order: a sudden headache is found by the order of the chart."""
    (vignette,) = (each for each in read(root / "tests/vignettes/ct-head.json") if each.id == "CTH-3")
    case = case_of(vignette, DAY_ZERO, catalog.payer)
    form = Form(json.loads((root / "questionnaires/ct-head.json").read_text(encoding="utf-8")))
    filling = populate(form, {}, catalog.engine, map(dict, case.resources), case.now, "auto")
    assert filling.asked == ()
    assert filling.answers["CTH-IMM"][0]["valueCoding"]["code"] == "CTH-IMM.2"


def test_check_finds_nothing_to_mend(root: Path) -> None:
    checked = CliRunner().invoke(app, ["check", str(root)])
    assert checked.exit_code == 0, checked.output
    assert "11 policies" in checked.output


def test_the_committed_translation_is_that_of_the_page() -> None:
    tools = ROOT / "cql" / "translate"
    if shutil.which("node") is None or not (tools / "node_modules" / "@cqframework").is_dir():
        pytest.skip("the translator is not installed: run `make elm`")
    texts = {Path(name).stem: text for name, text in FILES.items() if name.endswith(".cql")}
    lines = "\n".join(json.dumps({"id": name, "cql": text}) for name, text in texts.items())
    done = subprocess.run(
        ["node", tools / "batch.mjs"], input=lines, capture_output=True, text=True, check=False
    )
    assert len(texts) == 2
    for line in done.stdout.splitlines():
        made = json.loads(line)
        committed = MADE / "elm" / f"{made['id']}.json"
        assert made.get("elm") == json.loads(committed.read_text(encoding="utf-8")), made.get("errors")
        del texts[made["id"]]
    assert texts == {}, done.stderr[-2000:]


def test_the_adaptive_form_asks_for_the_part_of_a_limb_as_before(catalog: Catalog) -> None:
    """The form of the head, which now comes first, has no such question."""
    version = TABLES["2.2"]
    artefacts = artefacts_of(catalog, version, "https://payer.example/fhir", without_version=False)
    interviewer = Interviewer(version, artefacts, Adjudicator(catalog, None))  # type: ignore[arg-type]
    form = next(Form(each) for each in catalog.questionnaires if Form(each).adaptive)
    response = {
        "resourceType": "QuestionnaireResponse",
        "status": "in-progress",
        "contained": [artefacts.contained(form)],
        "questionnaire": f"#{form.questionnaire['id']}",
    }

    def asked(response: dict[str, Any]) -> dict[str, Any]:
        return interviewer.answer(None, response, NOON).response  # type: ignore[arg-type]

    told = {"ORDER.cpt": "73221", "ORDER.dx": "torn cuff", "PATIENT.age": 52}
    first = asked(response)
    items = Form(first["contained"][0]).items
    answers = {name: plain_answer(items[name], given) for name, given in told.items()}
    given = [{"linkId": name, "answer": [answer]} for name, answer in answers.items()]
    group = [{"linkId": "ORDER", "item": given}]
    assert "COD-CPT" in Form(asked({**first, "item": group})["contained"][0]).items
