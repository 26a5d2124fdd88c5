"""Determinations for tests of what is said about them, each as the policy would make it."""

import datetime as dt
from decimal import Decimal
from typing import Any

from server.policy.determination import Criterion, Decision, Determination, Evidence, Line, Met, Theme

DAY = dt.date(2026, 11, 20)

CARE = Criterion(
    id="CC-DUR",
    title="Long enough trial of conservative care",
    value=Met.NO,
    sentence="The attested trial lasted 28 days; 42 are asked",
    guideline="RBM-EVI, conservative care",
    theme=Theme.CONSERVATIVE_CARE,
    evidence=(Evidence("Procedure/pt-1", "97110 on 2026-10-23", DAY),),
    would_satisfy="Two more weeks of provider-directed treatment",
    questions=("CC-DUR.start",),
    in_the_way=True,
)
FILM = Criterion(
    id="IMG-XR",
    title="Plain film first",
    value=Met.UNKNOWN,
    sentence="No film of this shoulder is on file",
    guideline="ACR-SHO-2024",
    theme=Theme.MEDICAL_NECESSITY,
    would_satisfy="Date and result of the last X-ray",
    questions=("IMG-XR", "IMG-XR.date"),
    in_the_way=True,
)


def determination(decision: Decision, **changes: Any) -> Determination:
    return Determination(
        **{
            "plan": "evicore",
            "policy": "MRIShoulder|1.0.0",
            "region": "SH",
            "line": Line("73221", "RT", ("M75.111",), "11", Decimal(1)),
            "day_zero": DAY,
            "planned": dt.date(2026, 12, 1),
            "covered": True,
            "pa_needed": True,
            "decision": decision,
            "gate": "",
            "criteria": (),
            "unmet": (),
            "unknown": (),
            "theme": None,
            "reason": "The plan's criteria are met.",
            "valid_from": dt.date(2026, 12, 1),
            "valid_until": dt.date(2027, 1, 29),
            **changes,
        }
    )


def approved(**changes: Any) -> Determination:
    return determination(Decision.APPROVE, **changes)


def free_of_authorization(**changes: Any) -> Determination:
    return approved(
        pa_needed=False, gate="G-BEN", reason="This product asks for no authorization.", **changes
    )


def denied(**changes: Any) -> Determination:
    return determination(
        Decision.DENY,
        **{
            "criteria": (CARE,),
            "unmet": ("CC-DUR",),
            "theme": Theme.CONSERVATIVE_CARE,
            "reason": "Conservative care was too short.",
            "denial_code": "44",
            "appeal": "Within 180 days, in writing or by telephone.",
            **changes,
        },
    )


def needs_more(**changes: Any) -> Determination:
    return determination(
        Decision.MORE_INFO,
        **{
            "criteria": (FILM,),
            "unknown": ("IMG-XR",),
            "matters": ("IMG-XR",),
            "theme": Theme.MEDICAL_NECESSITY,
            "reason": "It is not known whether a film was taken.",
            "questionnaires": ("https://payer.example/Questionnaire/mri-shoulder|1.0.0",),
            "denial_code": "0U",
            **changes,
        },
    )


def waits_for_a_person(**changes: Any) -> Determination:
    return determination(Decision.PEND, **{"reason": "A reviewer will look at two spine levels.", **changes})


def recommends_denial(**changes: Any) -> Determination:
    said = denied()
    return determination(
        Decision.PEND,
        **{
            "recommended": Decision.DENY,
            "criteria": said.criteria,
            "unmet": said.unmet,
            "reason": said.reason,
            "denial_code": said.denial_code,
            "appeal": said.appeal,
            **changes,
        },
    )
