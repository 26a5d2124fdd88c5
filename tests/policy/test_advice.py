"""What is told beside the outcome: safety of the scanner and of contrast, and the therapy not begun."""

from __future__ import annotations

from typing import Any

import pytest

from server.app import the_catalog
from server.fhir.systems import CPT
from server.policy.case_draft import SNOMED, Fact
from server.policy.cases import Expected, Vignette, case_of
from server.policy.commands import judged
from server.policy.determination import Decision
from tests.policy.test_vignettes import DAY_ZERO

PLAIN, CONTRAST = "70551", "70553"
PREGNANT, NOT_PREGNANT = "77386006", "60001007"


def problem(code: str, recorded: int | None = None, **patch: Any) -> Fact:
    return Fact("Condition", code, "icd10", recorded, patch=patch or None)


def in_snomed(code: str) -> Fact:
    coded = {"code": {"coding": [{"system": SNOMED, "code": code}]}}
    return Fact("Condition", "Z00.00", "icd10", 30, patch=coded)


def device(code: str, **patch: Any) -> Fact:
    """Laid over a problem, which names the patient otherwise."""
    kind = {"coding": [{"system": SNOMED, "code": code}]}
    other = dict.fromkeys(("code", "category", "clinicalStatus", "verificationStatus", "subject"))
    made = {"resourceType": "Device", "type": kind, "patient": {"reference": "Patient/patient"}, **patch}
    return Fact("Condition", "Z95.0", "icd10", None, None, {**other, **made})


def filtration(day: int, rate: int, formula: str = "98979-8") -> Fact:
    return Fact("Observation", formula, "loinc", day, rate)


def pregnancy(day: int, status: str) -> Fact:
    value = {"coding": [{"system": SNOMED, "code": status}]}
    return Fact("Observation", "82810-3", "loinc", day, "", {"valueCodeableConcept": value})


def told(cpt: str, *facts: Fact, region: str = "BR", diagnosis: str = "G35.A") -> set[str]:
    """The notes on a case, criteria and guideline left out."""
    catalog = the_catalog()
    case = case_of(
        Vignette(
            id="advised",
            region=region,
            cpt=cpt,
            modifiers=("RT",) if region == "KN" else (),
            icd10=(diagnosis,),
            age=40,
            sex="F",
            rbm="evicore",
            facts=facts,
            expected=Expected(Decision.APPROVE),
        ),
        DAY_ZERO,
        catalog.payer,
    )
    return {each.id for each in judged(case, catalog).advice if each.id.startswith("ADV-")}


@pytest.mark.parametrize(
    ("cpt", "facts", "notes"),
    [
        (PLAIN, [problem("Z95.0")], {"ADV-DEVICE"}),
        (PLAIN, [device("14106009")], {"ADV-DEVICE"}),
        (PLAIN, [device("72506001", status="active")], {"ADV-DEVICE"}),
        (PLAIN, [device("706004007")], {"ADV-DEVICE"}),
        (PLAIN, [device("14106009", status="inactive")], set()),
        (PLAIN, [device("14106009", patient={"reference": "Patient/another"})], set()),
        (PLAIN, [problem("Z96.21")], {"ADV-IMPLANT"}),
        (PLAIN, [problem("F40.240")], {"ADV-CLAUSTROPHOBIA"}),
        (PLAIN, [problem("N18.5")], set()),
        (CONTRAST, [problem("N18.5")], {"ADV-KIDNEY", "ADV-EGFR"}),
        (CONTRAST, [problem("N18.5"), filtration(90, 40)], {"ADV-KIDNEY"}),
        (CONTRAST, [problem("N18.5"), filtration(91, 40)], {"ADV-KIDNEY", "ADV-EGFR"}),
        (CONTRAST, [filtration(10, 29)], {"ADV-KIDNEY"}),
        (CONTRAST, [filtration(10, 29, "88294-4")], {"ADV-KIDNEY"}),
        (CONTRAST, [in_snomed("431857002")], {"ADV-KIDNEY", "ADV-EGFR"}),
        (PLAIN, [in_snomed("72892002")], {"ADV-PREGNANCY"}),
        (CONTRAST, [filtration(10, 30)], set()),
        (CONTRAST, [filtration(60, 22), filtration(2, 85)], set()),
        (CONTRAST, [filtration(60, 85), filtration(2, 22)], {"ADV-KIDNEY"}),
        (CONTRAST, [filtration(2, 22), filtration(2, 85)], {"ADV-KIDNEY"}),
        (CONTRAST, [problem("Z91.041")], {"ADV-REACTION"}),
        (PLAIN, [problem("Z91.041")], set()),
        (PLAIN, [problem("Z33.1", 30)], {"ADV-PREGNANCY"}),
        (PLAIN, [pregnancy(30, PREGNANT)], {"ADV-PREGNANCY"}),
        (PLAIN, [pregnancy(250, PREGNANT), pregnancy(5, NOT_PREGNANT)], set()),
    ],
)
def test_what_the_chart_holds_against_the_scanner_or_contrast_is_told(
    cpt: str, facts: list[Fact], notes: set[str]
) -> None:
    assert told(cpt, *facts) == notes


def therapy(day: int, **patch: Any) -> Fact:
    return Fact("Procedure", "97110", "cpt", day, None, patch or None)


def claimed(day: int) -> Fact:
    """A line of the payer's own claims, laid over a record of the payer's."""
    item = {"sequence": 1, "productOrService": {"coding": [{"system": CPT, "code": "97110"}]}}
    line = {**item, "servicedDate": f"D-{day}"}
    claim = {"resourceType": "ExplanationOfBenefit", "use": "claim", "item": [line]}
    return Fact("ClaimResponse", "97110", "cpt", day, None, claim)


def referral(**patch: Any) -> Fact:
    code = {"coding": [{"system": CPT, "code": "97161"}]}
    request = {
        "resourceType": "ServiceRequest",
        "codeCodeableConcept": None,
        "status": "active",
        "code": code,
    }
    return Fact("DeviceRequest", "L1810", "hcpcs", 3, None, {**request, **patch})


@pytest.mark.parametrize(
    ("facts", "proposed"),
    [
        ([], True),
        ([therapy(90)], False),
        ([therapy(91)], True),
        ([therapy(3, status="not-done")], True),
        ([claimed(3)], False),
        ([referral()], False),
        ([referral(status="revoked")], True),
        ([referral(doNotPerform=True)], True),
        ([problem("M86.161", 3)], False),
    ],
)
def test_therapy_is_proposed_where_none_is_given_or_asked_for(facts: list[Fact], proposed: bool) -> None:
    """An infected bone needs none first."""
    notes = told("73721", *facts, region="KN", diagnosis="M23.221")
    assert notes == ({"ADV-PT"} if proposed else set())
