"""A request for authorization waits for answers, and the adaptive form collects them: the authorization comes
by that request, never by the form (DTR, "Adaptive forms": no number in a run that a pend began)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from server.app import the_catalog
from server.fhir import json
from server.pas.cases import request_of
from server.pas.information import TRACKING_SYSTEM
from server.policy.cases import Case, Expected, Vignette, case_of
from server.policy.determination import Decision
from tests.crd.builders import DAY
from tests.dtr.conftest import FHIR_JSON, Dtr, resource
from tests.dtr.test_adaptive import ADAPTIVE, interview, named, said


def pended(dtr: Dtr) -> tuple[Case, str]:
    """A case about which the payer asks for information, and the tracking number it gives."""
    vignette = Vignette(
        id=f"pended-{dtr.version.replace('.', '')}",
        region="SH",
        cpt="73221",
        icd10=("M75.111",),
        age=52,
        sex="F",
        rbm="evicore",
        modifiers=("RT",),
        expected=Expected(decision=Decision.MORE_INFO),
    )
    case = case_of(vignette, DAY, the_catalog().payer)
    body = json.encode(request_of(case))
    answer = dtr.http.post(f"{dtr.base}/Claim/$submit", content=body, headers=FHIR_JSON)
    assert answer.status_code == 200, answer.text
    (number,) = set(tracking_numbers(json.decode_object(answer.content)))
    return case, number


def tracking_numbers(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("system") == TRACKING_SYSTEM:
            yield node["value"]
        for each in node.values():
            yield from tracking_numbers(each)
    if isinstance(node, list):
        for each in node:
            yield from tracking_numbers(each)


def test_a_run_that_a_pend_began_never_gives_a_number(dtr: Dtr) -> None:
    case, number = pended(dtr)
    (found,) = dtr.packages(
        resource("coverage", dict(case.coverage)),
        named(ADAPTIVE),
        {"name": "context", "valueString": number},
    )
    calls, done = interview(dtr, found.draft, {"PATIENT.age": 52, "SH-IMM": "SH-IMM.2"})
    assert "PA.issue" not in [link_id for call in calls for link_id in call]
    assert done["status"] == "completed"
    assert "satisfied-pa-id" not in said(done)
    assert said(done)["pa-needed"] != "satisfied"
