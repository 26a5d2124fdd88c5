"""A clinic may name a study in its own words, under a code of its own. What they say plainly was done; a film
of another part or side, or one that guided a needle, was not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from server.policy.cases import Case
from server.policy.catalog import Catalog
from server.policy.commands import judged
from server.policy.determination import Met
from tests.policy.test_answers_and_chart import CHART, REGIONS, case, ways

FILM = {
    "SH": "XR SHOULDER RIGHT 2+ VIEWS",
    "EL": "X-ray of elbow, right",
    "WH": "Right wrist radiographs",
    "HI": "XR HIP W PELVIS 2-3 VIEWS RT",
    "KN": "XR KNEE 3 VW RIGHT",
    "AF": "XR FOOT COMPLETE 3+ VW RIGHT",
    "CS": "XR C-SPINE 2-3 VIEWS",
    "TS": "XR SPINE THORACIC 3 VIEWS",
}
STUDY = {
    "SH": "MR SHOULDER RIGHT WO CONTRAST",
    "EL": "MRI elbow right without contrast",
    "WH": "MR WRIST RIGHT WO",
    "HI": "MRI HIP RIGHT WO CONTRAST",
    "KN": "Magnetic resonance imaging, right knee",
    "AF": "MR ANKLE RT WO CONTRAST",
    "CS": "MRI cervical spine wo contrast",
    "TS": "MRI T-SPINE W/O",
    "LS": "MR LUMBAR SPINE WO CONTRAST",
    "BR": "MRI BRAIN W WO CONTRAST",
}
LOCAL = {"system": "urn:oid:1.2.840.114350.1.13.999.2.7.2.696580", "code": "IMG1117"}
ANY_STUDY = {"system": "http://loinc.org", "code": "18748-4", "display": "Diagnostic imaging study"}
DAY = "2026-05-18"
KINDS = ("DiagnosticReport", "Procedure", "ImagingStudy")


def study(kind: str, words: str, *beside: dict[str, Any]) -> dict[str, Any]:
    code = {"coding": [{**LOCAL, "display": words}, *beside]}
    done: dict[str, dict[str, Any]] = {
        "DiagnosticReport": {"status": "final", "code": code, "effectiveDateTime": DAY},
        "Procedure": {"status": "completed", "code": code, "performedDateTime": DAY},
        "ImagingStudy": {"status": "available", "procedureCode": [code], "started": DAY + "T09:00:00Z"},
    }
    return {"resourceType": kind, "id": "in-words", **done[kind]}


def charted(catalog: Catalog, region: str, *studies: dict[str, Any]) -> Case:
    """All is charted but a film and what came after a study, and no study but these."""
    found = ways(region) if region in REGIONS else {}
    facts = [
        fact for name, each in found.items() if name not in {"IMG-XR", "RPT-INT"} for fact in each[CHART]
    ]
    given = case(catalog, region, facts)
    rest = [each for each in given.clinical if each["resourceType"] != "DiagnosticReport"]
    return dataclasses.replace(given, clinical=(*rest, *studies))


def met(catalog: Catalog, criterion: str, region: str, *studies: dict[str, Any]) -> Met:
    return judged(charted(catalog, region, *studies), catalog, hints=False).criterion(criterion).value


def report(words: str, *beside: dict[str, Any]) -> dict[str, Any]:
    return study("DiagnosticReport", words, *beside)


@pytest.mark.parametrize("region", FILM)
def test_a_film_in_words_was_done(catalog: Catalog, region: str) -> None:
    assert met(catalog, "IMG-XR", region) is Met.UNKNOWN
    assert met(catalog, "IMG-XR", region, report(FILM[region])) is Met.YES


@pytest.mark.parametrize("region", STUDY)
def test_a_study_in_words_is_not_repeated_unasked(catalog: Catalog, region: str) -> None:
    assert met(catalog, "RPT-INT", region) is Met.YES
    assert met(catalog, "RPT-INT", region, report(STUDY[region])) is Met.UNKNOWN


@pytest.mark.parametrize("kind", KINDS)
def test_words_count_in_whatever_resource(catalog: Catalog, kind: str) -> None:
    """Beside the code that LOINC has for any study, too."""
    assert met(catalog, "IMG-XR", "SH", study(kind, FILM["SH"], ANY_STUDY)) is Met.YES
    assert met(catalog, "RPT-INT", "SH", study(kind, STUDY["SH"], ANY_STUDY)) is Met.UNKNOWN


@pytest.mark.parametrize(
    "words",
    [
        "XR SHOULDER LEFT 2+ VIEWS",
        "XR ELBOW RIGHT 2 VIEWS",
        "XR CHEST 2 VIEWS",
        "XR GUIDED INJECTION SHOULDER RIGHT",
        "FL XR ARTHROGRAM SHOULDER RIGHT",
        "US SHOULDER RIGHT",
        "SHOULDER RIGHT",
        STUDY["SH"],
    ],
)
def test_other_words_tell_of_no_film(catalog: Catalog, words: str) -> None:
    assert met(catalog, "IMG-XR", "SH", report(words)) is Met.UNKNOWN


@pytest.mark.parametrize(
    "words",
    ["MR SHOULDER LEFT WO", "MRI HUMERUS RIGHT", "MR ANGIO SHOULDER RIGHT", "MRI BRAIN", FILM["SH"]],
)
def test_other_words_tell_of_no_earlier_study(catalog: Catalog, words: str) -> None:
    assert met(catalog, "RPT-INT", "SH", report(words)) is Met.YES


def test_the_head_of_a_bone_is_none_of_the_patient(catalog: Catalog) -> None:
    assert met(catalog, "RPT-INT", "BR", report("MRI HIP FEMORAL HEAD RIGHT")) is Met.YES
    assert met(catalog, "RPT-INT", "BR", report("MRI HEAD WO CONTRAST")) is Met.UNKNOWN


@pytest.mark.parametrize("words", ["XR TIB FIB RIGHT", "XR PATELLA 2 VIEWS RIGHT"])
def test_a_film_of_the_leg_has_several_names(catalog: Catalog, words: str) -> None:
    assert met(catalog, "IMG-XR", "KN", report(words)) is Met.YES


def test_a_code_that_all_know_says_more_than_words(catalog: Catalog) -> None:
    elbow = {"system": "http://www.ama-assn.org/go/cpt", "code": "73080"}
    assert met(catalog, "IMG-XR", "SH", report(FILM["SH"], elbow)) is Met.UNKNOWN
