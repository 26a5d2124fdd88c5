"""The committed ELM is what the committed CQL gives, and the tools that make it refuse what they should.

Node and the packages of `cql/translate` are needed; without them these tests skip with the reason, and in CI
they fail.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CQL = Path(__file__).parents[2] / "cql"
TOOLS = CQL / "translate"
BROKEN = 'library Broken version \'1\'\ndefine "Fine": 1\ndefine "Bad": nowhere'
BAD, GOOD = "define a: 1 +", "define a: 1 + 2"
QUANTITIES = "define a: 1.50 'mg'\ndefine b: 99999999999999999999.12345678 'mg'"
CHART = """
library Chart version '1'
using FHIR version '4.0.1'
include FHIRHelpers version '4.0.1'
context Patient
define "Ordered": {}
"""
UNORDERED = (
    "[Observation] O sort by issued",
    "[Observation] O sort by (effective as FHIR.dateTime)",
    "[Observation] O return O.issued sort asc",
    "[Observation] O return Tuple { at: O.issued } sort by at desc",
)
ORDERED = (
    "[Observation] O sort by (effective as FHIR.dateTime).value",
    "[Observation] O return Tuple { at: O.issued.value } sort by at desc",
)
TEXTS = (BROKEN, BAD, GOOD, QUANTITIES, *(CHART.format(sort) for sort in (*UNORDERED, *ORDERED)))


@pytest.fixture(scope="module", autouse=True)
def _translator() -> None:
    if shutil.which("node") is None:
        reason = "Node is not installed"
    elif not (TOOLS / "node_modules" / "@cqframework").is_dir():
        reason = "the translator is not installed: run `make elm`"
    else:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def node(script: str, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    command = ["node", str(TOOLS / script), *arguments]
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="module")
def written() -> str:
    """What the translator writes for `TEXTS`: all in one process, which takes seconds to start."""
    lines = [json.dumps({"id": text, "cql": text}) for text in TEXTS]
    return node("batch.mjs", given="\n".join(lines)).stdout


@pytest.fixture(scope="module")
def answers(written: str) -> dict[str, dict[str, Any]]:
    """The translator's answers by their texts."""
    return {answer["id"]: answer for answer in map(json.loads, written.splitlines())}


def test_the_committed_elm_is_what_the_cql_gives() -> None:
    checked = node("translate.mjs", "--check")
    assert checked.returncode == 0, checked.stderr


def test_fhirhelpers_is_what_the_model_info_asks_for() -> None:
    checked = node("fhirhelpers.mjs", "--check")
    assert checked.returncode == 0, checked.stderr


def test_an_error_says_which_line_and_yields_no_elm(answers: dict[str, Any]) -> None:
    answer = answers[BROKEN]
    assert "elm" not in answer
    assert [(each["library"], each["line"], each["column"]) for each in answer["errors"]] == [
        ("Broken", 3, 15)
    ]


def test_one_bad_text_does_not_spoil_the_next(answers: dict[str, Any]) -> None:
    assert [sorted(answers[text]) for text in (BAD, GOOD)] == [["errors", "id"], ["elm", "id"]]


@pytest.mark.parametrize("sort", UNORDERED)
def test_sorting_by_fhir_dates_is_refused(answers: dict[str, Any], sort: str) -> None:
    answer = answers[CHART.format(sort)]
    assert [each["line"] for each in answer["errors"]] == [6]
    assert "which have no order" in answer["errors"][0]["message"]


@pytest.mark.parametrize("sort", ORDERED)
def test_sorting_by_their_values_is_not(answers: dict[str, Any], sort: str) -> None:
    assert "elm" in answers[CHART.format(sort)]


def test_quantities_keep_the_digits_they_were_written_with(written: str) -> None:
    assert '"value":1.50,' in written
    assert '"value":99999999999999999999.12345678,' in written


def test_the_elm_carries_local_ids_and_places_but_not_its_source_text() -> None:
    elm = json.loads((CQL / "elm" / "FHIRHelpers.json").read_text())["library"]
    define = elm["statements"]["def"][0]
    assert define["localId"]
    assert define["locator"]
    assert "annotation" not in define
