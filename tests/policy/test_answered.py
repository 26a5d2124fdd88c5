"""Answers of an adaptive form count for the region and the service it asked about, and for no other."""

from typing import Any

import pytest

from server.app import the_catalog
from server.policy.answered import in_form

ADAPTIVE = "https://payer.example/Questionnaire/mri-adaptive"


def response(asked: Any, origin: str = ADAPTIVE, service: Any = "") -> dict[str, Any]:
    """Filled to the end, one question inside a group and one below an answer."""
    chosen = {"linkId": "ORDER.cpt", "answer": [{"valueCoding": {"code": service}}]}
    indication = {"linkId": asked, "answer": [{"valueCoding": {"code": "none"}}]}
    around = {"linkId": "word", "answer": [{"valueBoolean": True, "item": [indication]}]}
    return {
        "resourceType": "QuestionnaireResponse",
        "contained": [{"resourceType": "Questionnaire", "id": "q", "derivedFrom": [origin]}],
        "questionnaire": "#q",
        "item": [{"linkId": "ORDER", "item": [*([chosen] if service else []), around]}],
    }


@pytest.mark.parametrize(
    ("told", "counts"),
    [
        (response("SH-IMM"), True),
        (response("SH-IMM", f"{ADAPTIVE}|1.0.0", service="73221"), True),
        (response("KN-IMM"), False),
        (response("SH-IMM", service="73721"), False),
        (response("SH-IMM", "https://elsewhere.example/Questionnaire/mri-adaptive"), False),
        ({**response("SH-IMM"), "contained": []}, False),
        ({**response("SH-IMM"), "questionnaire": ADAPTIVE}, False),
        (response(["SH-IMM"]), False),
        (response("SH-IMM", service=["73221"]), False),
    ],
)
def test_a_response_counts_where_it_is_about_the_policys_region(
    told: dict[str, Any], *, counts: bool
) -> None:
    catalog = the_catalog()
    (policy,) = (policy for policy in catalog.policies if policy.immediate == "SH-IMM")
    (read,) = in_form([told], policy, catalog)
    assert (read["questionnaire"] == policy.questionnaire) == counts
    assert read["item"] == told["item"]
