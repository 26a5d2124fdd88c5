"""The payer's own codes: complete, and the only ones that forms and value sets use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.fhir.elements import nodes

ROOT = Path(__file__).parents[2]
SYSTEMS = {
    found["url"]: {concept["code"]: concept for concept in found["concept"]}
    for path in sorted((ROOT / "cql" / "codesystems").glob("*.json"))
    for found in [json.loads(path.read_text(encoding="utf-8"))]
}
USERS = [*sorted((ROOT / "questionnaires").glob("*.json")), *sorted((ROOT / "cql/valuesets").glob("*.json"))]


def codings(node: Any) -> Iterator[dict[str, Any]]:
    """Every {system, code} of our own systems below a node."""
    yield from (each for each in nodes(node) if each.get("system") in SYSTEMS and "code" in each)


@pytest.mark.parametrize("path", USERS, ids=lambda path: path.stem)
def test_codes_in_use_are_defined_under_the_words_in_use(path: Path) -> None:
    for coding in codings(json.loads(path.read_text(encoding="utf-8"))):
        concept = SYSTEMS[coding["system"]].get(coding["code"])
        assert concept, f"{coding['code']} is not in {coding['system']}"
        words = {concept["display"], *(each["value"] for each in concept.get("designation", []))}
        assert coding.get("display") in {None, *words}, coding


def test_every_region_has_its_immediate_indications() -> None:
    answers = SYSTEMS["https://payer.example/CodeSystem/mri-answer"]
    numbers = {
        region: sum(code.startswith(f"{region}-IMM.") for code in answers)
        for region in ("SH", "EL", "WH", "HI", "KN", "AF", "CS", "TS", "LS", "BR")
    }
    assert numbers == {
        **{"SH": 8, "EL": 8, "WH": 11, "HI": 8, "KN": 10, "AF": 10},
        **{"CS": 8, "TS": 8, "LS": 8, "BR": 11},
    }
